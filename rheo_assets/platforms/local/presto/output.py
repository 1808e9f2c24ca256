"""Where results go: the task's own partition, and the locations that `CREATE TABLE … AS` and `UNLOAD` name."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rheo_assets.model.column_types import kind_of
from rheo_assets.platforms.local.presto.column_types import kind_of_type, type_of_kind
from rheo_assets.platforms.local.presto.empty_outputs import leave_schema
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal, listing, not_available
from rheo_assets.platforms.local.presto.session import identifier, literal
from rheo_assets.runner.csv_columns import has_header, names_when_read
from rheo_assets.runner.data_files import is_bookkeeping
from rheo_assets.runner.empty_outputs import WITHOUT_TYPES
from rheo_assets.runner.merging import misfit
from rheo_assets.runner.task import TaskOutput

_FORMATS = {"PARQUET": "parquet", "JSON": "json", "TEXTFILE": "csv"}
_COMPRESSIONS = {
    "parquet": {"SNAPPY", "GZIP", "ZSTD", "LZ4", "NONE"},
    "json": {"GZIP", "ZSTD", "NONE"},
    "csv": {"GZIP", "ZSTD", "NONE"},
}
# Of the node's own output, which other engines write so too.
_DEFAULT_COMPRESSION = {"parquet": "SNAPPY", "json": "NONE", "csv": "NONE"}
_SUFFIXES = {"GZIP": ".gz", "ZSTD": ".zst", "NONE": ""}
_PROPERTIES = frozenset(
    {"format", "external_location", "partitioned_by", "write_compression", "parquet_compression", "compression"}
    | {"field_delimiter", "is_external", "table_type"}
)


@dataclass(frozen=True, slots=True)
class Destination:
    """The location of a CTAS or UNLOAD and how files are written there."""

    location: str
    format: str
    compression: str
    delimiter: str
    partitioned_by: tuple[str, ...]


def destination(location: str, properties: Mapping[str, Any]) -> Destination:
    """Returns what the `WITH (…)` of a CTAS or UNLOAD says, with Athena's defaults.

    Raises:
        Refusal: A property or its value is not available.
    """
    for name in properties:
        if name not in _PROPERTIES:
            raise not_available(f"the table property {name}", f"there are {listing(sorted(_PROPERTIES))}")
    if str(properties.get("table_type", "HIVE")).upper() != "HIVE":
        raise not_available(f"the table type {properties['table_type']}")
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in _FORMATS:
        raise not_available(f"the format {name}", "write it as PARQUET, JSON or TEXTFILE")
    kind = _FORMATS[name]
    named = next((properties[key] for key in _PROPERTIES if key.endswith("compression") and key in properties), None)
    compression = str(named).upper() if named else "GZIP"  # Athena's default for all three
    if compression not in _COMPRESSIONS[kind]:
        raise not_available(f"the compression {compression} of {name}", listing(sorted(_COMPRESSIONS[kind])))
    partitioned = properties.get("partitioned_by", ())
    return Destination(
        location=location.rstrip("/"),
        format=kind,
        compression=compression,
        delimiter=str(properties.get("field_delimiter", "\x01")),
        partitioned_by=(partitioned,) if isinstance(partitioned, str) else tuple(partitioned),
    )


def check_empty(place: Destination, store: Store) -> None:
    """Refuses a location that holds data, as Athena does."""
    path = store.local(place.location)
    if path.is_file() or any(not is_bookkeeping(name.name) for name in path.rglob("*")):
        raise Refusal(
            f"the location {place.location} already holds data, where Athena fails with HIVE_PATH_ALREADY_EXISTS: "
            "delete it first, or put the partition into the location, as in s3://bucket/folder/{day}"
        )


def add_files(table: str, place: Destination, store: Store, connection: Any) -> None:
    """Writes the rows of a table as new files of the location."""
    names = [name.lower() for name in connection.table(table).columns]
    keys = [key.lower() for key in place.partitioned_by]
    if keys and names[-len(keys) :] != keys:
        raise Refusal(f"partitioned_by {list(keys)} are not the last columns of the query, which are {names}")
    path = store.local(place.location)
    path.mkdir(parents=True, exist_ok=True)
    options = _options(place.format, place.compression, place.delimiter, header=False)
    name = f"part-{uuid.uuid4().hex}"
    suffix = _suffix(place.format, place.compression)
    if keys:
        columns = ", ".join(identifier(key) for key in keys)
        options += f", PARTITION_BY ({columns}), OVERWRITE_OR_IGNORE, FILENAME_PATTERN {literal(f'{name}-{{i}}')}"
        options += f", FILE_EXTENSION {literal(suffix.lstrip('.'))}"
        target = path
    else:
        target = path / f"{name}{suffix}"
    source = _nulls_told(identifier(table), names[: len(names) - len(keys)], place.format)
    connection.execute(f"COPY {source} TO {literal(str(target))} ({options})")


def as_declared(query: str, output: TaskOutput, connection: Any) -> str:
    """Returns a query with the columns that the node declares, in their order.

    Raises:
        Refusal: The query has others, or of other types.
    """
    if not output.columns:
        return query
    declared = {name: kind_of(kind) for name, kind in output.columns}
    relation = connection.sql(query)
    kinds = {name: kind_of_type(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    if wrong := misfit(kinds, declared):
        raise Refusal(wrong)
    names = {name.lower(): name for name in relation.columns}
    columns = (
        f"CAST({identifier(names[name.lower()])} AS {type_of_kind(kind)}) AS {identifier(names[name.lower()])}"
        for name, kind in declared.items()
    )
    return f"SELECT {', '.join(columns)} FROM ({query})"


def write_partition(source: str, output: TaskOutput, store: Store, connection: Any) -> int:
    """Replaces the output by one file with the rows of a table or of a query in parentheses; returns how many.

    Whoever names the folder keeps it aside until it is whole: what lies there is of an earlier target of the node.
    Where there are no rows and the format has no types, the columns are written beside the file.
    """
    delimiter = str(output.options.get("delimiter") or ",")
    options = _options(output.format, _compression(output), delimiter, header=has_header(output.options))
    file = file_of(output, store)
    file.parent.mkdir(parents=True, exist_ok=True)
    for entry in file.parent.iterdir():
        _remove(entry)
    relation = connection.sql(f"SELECT * FROM {source}")
    told = _nulls_told(source, relation.columns, output.format)
    (rows,) = connection.execute(f"COPY {told} TO {literal(str(file))} ({options})").fetchone()
    if rows == 0 and output.format in WITHOUT_TYPES:
        names = names_when_read(relation.columns, output.format, output.options, output.columns)
        leave_schema(file.parent, zip(names, relation.types, strict=True))
    return int(rows)


def file_name(output: TaskOutput, number: int = 0) -> str:
    """Returns the name of one of the output's files.

    >>> file_name(TaskOutput("s3://lake/out", "json", {"compression": "gzip"}), 1)
    'part-00001.json.gz'
    """
    return f"part-{number:05}{_suffix(output.format, _compression(output))}"


def file_of(output: TaskOutput, store: Store) -> Path:
    """Returns the file with the output's rows."""
    return store.local(output.path) / file_name(output)


def _nulls_told(source: str, columns: Sequence[str], data_format: str) -> str:
    """Returns what to copy: the only column of a csv has `""` for a null, since an empty line is no row."""
    if data_format != "csv" or len(columns) != 1:
        return source
    only = identifier(columns[0])
    return f"(SELECT * REPLACE (coalesce(CAST({only} AS VARCHAR), '') AS {only}) FROM {source})"


def _compression(output: TaskOutput) -> str:
    return str(output.options.get("compression") or _DEFAULT_COMPRESSION.get(output.format, "NONE")).upper()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _suffix(kind: str, compression: str) -> str:
    return f".{kind}" + ("" if kind not in WITHOUT_TYPES else _SUFFIXES[compression])


def _options(kind: str, compression: str, delimiter: str, *, header: bool) -> str:
    codec = {"NONE": "uncompressed"}.get(compression, compression.lower())
    if kind == "csv":
        return f"FORMAT csv, HEADER {str(header).lower()}, DELIMITER {literal(delimiter)}, COMPRESSION {literal(codec)}"
    return f"FORMAT {kind}, COMPRESSION {literal(codec)}"


def check_format(output: TaskOutput) -> None:
    """Refuses a format that the local Athena does not write."""
    if output.format not in _COMPRESSIONS:
        raise not_available(f"the output format {output.format}", "declare parquet, json or csv, or use a Spark target")
    compression = str(output.options.get("compression") or "NONE").upper()
    if compression not in _COMPRESSIONS[output.format]:
        known = listing(sorted(_COMPRESSIONS[output.format]))
        raise not_available(f"the compression {compression} of {output.format}", f"there are {known}")
