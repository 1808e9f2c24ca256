"""Makes each input of a task a table."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.presto import csv_files, schemas
from rheo_assets.platforms.local.presto.empty_outputs import schema_left_behind
from rheo_assets.platforms.local.presto.files import Partition, folder_keys, folder_value, partitions
from rheo_assets.platforms.local.presto.paths import SCHEME, Store
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available
from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.platforms.local.presto.translation.statements import PATH
from rheo_assets.runner.empty_outputs import WITHOUT_TYPES
from rheo_assets.runner.task import TaskInput

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Table:
    """An input as a table: its columns, and a warning where partitions of it are absent or empty."""

    columns: tuple[str, ...]
    warning: str = ""


def make_table(given: TaskInput, store: Store, connection: Any, *, with_path: bool) -> Table:
    """Creates the view of one input.

    Args:
        given: The input.
        store: Where its files lie.
        connection: Where the view is made.
        with_path: Whether the view has the hidden column `"$path"`.

    Raises:
        Refusal: There is nothing to read, or it cannot be read as one table.
    """
    if given.format not in {"parquet", "json", "csv"}:
        remedy = "write it as parquet, json or csv, or read it in a Spark target"
        raise not_available(f"the format {given.format} of the input '{given.alias}'", remedy)
    found = partitions(given, store)
    filled = tuple(partition for partition in found if partition.files)
    empty = {
        partition.uri: left
        for partition in found
        if not partition.files and (left := _columns_left_behind(given, partition)) is not None
    }
    if not filled and empty:
        known = next(iter(empty.values()))
        connection.execute(f"CREATE VIEW {identifier(given.alias)} AS {_no_rows(known, with_path=with_path)}")
        return Table(tuple(known), _warning(given, found, empty))
    if not filled:
        where = ", ".join(given.paths[:_SHOWN]) or "no partition"
        what = "is absent here (it is optional)" if given.optional and not found else "has no data"
        raise Refusal(
            f"the input '{given.alias}' {what}, and the query reads it: {where}. Its files are absent or empty: write "
            "the partition again; what a node of yours makes is built by execute(..., recursive=True)"
        )
    keys = folder_keys(filled[0])
    for partition in filled[1:]:
        if folder_keys(partition) != keys:
            raise Refusal(
                f"the folders of the input '{given.alias}' differ: {filled[0].label} is divided by {keys}, "
                f"{partition.label} by {folder_keys(partition)}"
            )
    source, types = _source(given, filled, connection)
    columns = [f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in types.items()]
    lowered = {name.lower() for name in types}
    columns += [f"{folder_value('filename', key)} AS {identifier(key)}" for key in keys if key.lower() not in lowered]
    if with_path:
        columns.append(f"{literal(SCHEME)} || substr(filename, {len(str(store.base)) + 2}) AS {identifier(PATH)}")
    connection.execute(f"CREATE VIEW {identifier(given.alias)} AS SELECT {', '.join(columns)} FROM {source}")
    return Table((*types, *(key for key in keys if key.lower() not in lowered)), _warning(given, found, empty))


def _columns_left_behind(given: TaskInput, partition: Partition) -> dict[str, str] | None:
    if given.format not in WITHOUT_TYPES:
        return None
    where = f"the partition {partition.label} of the input '{given.alias}'"
    return schema_left_behind(partition.folder, where)


def _no_rows(columns: Mapping[str, str], *, with_path: bool) -> str:
    types = {**columns, **({PATH: "VARCHAR"} if with_path else {})}
    fields = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    return f"SELECT {fields} WHERE false"


def _source(given: TaskInput, filled: Sequence[Partition], connection: Any) -> tuple[str, dict[str, str]]:
    """Returns what to select from, and the columns with the types to read them as."""
    files = [file for partition in filled for file in partition.files]
    if given.format == "parquet":
        types = schemas.of_parquet(given, filled, connection)
        return f"read_parquet({file_list(files)}, hive_partitioning = false)", types
    if given.format == "json":
        types = schemas.of_json(given, filled, connection)
        columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
        reader = f"format = 'newline_delimited', columns = {{{columns}}}, hive_partitioning = false"
        return f"read_json({file_list(files)}, {reader})", types
    return _csv_source(given, filled, connection)


def _csv_source(given: TaskInput, filled: Sequence[Partition], connection: Any) -> tuple[str, dict[str, str]]:
    names: list[str] = []
    for partition in filled:
        for file in partition.files:
            found = _names_of(given, partition, file, connection)
            if names and found != names:
                raise Refusal(
                    f"the columns of the input '{given.alias}' differ between files: {names} before {partition.label}, "
                    f"{found} in {file.name} of {partition.label}. Write the older partition again with today's "
                    "columns, or read a range that does not cross the change"
                )
            names = found
    if len({name.lower() for name in names}) < len(names) or not all(names):
        raise Refusal(f"the header of the input '{given.alias}' has a name twice or an empty one: {names}")
    types = schemas.of_csv(given, filled, names, connection)
    return csv_files.reader([file for partition in filled for file in partition.files], names, given.options), types


def _names_of(given: TaskInput, partition: Partition, file: Path, connection: Any) -> list[str]:
    try:
        return csv_files.names_of(file, given.options, connection)
    except ValueError as error:
        where = f"the file {file.name} in {partition.uri} of the input '{given.alias}'"
        raise Refusal(f"{where} is {error}. Write it again") from None


def _warning(given: TaskInput, found: Sequence[Partition], empty: Container[str]) -> str:
    without = (partition.uri for partition in found if not partition.files and partition.uri not in empty)
    absent = [*given.missing, *without]
    if not absent:
        return ""
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    return (
        f"the input '{given.alias}' is read without {len(absent)} of its {len(given.paths)} partitions, "
        f"which hold no data: {', '.join(absent[:_SHOWN])}{more}"
    )
