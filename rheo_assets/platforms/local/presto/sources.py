"""All files of an input as one table: what a query of them selects from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind, athena_spelled, kind_of, may_round, spelled
from rheo_assets.platforms.local.presto import csv_files, schemas
from rheo_assets.platforms.local.presto.column_types import type_of_kind
from rheo_assets.platforms.local.presto.files import (
    ORIGIN,
    DataFile,
    FileFault,
    Partition,
    as_paths,
    folder_keys,
    folder_value,
)
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.schemas import Column
from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.runner.merging import (
    Conflict,
    Contradiction,
    Seen,
    TwoSpellings,
    merged,
    settled,
    warnings_of,
    without_empty,
)
from rheo_assets.runner.task import TaskInput
from rheo_assets.runner.text_values import LARGEST_EXACT

_JSON: Final = "format = 'newline_delimited', hive_partitioning = false"
_DIGITS: Final = 15  # of a decimal fraction that a double keeps


@dataclass(frozen=True, slots=True)
class Source:
    """What to select from.

    Attributes:
        sql: A query in parentheses, with the columns and `ORIGIN`, the path of a row's file.
        columns: The DuckDB types of the columns.
        warnings: What people should know of them.
        folders: Those of the columns that are `name=value` folders.
    """

    sql: str
    columns: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """Files with the same columns: what reads them, and the SQL of each column by its name in lower case."""

    reader: str
    values: Mapping[str, str]


def source_of(given: TaskInput, filled: Sequence[Partition], connection: Any, *, native: bool = False) -> Source:
    """Returns the rows of an input's files.

    Args:
        given: The input.
        filled: Its partitions that have files.
        connection: Where files are looked into.
        native: Whether columns keep the types that DuckDB has for them; otherwise they have those of Athena.

    Raises:
        FileFault: A file cannot be read, or contradicts the declared columns.
        Refusal: The files make no one table.
    """
    declared = {name: kind_of(kind) for name, kind in given.columns}
    make = {"csv": _csv, "json": _json}.get(given.format)
    try:
        if make is None:
            source = _parquet(given, filled, declared, connection, native=native)
        else:
            source = make(given, filled, declared, connection)
    except Conflict as conflict:
        raise _conflict(given, conflict) from None
    except TwoSpellings as error:
        raise FileFault(given, error.seen.partition, error.seen.file or filled[0].uri, str(error)) from None
    return _with_folders(source, folder_keys(filled))


def _with_folders(source: Source, keys: Sequence[str]) -> Source:
    """Adds the `name=value` folders as columns; a column of the files counts, not a folder of its name."""
    lowered = {name.lower() for name in source.columns}
    added = [key for key in keys if key.lower() not in lowered]
    if not added:
        return source
    columns = ", ".join(f"{folder_value(key)} AS {identifier(key)}" for key in added)
    kinds = {**source.columns, **dict.fromkeys(added, "VARCHAR")}
    return Source(f"(SELECT *, {columns} FROM {source.sql})", kinds, source.warnings, tuple(added))


def _union(parts: Sequence[_Part], types: Mapping[str, str], warnings: Sequence[str]) -> Source:
    if not parts:
        raise Refusal("it has no rows, so its columns are unknown")
    selects = []
    for part in parts:
        columns = [
            f"{part.values.get(name.lower(), f'CAST(NULL AS {kind})')} AS {identifier(name)}"
            for name, kind in types.items()
        ]
        selects.append(f"SELECT {', '.join([*columns, identifier(ORIGIN)])} FROM {part.reader}")
    return Source(f"({' UNION ALL '.join(selects)})", types, tuple(warnings))


def _csv(given: TaskInput, filled: Sequence[Partition], declared: Mapping[str, Kind], connection: Any) -> Source:
    groups = csv_files.by_heads(given, filled, connection)
    warnings: Sequence[str] = ()
    kinds = declared
    if declared:
        for head, files in groups.items():
            values = {name: (identifier(name), declared[name]) for name in head.names}
            reader = csv_files.reader(files, head, given.options)
            csv_files.check_values(given, filled, values, reader, connection)
    else:
        seen = csv_files.seen(given, filled, groups, connection)
        kinds = merged(seen)
        warnings = warnings_of(given.alias, list(kinds), seen)
    types = {name: type_of_kind(kind) for name, kind in kinds.items()}
    spelled = {name.lower(): name for name in types}
    parts = [
        _Part(
            csv_files.reader(files, head, given.options),
            {n.lower(): f"CAST({identifier(n)} AS {types[spelled[n.lower()]]})" for n in head.names},
        )
        for head, files in groups.items()
    ]
    return _union(parts, types, warnings)


def _json(given: TaskInput, filled: Sequence[Partition], declared: Mapping[str, Kind], connection: Any) -> Source:
    found = {partition: schemas.json_columns(given, partition, connection) for partition in filled}
    seen = {partition: Seen(partition.label, "", columns) for partition, columns in found.items() if columns}
    kinds = declared or without_empty(merged(list(seen.values())))
    groups: dict[tuple[tuple[str, str], ...], list[DataFile]] = {}
    for partition, one in seen.items():
        spelling = one.spelling()
        known = tuple((name, spelling[name.lower()]) for name in kinds if name.lower() in spelling)
        groups.setdefault(known, []).extend(partition.files)
    parts = []
    for names, files in groups.items():
        part, values = _json_part(names, files, kinds, is_declared=bool(declared))
        csv_files.check_values(given, filled, values, part.reader, connection)
        parts.append(part)
    warnings = warnings_of(given.alias, list(kinds), list(seen.values()))
    return _union(parts, {name: type_of_kind(kind) for name, kind in kinds.items()}, warnings)


def _json_part(
    names: Sequence[tuple[str, str]], files: Sequence[DataFile], kinds: Mapping[str, Kind], *, is_declared: bool
) -> tuple[_Part, dict[str, tuple[str, Kind]]]:
    """Returns files with the same keys, and the values to be checked: declared scalars are read as text first."""
    columns, values, checked = [], {}, {}
    for name, key in names:
        kind, column = kinds[name], identifier(key)
        as_text = is_declared and isinstance(kind, str)
        columns.append(f"{literal(key)}: {literal('JSON' if as_text else type_of_kind(kind))}")
        values[name.lower()] = column
        if as_text:
            text = f"({column}->>'$')"
            values[name.lower()] = f"CAST({text} AS {type_of_kind(kind)})"
            checked[name] = (_exact(column, text) if kind.startswith("decimal") else text, kind)
    named = f"filename = {literal(ORIGIN)}"
    listed = f"columns = {{{', '.join(columns)}}}" if columns else "columns = {'rheo$none': 'VARCHAR'}"
    return _Part(f"read_json({file_list(as_paths(files))}, {_JSON}, {listed}, {named})", values), checked


def _exact(column: str, text: str) -> str:
    """Returns the text of a number, or words instead of one that DuckDB has rounded as it read it."""
    digits = f"length(regexp_replace({text}, '[^0-9]', '', 'g'))"
    rounded = f"json_type({column}) = 'DOUBLE' AND {digits} > {_DIGITS}"
    return f"CASE WHEN {rounded} THEN 'a fraction of more than {_DIGITS} digits: ' || {text} ELSE {text} END"


def _parquet(
    given: TaskInput, filled: Sequence[Partition], declared: Mapping[str, Kind], connection: Any, *, native: bool
) -> Source:
    seen = schemas.seen_in_footers(filled, connection)
    files = {one.file: file for file, one in seen.items()}
    try:
        kinds, listed = settled(
            list(seen.values()), declared, lambda one, name: schemas.has_values(files[one.file], name, connection)
        )
    except Contradiction as error:
        raise FileFault(given, error.seen.partition, error.seen.file, str(error)) from None
    groups: dict[tuple[Column, ...], list[DataFile]] = {}
    for one in listed:
        columns = schemas.footer(files[one.file].path, connection)
        known = tuple(column for column in columns if one.columns[column.name] != UNKNOWN)
        groups.setdefault(known, []).append(files[one.file])
    types = {name: _type(name, kind, groups, native=native) for name, kind in kinds.items()}
    parts = []
    for columns, of_group in groups.items():
        paths = file_list(as_paths(of_group))
        reader = f"read_parquet({paths}, hive_partitioning = false, filename = {literal(ORIGIN)})"
        spelling = {column.name.lower(): column for column in columns}
        wanted = {name.lower(): (spelling[name.lower()], name) for name in kinds if name.lower() in spelling}
        values = {key: _converted(given, column, kinds[n], types[n]) for key, (column, n) in wanted.items()}
        parts.append(_Part(reader, values))
    return _union(parts, types, warnings_of(given.alias, list(kinds), listed))


def _type(name: str, kind: Kind, groups: Mapping[tuple[Column, ...], Any], *, native: bool) -> str:
    """Returns the type to read a column as: the one that all files have, where it is of the kind."""
    found = {
        (spelled(column.kind), column.native if native else column.stored)
        for columns in groups
        for column in columns
        if column.name.lower() == name.lower()
    }
    of_kind = {text for have, text in found if have == spelled(kind)}
    return of_kind.pop() if len(of_kind) == len(found) == 1 else type_of_kind(kind)


def _converted(given: TaskInput, column: Column, kind: Kind, wanted: str) -> str:
    name = identifier(column.name)
    if column.native == wanted:
        return name
    if column.native == "TIMESTAMP_NS" and wanted == "TIMESTAMP":  # a cast would round up
        return f"make_timestamp((epoch_ns({name}) - ((epoch_ns({name}) % 1000) + 1000) % 1000) // 1000)"
    cast = f"CAST({name} AS {wanted})"
    if not may_round(column.kind, kind):
        return cast
    told = f"the column '{column.name}' of the input '{given.alias}' is a double elsewhere, which would round "
    exact = f"{name} IS NULL OR {name} BETWEEN -{LARGEST_EXACT} AND {LARGEST_EXACT}"
    return f"CASE WHEN {exact} THEN {cast} ELSE error({literal(told)} || {name}) END"


def _conflict(given: TaskInput, conflict: Conflict) -> Refusal:
    (first, second), (one, other) = conflict.places, map(athena_spelled, conflict.kinds)
    return Refusal(
        f"the column '{conflict.column}' of the input '{given.alias}' has different types: {one} in {first}, "
        f"{other} in {second}. Write one of the partitions again, or read them apart"
    )
