"""The columns that the files of an input say they have: Parquet in its footers, JSON in its objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind
from rheo_assets.platforms.local.presto import athena_types
from rheo_assets.platforms.local.presto.column_types import kind_of_type
from rheo_assets.platforms.local.presto.files import DataFile, FileFault, Partition, as_paths
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.session import file_list, identifier
from rheo_assets.runner.merging import Seen
from rheo_assets.runner.task import TaskInput

_FOOTERS_KEPT: Final = 10_000
_JSON_KINDS: Final = {
    "UBIGINT": "bigint", "BIGINT": "bigint", "HUGEINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean",
    "VARCHAR": "string", "JSON": "string", "NULL": UNKNOWN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Parquet file.

    Attributes:
        name: Its name, as it is spelled there.
        kind: Its kind.
        native: The DuckDB type that it has.
        stored: The DuckDB type as which Athena would read it.
    """

    name: str
    kind: Kind = field(hash=False)
    native: str
    stored: str


_footers: dict[tuple[str, int, int, int], tuple[Column, ...]] = {}


def footer(file: Path, connection: Any) -> tuple[Column, ...]:
    """Returns the columns of a Parquet file; ranges overlap, so that most files are asked for many times."""
    found = file.stat()
    identity = (str(file), found.st_ino, found.st_mtime_ns, found.st_size)
    known = _footers.get(identity)
    if known is None:
        relation = connection.sql(f"SELECT * FROM read_parquet({file_list([file])}, hive_partitioning = false)")
        known = tuple(
            Column(name, kind_of_type(kind), str(kind), athena_types.stored(kind, zoned=False))
            for name, kind in zip(relation.columns, relation.types, strict=True)
        )
        if len(_footers) >= _FOOTERS_KEPT:
            _footers.clear()
        _footers[identity] = known
    return known


class NotLines(Refusal):
    """A partition with JSON that is not one object a line."""


def json_columns(given: TaskInput, partition: Partition, connection: Any) -> dict[str, Kind]:
    """Returns the columns of newline-delimited JSON objects by their keys; none where there are no rows.

    Raises:
        NotLines: The files hold other JSON.
    """
    source = _objects(partition.files)
    (text,) = connection.execute(f"SELECT json_group_structure(json) FROM {source}").fetchone()
    structure = {} if text is None else json.loads(text)
    if not isinstance(structure, Mapping):
        raise NotLines(
            f"the partition {partition.label} of the input '{given.alias}' holds JSON but not one object a line. "
            "Write it again as one object a line"
        )
    if '"DOUBLE"' in str(text):
        _check_whole_numbers(given, partition, connection)
    kinds = {name: _kind(kind) for name, kind in structure.items()}
    mixed = [name for name, kind in structure.items() if kind == "JSON"]
    return {**kinds, **{name: {} for name in mixed if _is_only_empty_objects(name, source, connection)}}


def _check_whole_numbers(given: TaskInput, partition: Partition, connection: Any) -> None:
    """Refuses whole numbers that DuckDB reads as doubles, and so rounds."""
    texts = r'"([^"\\]|\\.)*"'
    lines = f"read_json_objects({file_list(as_paths(partition.files))}, format = 'newline_delimited', filename = true)"
    found = connection.execute(
        f"SELECT filename FROM {lines} WHERE regexp_matches(json, '[0-9]{{20}}') "
        f"AND regexp_matches(regexp_replace(json, '{texts}', '', 'g'), '[:,[]\\s*-?[0-9]{{20,}}\\s*[],}}]') LIMIT 1"
    ).fetchone()
    if found is not None:
        uri = next(file.uri for file in partition.files if str(file.path) == found[0])
        fault = "it has a whole number of 20 digits or more, which would be rounded: write it as text"
        raise FileFault(given, partition.label, uri, fault)


def _objects(files: Sequence[DataFile]) -> str:
    return f"read_json_objects({file_list(as_paths(files))}, format = 'newline_delimited')"


def _is_only_empty_objects(name: str, source: str, connection: Any) -> bool:
    """Returns whether all values of a key are `{}`, of which DuckDB says no more than of values of several types."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    value = "json_extract_string(json, ?)"
    (found,) = connection.execute(
        f"SELECT bool_and(json_type(json, ?) = 'OBJECT' AND {value} = '{{}}') FROM {source} WHERE {value} IS NOT NULL",
        [pointer, pointer, pointer],
    ).fetchone()
    return bool(found)


def _kind(structure: Any) -> Kind:
    if isinstance(structure, Mapping):
        return {name: _kind(child) for name, child in structure.items()}
    if isinstance(structure, list):
        return [_kind(structure[0]) if structure else UNKNOWN]
    return _JSON_KINDS.get(structure, "string")


def seen_in_footers(found: Sequence[Partition], connection: Any) -> dict[DataFile, Seen]:
    """Returns the columns of each Parquet file."""
    return {
        file: Seen(partition.label, file.uri, {column.name: column.kind for column in footer(file.path, connection)})
        for partition in found
        for file in partition.files
    }


def has_values(file: DataFile, name: str, connection: Any) -> bool:
    """Returns whether a column of a Parquet file has a value."""
    source = f"read_parquet({file_list([file.path])}, hive_partitioning = false)"
    return (
        connection.execute(f"SELECT 1 FROM {source} WHERE {identifier(name)} IS NOT NULL LIMIT 1").fetchone()
        is not None
    )
