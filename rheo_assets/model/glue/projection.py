"""Athena's partition projection: how a table's parameters define the values of a partition key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_LETTERS: Final = {"M": "m", "d": "d", "H": "H", "m": "M", "s": "S"}
_FIELDS: Final = {
    **dict.fromkeys(("yyyy", "uuuu"), "%Y"),
    **{letter * 2: f"%{field}" for letter, field in _LETTERS.items()},
    **{letter: f"%-{field}" for letter, field in _LETTERS.items()},
}
_TOKEN: Final = re.compile(r"'(?P<text>[^']*)'|(?P<field>([A-Za-z])\3*)|(?P<other>.)", re.DOTALL)


def projected_format(key: str, parameters: Mapping[str, str]) -> str | None:
    """Returns the strftime format of a key that is projected as a date; None if it is not.

    >>> projected_format("day", {"projection.day.type": "date", "projection.day.format": "yyyy/MM/dd"})
    '%Y/%m/%d'
    """
    settings = _settings(key, parameters)
    if settings.get("type", "").lower() != "date" or "format" not in settings:
        return None
    parts = []
    for token in _TOKEN.finditer(settings["format"]):
        if token["field"]:
            if token["field"] not in _FIELDS:
                return None  # a Java pattern letter that strftime does not have: the key keeps its type
            parts.append(_FIELDS[token["field"]])
        else:
            text = token["text"] if token["other"] is None else token["other"]
            parts.append((text or "'").replace("%", "%%"))
    return "".join(parts)


def projected_digits(key: str, parameters: Mapping[str, str]) -> int | None:
    """Returns the width to which the values of a key projected as a number are padded; None if they are not."""
    settings = _settings(key, parameters)
    digits = settings.get("digits", "")
    return (
        int(digits) if settings.get("type", "").lower() == "integer" and re.fullmatch(r"[1-9][0-9]?", digits) else None
    )


def _settings(key: str, parameters: Mapping[str, str]) -> dict[str, str]:
    prefix = f"projection.{key}.".lower()
    return {n.lower().removeprefix(prefix): str(v) for n, v in parameters.items() if n.lower().startswith(prefix)}
