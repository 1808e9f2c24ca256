"""Delimited text as a table: the names of its columns, its reader, and the types that its values have."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from rheo_assets.model.column_types import Kind
from rheo_assets.platforms.local.presto.column_types import DUCKDB
from rheo_assets.platforms.local.presto.files import ORIGIN, DataFile, FileFault, Partition, as_paths
from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.runner.csv_columns import NOT_TEXT, delimiter, first_row, has_header, names_of_row
from rheo_assets.runner.merging import Seen
from rheo_assets.runner.task import TaskInput
from rheo_assets.runner.text_values import both_masks, fits, kind_of_mask, mask_of


@dataclass(frozen=True, slots=True)
class Head:
    """How some files begin: the names of their columns, and the empty lines before the first row."""

    names: tuple[str, ...]
    skipped: int = 0


Groups = dict[Head, list[DataFile]]


def by_heads(given: TaskInput, found: Sequence[Partition], connection: Any) -> Groups:
    """Returns the files by the names of their columns, in the order of the first of each.

    Raises:
        FileFault: A file is not UTF-8, or its header contradicts the declared columns.
    """
    groups: Groups = {}
    for partition in found:
        for file in partition.files:
            try:
                first, skipped = _first_row(file.path, given.options, connection)
                names = tuple(names_of_row(first, given.options, given.columns)) if first else ()
            except ValueError as error:
                raise FileFault(given, partition.label, file.uri, str(error)) from None
            if names:  # a file of line breaks has no row
                groups.setdefault(Head(names, skipped), []).append(file)
    return groups


def _first_row(file: Path, options: Mapping[str, Any], connection: Any) -> tuple[list[str], int]:
    try:
        if file.suffix == ".zst":  # Python has no reader for it
            line = "columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, quote = '', escape = ''"
            source = f"read_csv({file_list([file])}, delim = '\x1e\x1f', {line})"
            found = connection.execute(f"SELECT coalesce(line, '') FROM {source}")
            return first_row(chain.from_iterable(iter(found.fetchone, None)), options)
        read = gzip.open if file.suffix == ".gz" else open
        with read(file, "rt", encoding="utf-8-sig", newline="") as lines:
            return first_row(lines, options)
    except (ValueError, EOFError, csv.Error, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{NOT_TEXT}: {error}") from None


def reader(files: Sequence[DataFile], head: Head, options: Mapping[str, Any]) -> str:
    """Returns the SQL that reads files with the same columns, all as text, and `ORIGIN`, the path of the file.

    Of a single column an empty line is no row, as in Spark; its null is `""`.
    """
    names = head.names
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    source = (
        f"read_csv({file_list(as_paths(files))}, auto_detect = false, header = {str(has_header(options)).lower()}, "
        f"skip = {head.skipped}, "
        f"delim = {literal(delimiter(options))}, quote = '\"', escape = '\"', columns = {{{columns}}}, "
        f"allow_quoted_nulls = {str(len(names) > 1).lower()}, hive_partitioning = false, filename = {literal(ORIGIN)})"
    )
    if len(names) > 1:
        return source
    only, path = identifier(names[0]), identifier(ORIGIN)
    return f"(SELECT nullif({only}, '') AS {only}, {path} FROM {source} WHERE {only} IS NOT NULL)"


def seen(given: TaskInput, found: Sequence[Partition], groups: Groups, connection: Any) -> list[Seen]:
    """Returns the columns of each partition, typed by what all values in it are."""
    names_of = {file.path: head.names for head, files in groups.items() for file in files}
    masks: dict[str, list[int | None]] = {}
    for head, files in groups.items():
        asked = ", ".join(mask_of(identifier(name), DUCKDB) for name in head.names)
        query = f"SELECT {identifier(ORIGIN)}, {asked} FROM {reader(files, head, given.options)} GROUP BY ALL"
        masks |= {path: row for path, *row in connection.execute(query).fetchall()}
    listed = []
    for partition in found:
        total: dict[str, int | None] = {}
        for file in partition.files:
            names = names_of.get(file.path, ())
            row = masks.get(str(file.path), [None] * len(names))
            total |= {name: both_masks(total.get(name), mask) for name, mask in zip(names, row, strict=True)}
        if total:
            listed.append(Seen(partition.label, "", {name: kind_of_mask(mask) for name, mask in total.items()}))
    return listed


def check_values(
    given: TaskInput, found: Sequence[Partition], values: Mapping[str, tuple[str, Kind]], source: str, connection: Any
) -> None:
    """Looks for a value that is none of its declared type.

    Args:
        given: The input.
        found: Its partitions.
        values: The SQL of each column's values as text, and its declared kind.
        source: What to select from; has the column `ORIGIN`.
        connection: Where it runs.

    Raises:
        FileFault: There is one; names the first.
    """
    wrong = {name: f"{sql} IS NOT NULL AND NOT ({fits(sql, kind, DUCKDB)})" for name, (sql, kind) in values.items()}
    tests = {name: test for name, test in wrong.items() if values[name][1] != "string"}
    if not tests:
        return
    counts = ", ".join(f"min({identifier(ORIGIN)}) FILTER (WHERE {test})" for test in tests.values())
    firsts = connection.execute(f"SELECT {counts} FROM {source}").fetchone()
    for name, path in zip(tests, firsts, strict=True):
        if path is not None:
            sql, kind = values[name]
            row, value = connection.execute(
                f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {sql} AS value, {tests[name]} AS wrong "
                f"FROM {source} WHERE {identifier(ORIGIN)} = ?) WHERE wrong ORDER BY row LIMIT 1",
                [path],
            ).fetchone()
            places = ((part.label, file.uri) for part in found for file in part.files if str(file.path) == path)
            label, uri = next(places)
            raise FileFault(given, label, uri, f"the column {name!r} is declared {kind}, and row {row} has {value!r}")
