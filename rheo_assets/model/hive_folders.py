"""How Hive and similar tools write a value in a `name=value` folder: special characters are percent-escaped."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

_PLACEHOLDER: Final = re.compile(r"[^={}]+=\{\}")
_ESCAPED_BY_HIVE: Final = re.compile(r"[\x01-\x1f\x7f\"#%'*/:=?\\{\[\]^]")  # and by Spark and Trino


def is_hive(segment: str) -> bool:
    """Returns whether a segment of a layout is a Hive folder: `day={}`."""
    return _PLACEHOLDER.fullmatch(segment) is not None


@lru_cache(maxsize=4096)
def spellings(text: str) -> tuple[str, ...]:
    """Returns the possible spellings of a value's folder: as is, as Hive, Spark and Trino, as pyarrow and DuckDB.

    >>> spellings("05:00")
    ('05:00', '05%3A00')
    """
    hive = _ESCAPED_BY_HIVE.sub(lambda found: f"%{ord(found[0]):02X}", text)
    found = dict.fromkeys((text, hive, quote(text, safe="")))
    return tuple(one for one in found if meaning(one) == text)


def meaning(text: str) -> str:
    """Returns the value that a folder's text means; a `%` that none of these tools writes is a plain character.

    >>> meaning("05%3A00"), meaning("100%"), meaning("%41")
    ('05:00', '100%', '%41')
    """
    if "%" not in text:
        return text
    try:
        value = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text
    hive = _ESCAPED_BY_HIVE.sub(lambda found: f"%{ord(found[0]):02X}", value)
    return value if text in {hive, quote(value, safe="")} else text
