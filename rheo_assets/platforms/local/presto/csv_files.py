"""Delimited text as a table: the names of its columns, its reader, and the types that its values have."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.runner.csv_columns import has_header, numbered

UNKNOWN: Final = "NULL"
_KINDS: Final = ("BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")


def names_of(file: Path, options: Mapping[str, Any], connection: Any) -> list[str]:
    """Returns the column names of one file: those of its first line, or `_c0`, `_c1` and so on.

    Raises:
        ValueError: It is no text.
    """
    try:
        first = _first_row(file, options, connection)
    except (ValueError, EOFError, csv.Error, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"no csv in UTF-8 and may be damaged: {error}") from None
    return [name.strip() for name in first] if has_header(options) else numbered(len(first))


def _first_row(file: Path, options: Mapping[str, Any], connection: Any) -> list[str]:
    if file.suffix == ".zst":  # Python has no reader for it
        line = "columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, quote = '', escape = ''"
        found = connection.execute(
            f"SELECT coalesce(line, '') FROM read_csv({file_list([file])}, delim = '\x1e\x1f', {line})"
        )
        return _first(chain.from_iterable(iter(found.fetchone, None)), options)
    read = gzip.open if file.suffix == ".gz" else open
    with read(file, "rt", encoding="utf-8-sig", newline="") as lines:
        return _first(lines, options)


def _first(lines: Iterable[str], options: Mapping[str, Any]) -> list[str]:
    rows = csv.reader(lines, delimiter=_delimiter(options))
    return next((row for row in rows if row), [])  # an empty line is no row


def reader(files: Sequence[Path], names: Sequence[str], options: Mapping[str, Any], origin: str = "") -> str:
    """Returns the SQL that reads files with the same columns, all as text; `origin` names one for the file's path.

    Of a single column an empty line is no row, as in Spark; its null is `""`.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    source = (
        f"read_csv({file_list(files)}, auto_detect = false, header = {str(has_header(options)).lower()}, "
        f"delim = {literal(_delimiter(options))}, quote = '\"', escape = '\"', columns = {{{columns}}}, "
        f"allow_quoted_nulls = {str(len(names) > 1).lower()}, "
        f"hive_partitioning = false{f', filename = {literal(origin)}' if origin else ''})"
    )
    if len(names) > 1:
        return source
    only, path = identifier(names[0]), identifier(origin or "filename")
    return f"(SELECT nullif({only}, '') AS {only}, {path} FROM {source} WHERE {only} IS NOT NULL)"


def kinds_of(names: Sequence[str], source: str, connection: Any) -> dict[str, str]:
    """Returns the type that all values of each column have: what is no number or time is text.

    A column without values is `UNKNOWN`.
    """
    tests = ", ".join(_tests(identifier(name)) for name in names)
    row = connection.execute(f"SELECT {tests} FROM {source}").fetchone()
    kinds = {}
    for index, name in enumerate(names):
        count, *passed = row[index * 7 : index * 7 + 7]
        kind = next((kind for kind, all_of in zip(_KINDS, passed, strict=True) if all_of == count), "VARCHAR")
        kinds[name] = kind if count else UNKNOWN
    return kinds


def _delimiter(options: Mapping[str, Any]) -> str:
    return str(options.get("delimiter") or ",")


def _tests(column: str) -> str:
    def passing(test: str) -> str:
        return f"count(*) FILTER (WHERE {test})"

    whole = f"regexp_full_match({column}, '[+-]?\\d+')"
    number = rf"regexp_full_match({column}, '[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?Infinity|NaN')"
    return ", ".join(
        (
            f"count({column})",
            passing(f"lower({column}) IN ('true', 'false')"),
            passing(f"{whole} AND TRY_CAST({column} AS INTEGER) IS NOT NULL"),
            passing(f"{whole} AND TRY_CAST({column} AS BIGINT) IS NOT NULL"),
            passing(number),
            passing(rf"regexp_full_match({column}, '\d{{4}}-\d\d-\d\d') AND TRY_CAST({column} AS DATE) IS NOT NULL"),
            passing(
                rf"regexp_full_match({column}, '\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?') "
                f"AND TRY_CAST({column} AS TIMESTAMP) IS NOT NULL"
            ),
        )
    )
