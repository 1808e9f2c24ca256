"""The data files of an input: which there are, and which partition each belongs to."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.data_files import NULL_FOLDER, folder_values, is_bookkeeping, is_hidden_folder
from rheo_assets.runner.task import TaskInput

ORIGIN = "rheo$path"  # the column with the path of a row's file
_CHUNK = 1 << 20
_UNREADABLE = {
    ".bz2": "bzip2", ".lz4": "lz4", ".snappy": "snappy", ".deflate": "deflate", ".xz": "xz", ".lzo": "lzo",
    ".zip": "zip", ".br": "brotli",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file.

    Attributes:
        path: Where it lies on this machine.
        uri: Its URI.
        folders: The folders between its partition's folder and it.
    """

    path: Path
    uri: str
    folders: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the `name=value` folders above it."""
        return tuple(folder_values(self.folders))


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an input.

    Attributes:
        uri: Where it lies.
        label: What a person calls it: its dimension values, or its URI.
        files: Its data files, sorted; bookkeeping and empty ones are left out.
    """

    uri: str
    label: str
    files: tuple[DataFile, ...]


class FileFault(Refusal):
    """A file that cannot be read, or contradicts what is declared.

    Attributes:
        file: Its URI.
        partition: Its partition's label.
        fault: What is wrong with it: `it is not csv in UTF-8`.
    """

    def __init__(self, given: TaskInput, partition: str, uri: str, fault: str) -> None:
        super().__init__(f"the file {uri} of the input '{given.alias}' cannot be read: {fault}. Write it again")
        self.file = uri
        self.partition = partition
        self.fault = fault


def partitions(given: TaskInput, store: Store) -> tuple[Partition, ...]:
    """Returns the present partitions of an input, tip first."""
    labels = dict(zip(given.paths, given.partitions, strict=False))
    found = []
    for uri in given.present:
        files = [(path, path.stat().st_size) for path in _below(store.local(uri))]
        label = "/".join(labels.get(uri, ())) or uri
        listed = tuple(_file(path, uri, store) for path, size in files if size or given.format == "parquet")
        found.append(Partition(uri, label, listed))
        for path, size in files:
            check_readable(given, label, store.uri(path), path, size)
    return tuple(found)


def check_readable(given: TaskInput, label: str, uri: str, path: Path, size: int) -> None:
    """Refuses a file that DuckDB would misread.

    Spark leaves an empty JSON or CSV file for an empty part of a DataFrame; an empty Parquet file is damaged.

    Raises:
        FileFault: It is empty, cut short, or compressed in a way that DuckDB does not know.
    """
    if size == 0 and given.format == "parquet":
        raise FileFault(given, label, uri, "it is empty, so it is not a Parquet file")
    codec = _UNREADABLE.get(Path(uri).suffix.lower())
    if codec and given.format in {"csv", "json"}:
        remedy = "Write it as .gz or .zst, or read it in a Spark target"
        raise FileFault(given, label, uri, f"{codec} is not available in the local Athena. {remedy}")
    if size and path.suffix == ".gz" and given.format in {"csv", "json"}:
        try:
            with gzip.open(path) as content:  # DuckDB reads what there is of a file that was cut short
                while content.read(_CHUNK):
                    pass
        except (EOFError, OSError, zlib.error) as error:
            raise FileFault(given, label, uri, f"it is not a complete gzip file and may be damaged: {error}") from None


def _below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not is_hidden_folder(name))
        found += (Path(folder, name) for name in sorted(names) if not is_bookkeeping(name))
    return found


def _file(path: Path, partition: str, store: Store) -> DataFile:
    uri = store.uri(path)
    return DataFile(path, uri, tuple(uri.removeprefix(partition).strip("/").split("/")[:-1]))


def folder_keys(found: Iterable[Partition]) -> tuple[str, ...]:
    """Returns the names of the `name=value` folders below the partitions.

    Raises:
        Refusal: They differ between files.
    """
    shapes: dict[tuple[str, ...], str] = {}
    for partition in found:
        for file in partition.files:
            shapes.setdefault(file.keys, file.uri)
    if len(shapes) > 1:
        (one, here), (other, there), *_ = sorted(shapes.items())
        raise Refusal(f"the `name=value` folders differ: {list(one)} of {here}, {list(other)} of {there}")
    return next(iter(shapes), ())


def folder_value(key: str) -> str:
    """Returns the SQL that reads a `name=value` folder off the path of a row's file."""
    pattern = f".*/{re.escape(key)}=([^/]*)/".replace("'", "''")
    value = f"url_decode(regexp_extract(\"{ORIGIN}\", '{pattern}', 1, 's'))"
    return f"nullif({value}, '{NULL_FOLDER}')"


def as_paths(files: Sequence[DataFile]) -> list[Path]:
    """Returns where the files lie on this machine."""
    return [file.path for file in files]
