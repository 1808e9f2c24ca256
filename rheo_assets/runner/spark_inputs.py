"""Reads the inputs of a Spark task: one DataFrame an input, the union of the partitions that hold data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rheo_assets.runner.csv_columns import has_header
from rheo_assets.runner.empty_outputs import EMPTY_SCHEMA
from rheo_assets.runner.spark_failures import failure_of, reason
from rheo_assets.runner.spark_schemas import Difference, footer_reader, hadoop_conf, merge_types, same_names
from rheo_assets.runner.task import TaskFailure, TaskInput

TYPED = {"parquet", "orc"}  # formats that carry their schema
CORRUPT = "_corrupt_record"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an input: its URI, the name shown to people, and the schema its files have."""

    path: str
    name: str
    schema: Any
    empty: bool = False


def read_input(spark: Any, node: str, item: TaskInput) -> tuple[Any, tuple[str, ...]]:
    """Returns what user code gets for the input, with warnings.

    Returns:
        The text of a value input; None for an optional input without data; otherwise a DataFrame.

    Raises:
        TaskFailure: No partition holds data, a file is corrupt or empty, or the schema changes between partitions.
    """
    if item.value is not None:
        return item.value, ()
    if not item.present:
        if item.optional:
            return None, ()
        missing = ", ".join(item.missing[:_SHOWN]) + (", …" if len(item.missing) > _SHOWN else "")
        raise TaskFailure(
            "user",
            f"{node!r}: its input {item.alias!r} has no data: none of {missing or 'its paths'} exists. Land it; "
            "what a node of yours makes is built by execute(..., recursive=True)",
        )
    warnings = (_absent(item),) if item.missing else ()
    try:
        return _read(spark, node, item), warnings
    except Exception as error:
        raise failure_of(node, error, f"while it read its input {item.alias!r}") from error


def reader(spark: Any, format_: str, options: Mapping[str, Any]) -> Any:
    """Returns a DataFrameReader for the format that takes a path as it is written, never as a pattern."""
    read = spark.read.format(format_).option("__globPaths__", "false")
    if format_ != "csv":
        return read
    return read.options(**csv_dialect(options)).option("multiLine", True).option("enforceSchema", False)


def csv_dialect(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns Spark's options for the one dialect of csv, RFC 4180, which has a quote within quotes doubled."""
    quotes = {"escape": '"', "charToEscapeQuoteEscaping": '"'}  # of the latter Spark makes NUL, which it then drops
    return {"sep": options.get("delimiter", ","), "header": has_header(options), **quotes}


def malformed_partition(spark: Any, items: Sequence[TaskInput]) -> str:
    """Returns words that name the first partition with a line that is not what its format wants; Spark names none."""
    for item in items:
        for path in item.present if item.format not in TYPED else ():
            try:
                read = reader(spark, item.format, item.options)
                frame = read.option("inferSchema", item.format == "csv").option("mode", "FAILFAST").load(path)
                frame.write.format("noop").mode("append").save()
            except Exception:
                return f" from its input {item.alias!r}, which has a corrupt line in {path} (write it again)"
    return ""


def _absent(item: TaskInput) -> str:
    named = ", ".join(item.missing[:_SHOWN]) + (", …" if len(item.missing) > _SHOWN else "")
    return f"input {item.alias!r}: {len(item.missing)} of {len(item.paths)} partitions have no data: {named}"


def _read(spark: Any, node: str, item: TaskInput) -> Any:
    names = dict(zip(item.paths, ("/".join(values) for values in item.partitions), strict=False))
    if item.format in TYPED and len(item.present) == 1:
        return _loaded(spark, node, item, item.present[0], names.get(item.present[0], item.present[0]))
    found = _partitions(spark, node, item, {path: names.get(path) or path for path in item.present})
    described = [partition for partition in found if not partition.empty] or found[:1]
    schema = _one_schema(spark, node, item, described)
    filled = [partition for partition in found if not partition.empty]
    if not filled:
        return spark.createDataFrame(spark.sparkContext._jvm.java.util.ArrayList(), schema)
    read = reader(spark, item.format, item.options).option("mode", "FAILFAST")
    if item.format != "csv" or same_names(partition.schema for partition in filled):
        return read.schema(schema).load([partition.path for partition in filled])
    # Files of csv are read by position: partitions whose columns stand in another order are read one by one.
    frames = [
        read.schema(_ordered(schema, partition.schema.names)).load(partition.path).select(*schema.names)
        for partition in filled
    ]
    union = frames[0]
    for frame in frames[1:]:
        union = union.unionByName(frame)
    return union


def _ordered(schema: Any, names: Sequence[str]) -> Any:
    return type(schema)([schema[name] for name in names])


def _loaded(spark: Any, node: str, item: TaskInput, path: str, name: str) -> Any:
    read = reader(spark, item.format, item.options)
    if item.format == "csv":
        read = read.option("inferSchema", True)
    try:
        return read.load(path)
    except Exception as error:
        _unreadable(node, item, path, name, error)


def _partitions(spark: Any, node: str, item: TaskInput, names: Mapping[str, str]) -> list[Partition]:
    """Returns the partitions with their schemas; those whose footers say the same are asked once."""
    if item.format not in TYPED:
        return [_partition(spark, node, item, path, name) for path, name in names.items()]
    found: list[Partition] = []
    known: dict[str, Any] = {}
    read_footer = footer_reader(spark, item.format)
    for path, name in names.items():
        try:
            footer = read_footer(path)
        except Exception as error:
            _unreadable(node, item, path, name, error)
        if footer not in known:
            known[footer] = _partition(spark, node, item, path, name).schema
        found.append(Partition(path, name, known[footer]))
    return found


def _partition(spark: Any, node: str, item: TaskInput, path: str, name: str) -> Partition:
    schema = _loaded(spark, node, item, path, name).schema
    if CORRUPT in schema.names:
        _corrupt(spark, node, item, Partition(path, name, schema))
    if not schema.names:
        known = _schema_left_behind(spark, path)
        if known is not None:
            return Partition(path, name, known, empty=True)
        raise TaskFailure(
            "user",
            f"{node!r}: its input {item.alias!r} has no columns in partition {name} ({path}): "
            f"its {item.format} files are empty or there are none; write the partition again, or delete it together "
            "with its completion file",
        )
    return Partition(path, name, schema)


def _unreadable(node: str, item: TaskInput, path: str, name: str, error: Exception) -> NoReturn:
    text = reason(error)
    known = failure_of(node, error)
    if known.kind != "user":
        raise known from error
    if "PATH_NOT_FOUND" in text or "NoSuchBucket" in text:
        told = f"partition {name} of its input {item.alias!r} does not exist: {path}"
    elif "UNABLE_TO_INFER_SCHEMA" in text:
        told = f"its input {item.alias!r} has no {item.format} files in partition {name}: {path}; write it again"
    else:
        told = (
            f"its input {item.alias!r} has a corrupt or empty file in partition {name} ({path}), "
            f"or its files are not {item.format}: {text}. Write the partition again"
        )
    raise TaskFailure("user", f"{node!r}: {told}") from error


def _corrupt(spark: Any, node: str, item: TaskInput, partition: Partition) -> NoReturn:
    from pyspark.sql import functions

    # Spark answers about this column only from a cached reading.
    frame = reader(spark, item.format, item.options).schema(partition.schema).load(partition.path)
    frame = frame.withColumn("__file", functions.input_file_name()).cache()
    try:
        bad = frame.where(functions.col(CORRUPT).isNotNull())
        first = bad.first()
        count = bad.count()
    finally:
        frame.unpersist()
    file, line = (first["__file"], str(first[CORRUPT])[:120]) if first else (partition.path, "")
    raise TaskFailure(
        "user",
        f"{node!r}: its input {item.alias!r} has {count} corrupt line{'s' if count > 1 else ''} in partition "
        f"{partition.name}, first in {file}: {line!r} is not a JSON object on one line; write the partition again",
    )


def _schema_left_behind(spark: Any, path: str) -> Any:
    """Returns the schema that an engine left beside an output without rows, or None."""
    import json

    from pyspark.sql.types import StructType

    jvm = spark.sparkContext._jvm
    file = jvm.org.apache.hadoop.fs.Path(path, EMPTY_SCHEMA)
    files = file.getFileSystem(hadoop_conf(spark))
    if not files.exists(file):
        return None
    stream = files.open(file)
    try:
        text = jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
    finally:
        stream.close()
    return StructType.fromJson(json.loads(text))


def _one_schema(spark: Any, node: str, item: TaskInput, partitions: Sequence[Partition]) -> Any:
    """Returns the schema under which all partitions are read."""
    from pyspark.sql.types import StructField, StructType

    first, *others = partitions
    if all(other.schema == first.schema for other in others):
        return first.schema
    exact = item.format in TYPED
    columns: dict[str, Any] = {field.name: field.dataType for field in first.schema}
    for other in others:
        there = {field.name: field.dataType for field in other.schema}
        for name in [*columns, *there]:
            if name not in there or name not in columns:
                having, lacking = (first, other) if name in columns else (other, first)
                _changed(node, item, f"column {name!r} is in {having.name} but not in {lacking.name}")
    for name in columns:
        kinds = [(partition, partition.schema[name].dataType) for partition in partitions]
        merged: Any = kinds[0][1]
        try:
            for _, kind in kinds[1:]:
                merged = merge_types(merged, kind, exact=exact)
        except Difference:
            merged = _merged_but_nulls(spark, node, item, name, kinds)
        columns[name] = merged
    return StructType([StructField(name, kind) for name, kind in columns.items()])


def _merged_but_nulls(spark: Any, node: str, item: TaskInput, name: str, kinds: Sequence[tuple[Partition, Any]]) -> Any:
    """Merges the column's types once more, without the partitions in which it has no value: they infer as text."""
    exact = item.format in TYPED
    told: list[tuple[Partition, Any]] = []
    for partition, kind in kinds:
        if exact or kind.simpleString() != "string" or _has_values(spark, item, partition, name):
            told.append((partition, kind))
    base, merged = told[0]
    for partition, kind in told[1:]:
        try:
            merged = merge_types(merged, kind, exact=exact)
        except Difference:
            first, second = merged.simpleString(), kind.simpleString()
            _changed(node, item, f"column {name!r} is {first} in {base.name} but {second} in {partition.name}")
    return merged


def _has_values(spark: Any, item: TaskInput, partition: Partition, name: str) -> bool:
    frame = reader(spark, item.format, item.options).schema(partition.schema).load(partition.path)
    filled = frame.where(frame[f"`{name.replace('`', '``')}`"].isNotNull())
    return bool(filled.limit(1).count())


def _changed(node: str, item: TaskInput, what: str) -> NoReturn:
    raise TaskFailure(
        "user",
        f"{node!r}: the schema of its input {item.alias!r} changes between partitions: {what}; "
        "write the older partition again with today's schema, or read a range that does not cross the change",
    )
