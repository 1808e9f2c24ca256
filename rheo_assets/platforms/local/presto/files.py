"""The data files of an input: which there are, and which partition each belongs to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.task import TaskInput

KEY = re.compile(r"([^=/]+)=([^/]*)")


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an input.

    Attributes:
        uri: Where it lies.
        folder: The same on this machine.
        label: What a person calls it: its dimension values, or its URI.
        files: Its data files, sorted; hidden ones and empty ones are left out.
    """

    uri: str
    folder: Path
    label: str
    files: tuple[Path, ...]


def partitions(given: TaskInput, store: Store) -> tuple[Partition, ...]:
    """Returns the present partitions of an input, tip first."""
    labels = dict(zip(given.paths, given.partitions, strict=False))
    folders = {uri: store.local(uri) for uri in given.present}
    return tuple(
        Partition(uri, folder, "/".join(labels.get(uri, ())) or uri, tuple(_files(folder, given, store)))
        for uri, folder in folders.items()
    )


def _files(path: Path, given: TaskInput, store: Store) -> list[Path]:
    if path.is_file():
        return [path]
    found: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not hidden(name))
        found += (Path(folder, name) for name in sorted(names) if not hidden(name))
    empty = [file for file in found if file.stat().st_size == 0]
    if empty and given.format == "parquet":
        raise Refusal(
            f"the file {store.uri(empty[0])} of the input '{given.alias}' is empty: it is no Parquet file. "
            "Write the partition again"
        )
    # Spark leaves an empty JSON or CSV file for an empty part of a DataFrame.
    return [file for file in found if file not in set(empty)]


def hidden(name: str) -> bool:
    """Returns whether a file or folder is none of the data: `_SUCCESS`, `.crc`, `_temporary`."""
    return name.startswith(("_", ".")) or name.endswith(".crc")


def folder_keys(partition: Partition) -> tuple[str, ...]:
    """Returns the names of the `name=value` folders below the partition.

    Raises:
        Refusal: They differ between files.
    """
    shapes = {
        tuple(hit.group(1) for part in file.relative_to(partition.folder).parts[:-1] if (hit := KEY.fullmatch(part)))
        for file in partition.files
        if file != partition.folder
    }
    if len(shapes) > 1:
        raise Refusal(f"the folders below {partition.uri} differ in depth: {sorted(shapes)}")
    return shapes.pop() if shapes else ()


def folder_value(filename: str, key: str) -> str:
    """Returns the SQL that reads a `name=value` folder off the expression of a file name."""
    pattern = f".*/{re.escape(key)}=([^/]*)/".replace("'", "''")
    value = f"url_decode(regexp_extract({filename}, '{pattern}', 1))"
    return f"nullif({value}, '__HIVE_DEFAULT_PARTITION__')"
