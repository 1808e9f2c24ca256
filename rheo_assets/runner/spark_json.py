"""Reads JSON, one object per line, with Spark: types from the values or the declaration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind
from rheo_assets.runner.merging import Conflict, Seen, TwoSpellings, merged, warnings_of
from rheo_assets.runner.spark_files import DataFile, Partition
from rheo_assets.runner.spark_reading import Reading, Values, paths_of, quoted, reader, struct_of, union
from rheo_assets.runner.spark_types import SPARK, kind_of_type
from rheo_assets.runner.task import TaskFailure
from rheo_assets.runner.text_values import fits

CORRUPT: Final = "_corrupt_record"
_REPLACED: Final = "\ufffd"  # Spark's replacement for bytes that are not text
_Keys = tuple[tuple[str, str], ...]  # the columns, and their keys in some files


def read_json(reading: Reading, found: Sequence[Partition]) -> tuple[Any, tuple[str, ...]]:
    """Returns the rows of JSON files as one DataFrame, and warnings.

    Raises:
        TaskFailure: A file is damaged, is not text, or contradicts the declared columns or other files.
    """
    _check_text(reading, found)
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
    """Returns the kind that a declared column is read as: numbers and times as text, decimals as decimals."""
    return "string" if isinstance(kind, str) and not kind.startswith("decimal") else kind


@contextlib.contextmanager
def _exact_names(spark: Any) -> Iterator[None]:
    """Makes Spark distinguish keys that differ only in case; by default it reads only the first spelling."""
    before = spark.conf.get("spark.sql.caseSensitive")
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.caseSensitive", before)


def _seen(reading: Reading, partition: Partition) -> Seen | None:
    read = reader(reading.spark, "json", reading.item.options)
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
    """Returns one kind per column; a column without values, which Spark reads as text, fits any kind."""
    try:
        return merged([one for _, one in seen])
    except Conflict as conflict:
        if not any(kind == "string" for kind in conflict.kinds):
            raise
        refined = []
        for partition, one in seen:
            kinds = dict(one.columns)
            name = one.spelling().get(conflict.column.lower())
            if name is not None and kinds[name] == "string" and not _has_values(reading, partition, name):
                kinds[name] = UNKNOWN
            refined.append((partition, Seen(one.partition, one.file, kinds)))
        if [one for _, one in refined] == [one for _, one in seen]:
            raise
        return _merged(reading, refined)


def _has_values(reading: Reading, partition: Partition, name: str) -> bool:
    frame = reading.read().schema(struct_of({name: "string"})).load(paths_of([partition], partition.files))
    return bool(frame.where(f"{quoted(name)} is not null").limit(1).count())


def _check_text(reading: Reading, found: Sequence[Partition]) -> None:
    """Raises for files with bytes that are not text, which Spark would replace."""
    from pyspark.sql import functions

    files = [file for partition in found for file in partition.files]
    lines = reader(reading.spark, "text", {}).load(paths_of(found, files))
    replaced = lines.where(functions.instr("value", _REPLACED) > 0).select(functions.input_file_name()).distinct()
    for (url,) in replaced.collect():
        path = next((file.path for file in files if file.url == url), url)
        if not reading.files.is_utf8(path):
            raise reading.fault_of(found, url, "it is not text in UTF-8 and may be damaged")


def _check_values(
    reading: Reading, found: Sequence[Partition], keys: _Keys, files: Sequence[DataFile], columns: Mapping[str, Kind]
) -> None:
    """Raises for the first value that does not have its declared type."""
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
                problem = f"row {first['rheo$row'] + 1} has {first[scalars[name]]!r}"
                raise reading.fault_of(found, url, f"the column {name!r} is declared {columns[name]}, and {problem}")


def _corrupt(reading: Reading, partition: Partition, schema: Any) -> TaskFailure:
    from pyspark.sql import functions

    # Spark returns this column only from a cached DataFrame.
    read = reader(reading.spark, "json", reading.item.options).schema(schema)
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
