"""Makes each input of a task a table."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheo_assets.model.column_types import kind_of
from rheo_assets.platforms.local.presto.column_types import type_of_kind
from rheo_assets.platforms.local.presto.empty_outputs import schema_left_behind
from rheo_assets.platforms.local.presto.files import ORIGIN, Partition, partitions
from rheo_assets.platforms.local.presto.paths import SCHEME, Store
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available
from rheo_assets.platforms.local.presto.session import identifier, literal
from rheo_assets.platforms.local.presto.sources import source_of
from rheo_assets.platforms.local.presto.translation.statements import PATH
from rheo_assets.runner.empty_outputs import WITHOUT_TYPES
from rheo_assets.runner.task import TaskInput

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Table:
    """An input as a table: its columns, warnings of what is not in it, and which of the columns are folders."""

    columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


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
        if not partition.files and (left := _columns_left_behind(given, partition, store)) is not None
    }
    if not filled and empty:
        known = _declared(given) or next(iter(empty.values()))
        connection.execute(f"CREATE VIEW {identifier(given.alias)} AS {_no_rows(known, with_path=with_path)}")
        return Table(tuple(known), _warnings(given, found, empty))
    if not filled:
        raise _no_data(given, is_absent=given.optional and not found)
    source = source_of(given, filled, connection)
    columns = [f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in source.columns.items()]
    if with_path:
        start = len(str(store.base)) + 2
        columns.append(f"{literal(SCHEME)} || substr({identifier(ORIGIN)}, {start}) AS {identifier(PATH)}")
    connection.execute(f"CREATE VIEW {identifier(given.alias)} AS SELECT {', '.join(columns)} FROM {source.sql}")
    return Table(tuple(source.columns), (*_warnings(given, found, empty), *source.warnings), source.folders)


def _no_data(given: TaskInput, *, is_absent: bool) -> Refusal:
    where = ", ".join(given.paths[:_SHOWN]) or "no partition"
    what = "is absent here (it is optional)" if is_absent else "has no data"
    return Refusal(
        f"the input '{given.alias}' {what}, and the query reads it: {where}. Its files are absent or empty: write "
        "the partition again; what a node of yours makes is built by execute(..., recursive=True)"
    )


def _declared(given: TaskInput) -> dict[str, str]:
    return {name: type_of_kind(kind_of(kind)) for name, kind in given.columns}


def _columns_left_behind(given: TaskInput, partition: Partition, store: Store) -> dict[str, str] | None:
    if given.format not in WITHOUT_TYPES:
        return None
    where = f"the partition {partition.label} of the input '{given.alias}'"
    return schema_left_behind(store.local(partition.uri), where)


def _no_rows(columns: Mapping[str, str], *, with_path: bool) -> str:
    types = {**columns, **({PATH: "VARCHAR"} if with_path else {})}
    fields = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    return f"SELECT {fields} WHERE false"


def _warnings(given: TaskInput, found: Sequence[Partition], empty: Container[str]) -> tuple[str, ...]:
    without = (partition.uri for partition in found if not partition.files and partition.uri not in empty)
    absent = [*given.missing, *without]
    if not absent:
        return ()
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    told = f"the input '{given.alias}' is read without {len(absent)} of its {len(given.paths)} partitions"
    return (f"{told}, which hold no data: {', '.join(absent[:_SHOWN])}{more}",)
