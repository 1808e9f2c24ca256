"""The columns of an input's partitions, and whether they agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.presto import athena_types
from rheo_assets.platforms.local.presto.csv_files import UNKNOWN, kinds_of, reader
from rheo_assets.platforms.local.presto.files import Partition
from rheo_assets.platforms.local.presto.refusals import Refusal, listing
from rheo_assets.platforms.local.presto.session import file_list, identifier
from rheo_assets.runner.task import TaskInput

_NUMBERS = ("INTEGER", "BIGINT", "DOUBLE")
_FOOTERS_KEPT = 10_000
_Column = tuple[str, str, str]  # its name, its type as Athena calls it, the DuckDB type to read it as
_footers: dict[tuple[str, int, int, int], tuple[_Column, ...]] = {}


def of_parquet(given: TaskInput, found: Sequence[Partition], connection: Any) -> dict[str, str]:
    """Returns the columns of Parquet files with the DuckDB types to read them as.

    Raises:
        Refusal: Two partitions differ.
    """
    first: tuple[Partition, dict[str, _Column]] | None = None
    for partition in found:
        columns = {column[0].lower(): column for column in _footer(partition.files[0], connection)}
        if first is None:
            first = (partition, columns)
            continue
        _same_names(given, (first[0], first[1]), (partition, columns))
        for key, (name, now, _) in columns.items():
            _, before, _ = first[1][key]
            if before != now:
                raise _conflict(given, name, (first[0], before), (partition, now))
    assert first is not None
    return {name: stored for name, _, stored in first[1].values()}


def _footer(file: Path, connection: Any) -> tuple[_Column, ...]:
    """Returns the columns of a Parquet file; ranges overlap, so that most files are asked for many times."""
    found = file.stat()
    identity = (str(file), found.st_ino, found.st_mtime_ns, found.st_size)
    known = _footers.get(identity)
    if known is None:
        relation = connection.sql(f"SELECT * FROM read_parquet({file_list([file])}, hive_partitioning = false)")
        known = tuple(
            (name, athena_types.athena_name(kind), athena_types.stored(kind, zoned=False))
            for name, kind in zip(relation.columns, relation.types, strict=True)
        )
        if len(_footers) >= _FOOTERS_KEPT:
            _footers.clear()
        _footers[identity] = known
    return known


def of_json(given: TaskInput, found: Sequence[Partition], connection: Any) -> dict[str, str]:
    """Returns the columns of newline-delimited JSON objects, typed by what all of them hold."""
    per_partition: list[tuple[Partition, dict[str, Any]]] = []
    for partition in found:
        columns = _json_structure(partition.files, connection)
        if columns is None:
            continue
        if not isinstance(columns, dict):
            raise Refusal(
                f"the partition {partition.label} of the input '{given.alias}' holds JSON but not one object a line. "
                "Write it again as one object a line"
            )
        per_partition.append((partition, {name: _json_type(kind) for name, kind in columns.items()}))
    return {name: _json_sql(kind) for name, kind in _merged(given, per_partition).items()}


def json_columns(files: Sequence[Path], connection: Any) -> dict[str, str] | None:
    """Returns the columns of newline-delimited JSON objects as a query reads them; None where the files hold others."""
    structure = _json_structure(files, connection)
    if not isinstance(structure, dict):
        return None
    return {name: _json_sql(_json_type(kind)) for name, kind in structure.items()}


def _json_structure(files: Sequence[Path], connection: Any) -> Any:
    source = f"read_json_objects({file_list(files)}, format = 'newline_delimited')"
    (structure,) = connection.execute(f"SELECT json_group_structure(json) FROM {source}").fetchone()
    return None if structure is None else json.loads(structure)


def of_csv(given: TaskInput, found: Sequence[Partition], names: Sequence[str], connection: Any) -> dict[str, str]:
    """Returns the columns of delimited text, typed by what all of them hold: what is no number or time is text."""
    per_partition = [
        (partition, kinds_of(names, reader(partition.files, names, given.options), connection)) for partition in found
    ]
    return {name: _json_sql(kind) for name, kind in _merged(given, per_partition, texts=True).items()}


def _json_type(kind: Any) -> Any:
    """Returns a type of `json_structure` with one name for whole numbers."""
    if isinstance(kind, dict):
        return {name: _json_type(child) for name, child in kind.items()}
    if isinstance(kind, list):
        return [_json_type(kind[0]) if kind else UNKNOWN]
    return {"UBIGINT": "BIGINT", "HUGEINT": "BIGINT", "JSON": "VARCHAR"}.get(kind, kind)


def _json_sql(kind: Any) -> str:
    if isinstance(kind, dict):
        return f"STRUCT({', '.join(f'{identifier(name)} {_json_sql(child)}' for name, child in kind.items())})"
    if isinstance(kind, list):
        return f"{_json_sql(kind[0])}[]"
    return "VARCHAR" if kind == UNKNOWN else str(kind)


def _merged(
    given: TaskInput, per_partition: Sequence[tuple[Partition, Mapping[str, Any]]], *, texts: bool = False
) -> dict[str, Any]:
    """Returns one type a column for all partitions."""
    if not per_partition:
        raise Refusal(f"the input '{given.alias}' has no rows, so its columns are unknown")
    (first, start), *others = per_partition
    columns = dict(start)
    origin = dict.fromkeys(columns, first)
    for partition, found in others:
        _same_names(given, (first, {n.lower(): n for n in columns}), (partition, {n.lower(): n for n in found}))
        spelled = {name.lower(): name for name in columns}
        for name, kind in found.items():
            known = spelled[name.lower()]
            both = _wider(columns[known], kind, texts=texts)
            if both is None:
                before = (origin[known], _json_sql(columns[known]).lower())
                raise _conflict(given, name, before, (partition, _json_sql(kind).lower()))
            if columns[known] == UNKNOWN:
                origin[known] = partition
            columns[known] = both
    return columns


def _wider(a: Any, b: Any, *, texts: bool) -> Any:  # one line a kind
    """Returns the type that holds both, or None when they are of different kinds."""
    if b in (a, UNKNOWN):
        return a
    if a == UNKNOWN:
        return b
    if isinstance(a, list) and isinstance(b, list):
        inner = _wider(a[0], b[0], texts=texts)
        return None if inner is None else [inner]
    if isinstance(a, dict) and isinstance(b, dict):
        fields = {name: _wider(a.get(name, UNKNOWN), b.get(name, UNKNOWN), texts=texts) for name in {**a, **b}}
        return None if any(kind is None for kind in fields.values()) else fields
    if a in _NUMBERS and b in _NUMBERS:
        return max(a, b, key=_NUMBERS.index)
    if {a, b} == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    # In delimited text everything but a number is a text that happens to look alike.
    return "VARCHAR" if texts and a not in _NUMBERS and b not in _NUMBERS else None


def _same_names(
    given: TaskInput, first: tuple[Partition, Mapping[str, Any]], second: tuple[Partition, Mapping[str, Any]]
) -> None:
    for (having, more), (lacking, fewer) in ((first, second), (second, first)):
        missing = [name for name in more if name not in fewer]
        if missing:
            raise Refusal(
                f"the partitions of the input '{given.alias}' have different columns: {listing(map(repr, missing))} "
                f"is in {having.label} and not in {lacking.label}. Write one of them again, or read them apart"
            )


def _conflict(given: TaskInput, name: str, first: tuple[Partition, str], second: tuple[Partition, str]) -> Refusal:
    return Refusal(
        f"the column '{name}' of the input '{given.alias}' has different types: {first[1]} in {first[0].label}, "
        f"{second[1]} in {second[0].label}. Write one of the partitions again, or read them apart"
    )
