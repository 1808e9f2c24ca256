"""Reads files that carry their types, parquet and orc, with Spark: files of the same schema together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheo_assets.model.column_types import UNKNOWN, Kind, spelled
from rheo_assets.runner.merging import Contradiction, Seen, TwoSpellings, settled, warnings_of
from rheo_assets.runner.spark_failures import failure_of, reason
from rheo_assets.runner.spark_files import DataFile, Partition
from rheo_assets.runner.spark_reading import Reading, Values, paths_of, quoted, reader, union
from rheo_assets.runner.spark_types import conformed, kind_of_type, type_of_kind
from rheo_assets.runner.task import TaskFailure

_NANOSECONDS = "spark.sql.legacy.parquet.nanosAsLong"
_FIELD = re.compile(r"\s*(?:required|optional|repeated) \S+ (\S+)(.*)")


@dataclass(frozen=True)
class _Schema:
    """What the files with one footer have.

    Attributes:
        type: Spark's schema of them.
        kinds: The kinds of the columns; nanoseconds, which Spark reads as numbers, are times.
        nanoseconds: The columns that are nanoseconds.
    """

    type: Any
    kinds: dict[str, Kind]
    nanoseconds: frozenset[str]


def read_typed(reading: Reading, found: Sequence[Partition]) -> tuple[Any, tuple[str, ...]]:
    """Returns the rows of parquet or orc files as one DataFrame, and warnings.

    Raises:
        TaskFailure: A file is damaged, or contradicts what is declared or what other files have.
    """
    footers = _footers(reading, found)
    schemas: dict[str, _Schema] = {}
    seen = []
    for partition, file, footer in footers:
        if footer not in schemas:
            schemas[footer] = _schema(reading, partition, file, footer)
        try:
            seen.append(Seen(partition.name, file.path, schemas[footer].kinds))
        except TwoSpellings as error:
            raise reading.fault(partition.name, file.path, str(error)) from None
    files = {file.path: (file, schemas[footer]) for _, file, footer in footers}
    try:
        columns, seen = settled(
            seen, reading.declared, lambda one, name: _has_values(reading, one.file, files[one.file][1], name)
        )
    except Contradiction as error:
        raise reading.fault(error.seen.partition, error.seen.file, str(error)) from None
    groups: dict[tuple[int, frozenset[str], Values], list[DataFile]] = {}
    for one in seen:
        file, schema = files[one.file]
        empty = frozenset(name for name, kind in one.columns.items() if kind == UNKNOWN)
        groups.setdefault((id(schema), empty, file.values), []).append(file)
    frames = []
    for (_, empty, values), of_group in groups.items():
        schema = files[of_group[0].path][1]
        frames.append((_rows(reading, paths_of(found, of_group), schema, empty, columns), values))
    return union(frames, columns), warnings_of(reading.item.alias, list(columns), seen)


def _has_values(reading: Reading, path: str, schema: _Schema, name: str) -> bool:
    frame = _typed_reader(reading).schema(schema.type).load(path)
    return bool(frame.where(f"{quoted(name)} is not null").limit(1).count())


def _typed_reader(reading: Reading) -> Any:
    return reader(reading.spark, reading.item.format, reading.item.options)


def _footers(reading: Reading, found: Sequence[Partition]) -> list[tuple[Partition, DataFile, str]]:
    """Returns the schema in the footer of each file.

    One footer costs a few milliseconds; asking Spark for the schema starts a job.
    """
    read = (_orc_schema if reading.item.format == "orc" else _parquet_schema)(reading)
    footers = []
    for partition in found:
        for file in partition.files:
            try:
                footers.append((partition, file, read(file.path)))
            except Exception as error:
                raise _unreadable(reading, partition, file, error) from error
    return footers


def _schema(reading: Reading, partition: Partition, file: DataFile, footer: str) -> _Schema:
    nanoseconds, inside = _nanoseconds(footer) if reading.item.format == "parquet" else ({}, "")
    if inside:
        fault = f"the column {inside!r} has nanoseconds inside of it, which Spark 3.5 does not read: write microseconds"
        raise reading.fault(partition.name, file.path, fault)
    if nanoseconds:
        reading.spark.conf.set(_NANOSECONDS, "true")
    try:
        schema = _typed_reader(reading).load(file.path).schema
    except Exception as error:
        raise _unreadable(reading, partition, file, error) from error
    kinds = {field.name: nanoseconds.get(field.name) or kind_of_type(field.dataType) for field in schema}
    return _Schema(schema, kinds, frozenset(nanoseconds))


def _nanoseconds(footer: str) -> tuple[dict[str, Kind], str]:
    """Returns the columns of a parquet file that are times in nanoseconds, and one that has such times inside."""
    found: dict[str, Kind] = {}
    depth, column = 0, ""
    for line in footer.splitlines():
        match = _FIELD.match(line)
        if match is not None and depth == 1:
            column = match[1]
        if "(TIMESTAMP(NANOS," in line:
            if depth > 1:
                return found, column
            found[column] = "timestamp" if "NANOS,true" in line else "timestamp_ntz"
        depth += line.count("{") - line.count("}")
    return found, ""


def _rows(
    reading: Reading, paths: Sequence[str], schema: _Schema, empty: frozenset[str], columns: Mapping[str, Kind]
) -> Any:
    from pyspark.sql import functions

    frame = _typed_reader(reading).schema(schema.type).load(list(paths))
    if not schema.nanoseconds and not empty and spelled(schema.kinds) == spelled(columns):
        return frame
    spelling = {name.lower(): name for name in schema.kinds if name not in empty}
    selected = []
    for name, kind in columns.items():
        known = spelling.get(name.lower())
        if known is None:
            selected.append(functions.lit(None).cast(type_of_kind(kind)).alias(name))
            continue
        is_fine = known in schema.nanoseconds
        column = _micros(known, schema.kinds[known]) if is_fine else functions.col(quoted(known))
        told = f"the column {name!r} of the input {reading.item.alias!r}"
        selected.append(conformed(column, schema.kinds[known], kind, told).alias(name))
    return frame.select(*selected)


def _micros(name: str, kind: Kind) -> Any:
    """Returns a column of nanoseconds as times, cut to microseconds."""
    from pyspark.sql import functions

    column = quoted(name)
    return functions.expr(f"cast(timestamp_micros(({column} - pmod({column}, 1000)) div 1000) as {kind})")


def _orc_schema(reading: Reading) -> Callable[[str], str]:
    orc, files = reading.spark.sparkContext._jvm.org.apache.orc.OrcFile, reading.files
    return lambda path: str(orc.createReader(files.path(path), orc.readerOptions(files.conf)).getSchema().toString())


def _parquet_schema(reading: Reading) -> Callable[[str], str]:
    hadoop = reading.spark.sparkContext._jvm.org.apache.parquet.hadoop
    reader_class, file_class, files = hadoop.ParquetFileReader, hadoop.util.HadoopInputFile, reading.files

    def schema_of(path: str) -> str:
        opened = reader_class.open(file_class.fromPath(files.path(path), files.conf))
        try:
            return str(opened.getFileMetaData().getSchema().toString())
        finally:
            opened.close()

    return schema_of


def _unreadable(reading: Reading, partition: Partition, file: DataFile, error: Exception) -> TaskFailure:
    known, text = failure_of(reading.node, error), reason(error)
    if known.kind != "user":
        return known
    form = reading.item.format
    if "Illegal Parquet type" in text or "Parquet type not yet supported" in text:
        fault = f"it has a column of a type that Spark {reading.spark.version} does not read ({text})"
        return reading.fault(partition.name, file.path, fault)
    return TaskFailure(
        "user",
        f"{reading.node!r}: its input {reading.item.alias!r} has a corrupt or empty file in partition "
        f"{partition.name} ({file.path}), or its files are not {form}: {text}. Write the partition again",
    )
