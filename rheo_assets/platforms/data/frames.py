"""The files of partitions as one table of pandas, arrow or polars, read as a query reads them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.model.column_types import kind_of
from rheo_assets.platforms.local.presto.column_types import type_of_kind
from rheo_assets.platforms.local.presto.empty_outputs import columns_of
from rheo_assets.platforms.local.presto.files import ORIGIN, DataFile, Partition, as_paths
from rheo_assets.platforms.local.presto.schemas import NotLines
from rheo_assets.platforms.local.presto.session import file_list, identifier, literal
from rheo_assets.platforms.local.presto.sources import Source, source_of
from rheo_assets.runner.task import TaskInput

_NEEDS: Final = {"pandas": ("pandas",), "arrow": ("pyarrow",), "polars": ("polars", "pyarrow")}
_EXTRA: Final = {"arrow": "pandas"}
_ROUNDED: Final = ("DECIMAL", "HUGEINT", "UHUGEINT")  # what DuckDB hands to pandas as doubles


def check_library(as_: object) -> None:
    """Checks that a table of the library can be made.

    Raises:
        DeclarationError: There is no such library.
        CapabilityMissing: It is not installed.
    """
    if as_ not in _NEEDS:
        raise DeclarationError("load_data", f"as_ is {as_!r}", f"One of {list(_NEEDS)}")
    assert isinstance(as_, str)
    missing = [name for name in _NEEDS[as_] if find_spec(name) is None]
    if missing:
        extra = _EXTRA.get(as_, as_)
        raise CapabilityMissing(f"load_data needs {' and '.join(missing)}: pip install 'rheo-assets[{extra}]'")


class Tables:
    """Reads files of one input.

    Args:
        given: Their format, options and declared columns.
        room: A folder for files that are made on the way.
    """

    def __init__(self, given: TaskInput, room: Path) -> None:
        self._given = given
        self._room = room

    def read(self, filled: Sequence[Partition], as_: str) -> Any:
        """Returns the rows of the files as a table of a library.

        Raises:
            Refusal: The files make no one table.
        """
        import duckdb

        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            source = self._source(filled, connection)
            columns = ", ".join(identifier(name) for name in source.columns) or "*"
            connection.execute(f"CREATE TEMP TABLE loaded AS SELECT {columns} FROM {source.sql}")
            return _frame(connection, as_)

    def _source(self, filled: Sequence[Partition], connection: Any) -> Source:
        import duckdb

        given = self._given
        if given.format == "orc":
            given = TaskInput(given.alias, format="parquet", options=given.options, columns=given.columns)
            filled = [self._without_orc(partition) for partition in filled]
        try:
            return source_of(given, filled, connection, native=True)
        except (NotLines, duckdb.InvalidInputException):
            files = [file for partition in filled for file in partition.files]
            if given.format != "json" or given.columns or not all(map(_is_list, files)):
                raise
            return _documents(files)

    def _without_orc(self, partition: Partition) -> Partition:
        """Returns the partition with its files as Parquet, which DuckDB reads."""
        from pyarrow import orc, parquet

        files = []
        for file in partition.files:
            path = self._room / "orc" / file.uri.removeprefix("s3://")
            path.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(orc.read_table(str(file.path)), path)
            files.append(DataFile(path, file.uri, file.folders))
        return Partition(partition.uri, partition.label, tuple(files))


def _is_list(file: DataFile) -> bool:
    """Returns whether a file is one JSON list, maybe over several lines."""
    with file.path.open("rb") as content:
        return content.read(4096).lstrip().startswith(b"[")


def _documents(files: Sequence[DataFile]) -> Source:
    """Returns JSON lists, which may span several lines, as DuckDB reads them."""
    named = f"union_by_name = true, hive_partitioning = false, filename = {literal(ORIGIN)}"
    rows = f"FROM read_json_auto({file_list(as_paths(files))}, {named})"
    return Source(f"(SELECT * EXCLUDE ({identifier(ORIGIN)}) {rows})", {})


def empty_frame(given: TaskInput, left: Sequence[bytes], as_: str) -> Any:
    """Returns a table without rows: its columns are those declared, or those that its writer left behind."""
    import duckdb

    columns = {name: type_of_kind(kind_of(kind)) for name, kind in given.columns}
    for content in left:
        columns = columns or columns_of(content, f"'{given.alias}'")
    fields = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE loaded AS SELECT {fields or 'NULL AS nothing'} WHERE false")
        frame = _frame(connection, as_)
    return frame if columns else frame[[]] if as_ == "pandas" else frame.select([])


def _frame(connection: Any, as_: str) -> Any:
    relation = connection.table("loaded")
    if as_ == "polars":
        return relation.pl()
    if as_ == "arrow":
        return relation.to_arrow_table()
    import pandas as pd

    frame = relation.df()
    kinds = zip(relation.columns, map(str, relation.types), strict=True)
    rounded = [name for name, kind in kinds if any(one in kind for one in _ROUNDED)]
    if rounded:  # as Python has them: exact
        rows = connection.execute(f"SELECT {', '.join(map(identifier, rounded))} FROM loaded").fetchall()
        for place, name in enumerate(rounded):
            frame[name] = pd.Series([row[place] for row in rows], index=frame.index, dtype=object)
    return frame
