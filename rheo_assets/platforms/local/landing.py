"""Writes partitions of external data on this machine, completion file last, for tests and trials."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.model.datasets import WILDCARD, DataFormat
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import ExternalData
from rheo_assets.platforms.local.platform import LocalPlatform
from rheo_assets.platforms.local.presto.output import as_declared, write_partition
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.task import TaskOutput

_TAKES = "Give a pandas or polars frame, an arrow table, a list of dicts, or paths of files"


def land(platform: LocalPlatform, node: ExternalData, partition: Partition, data: object) -> str:
    """Replaces a partition of external data, and returns its folder.

    Args:
        platform: The platform that stores it.
        node: The dataset.
        partition: The partition to write.
        data: A pandas or polars frame, an arrow table or a list of dicts, to be written in the dataset's format; or the
            path of a file or folder, or a list of paths, to be copied.

    Raises:
        DeclarationError: The data is of another type, or does not match the declared columns.
    """
    where = f"land({node.describe(partition)})"
    folder = node.layout.uri(node.spec, partition).replace(WILDCARD, "")
    with platform.storage.replacement(folder, f"land-{uuid.uuid4().hex}") as fresh:
        room = Store(platform.root).local(fresh.uri)
        if paths := _paths(data, where):
            _copy(paths, room, node)
        else:
            _write(platform, node, fresh.uri, _table(data, where), where)
        if node.protocol is not None:
            fresh.publish(node.protocol.files[0], b"")
        else:
            _publish_last(fresh, room, where)
    return platform.storage.location(folder)


def _paths(data: object, where: str) -> list[Path]:
    """Returns the files at a path or at a list of paths; an empty list if the data is not a path."""
    given = [data] if isinstance(data, str | Path) else data
    if not isinstance(given, list | tuple) or not given or not all(isinstance(one, str | Path) for one in given):
        return []
    found: list[Path] = []
    for one in map(Path, given):
        if not one.exists():
            raise DeclarationError(where, f"there is no file {str(one)!r}", _TAKES)
        found += sorted(path for path in one.iterdir() if path.is_file()) if one.is_dir() else [one]
    return found


def _copy(paths: Sequence[Path], room: Path, node: ExternalData) -> None:
    completing = node.protocol.files if node.protocol is not None else ()
    for path in paths:
        if path.name not in completing:
            shutil.copyfile(path, room / path.name)


def _table(data: object, where: str) -> Any:
    """Returns rows in a form that DuckDB can read."""
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data):
        try:
            import pyarrow as pa
        except ImportError:
            raise CapabilityMissing(f"{where} needs pyarrow: pip install 'rheo-assets[pandas]'") from None
        return pa.Table.from_pylist([dict(row) for row in data])
    if type(data).__module__.split(".")[0] in {"pandas", "polars", "pyarrow"}:
        return data.to_arrow() if hasattr(data, "to_arrow") else data
    raise DeclarationError(where, f"the data is a {type(data).__name__}", _TAKES)


def _write(platform: LocalPlatform, node: ExternalData, uri: str, table: Any, where: str) -> None:
    import duckdb

    if node.format is DataFormat.ORC:
        raise DeclarationError(where, "rows cannot be written as orc here", "Give the paths of orc files")
    output = TaskOutput(uri, str(node.format), node.options, columns=node.columns)
    with duckdb.connect() as connection:
        try:
            connection.register("landed", table)
            query = as_declared("SELECT * FROM landed", output, connection)
            write_partition(f"({query})", output, Store(platform.root), connection)
        except (Refusal, duckdb.Error) as error:
            raise DeclarationError(where, str(error), _TAKES) from None


def _publish_last(fresh: Any, room: Path, where: str) -> None:
    """Publishes a partition that has no completion file: its last file takes that role."""
    files = sorted(path for path in room.iterdir() if path.is_file())
    if not files:
        raise DeclarationError(where, "there is nothing to write, and nothing else would announce it", _TAKES)
    content = files[-1].read_bytes()
    files[-1].unlink()
    fresh.publish(files[-1].name, content)
