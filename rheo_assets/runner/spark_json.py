"""Reads JSON, one object a line, with Spark: types by what the values are, or by declaration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind
from rheo_assets.runner.merging import Conflict, Seen, TwoSpellings, merged, warnings_of
from rheo_assets.runner.spark_files import DataFile, Partition
from rheo_assets.runner.spark_reading import Reading, Values, paths_of, quoted, reader, struct_of, union
from rheo_assets.runner.spark_text import check_text
from rheo_assets.runner.spark_types import SPARK, kind_of_type
from rheo_assets.runner.task import TaskFailure
from rheo_assets.runner.text_values import fits

CORRUPT: Final = "_corrupt_record"
_Keys = tuple[tuple[str, str], ...]  # the columns, and the keys that they are in some files


def read_json(reading: Reading, found: Sequence[Partition]) -> tuple[Any, tuple[str, ...]]:
    """Returns the rows of JSON files as one DataFrame, and warnings.

    Raises:
        TaskFailure: A file is damaged or not UTF-8, or contradicts the declared columns or other files.
    """
    check_text(reading, found)
    declared = reading.declared
    seen = [(partition, one) for partition in found if (one := _seen(reading, partition)) is not None]
    if not seen:
        raise reading.no_columns(found[0])
    listed = [one for _, one in seen]
    columns = declared or _merged(reading, seen)
    groups: dict[tuple[_Keys, Values], list[DataFile]] = {}
    for partition, one in seen:
        spelling = one.spelling()
        keys = tuple((name, spelling.get(name.lower(), name)) for name in columns)
        for file in partition.files:
            groups.setdefault((keys, file.values), []).append(file)
    frames = []
    for (keys, values), files in groups.items():
        if declared:
            _check_values(reading, found, keys, files, columns)
        frames.append((_rows(reading, found, keys, files, columns, is_declared=bool(declared)), values))
    return union(frames, columns), warnings_of(reading.item.alias, list(columns), listed)


def _rows(
    reading: Reading,
    found: Sequence[Partition],
    keys: _Keys,
    files: Sequence[DataFile],
    columns: Mapping[str, Kind],
    *,
    is_declared: bool,
) -> Any:
    kinds = {name: _as_read(kind) if is_declared else kind for name, kind in columns.items()}
    frame = reading.read().schema(struct_of({key: kinds[name] for name, key in keys})).load(paths_of(found, files))
    types = {field.name: field.dataType.simpleString() for field in struct_of(columns)}
    cast = [
        f"cast({quoted(key)} as {types[name]}) as {quoted(name)}"
        if kinds[name] != columns[name] and columns[name] != UNKNOWN
        else f"{quoted(key)} as {quoted(name)}"
        for name, key in keys
    ]
    return frame.selectExpr(*cast)


def _as_read(kind: Kind) -> Kind:
    """Returns as what a declared column is read: numbers and times as text; decimals are exact as they are."""
    return "string" if isinstance(kind, str) and not kind.startswith("decimal") else kind


@contextlib.contextmanager
def _exact_names(spark: Any) -> Iterator[None]:
    """Lets Spark tell keys that differ only in case: otherwise it reads the first spelling, and the others as null."""
    before = spark.conf.get("spark.sql.caseSensitive")
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.caseSensitive", before)


def _seen(reading: Reading, partition: Partition, *, is_strict: bool = False) -> Seen | None:
    """Returns the columns of a partition; if it is strict, without those that have no values."""
    read = reader(reading.spark, "json", reading.item.options).option("dropFieldIfAllNull", is_strict)
    if reading.item.columns:
        read = read.option("primitivesAsString", True)
    with _exact_names(reading.spark):
        schema = read.load(paths_of([partition], partition.files)).schema
    if CORRUPT in schema.names:
        raise _corrupt(reading, partition, schema)
    if not schema.names:
        return None
    try:
        return Seen(partition.name, "", {field.name: kind_of_type(field.dataType) for field in schema})
    except TwoSpellings as error:
        raise reading.fault(partition.name, partition.path, str(error)) from None


def _merged(reading: Reading, seen: Sequence[tuple[Partition, Seen]]) -> dict[str, Kind]:
    """Returns one kind a column. Spark takes what has no values for text: if that is in the way, it has any type."""
    listed = [one for _, one in seen]
    try:
        return merged(listed)
    except Conflict:
        told = [_seen(reading, partition, is_strict=True) for partition, _ in seen]
        columns = merged([one for one in told if one is not None])
    lowered = {name.lower() for name in columns}
    names = dict.fromkeys(name for one in listed for name in one.columns if name.lower() not in lowered)
    return {**columns, **dict.fromkeys(names, UNKNOWN)}


def _check_values(
    reading: Reading, found: Sequence[Partition], keys: _Keys, files: Sequence[DataFile], columns: Mapping[str, Kind]
) -> None:
    """Looks for a value that is none of its declared type, and raises about the first."""
    from pyspark.sql import functions

    scalars = {name: key for name, key in keys if isinstance(columns[name], str) and columns[name] != "string"}
    if not scalars:
        return
    wrong = {
        name: f"{quoted(key)} is not null and not ({fits(quoted(key), columns[name], SPARK)})"
        for name, key in scalars.items()
    }
    read = reading.read().schema(struct_of(dict.fromkeys(scalars.values(), "string")))
    counts = [functions.expr(f"count_if({test})") for test in wrong.values()]
    rows = read.load(paths_of(found, files)).groupBy(functions.input_file_name()).agg(*counts).collect()
    for url, *those in rows:
        for name, count in zip(wrong, those, strict=True):
            if count:
                path = next(file.path for file in files if file.url == url)
                frame = read.load(path).withColumn("rheo$row", functions.monotonically_increasing_id())
                first = frame.where(wrong[name]).orderBy("rheo$row").first()
                told = f"row {first['rheo$row'] + 1} has {first[scalars[name]]!r}"
                raise reading.fault_of(found, url, f"the column {name!r} is declared {columns[name]}, and {told}")


def _corrupt(reading: Reading, partition: Partition, schema: Any) -> TaskFailure:
    from pyspark.sql import functions

    # Spark answers about this column only from a cached reading, and if it is not alone.
    read = reader(reading.spark, "json", reading.item.options).schema(schema.add("rheo$none", "string"))
    frame = read.load(paths_of([partition], partition.files))
    frame = frame.withColumn("__file", functions.input_file_name()).cache()
    try:
        bad = frame.where(functions.col(CORRUPT).isNotNull())
        first = bad.first()
        count = bad.count()
    finally:
        frame.unpersist()
    file, line = (first["__file"], str(first[CORRUPT])[:120]) if first else (partition.path, "")
    return TaskFailure(
        "user",
        f"{reading.node!r}: its input {reading.item.alias!r} has {count} corrupt line{'s' if count > 1 else ''} in "
        f"partition {partition.name}, first in {file}: {line!r} is not a JSON object on one line; write the partition "
        "again",
    )
