"""`load_data` and `preview_data`: the data of a view as a DataFrame."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from rheo_assets.errors import (
    CapabilityMissing,
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
from rheo_assets.platforms.data.partition_folder import partition_folder
from rheo_assets.platforms.data.readiness import Readiness
from rheo_assets.platforms.local.presto import csv_files, schemas
from rheo_assets.platforms.local.presto.files import KEY, hidden
from rheo_assets.platforms.local.presto.session import identifier, literal

_log = logging.getLogger("rheo_assets")

_ORIGIN = "rheo$path"
_NULL = "__HIVE_DEFAULT_PARTITION__"
_WIDEST = 10_000  # columns of text
_NOISE = ("Possible fixes", "The search space", "LINE ", "  file")  # of DuckDB's texts
_ORIGINAL = re.compile(r"^Original Line:.*?(?=^Expected|^Possible|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _File:
    """A data file.

    Attributes:
        partition: The partition that it is of.
        uri: Its URI.
        path: Where it lies on this machine.
        keys: What the `name=value` folders between its partition's folder and it say.
    """

    partition: str
    uri: str
    path: str
    keys: Mapping[str, str | None]


def load_data(platform: Platform, view: View, values: Sequence[Any] | None = None) -> Any:
    """Returns the data of a view as one pandas DataFrame, as the code of a node gets it that has the view as input.

    A range is the union of its partitions that are there. Nearest is the ready one closest to the tip.

    Args:
        platform: Where it lies.
        view: A concrete partition, or a range.
        values: The tip of a range; the newest complete partition that fits the view otherwise.

    Raises:
        CapabilityMissing: pandas is not installed.
        NotConcrete: A dimension is open.
        NoData: There is none, or not all of a range-checked range.
        UnreadableData: A file is damaged, or the files make no one table.
    """
    try:
        import pandas as pd
    except ImportError:
        raise CapabilityMissing("load_data needs pandas: pip install 'rheo-assets[pandas]'") from None
    signal = view.node
    if not isinstance(signal, DataNode | ExternalData):
        raise DeclarationError(f"load_data({view})", f"'{signal.id}' holds no data")
    tip = _tip(platform, signal, view, values)
    readiness = Readiness(platform.storage)
    partitions = readiness.partitions(view, tip)
    if view.checks_range:
        _check_all_ready(view, partitions, readiness)
    read, absent = [], []
    for partition in partitions:
        found = _files(platform, signal, partition) if readiness.is_readable(signal, partition, tip) else []
        read += found
        if not found:
            absent.append(signal.describe(partition))
    if not read:
        folder = platform.storage.location(partition_folder(platform.storage, signal, tip))
        remedy = "app.execute makes it, app.why says why it is not there" if isinstance(signal, DataNode) else "Land it"
        raise NoData(f"{listed(absent)} has no data at {folder}. {remedy}")
    if absent:
        _log.warning("load_data(%s) leaves out what is absent: %s", view, listed(absent))
    with TemporaryDirectory(prefix="rheo-load-") as copies:
        files = _here(platform, read, Path(copies))
        try:
            return _read(pd, files, str(signal.format), dict(signal.options))
        except _faults() as error:
            if _of_this_machine(error):
                raise
            raise _unreadable(pd, signal, files, error) from error


def _check_all_ready(view: View, partitions: Sequence[Partition], readiness: Readiness) -> None:
    unready = [view.node.describe(p) for p in partitions if not readiness.is_ready(view.node, p)]
    if unready:
        raise NoData(
            f"load_data({view}): {listed(unready)} is not ready. Make or land it, or leave range_check out to load "
            "what there is"
        )


def _tip(platform: Platform, signal: DataNode | ExternalData, view: View, values: Sequence[Any] | None) -> Partition:
    if values is not None:
        tip = signal.spec.read(values)
        if not view.admits(tip):
            raise Contradiction(f"load_data: {signal.describe(tip)} is not in {view}")
        return tip
    for position, dimension in enumerate(signal.spec):
        constraint = view.constraints[position] if position < len(view.constraints) else None
        if not isinstance(constraint, Exactly | Window):
            raise NotConcrete(str(view), "load_data", f"'{dimension.name}'")
    return view.tip("load_data") if view.is_material else _newest(platform, signal, view)


def _newest(platform: Platform, signal: DataNode | ExternalData, view: View) -> Partition:
    """Returns the newest complete partition that fits a view: its ranges count back from there."""
    layout, newest = signal.layout, None
    names = signal.protocol.files if signal.protocol is not None else None
    for segments, _ in platform.storage.find(layout.root, layout.depth(signal.spec), names):
        try:
            partition = layout.parse(signal.spec, segments[:-1])
        except InvalidValue:
            continue  # a folder of somebody else's
        if view.admits(partition) and (newest is None or partition > newest):
            newest = partition
    if newest is None:
        raise NoData(f"{view} has no data: nothing that fits it is complete at {layout.root}")
    return newest


def _files(platform: Platform, signal: DataNode | ExternalData, partition: Partition) -> list[_File]:
    """Returns a partition's data files; where they lie on this machine is not said yet."""
    described, folder = signal.describe(partition), partition_folder(platform.storage, signal, partition)
    uris = sorted(_below(platform.storage, folder, described))
    return [_File(described, uri, "", _keys(uri.removeprefix(folder))) for uri in uris]


def _keys(path: str) -> dict[str, str | None]:
    """Returns what the `name=value` folders of a path below a partition say, as the engines read them."""
    pairs = [match.groups() for part in path.split("/")[:-1] if (match := KEY.fullmatch(part))]
    return {name: None if value == _NULL else unquote(value) for name, value in pairs}


def _below(storage: Storage, folder: str, partition: str) -> Iterator[str]:
    """Yields the data files of a folder and of those below it, without the hidden ones, as the engines do.

    Raises:
        UnreadableData: The name of a folder is none of the store, such as `k=a%2Fb`.
    """
    files = {segments[0] for segments, _ in storage.find(folder, 0, None)}
    yield from (f"{folder}/{name}" for name in files if not hidden(name))
    for name in storage.children(folder):
        if name not in files and not hidden(name):
            try:
                yield from _below(storage, f"{folder}/{name}", partition)
            except InvalidUri as error:
                remedy = "Rename it where it is written, or read it in a node"
                raise UnreadableData(partition, f"folder {name!r}", str(error), remedy) from None
            except UnreadableData:
                raise
            except ValueError:
                continue  # a link out of the store, which the storage has told


def _here(platform: Platform, files: list[_File], copies: Path) -> list[_File]:
    """Returns the files with where they lie on this machine: their own paths, or those of copies."""
    found = []
    for number, file in enumerate(files):
        path = platform.storage.location(file.uri)
        if path.startswith("s3://"):
            copy = copies / f"{number}-{file.uri.rpartition('/')[2]}"
            copy.write_bytes(platform.storage.read(file.uri))
            path = str(copy)
        found.append(replace(file, path=path))
    return found


def _read(pd: Any, files: list[_File], data_format: str, options: dict[str, Any]) -> Any:
    if data_format in {"csv", "json"}:  # Spark leaves an empty file for an empty part of a DataFrame
        files = [file for file in files if Path(file.path).stat().st_size]
        if not files:
            return pd.DataFrame()
    shapes = sorted({tuple(file.keys) for file in files})
    if len(shapes) > 1:
        raise ValueError(f"the `name=value` folders differ: {listed(map(list, shapes))}")
    if not shapes[0]:
        return _table(pd, files, data_format, options, origin="")
    frame = _table(pd, files, data_format, options, _ORIGIN)
    origins = frame.pop(_ORIGIN)
    known = {str(name).lower() for name in frame.columns}  # a column of the files counts, not a folder of its name
    for name in shapes[0]:
        if name.lower() not in known:
            frame[name] = origins.map({file.path: file.keys[name] for file in files})
    return frame


def _table(pd: Any, files: list[_File], data_format: str, options: dict[str, Any], origin: str) -> Any:
    """Returns the rows of the files; with an `origin`, a column of that name has the paths of their files."""
    import duckdb

    paths = [file.path for file in files]
    if data_format == "orc":
        frames = (pd.read_orc(path).assign(**({origin: path} if origin else {})) for path in paths)
        return pd.concat(frames, ignore_index=True)
    with duckdb.connect() as connection:
        if data_format == "csv":
            return _csv_table([Path(path) for path in paths], options, connection, origin).df()
        reader, typed = "read_parquet", ""
        if data_format == "json":
            reader, typed = "read_json_auto", _json_types([Path(path) for path in paths], connection)
        union = "union_by_name = true, hive_partitioning = false"
        named = f", filename = '{origin}'" if origin else ""
        return connection.execute(f"select * from {reader}(?, {union}{typed}{named})", [paths]).df()


def _json_types(files: list[Path], connection: Any) -> str:
    """Returns the argument that gives objects a line the types with which a query reads them; others have none."""
    import duckdb

    try:
        columns = schemas.json_columns(files, connection)
    except duckdb.InvalidInputException:  # a document over several lines
        return ""
    if columns is None:
        return ""
    texts = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
    return f", columns = {{{texts}}}, format = 'newline_delimited'"


def _csv_table(files: list[Path], options: Mapping[str, Any], connection: Any, origin: str) -> Any:
    """Returns the rows of csv files, with the names and types that a query reads them with."""
    named = groupby(files, lambda file: csv_files.names_of(file, options, connection))
    parts = [(names, list(same)) for names, same in named]
    source = " UNION ALL BY NAME ".join(
        f"FROM {csv_files.reader(same, names, options, origin)}" for names, same in parts
    )
    everything = list(dict.fromkeys(name for names, _ in parts for name in names))
    kinds = csv_files.kinds_of(everything, f"({source})", connection)
    typed = {name: "VARCHAR" if kind == csv_files.UNKNOWN else kind for name, kind in kinds.items()}
    columns = ", ".join(f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in typed.items())
    path = f", {identifier(origin)}" if origin else ""
    return connection.execute(f"SELECT {columns}{path} FROM ({source})")


def _faults() -> tuple[type[Exception], ...]:
    """Returns what readers raise about data: DuckDB's errors, and pyarrow's, which are these builtins."""
    import duckdb

    return duckdb.Error, OSError, ValueError


def _of_this_machine(error: Exception) -> bool:
    """Returns whether an error is about memory or an interruption, not about the data."""
    import duckdb

    return isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException)


def _unreadable(pd: Any, signal: DataNode | ExternalData, files: list[_File], error: Exception) -> UnreadableData:
    """Returns the error that names the file that cannot be read, or says that the files do not go together."""
    again = "Write the partition again" + (" (app.execute)" if isinstance(signal, DataNode) else "")
    for file in files:
        try:
            _read(pd, [file], str(signal.format), dict(signal.options))
        except _faults() as fault:
            return UnreadableData(file.partition, f"{signal.format} file {file.uri}", _cause(fault, file), again)
    partitions = listed(dict.fromkeys(file.partition for file in files))
    remedy = f"{again} whose columns or types differ, or load them one by one"
    return UnreadableData(partitions, f"{len(files)} {signal.format} files as one table", _cause(error), remedy)


def _cause(error: Exception, file: _File | None = None) -> str:
    """Returns what a reader found, in one line, with the file as the user knows it."""
    lines: list[str] = []
    for line in _ORIGINAL.sub("", str(error)).splitlines():
        if lines and line.startswith(_NOISE):
            break
        lines += [line.strip()] if line.strip() else []
    text = " ".join(lines).removeprefix("Invalid Input Error: ").removeprefix("IO Error: ")
    text = "".join(letter if letter.isprintable() else "?" for letter in text)  # DuckDB quotes what it found
    return (text.replace(file.path, file.uri) if file is not None else text).rstrip(". ")


def preview_data(platform: Platform, view: View, limit: int, columns: Sequence[str] | None) -> None:
    """Prints the first rows of a view as a table."""
    from rich.console import Console
    from rich.table import Table

    if isinstance(columns, str):
        raise DeclarationError(
            f"preview_data({view})", f"`columns` is the text {columns!r}", f"Give a list: columns=[{columns!r}]"
        )
    frame = load_data(platform, view)
    shown = frame[_known(view, frame, columns)] if columns else frame
    table = Table()
    for name in shown.columns:
        table.add_column(str(name))
    for row in shown.head(limit).itertuples(index=False):
        table.add_row(*(str(value) for value in row))
    console = Console()
    if not (console.is_terminal or console.is_jupyter):  # a file or a pipe has no width to fit into
        needed = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
        console.width = max(console.width, needed)
    console.print(f"{view} ({len(frame):,} rows)", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


def _known(view: View, frame: Any, columns: Sequence[str]) -> list[str]:
    """Returns the columns to show; refuses those that the data has not."""
    there = [str(name) for name in frame.columns]
    for column in columns:
        if column not in there:
            problem = f"there is no column {column!r} (there are {listed(there)})"
            raise DeclarationError(f"preview_data({view})", problem, did_you_mean(str(column), there).strip())
    return list(columns)
