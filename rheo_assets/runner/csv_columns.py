"""How the columns of csv files are called, in every engine: without a header line as Spark calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def has_header(options: Mapping[str, Any]) -> bool:
    """Returns whether delimited text has a header line: it has unless `header` says otherwise, read or written."""
    return str(options.get("header", True)).strip().lower() not in {"false", "0", "no", ""}


def numbered(count: int) -> list[str]:
    """Returns the names of columns that have none: `_c0`, `_c1` and so on."""
    return [f"_c{index}" for index in range(count)]


def names_when_read(names: Iterable[str], data_format: str, options: Mapping[str, Any]) -> list[str]:
    """Returns the names that written columns have for those who read them: a csv without a header loses them."""
    written = list(names)
    return written if data_format != "csv" or has_header(options) else numbered(len(written))
