"""What a query left in its partition: how many rows, which columns, the first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rheo_assets.platforms.aws.athena.samples import DataFile, data_files, fetch_samples
from rheo_assets.platforms.aws.athena.types import duckdb_type
from rheo_assets.platforms.local.presto import athena_types
from rheo_assets.platforms.local.presto.execution import PREVIEW_ROWS, plain
from rheo_assets.platforms.local.presto.output import file_name
from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.runner.csv_columns import names_when_read
from rheo_assets.runner.task import TaskOutput

_COUNTABLE: Final = 64 * 1024 * 1024  # bytes of text that are fetched to count their rows
_PREVIEWED: Final = 16 * 1024 * 1024  # bytes of one file that are fetched to show its first rows


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows (None where counting them would mean to fetch too much), columns and first rows."""

    rows: int | None
    schema: tuple[tuple[str, str], ...]
    preview: tuple[Mapping[str, Any], ...] = ()


def measured(s3: Any, output: TaskOutput, folder: Path) -> Measured | None:
    """Returns what lies in the output; None where there is no file at all."""
    files = data_files(s3, output.path)
    if not files:
        return None
    import duckdb

    with duckdb.connect() as connection:
        rows = _count(s3, files, output, folder / "count", connection)
        source = _source(_whole(s3, files[0], output, folder / "first"), output)
        relation = connection.sql(f"SELECT * FROM {source}")
        names = names_when_read(relation.columns, output.format, output.options, output.columns)
        schema = tuple((name, athena_types.athena_name(kind)) for name, kind in zip(names, relation.types, strict=True))
        found = [] if files[0].size > _PREVIEWED else relation.limit(PREVIEW_ROWS).fetchall()
        return Measured(rows, schema, tuple({n: plain(v) for n, v in zip(names, row, strict=True)} for row in found))


def _whole(s3: Any, file: DataFile, output: TaskOutput, folder: Path) -> list[Path]:
    if file.size > _PREVIEWED:
        return fetch_samples(s3, [file], folder, output.format)
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(file.bucket, file.key, str(path))
    return [path]


def _count(s3: Any, files: Sequence[DataFile], output: TaskOutput, folder: Path, connection: Any) -> int | None:
    if output.format == "parquet":
        paths = fetch_samples(s3, files, folder, "parquet")
        sql = f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({file_list(paths)})"
        return int(connection.execute(sql).fetchone()[0])
    if sum(file.size for file in files) > _COUNTABLE or output.format == "orc":
        return None
    paths = [path for file in files for path in _whole(s3, file, output, folder)]
    return int(connection.execute(f"SELECT count(*) FROM {_source(paths, output)}").fetchone()[0])


def _source(paths: Sequence[Path], output: TaskOutput) -> str:
    if output.format == "parquet":
        return f"read_parquet({file_list(paths)}, hive_partitioning = false)"
    if output.format == "json":
        return f"read_json({file_list(paths)}, format = 'newline_delimited', hive_partitioning = false)"
    delimiter = literal(str(output.options.get("delimiter") or ","))
    return f"read_csv({file_list(paths)}, header = false, delim = {delimiter}, hive_partitioning = false)"


def empty_file(output: TaskOutput, columns: Sequence[tuple[str, str]], folder: Path) -> tuple[str, bytes, Measured]:
    """Returns a file without rows that still says its columns: name, content, and what it amounts to."""
    import duckdb

    names = names_when_read((name for name, _ in columns), output.format, output.options, output.columns)
    told = Measured(0, tuple(zip(names, (kind for _, kind in columns), strict=True)))
    if output.format != "parquet":
        return file_name(output), b"", told
    fields = ", ".join(f"NULL::{duckdb_type(kind)} AS {identifier(name)}" for name, kind in columns)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "empty.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {fields} LIMIT 0) TO {literal(str(path))} (FORMAT parquet)")
    return file_name(output), path.read_bytes(), told
