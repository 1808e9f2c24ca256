"""How the columns of csv files are called, in every engine: without a header line as Spark calls them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_TEXT = "it is not csv in UTF-8 and may be damaged"


def has_header(options: Mapping[str, Any]) -> bool:
    """Returns whether delimited text has a header line: it has unless `header` says otherwise, read or written."""
    return str(options.get("header", True)).strip().lower() not in {"false", "0", "no", ""}


def delimiter(options: Mapping[str, Any]) -> str:
    """Returns the character between columns."""
    return str(options.get("delimiter") or ",")


def numbered(count: int) -> list[str]:
    """Returns the names of columns that have none: `_c0`, `_c1` and so on."""
    return [f"_c{index}" for index in range(count)]


def names_when_read(
    names: Iterable[str], data_format: str, options: Mapping[str, Any], declared: Sequence[tuple[str, str]] = ()
) -> list[str]:
    """Returns the names that written columns have for those who read them.

    A csv without a header loses them, unless the node declares them.
    """
    written = list(names)
    if data_format != "csv" or has_header(options):
        return written
    return [name for name, _ in declared] or numbered(len(written))


def first_row(lines: Iterable[str], options: Mapping[str, Any]) -> tuple[list[str], int]:
    """Returns the fields of the first row, and how many empty lines precede it, which are not rows."""
    rows = csv.reader(lines, delimiter=delimiter(options))
    return next(((row, before) for before, row in enumerate(rows) if row), ([], 0))


def names_of_row(first: Sequence[str], options: Mapping[str, Any], declared: Sequence[tuple[str, str]]) -> list[str]:
    """Returns what the columns of a file are called, from the fields of its first row.

    Args:
        first: The fields.
        options: The reader's options.
        declared: The columns that the dataset declares; they hold by name where there is a header, else by position.

    Raises:
        ValueError: The header is none, or contradicts what is declared.
    """
    wanted = [name for name, _ in declared]
    if not has_header(options):
        if wanted and len(first) != len(wanted):
            raise ValueError(f"it has {_columns(len(first))} in row 1, where {len(wanted)} are declared: {wanted}")
        return wanted or numbered(len(first))
    names = [name.strip() for name in first]
    if len({name.lower() for name in names}) < len(names) or not all(names):
        raise ValueError(f"its header has a name twice or an empty one: {names}")
    return _as_declared(names, wanted) if wanted else names


def _as_declared(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    spelled = {**{_plain(name): name for name in wanted}, **{name.lower(): name for name in wanted}}
    found = [spelled.get(name.lower()) or spelled.get(_plain(name)) for name in names]
    undeclared = [name for name, known in zip(names, found, strict=True) if known is None]
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise ValueError(f"its header lacks the declared column {lacking[0]!r}: it has {list(names)}")
    if undeclared:
        raise ValueError(f"its header has the column {undeclared[0]!r}, which is not declared: {list(wanted)} are")
    return [name for name in found if name is not None]


def _plain(name: str) -> str:
    """Returns a name as a catalog's crawler spells it: `Order ID` is `order_id`."""
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
