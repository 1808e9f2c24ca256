"""Reads the inputs of a Spark task: one DataFrame per input, the union of the partitions that have data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rheo_assets.runner.empty_outputs import EMPTY_SCHEMA, WITHOUT_TYPES
from rheo_assets.runner.merging import Conflict
from rheo_assets.runner.spark_csv import read_csv
from rheo_assets.runner.spark_failures import failure_of, reason
from rheo_assets.runner.spark_files import Files, Partition
from rheo_assets.runner.spark_json import read_json
from rheo_assets.runner.spark_reading import Reading, reader, struct_of
from rheo_assets.runner.spark_typed import read_typed
from rheo_assets.runner.task import TaskFailure, TaskInput

TYPED = {"parquet", "orc"}  # formats that contain their schema
_READERS = {"csv": read_csv, "json": read_json, "parquet": read_typed, "orc": read_typed}
_SHOWN = 5


def read_input(spark: Any, node: str, item: TaskInput) -> tuple[Any, tuple[str, ...]]:
    """Returns the value of an input for user code, and warnings.

    Returns:
        The text of a value input; None for an optional input without data; otherwise a DataFrame.

    Raises:
        TaskFailure: No partition has data, a file is corrupt or empty, or the schema changes between partitions.
    """
    if item.value is not None:
        return item.value, ()
    if not item.present:
        if item.optional:
            return None, ()
        missing = ", ".join(item.missing[:_SHOWN]) + (", …" if len(item.missing) > _SHOWN else "")
        raise TaskFailure(
            "user",
            f"{node!r}: its input {item.alias!r} has no data: none of {missing or 'its paths'} exists. Land "
            "external data first; execute(..., recursive=True) builds missing partitions of nodes",
        )
    warnings = (_absent(item),) if item.missing else ()
    reading = Reading(spark, node, item, Files(spark))
    try:
        frame, found = _read(reading)
    except Conflict as conflict:
        raise reading.conflict(conflict) from None
    except Exception as error:
        raise failure_of(node, error, f"while it read its input {item.alias!r}") from error
    return frame, (*warnings, *found)


def malformed_partition(spark: Any, items: Sequence[TaskInput]) -> str:
    """Returns a phrase that names the first partition with a malformed line; Spark's error does not name it."""
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


def _read(reading: Reading) -> tuple[Any, tuple[str, ...]]:
    item = reading.item
    names = dict(zip(item.paths, ("/".join(values) for values in item.partitions), strict=False))
    found = [_partition(reading, path, names.get(path) or path) for path in item.present]
    filled = [partition for partition in found if partition.files]
    _check_folders(reading, filled)
    schemas = {partition.path: left for partition in found if (left := _left_behind(reading, partition)) is not None}
    if not filled and schemas:
        schema = struct_of(reading.declared) if item.columns else next(iter(schemas.values()))
        return _without_rows(reading.spark, schema), ()
    if not filled:
        raise _no_files(reading, found[0])
    frame, warnings = _READERS[item.format](reading, filled)
    empty = [partition.name for partition in found if not partition.files and partition.path not in schemas]
    return frame, (*(_empty(item, empty) if empty else ()), *warnings)


def _partition(reading: Reading, path: str, name: str) -> Partition:
    try:
        return reading.files.partition(path, name, keep_empty=reading.item.format in TYPED)
    except Exception as error:
        known, text = failure_of(reading.node, error), reason(error)
        if known.kind == "user" and ("FileNotFound" in text or "NoSuchBucket" in text):
            problem = f"partition {name} of its input {reading.item.alias!r} does not exist: {path}"
            raise TaskFailure("user", f"{reading.node!r}: {problem}") from error
        raise


def _check_folders(reading: Reading, filled: Sequence[Partition]) -> None:
    shapes: dict[tuple[str, ...], str] = {}
    for partition in filled:
        for file in partition.files:
            shapes.setdefault(tuple(name for name, _ in file.values), file.path)
    if len(shapes) > 1:
        (one, here), (other, there), *_ = sorted(shapes.items())
        raise TaskFailure(
            "user",
            f"{reading.node!r}: the `name=value` folders of its input {reading.item.alias!r} differ: {list(one)} of "
            f"{here}, {list(other)} of {there}; write the partition again",
        )


def _left_behind(reading: Reading, partition: Partition) -> Any:
    """Returns the schema that an engine recorded for an output without rows, or None."""
    from pyspark.sql.types import StructType

    file = f"{partition.path}/{EMPTY_SCHEMA}"
    if partition.files or reading.item.format not in WITHOUT_TYPES or not reading.files.exists(file):
        return None
    return StructType.fromJson(json.loads(reading.files.text(file)))


def _without_rows(spark: Any, schema: Any) -> Any:
    return spark.createDataFrame(spark.sparkContext._jvm.java.util.ArrayList(), schema)


def _no_files(reading: Reading, partition: Partition) -> TaskFailure:
    item = reading.item
    if item.format in WITHOUT_TYPES:
        return reading.no_columns(partition)
    problem = f"has no {item.format} files in partition {partition.name}: {partition.path}; write it again"
    return TaskFailure("user", f"{reading.node!r}: its input {item.alias!r} {problem}")


def _empty(item: TaskInput, names: Sequence[str]) -> tuple[str]:
    more = ", …" if len(names) > _SHOWN else ""
    return (f"input {item.alias!r}: {len(names)} partitions have only empty files: {', '.join(names[:_SHOWN])}{more}",)
