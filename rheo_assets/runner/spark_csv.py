"""Reads csv with Spark: names by header or declaration, types by what all values are or by declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheo_assets.model.column_types import Kind
from rheo_assets.runner.csv_columns import names_of_row
from rheo_assets.runner.merging import Seen, merged, warnings_of
from rheo_assets.runner.spark_files import DataFile, Partition
from rheo_assets.runner.spark_reading import Reading, Values, paths_of, quoted, struct_of, union
from rheo_assets.runner.spark_text import check_text
from rheo_assets.runner.spark_types import SPARK
from rheo_assets.runner.text_values import both_masks, fits, kind_of_mask, mask_of

Names = tuple[str, ...]


def read_csv(reading: Reading, found: Sequence[Partition]) -> tuple[Any, tuple[str, ...]]:
    """Returns the rows of csv files as one DataFrame, and warnings.

    Raises:
        TaskFailure: A file is damaged or not UTF-8, or contradicts the declared columns or other files.
    """
    groups = _by_names(reading, found)
    check_text(reading, found)
    if not groups:
        raise reading.no_columns(found[0])
    declared = reading.declared
    seen = _looked_through(reading, found, groups, declared)
    columns = declared or merged(seen)
    spelled = {name.lower(): name for name in columns}
    frames = []
    for (names, values), files in groups.items():
        texts = _texts(reading, paths_of(found, files), names)
        known = {spelled[name.lower()]: f"c{place}" for place, name in enumerate(names)}
        types = struct_of(columns)
        cast = [f"cast({known.get(f.name, 'null')} as {f.dataType.simpleString()}) as {quoted(f.name)}" for f in types]
        frames.append((texts.selectExpr(*cast), values))
    return union(frames, columns), () if declared else warnings_of(reading.item.alias, list(columns), seen)


def _by_names(reading: Reading, found: Sequence[Partition]) -> dict[tuple[Names, Values], list[DataFile]]:
    """Returns the files by the names of their columns and the values of their folders."""
    groups: dict[tuple[Names, Values], list[DataFile]] = {}
    for partition in found:
        for file in partition.files:
            try:
                first = reading.files.first_row(file.path, reading.item.options)
                names = tuple(names_of_row(first, reading.item.options, reading.item.columns)) if first else ()
            except ValueError as error:
                raise reading.fault(partition.name, file.path, str(error)) from None
            if names:  # a file of line breaks has no row
                groups.setdefault((names, file.values), []).append(file)
    return groups


def _texts(reading: Reading, paths: Sequence[str], names: Names) -> Any:
    """Returns the rows as text in the columns `c0`, `c1` and so on."""
    schema = struct_of({f"c{place}": "string" for place in range(len(names))})
    return reading.read().schema(schema).load(list(paths))


def _looked_through(
    reading: Reading,
    found: Sequence[Partition],
    groups: Mapping[tuple[Names, Values], Sequence[DataFile]],
    declared: Mapping[str, Kind],
) -> list[Seen]:
    """Reads everything once, and returns the columns of each partition with the types that their values have.

    Raises:
        TaskFailure: A row has a different number of fields, or a value is not of its declared type.
    """
    from pyspark.sql import functions

    together: dict[Names, list[DataFile]] = {}
    for (names, _), files in groups.items():
        together.setdefault(names, []).extend(files)
    masks: dict[str, dict[str, int | None]] = {}
    for names, files in together.items():
        columns = [f"c{place}" for place in range(len(names))]
        tests = {name: _wrong(column, declared[name]) for name, column in zip(names, columns, strict=True) if declared}
        asked = [f"count_if({test})" for test in tests.values()] or [mask_of(column, SPARK) for column in columns]
        frame = _texts(reading, paths_of(found, files), names).groupBy(functions.input_file_name())
        try:
            rows = frame.agg(*map(functions.expr, asked)).collect()
        except Exception as error:
            raise _damaged(reading, found, names, files, error) from error
        for url, *counts in rows:
            masks[url] = dict(zip(names, counts, strict=True))
            for name, count in masks[url].items():
                if declared and count:
                    raise _contradiction(reading, found, url, names, name, declared[name])
    return [] if declared else _seen(found, together, masks)


def _seen(
    found: Sequence[Partition],
    together: Mapping[Names, Sequence[DataFile]],
    masks: Mapping[str, Mapping[str, int | None]],
) -> list[Seen]:
    names_of = {file.path: names for names, files in together.items() for file in files}
    listed = []
    for partition in found:
        total: dict[str, int | None] = {}
        for file in partition.files:
            of_file = masks.get(file.url, {})
            total |= {name: both_masks(total.get(name), of_file.get(name)) for name in names_of.get(file.path, ())}
        if total:
            listed.append(Seen(partition.name, "", {name: kind_of_mask(mask) for name, mask in total.items()}))
    return listed


def _wrong(column: str, kind: Kind) -> str:
    return f"{column} is not null and not ({fits(column, kind, SPARK)})"


def _damaged(
    reading: Reading, found: Sequence[Partition], names: Names, files: Sequence[DataFile], error: Exception
) -> Exception:
    """Returns the failure that names the file that cannot be read, or the error itself."""
    for file in files if "MALFORMED" in str(error) else ():
        try:
            _texts(reading, [file.path], names).write.format("noop").mode("append").save()
        except Exception:
            fault = f"it has a corrupt line in {file.path}: a row has not the {len(names)} fields of the first one"
            return reading.fault_of(found, file.url, fault)
    return error


def _contradiction(
    reading: Reading, found: Sequence[Partition], url: str, names: Names, name: str, kind: Kind
) -> Exception:
    """Returns the failure about the first value of a file that is not of its column's declared type."""
    from pyspark.sql import functions

    file = next(file for part in found for file in part.files if file.url == url)
    column = f"c{names.index(name)}"
    rows = _texts(reading, [file.path], names)
    rows = rows.select(functions.monotonically_increasing_id().alias("row"), column)  # of a csv file: one task
    row, value = rows.where(_wrong(column, kind)).orderBy("row").first()
    return reading.fault_of(found, url, f"the column {name!r} is declared {kind}, and row {row + 1} has {value!r}")
