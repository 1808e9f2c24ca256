"""Which names are data: the same for every storage and every engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

NULL_FOLDER: Final = "__HIVE_DEFAULT_PARTITION__"
_KEY: Final = re.compile(r"([^=/]+)=([^/]*)", re.DOTALL)
_UNFINISHED: Final = (".tmp", "._COPYING_", "$folder$", ".crc")


def is_bookkeeping(name: str) -> bool:
    """Returns whether an object is bookkeeping, not data: `_SUCCESS`, `.part.crc`, `x.tmp`, `x._COPYING_`.

    Some tools write a marker for a folder. Its key ends with `/`, so its name is empty.
    """
    return name == "" or name.startswith(("_", ".")) or name.endswith(_UNFINISHED)


def is_hidden_folder(name: str) -> bool:
    """Returns whether nothing below a folder is data: `_temporary`, `.hive-staging`, but not the column `_day=1`."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def is_data(relative: str) -> bool:
    """Returns whether an object is data, from its path below its partition."""
    *folders, name = relative.split("/")
    return not is_bookkeeping(name) and not any(map(is_hidden_folder, folders))


def folder_values(folders: Sequence[str]) -> dict[str, str | None]:
    """Returns the columns that `name=value` folders are, with Hive's escapes read: all of them text.

    >>> folder_values(["city=A%20B", "kind=__HIVE_DEFAULT_PARTITION__", "other"])
    {'city': 'A B', 'kind': None}
    """
    pairs = [match.groups() for folder in folders if (match := _KEY.fullmatch(folder))]
    return {unquote(name): None if value == NULL_FOLDER else unquote(value) for name, value in pairs}
