"""`load_data` and `preview_data`: the data of a view as a DataFrame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rheo_assets.dimensions import Partition
from rheo_assets.errors import (
    CapabilityMissing,
    Contradiction,
    DeclarationError,
    InvalidValue,
    NoData,
    NotConcrete,
    listed,
)
from rheo_assets.filters import Exactly, Window
from rheo_assets.nodes import DataNode, ExternalData
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.signals import View
from rheo_assets.whereabouts import folder_of

_log = logging.getLogger("rheo_assets")

_WIDEST = 10_000  # columns of text


def load_data(platform: Platform, view: View, values: Sequence[Any] | None = None) -> Any:
    """Returns the data of a view as one pandas DataFrame: a range is the union of its partitions.

    Args:
        platform: Where it lies.
        view: A concrete partition, or a range.
        values: The tip of a range; the newest complete partition that fits the view otherwise.

    Raises:
        CapabilityMissing: pandas is not installed.
        NotConcrete: A dimension is open.
        NoData: There is none.
    """
    try:
        import pandas as pd
    except ImportError:
        raise CapabilityMissing("load_data needs pandas: pip install 'rheo-assets[pandas]'") from None
    signal = view.node
    if not isinstance(signal, DataNode | ExternalData):
        raise DeclarationError(f"load_data({view})", f"'{signal.id}' holds no data")
    tip = _tip(platform, signal, view, values)
    read, absent = [], []
    for partition in view.partitions(tip):
        found = _files(platform, signal, partition)
        read += found
        if not found:
            absent.append(signal.describe(partition))
    if not read:
        folder = platform.storage.location(folder_of(platform.storage, signal, tip))
        remedy = "app.execute makes it, app.why says why it is not there" if isinstance(signal, DataNode) else "Land it"
        raise NoData(f"{listed(absent)} has no data at {folder}. {remedy}")
    if absent:
        _log.warning("load_data(%s) leaves out what is absent: %s", view, listed(absent))
    with TemporaryDirectory(prefix="rheo-load-") as copies:
        return _read(pd, _here(platform, read, Path(copies)), str(signal.format), dict(signal.options))


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


def _files(platform: Platform, signal: DataNode | ExternalData, partition: Partition) -> list[str]:
    """Returns the URIs of a partition's data files."""
    folder = folder_of(platform.storage, signal, partition)
    names = sorted(segments[0] for segments, _ in platform.storage.find(folder, 0, None))
    return [f"{folder}/{name}" for name in names if not name.startswith("_")]


def _here(platform: Platform, uris: list[str], copies: Path) -> list[str]:
    """Returns where files lie on this machine: their own paths, or those of copies."""
    paths = []
    for number, uri in enumerate(uris):
        path = platform.storage.location(uri)
        if path.startswith("s3://"):
            copy = copies / f"{number}-{uri.rpartition('/')[2]}"
            copy.write_bytes(platform.storage.read(uri))
            path = str(copy)
        paths.append(path)
    return paths


def _read(pd: Any, files: list[str], data_format: str, options: dict[str, Any]) -> Any:
    import duckdb

    if data_format == "orc":
        return pd.concat([pd.read_orc(path) for path in files], ignore_index=True)
    reader = {
        "parquet": "read_parquet(?, union_by_name = true)",
        "json": "read_json_auto(?, union_by_name = true)",
        "csv": f"read_csv_auto(?, union_by_name = true, header = {bool(options.get('header', True))}, "
        f"delim = '{options.get('delimiter', ',')}')",
    }[data_format]
    with duckdb.connect() as connection:
        return connection.execute(f"select * from {reader}", [files]).df()  # fixed texts


def preview_data(platform: Platform, view: View, limit: int, columns: Sequence[str] | None) -> None:
    """Prints the first rows of a view as a table."""
    from rich.console import Console
    from rich.table import Table

    frame = load_data(platform, view)
    shown = frame[list(columns)] if columns else frame
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
