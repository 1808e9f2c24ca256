"""`load_data` and `preview_data`: the data of a view as a table of pandas, arrow or polars."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rheo_assets.errors import (
    Contradiction,
    DeclarationError,
    InvalidUri,
    InvalidValue,
    NoData,
    NotConcrete,
    UnreadableData,
    did_you_mean,
    listed,
)
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.filters import Exactly, Window
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import View
from rheo_assets.platforms.capabilities import Platform, Storage
from rheo_assets.platforms.data.frames import Tables, check_library, empty_frame
from rheo_assets.platforms.data.partition_folder import announcements, partition_folder
from rheo_assets.platforms.data.readiness import Readiness
from rheo_assets.platforms.local.presto import files as presto
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.data_files import is_bookkeeping, is_hidden_folder
from rheo_assets.runner.empty_outputs import EMPTY_SCHEMA, WITHOUT_TYPES
from rheo_assets.runner.task import TaskInput

_log = logging.getLogger("rheo_assets")

_WIDEST = 10_000  # columns of text
_NOISE = ("Possible fixes", "The search space", "LINE ", "  file")  # in DuckDB's error messages
_ORIGINAL = re.compile(r"^Original Line:.*?(?=^Expected|^Possible|\Z)", re.DOTALL | re.MULTILINE)


def load_data(platform: Platform, view: View, values: Sequence[Any] | None = None, as_: str = "pandas") -> Any:
    """Returns the data of a view as one table: the same table that a node with this input gets.

    A range is the union of its existing partitions. A nearest view is the ready partition closest to the tip.

    Args:
        platform: Where the data is stored.
        view: A concrete partition, or a range.
        values: The tip of a range. The default is the newest complete partition that fits the view.
        as_: The library of the table: `pandas`, `arrow` or `polars`.

    Raises:
        CapabilityMissing: The library is not installed.
        NotConcrete: A dimension is open.
        NoData: There is no data, or a range-checked range is not complete.
        UnreadableData: A file is damaged, or the files do not fit into one table.
    """
    check_library(as_)
    signal = view.node
    if not isinstance(signal, DataNode | ExternalData):
        raise DeclarationError(f"load_data({view})", f"'{signal.id}' has no data")
    tip = _tip(platform, signal, view, values)
    readiness = Readiness(platform.storage)
    partitions = readiness.partitions(view, tip)
    if view.checks_range:
        _check_all_ready(view, partitions, readiness)
    alone = None if view.is_covering else tip
    with TemporaryDirectory(prefix="rheo-load-") as copies:
        reading = _Reading(platform, signal, Path(copies))
        for partition in partitions:
            reading.add(partition, is_there=readiness.is_readable(signal, partition, alone))
        if len(reading.absent) == len(partitions):
            folder = platform.storage.location(partition_folder(platform.storage, signal, tip))
            is_ours = isinstance(signal, DataNode)
            remedy = "Build it with app.execute, or see app.why" if is_ours else "Land it"
            raise NoData(f"{listed(reading.absent)} has no data at {folder}. {remedy}")
        if reading.absent:
            _log.warning("load_data(%s) skips missing partitions: %s", view, listed(reading.absent))
        return reading.read(as_)


class _Reading:
    """The files of the partitions that are read, and how they become one table.

    Attributes:
        absent: The partitions that have no files.
    """

    def __init__(self, platform: Platform, signal: DataNode | ExternalData, copies: Path) -> None:
        self.absent: list[str] = []
        self._storage = platform.storage
        self._signal = signal
        self._copies = copies
        self._found: list[presto.Partition] = []
        self._empty: list[bytes] = []
        self._given = TaskInput(signal.id, format=str(signal.format), options=signal.options, columns=signal.columns)

    def add(self, partition: Partition, *, is_there: bool) -> None:
        """Adds the files of a partition; remote files are downloaded."""
        described = self._signal.describe(partition)
        folder = partition_folder(self._storage, self._signal, partition)
        uris = sorted(_below(self._storage, folder, described)) if is_there else []
        if not uris:
            self.absent.append(described)
            return
        files = [self._file(uri, folder) for uri in uris]
        filled = [file for file in files if self._is_filled(file, described)]
        self._found.append(presto.Partition(folder, described, tuple(filled)))
        if not filled and str(self._signal.format) in WITHOUT_TYPES:
            try:
                self._empty.append(self._storage.read(f"{folder}/{EMPTY_SCHEMA}"))
            except FileNotFoundError:
                return

    def read(self, as_: str) -> Any:
        """Returns the files as one table."""
        filled = [partition for partition in self._found if partition.files]
        if not filled:
            return empty_frame(self._given, self._empty, as_)
        tables = Tables(self._given, self._copies)
        try:
            return tables.read(filled, as_)
        except presto.FileFault as fault:
            raise self._unreadable(fault.partition, fault.file, fault.fault) from fault
        except Refusal as refusal:
            raise self._not_together(filled, refusal.reason) from refusal
        except _faults() as error:
            if _of_this_machine(error):
                raise
            raise self._blamed(tables, filled, error) from error

    def _file(self, uri: str, folder: str) -> presto.DataFile:
        *folders, name = uri.removeprefix(folder).strip("/").split("/")
        path = Path(self._storage.location(uri))
        if self._storage.location(uri).startswith("s3://"):
            path = self._copies.joinpath(str(len(self._found)), *folders, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._storage.read(uri))
        return presto.DataFile(path, uri, tuple(folders))

    def _is_filled(self, file: presto.DataFile, described: str) -> bool:
        size = file.path.stat().st_size
        try:
            presto.check_readable(self._given, described, file.uri, file.path, size)
        except presto.FileFault as fault:
            raise self._unreadable(described, file.uri, fault.fault) from fault
        return size > 0

    def _unreadable(self, partition: str, uri: str, cause: str) -> UnreadableData:
        return UnreadableData(partition, f"{self._signal.format} file {uri}", cause.rstrip(". "), self._again)

    def _not_together(self, filled: Sequence[presto.Partition], cause: str) -> UnreadableData:
        count = sum(len(partition.files) for partition in filled)
        remedy = f"{self._again} whose columns or types differ, or load them one by one"
        partitions = listed(dict.fromkeys(partition.label for partition in filled))
        return UnreadableData(partitions, f"{count} {self._signal.format} files as one table", cause, remedy)

    @property
    def _again(self) -> str:
        return "Write the partition again" + (" (app.execute)" if isinstance(self._signal, DataNode) else "")

    def _blamed(self, tables: Tables, filled: Sequence[presto.Partition], error: Exception) -> UnreadableData:
        """Returns the error that names the unreadable file, or that reports that the files do not fit together."""
        for partition in filled:
            for file in partition.files:
                try:
                    tables.read([presto.Partition(partition.uri, partition.label, (file,))], "pandas")
                except Refusal as fault:
                    return self._unreadable(partition.label, file.uri, fault.reason)
                except _faults() as fault:
                    return self._unreadable(partition.label, file.uri, _cause(fault, file))
        return self._not_together(filled, _cause(error))


def _check_all_ready(view: View, partitions: Sequence[Partition], readiness: Readiness) -> None:
    unready = [view.node.describe(p) for p in partitions if not readiness.is_ready(view.node, p)]
    if unready:
        raise NoData(
            f"load_data({view}): {listed(unready)} is not ready. Build or land it, or remove range_check to load "
            "what exists"
        )


def _tip(platform: Platform, signal: DataNode | ExternalData, view: View, values: Sequence[Any] | None) -> Partition:
    if values is not None:
        tip = signal.spec.read(values)
        if not view.admits(tip):
            raise Contradiction(f"load_data: {signal.describe(tip)} is not in {view}")
        return tip
    for position, dimension in enumerate(signal.spec):
        constraint = view.constraints[position] if position < len(view.constraints) else None
        if view.cover is not None and position == view.cover.position:
            continue
        if not isinstance(constraint, Exactly | Window):
            raise NotConcrete(str(view), "load_data", f"'{dimension.name}'")
    return view.tip("load_data") if view.is_material else _newest(platform, signal, view)


def _newest(platform: Platform, signal: DataNode | ExternalData, view: View) -> Partition:
    """Returns the newest complete partition that fits a view: its ranges count back from there."""
    layout, newest = signal.layout, None
    for segments, _ in announcements(platform.storage, signal):
        try:
            partition = layout.parse(signal.spec, segments[:-1])
        except InvalidValue:
            continue  # not a folder of this signal
        if view.admits(partition) and (newest is None or partition > newest):
            newest = partition
    if newest is None:
        raise NoData(f"{view} has no data: no matching partition is complete at {layout.root}")
    return newest


def _below(storage: Storage, folder: str, partition: str) -> Iterator[str]:
    """Yields the data files of a folder and its subfolders, without hidden ones, as the engines do.

    Raises:
        UnreadableData: A folder's name is not valid in the storage, such as `k=a%2Fb`.
    """
    files = {segments[0] for segments, _ in storage.find(folder, 0, None)}
    yield from (f"{folder}/{name}" for name in files if not is_bookkeeping(name))
    for name in storage.children(folder):
        if name not in files and not is_hidden_folder(name):
            try:
                yield from _below(storage, f"{folder}/{name}", partition)
            except InvalidUri as error:
                remedy = "Rename it where it is written, or read it in a node"
                raise UnreadableData(partition, f"folder {name!r}", str(error), remedy) from None
            except UnreadableData:
                raise
            except ValueError:
                continue  # a link that leads outside the storage, which has logged it


def _faults() -> tuple[type[Exception], ...]:
    """Returns the errors that readers raise for bad data: DuckDB's own, and builtins from pyarrow."""
    import duckdb

    return duckdb.Error, OSError, ValueError


def _of_this_machine(error: Exception) -> bool:
    """Returns whether an error is about memory or an interruption, not the data."""
    import duckdb

    return isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException)


def _cause(error: Exception, file: presto.DataFile | None = None) -> str:
    """Returns a reader's error in one line, with the file's URI as the user knows it."""
    lines: list[str] = []
    for line in _ORIGINAL.sub("", str(error)).splitlines():
        if lines and line.startswith(_NOISE):
            break
        lines += [line.strip()] if line.strip() else []
    text = " ".join(lines).removeprefix("Invalid Input Error: ").removeprefix("IO Error: ")
    text = "".join(letter if letter.isprintable() else "?" for letter in text)  # DuckDB quotes the bad value
    return (text.replace(str(file.path), file.uri) if file is not None else text).rstrip(". ")


def preview_data(platform: Platform, view: View, limit: int, columns: Sequence[str] | None) -> None:
    """Prints the first rows of a view as a table."""
    from rich.console import Console
    from rich.table import Table

    if isinstance(columns, str):
        raise DeclarationError(
            f"preview_data({view})", f"`columns` is the string {columns!r}", f"Give a list: columns=[{columns!r}]"
        )
    frame = load_data(platform, view)
    shown = frame[_known(view, frame, columns)] if columns else frame
    table = Table()
    for name in shown.columns:
        table.add_column(str(name))
    for row in shown.head(limit).itertuples(index=False):
        table.add_row(*(str(value) for value in row))
    console = Console()
    if not (console.is_terminal or console.is_jupyter):  # a file or a pipe has no width
        needed = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
        console.width = max(console.width, needed)
    console.print(f"{view} ({len(frame):,} rows)", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


def _known(view: View, frame: Any, columns: Sequence[str]) -> list[str]:
    """Returns the columns to show; raises for a column that the data does not have."""
    there = [str(name) for name in frame.columns]
    for column in columns:
        if column not in there:
            problem = f"there is no column {column!r} (there are {listed(there)})"
            raise DeclarationError(f"preview_data({view})", problem, did_you_mean(str(column), there).strip())
    return list(columns)
