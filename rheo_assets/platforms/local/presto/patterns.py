"""Date patterns of MySQL and of Joda, regular-expression replacements and JSON paths, as DuckDB writes them."""

from __future__ import annotations

import re

from rheo_assets.platforms.local.presto.refusals import Refusal, not_available

# https://trino.io/docs/current/functions/datetime.html#mysql-date-functions
_MYSQL = {
    "a": "%a",
    "b": "%b",
    "c": "%-m",
    "d": "%d",
    "e": "%-d",
    "f": "%f",
    "H": "%H",
    "h": "%I",
    "I": "%I",
    "i": "%M",
    "j": "%j",
    "k": "%-H",
    "l": "%-I",
    "M": "%B",
    "m": "%m",
    "p": "%p",
    "r": "%I:%M:%S %p",
    "S": "%S",
    "s": "%S",
    "T": "%H:%M:%S",
    "v": "%V",
    "W": "%A",
    "x": "%G",
    "Y": "%Y",
    "y": "%y",
    "%": "%%",
}
# Joda's DateTimeFormat: letter -> its spelling for each count of letters; the last holds for more.
_JODA = {
    "y": {1: "%Y", 2: "%y", 3: "%Y"},
    "Y": {1: "%Y", 2: "%y", 3: "%Y"},
    "x": {1: "%G", 2: "", 3: "%G"},
    "w": {1: "", 2: "%V"},
    "e": {1: "%u"},
    "E": {1: "%a", 4: "%A"},
    "D": {1: "%-j", 2: "", 3: "%j"},
    "M": {1: "%-m", 2: "%m", 3: "%b", 4: "%B"},
    "d": {1: "%-d", 2: "%d"},
    "a": {1: "%p"},
    "h": {1: "%-I", 2: "%I"},
    "H": {1: "%-H", 2: "%H"},
    "m": {1: "%-M", 2: "%M"},
    "s": {1: "%-S", 2: "%S"},
    "S": {1: "", 3: "%g", 4: "", 6: "%f", 7: ""},
}
_JODA_ZONE = {"Z": {1: "+0000", 2: "+00:00", 3: "UTC"}, "z": {1: "UTC"}}
_JODA_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def from_mysql(pattern: str) -> str:
    """Returns the pattern of `date_format` and `date_parse` in strftime's letters.

    Raises:
        Refusal: A letter is not available.
    """

    def letter(hit: re.Match[str]) -> str:
        try:
            return _MYSQL[hit.group(1)]
        except KeyError:
            raise not_available(f"%{hit.group(1)} in the date pattern {pattern!r}") from None

    return re.sub(r"%(.)", letter, pattern, flags=re.DOTALL)


def from_joda(pattern: str, *, parsing: bool) -> str:
    """Returns the pattern of `format_datetime` and `parse_datetime` in strftime's letters.

    Raises:
        Refusal: A letter, or its count, is not available.
    """
    found: list[str] = []
    for hit in _JODA_TOKEN.finditer(pattern):
        token, quoted, letter = hit.group(), hit.group(1), hit.group(2)
        if letter is None:
            plain = token if quoted is None else quoted.replace("''", "'") or "'"
            found.append(plain.replace("%", "%%"))
            continue
        counts = _JODA.get(letter) or ({1: "%z"} if parsing and letter == "Z" else _JODA_ZONE.get(letter, {}))
        if parsing and letter == "z":
            counts = {}
        spelled = next((counts[count] for count in sorted(counts, reverse=True) if count <= len(token)), "")
        if not spelled:
            raise not_available(f"{token} in the date pattern {pattern!r}")
        found.append(spelled)
    return "".join(found)


def has_zone(pattern: str) -> bool:
    """Returns whether a pattern of Joda has a zone."""
    return any(hit.group(2) in {"z", "Z"} for hit in _JODA_TOKEN.finditer(pattern))


_JSON_STEP = re.compile(r"""\.([A-Za-z_][\w\-]*)|\[(\d+)\]|\[\s*"([^"]*)"\s*\]|\[\s*'([^']*)'\s*\]|\."([^"]*)\"""")


def json_path(path: str) -> str:
    """Returns a JSON path of Trino as DuckDB spells it.

    Raises:
        Refusal: The path has wildcards, or is no path.
    """
    if not path.startswith("$"):
        raise Refusal(f"the JSON path {path!r} does not start with $")
    found, position = ["$"], 1
    while position < len(path):
        step = _JSON_STEP.match(path, position)
        if step is None:
            raise not_available(f"the JSON path {path!r}", 'use $.name, $[0] and $["name"]')
        name = next((group for group in (step.group(1), *step.groups()[2:]) if group is not None), None)
        found.append(f"[{step.group(2)}]" if name is None else f'."{name}"')
        position = step.end()
    return "".join(found)
