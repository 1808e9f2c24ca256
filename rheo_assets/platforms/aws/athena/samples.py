"""A look into files of S3 without fetching them whole: enough for DuckDB to say which columns they have.

A Parquet file says everything in its footer: a sparse file of the right size, with the true footer at its end, is read
like the whole one. Of text the first lines are fetched.
"""

from __future__ import annotations

import bz2
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rheo_assets.runner.data_files import is_data

_HEAD: Final = 1024 * 1024  # bytes of a text file
_TAIL: Final = 64 * 1024  # bytes that hold most footers
_MAGIC: Final = b"PAR1"
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class DataFile:
    """An object that holds data."""

    bucket: str
    key: str
    size: int

    @property
    def uri(self) -> str:
        """Its URI."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """Its own name."""
        return self.key.rsplit("/", 1)[-1]


def data_files(client: Any, uri: str) -> list[DataFile]:
    """Returns the data objects below a partition's prefix, sorted by key; hidden and empty ones are left out."""
    start = len(uri.rstrip("/")) + 1
    found = (file for file in objects(client, uri) if file.size and is_data(file.uri[start:]))
    return sorted(found, key=lambda file: file.key)


def objects(client: Any, uri: str) -> list[DataFile]:
    """Returns every object below a prefix."""
    bucket, _, prefix = uri.removeprefix("s3://").rstrip("/").partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return [DataFile(bucket, item["Key"], int(item["Size"])) for page in pages for item in page.get("Contents", ())]


def fetch_samples(client: Any, files: Sequence[DataFile], root: Path, data_format: str) -> list[Path]:
    """Fetches a sample of each file to its place below `root/s3`, and returns the paths."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-samples") as pool:
        return list(pool.map(lambda file: _fetched(client, file, root, data_format), files))


def _fetched(client: Any, file: DataFile, root: Path, data_format: str) -> Path:
    path = root / "s3" / file.bucket / file.key
    path.parent.mkdir(parents=True, exist_ok=True)
    if data_format == "parquet":
        _parquet_footer(client, file, path)
    elif file.name.endswith(".bz2"):  # which Athena reads, and DuckDB does not
        path = path.with_name(path.name.removesuffix(".bz2"))
        head = _range(client, file, 0, min(file.size, _HEAD))
        path.write_bytes(_lines(bz2.BZ2Decompressor().decompress(head), is_whole=file.size <= _HEAD))
    elif file.size <= _HEAD:
        path.write_bytes(_range(client, file, 0, file.size))
    else:
        path = path.with_name(path.name.removesuffix(".gz"))
        path.write_bytes(_first_lines(_range(client, file, 0, _HEAD), is_packed=file.name.endswith(".gz")))
    return path


def _parquet_footer(client: Any, file: DataFile, path: Path) -> None:
    tail = _range(client, file, max(0, file.size - _TAIL), file.size)
    length = struct.unpack("<I", tail[-8:-4])[0] + 8 if len(tail) >= 8 and tail[-4:] == _MAGIC else len(tail)
    if length > len(tail):
        tail = _range(client, file, max(0, file.size - length), file.size)
    with path.open("wb") as sparse:
        sparse.write(_MAGIC)
        sparse.seek(file.size - len(tail))
        sparse.write(tail)


def _first_lines(head: bytes, *, is_packed: bool) -> bytes:
    text = zlib.decompressobj(wbits=31).decompress(head) if is_packed else head
    return _lines(text, is_whole=False)


def _lines(text: bytes, *, is_whole: bool) -> bytes:
    return text if is_whole else text[: text.rfind(b"\n") + 1] or text


def _range(client: Any, file: DataFile, start: int, end: int) -> bytes:
    answer = client.get_object(Bucket=file.bucket, Key=file.key, Range=f"bytes={start}-{end - 1}")
    content: bytes = answer["Body"].read()
    return content
