"""Decides whether the column types of two partitions are one type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_FLOATS = ("float", "double")


class Difference(Exception):  # noqa: N818  # an answer of `merge_types`, not a fault
    """Two types that no common type holds without changing a value."""


def same_names(schemas: Iterable[Any]) -> bool:
    """Returns whether all schemas have the same columns in the same order."""
    return len({tuple(schema.names) for schema in schemas}) == 1


def hadoop_conf(spark: Any) -> Any:
    """Returns the Hadoop settings of the session, its own among them."""
    return spark._jsparkSession.sessionState().newHadoopConf()


def footer_reader(spark: Any, format_: str) -> Callable[[str], str]:
    """Returns a function that reads the schema in the footer of the first file of a parquet or orc partition.

    It answers as the file has it. One footer costs a few milliseconds; asking Spark for the schema starts a job.
    Classes are looked up once: the JVM looks for each part of their names in all of Spark's jars.
    """
    jvm = spark.sparkContext._jvm
    conf = hadoop_conf(spark)
    path_class = jvm.org.apache.hadoop.fs.Path
    schema_of = (_orc_schema if format_ == "orc" else _parquet_schema)(jvm, conf)

    def footer(path: str) -> str:
        folder = path_class(path)
        file = _first_file(folder.getFileSystem(conf), folder)
        return path if file is None else schema_of(file)  # like no other: Spark is asked, and says what is wrong

    return footer


def _orc_schema(jvm: Any, conf: Any) -> Callable[[Any], str]:
    orc = jvm.org.apache.orc.OrcFile
    return lambda file: str(orc.createReader(file, orc.readerOptions(conf)).getSchema().toString())


def _parquet_schema(jvm: Any, conf: Any) -> Callable[[Any], str]:
    reader_class = jvm.org.apache.parquet.hadoop.ParquetFileReader
    file_class = jvm.org.apache.parquet.hadoop.util.HadoopInputFile

    def schema_of(file: Any) -> str:
        reader = reader_class.open(file_class.fromPath(file, conf))
        try:
            return str(reader.getFileMetaData().getSchema().toString())
        finally:
            reader.close()

    return schema_of


def _first_file(files: Any, folder: Any) -> Any:
    for status in files.listStatus(folder):
        name = status.getPath().getName()
        if not name.startswith((".", "_")):
            return status.getPath() if status.isFile() else _first_file(files, status.getPath())
    return None


def merge_types(one: Any, other: Any, *, exact: bool) -> Any:  # noqa: PLR0911  # one rule a line
    """Returns the type that holds the values of both.

    Args:
        one: A Spark data type.
        other: Another one.
        exact: Whether files carry their type, so that another type is a change; otherwise types were inferred from
            the values that happened to be there: numbers widen, and fields inside an object may be absent.

    Raises:
        Difference: There is no such type.
    """
    from pyspark.sql.types import (
        ArrayType,
        DecimalType,
        DoubleType,
        LongType,
        MapType,
        NullType,
        StructField,
        StructType,
    )

    if one.simpleString() == other.simpleString():
        return one
    if isinstance(one, ArrayType) and isinstance(other, ArrayType):
        return ArrayType(merge_types(one.elementType, other.elementType, exact=exact))
    if isinstance(one, MapType) and isinstance(other, MapType):
        key = merge_types(one.keyType, other.keyType, exact=exact)
        return MapType(key, merge_types(one.valueType, other.valueType, exact=exact))
    if exact:
        raise Difference
    if isinstance(one, NullType) or isinstance(other, NullType):
        return other if isinstance(one, NullType) else one
    if isinstance(one, StructType) and isinstance(other, StructType):
        fields = {field.name: field.dataType for field in one}
        for field in other:
            kind = fields.get(field.name)
            fields[field.name] = field.dataType if kind is None else merge_types(kind, field.dataType, exact=exact)
        return StructType([StructField(name, kind) for name, kind in fields.items()])
    names = {one.simpleString().partition("(")[0], other.simpleString().partition("(")[0]}
    if names <= {*_INTEGERS}:
        return LongType()
    if names <= {*_INTEGERS, *_FLOATS}:
        return DoubleType()
    if names <= {*_INTEGERS, "decimal"}:
        scale = max(getattr(one, "scale", 0), getattr(other, "scale", 0))
        return DecimalType(38, scale)
    if names <= {*_INTEGERS, *_FLOATS, "decimal"}:
        return DoubleType()
    raise Difference
