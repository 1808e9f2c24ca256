"""Checks of text files before Spark parses them: what it would replace, cut off or misread without an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from rheo_assets.runner.spark_files import DataFile, Partition
from rheo_assets.runner.spark_reading import Reading, paths_of, reader

_REPLACED: Final = "\ufffd"  # what Spark makes of bytes that are not UTF-8
_UNKNOWN: Final = {".zip", ".xz", ".br", ".lzo", ".7z", ".rar"}  # Hadoop has no codec for them
_TEXTS: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BEHIND: Final = "[}]\\s*[^\\s,}\\]]"  # what stands behind an object and ends no list or object around it


def check_text(reading: Reading, found: Sequence[Partition]) -> None:
    """Looks for bytes that are not UTF-8, a csv file that ends within quotes, and JSON lines of several objects.

    Raises:
        TaskFailure: There are; names the first file.
    """
    from pyspark.sql import functions

    files = {file.url: (partition, file) for partition in found for file in partition.files}
    for partition, file in files.values():
        suffix = PurePosixPath(file.path).suffix.lower()
        if suffix in _UNKNOWN:
            raise reading.fault(partition.name, file.path, f"Spark cannot read {suffix} files")
    lines = reader(reading.spark, "text", {}).load(paths_of(found, [file for _, file in files.values()]))
    asked = [functions.expr(f"count_if(instr(value, '{_REPLACED}') > 0)"), functions.sum(_oddness(reading))]
    for url, replaced, odd in lines.groupBy(functions.input_file_name()).agg(*asked).collect():
        partition, file = files.get(url) or next(iter(files.values()))
        if replaced and not reading.files.is_utf8(file.path):
            raise reading.fault(partition.name, file.path, "it is not UTF-8 and may be damaged")
        if odd and reading.item.format == "json":
            raise reading.fault(partition.name, file.path, "it has a line with more than one JSON object on it")
        if odd and odd % 2 and _ends_within_quotes(reading, file):
            raise reading.fault(partition.name, file.path, "it ends within quotes and may be cut short")


def _oddness(reading: Reading) -> Any:
    """Returns the number that tells whether a line is to be looked at: quotes of csv, and JSON behind an object."""
    from pyspark.sql import functions

    value = functions.col("value")
    if reading.item.format == "csv":
        return functions.length(value) - functions.length(functions.replace(value, functions.lit('"')))
    behind = functions.regexp_replace(value, _TEXTS, "").rlike(_BEHIND)
    return functions.when(value.rlike(_BEHIND), behind).otherwise(False).cast("int")


def _ends_within_quotes(reading: Reading, file: DataFile) -> bool:
    import csv
    import io

    lines = io.StringIO(reading.files.text(file.path), newline="")
    rows = csv.reader(lines, delimiter=reading.item.options.get("delimiter") or ",", strict=True)
    try:
        for _ in rows:
            pass
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False
