"""The parts of reading an input with Spark that all formats share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheo_assets.model.column_types import Kind, kind_of
from rheo_assets.runner.csv_columns import delimiter, has_header
from rheo_assets.runner.merging import Conflict, described
from rheo_assets.runner.spark_files import DataFile, Files, Partition
from rheo_assets.runner.spark_types import type_of_kind
from rheo_assets.runner.task import TaskFailure, TaskInput

Values = tuple[tuple[str, str | None], ...]


def reader(spark: Any, format_: str, options: Mapping[str, Any]) -> Any:
    """Returns a DataFrameReader for the format that reads a path literally, never as a pattern."""
    read = spark.read.format(format_).option("__globPaths__", "false")
    if format_ == "json":
        return read.option("allowSingleQuotes", False)
    return read if format_ != "csv" else read.options(**csv_dialect(options)).option("multiLine", True)


def csv_dialect(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns Spark's options for RFC 4180, in which a quote within quotes is doubled."""
    quotes = {"escape": '"', "charToEscapeQuoteEscaping": '"'}  # without the second, Spark writes NUL and drops it
    return {"sep": delimiter(options), "header": has_header(options), **quotes}


@dataclass(frozen=True)
class Reading:
    """One input of one node.

    Attributes:
        spark: The session.
        node: The node's id, for messages.
        item: The input.
        files: Lists and opens files.
    """

    spark: Any
    node: str
    item: TaskInput
    files: Files

    @property
    def declared(self) -> dict[str, Kind]:
        """The declared columns."""
        return {name: kind_of(kind) for name, kind in self.item.columns}

    def read(self) -> Any:
        """Returns a reader of the input's format, which fails for data that does not fit its schema."""
        return reader(self.spark, self.item.format, self.item.options).option("mode", "FAILFAST")

    def fault(self, partition: str, file: str, fault: str) -> TaskFailure:
        """Returns the failure for one file."""
        return TaskFailure(
            "user",
            f"{self.node!r}: its input {self.item.alias!r} has a file in partition {partition} that cannot be read: "
            f"{file}: {fault}; write it again",
        )

    def fault_of(self, found: Sequence[Partition], url: str, fault: str) -> TaskFailure:
        """Returns the failure for the file that Spark reports by its URL."""
        known = ((part.name, file.path) for part in found for file in part.files if file.url == url)
        return self.fault(*next(known, ("?", url)), fault)

    def conflict(self, conflict: Conflict) -> TaskFailure:
        """Returns the failure for a column with two types."""
        (first, second), (one, other) = conflict.places, map(described, conflict.kinds)
        return TaskFailure(
            "user",
            f"{self.node!r}: the schema of its input {self.item.alias!r} changes between partitions: column "
            f"{conflict.column!r} is {one} in {first} but {other} in {second}; "
            "write the older partition again with today's schema, or read a range that does not cross the change",
        )

    def no_columns(self, partition: Partition) -> TaskFailure:
        """Returns the failure for a partition whose columns are unknown."""
        return TaskFailure(
            "user",
            f"{self.node!r}: its input {self.item.alias!r} has no columns in partition {partition.name} "
            f"({partition.path}): its {self.item.format} files are empty or missing; write the partition again, "
            "or delete it together with its completion file",
        )


def paths_of(found: Sequence[Partition], files: Iterable[DataFile]) -> list[str]:
    """Returns the paths to load for some files: the whole folder if Spark would read the same, which is faster."""
    wanted = {file.path for file in files}
    paths: list[str] = []
    for partition in found:
        here = [file.path for file in partition.files if file.path in wanted]
        paths += [partition.path] if partition.is_plain and len(here) == len(partition.files) > 0 else here
    return paths


def union(frames: Sequence[tuple[Any, Values]], columns: Mapping[str, Kind]) -> Any:
    """Returns the union of frames with the same columns, each with the values of its `name=value` folders.

    A column of the files takes precedence over a folder with its name.
    """
    from pyspark.sql import functions

    lowered = {name.lower() for name in columns}
    whole: Any = None
    for frame, values in frames:
        wanted = [(name, value) for name, value in values if name.lower() not in lowered]
        added = [functions.lit(value).cast("string").alias(name) for name, value in wanted]
        one = frame.select("*", *added) if added else frame
        whole = one if whole is None else whole.union(one)
    return whole


def struct_of(columns: Mapping[str, Kind]) -> Any:
    """Returns the Spark schema of columns."""
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(name, type_of_kind(kind)) for name, kind in columns.items()])


def quoted(name: str) -> str:
    """Returns a name as an identifier of Spark SQL."""
    return f"`{name.replace('`', '``')}`"
