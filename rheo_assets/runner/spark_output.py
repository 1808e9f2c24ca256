"""Writes the output of a Spark task: the whole partition or nothing."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rheo_assets.model.column_types import kind_of
from rheo_assets.runner.csv_columns import names_when_read
from rheo_assets.runner.empty_outputs import EMPTY_SCHEMA, WITHOUT_TYPES
from rheo_assets.runner.merging import misfit
from rheo_assets.runner.spark_files import hadoop_conf
from rheo_assets.runner.spark_json import CORRUPT
from rheo_assets.runner.spark_reading import csv_dialect, quoted, reader
from rheo_assets.runner.spark_types import conformed, kind_of_type
from rheo_assets.runner.task import TaskFailure, TaskOutput

PREVIEW = 10
_SMALL = 32 * 1024 * 1024  # bytes by Spark's estimate; a smaller output is one file
_FOR_LITTLE = {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1"}
_DEFAULTS = {"spark.sql.adaptive.enabled": "true", "spark.sql.shuffle.partitions": "200"}
_UNTRIMMED = {"ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False}  # Spark trims values by default


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write: the number of rows, the columns and the first rows."""

    rows: int
    schema: tuple[tuple[str, str], ...]
    preview: tuple[Mapping[str, Any], ...]


def writable(output: TaskOutput) -> tuple[str, str]:
    """Returns the two folders that a task may write: its partition, and the hidden folder beside it."""
    parent, _, name = output.path.rstrip("/").rpartition("/")
    return f"{parent}/{name}", f"{parent}/.writing-{name}"


def as_declared(node: str, frame: Any, output: TaskOutput) -> Any:
    """Returns a frame with the columns that the node declares, in their order.

    Raises:
        TaskFailure: The frame has other columns, or other types.
    """
    from pyspark.sql import functions

    if not output.columns:
        return frame
    declared = {name: kind_of(kind) for name, kind in output.columns}
    kinds = {field.name: kind_of_type(field.dataType) for field in frame.schema}
    if wrong := misfit(kinds, declared):
        raise TaskFailure("user", f"{node!r}: {wrong}")
    names = {name.lower(): name for name in frame.columns}
    return frame.select(
        *(
            conformed(functions.col(quoted(known)), kinds[known], kind, f"the column {name!r}").alias(known)
            for name, kind in declared.items()
            for known in (names[name.lower()],)
        )
    )


def write_output(spark: Any, frame: Any, output: TaskOutput) -> Written:
    """Computes the frame once, writes it to a hidden folder, and swaps the folder in.

    A crash at any point leaves the old partition or the new one. The completion file is not written here.
    """
    from pyspark.sql import Observation, functions

    path_class = spark.sparkContext._jvm.org.apache.hadoop.fs.Path  # looked up once: it is slow
    target, aside = (path_class(path) for path in writable(output))
    files = target.getFileSystem(hadoop_conf(spark))
    files.delete(aside, True)  # left by a crashed attempt
    schema = _as_read(frame.schema, output)
    fresh = path_class(aside, uuid.uuid4().hex)
    try:
        # Counted while it is written, so that the user's query runs once.
        counted = Observation()
        _suit_small_inputs(spark, frame)
        observed = _few_files(frame).observe(counted, functions.count(functions.lit(1)).alias("rows"))
        _writer(observed, output).save(fresh.toString())
        rows = int(counted._jo.getAsJava().get("rows"))  # `counted.get` would copy the map entry by entry
        if rows == 0 and output.format in WITHOUT_TYPES:
            _leave_schema(path_class, files, fresh, schema)
        preview = _preview(spark, schema, output, fresh.toString()) if rows else ()
        _swap(path_class, files, fresh, target, aside)
    finally:
        files.delete(aside, True)
    return Written(rows, tuple((field.name, field.dataType.simpleString()) for field in schema), preview)


def _as_read(schema: Any, output: TaskOutput) -> Any:
    """Returns the schema with the names that the columns have when they are read."""
    from pyspark.sql.types import StructField, StructType

    names = names_when_read(schema.names, output.format, output.options, output.columns)
    if names == schema.names:
        return schema
    return StructType([StructField(name, field.dataType) for name, field in zip(names, schema, strict=True)])


def _suit_small_inputs(spark: Any, frame: Any) -> None:
    """Runs small data with one task per stage and one job, because adaptive planning would cost more than it saves.

    Settings made by user code are kept.
    """
    leaves = frame._jdf.queryExecution().optimizedPlan().collectLeaves()
    if sum(_size(leaves.apply(place)) for place in range(leaves.size())) > _SMALL:
        return
    given = spark.sparkContext._conf  # `getConf()` would copy every setting
    for setting, value in _FOR_LITTLE.items():
        if spark.conf.get(setting) == given.get(setting, _DEFAULTS[setting]):
            spark.conf.set(setting, value)


def _size(plan: Any) -> int:
    return int(str(plan.stats().sizeInBytes()))


def _few_files(frame: Any) -> Any:
    return frame.coalesce(1) if _size(frame._jdf.queryExecution().optimizedPlan()) <= _SMALL else frame


def _writer(frame: Any, output: TaskOutput) -> Any:
    # The caller writes the completion file last. The folder is temporary, so version 2, which renames once, is safe.
    writer = frame.write.format(output.format).option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    writer = writer.option("mapreduce.fileoutputcommitter.algorithm.version", "2")
    if output.format == "csv":
        writer = writer.options(**csv_dialect(output.options), **_UNTRIMMED)
        return writer.option("nullValue", '""') if len(frame.columns) == 1 else writer  # an empty line is not a row
    if output.format == "json":
        return writer.option("ignoreNullFields", "false")  # a column without values is still a column
    return writer


def _leave_schema(path_class: Any, files: Any, folder: Any, schema: Any) -> None:
    stream = files.create(path_class(folder, EMPTY_SCHEMA))
    try:
        stream.write(bytearray(json.dumps(schema.jsonValue()).encode()))
    finally:
        stream.close()


def _swap(path_class: Any, files: Any, fresh: Any, target: Any, aside: Any) -> None:
    old = path_class(aside, "old")
    if files.exists(target) and not files.rename(target, old):
        raise OSError(f"could not move the old content of {target.toString()} aside")
    if not files.rename(fresh, target):
        files.rename(old, target)
        raise OSError(f"could not move the new content of {target.toString()} into place")


def _preview(spark: Any, schema: Any, output: TaskOutput, path: str) -> tuple[Mapping[str, Any], ...]:
    read = reader(spark, output.format, output.options)
    if CORRUPT not in schema.names:
        read = read.schema(schema)
    with _interpreted(spark):
        rows = read.load(path).limit(PREVIEW).collect()
    return tuple({name: _plain(row[place]) for place, name in enumerate(schema.names)} for row in rows)


@contextlib.contextmanager
def _interpreted(spark: Any) -> Iterator[None]:
    """Disables Spark's code generation, which is not worth it for ten rows."""
    before = spark.conf.get("spark.sql.codegen.wholeStage")
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.codegen.wholeStage", before)


def _plain(value: Any) -> Any:  # noqa: PLR0911  # one line per type
    """Returns the value as JSON, or as text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if hasattr(value, "asDict"):
        return {name: _plain(field) for name, field in value.asDict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
