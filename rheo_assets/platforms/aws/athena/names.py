"""The files of a result under the names that the laptop gives them.

Athena writes parquet files without an extension, and json and csv packed, under names of its own. A callable that reads
`*.parquet` or `*.json` is to find its files on AWS, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rheo_assets.platforms.aws.athena.samples import DataFile, data_files
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.platforms.local.presto.output import file_name
from rheo_assets.runner.task import TaskOutput

_AT_ONCE: Final = 8
_PACKED: Final = ".gz"


def give_names(storage: S3Storage, output: TaskOutput, note: str) -> None:
    """Renames the files of an output.

    It may be called again, by another process too: the first one notes the names. A file that has its name is left.

    Args:
        storage: Where the output is.
        output: What a query has unloaded.
        note: The URI of the object that keeps the names.
    """
    files = data_files(storage.s3, output.path)
    planned = {file.name: file_name(output, number) for number, file in enumerate(files)}
    names = _noted(storage, note, planned)
    here = [file for file in files if file.name in names]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-names") as pool:
        for _ in pool.map(lambda file: _copy(storage, output, file, names[file.name]), here):  # raises what it raised
            pass
    bucket = output.path.removeprefix("s3://").partition("/")[0]
    storage.delete_keys(bucket, (file.key for file in here))


def _noted(storage: S3Storage, note: str, planned: Mapping[str, str]) -> dict[str, str]:
    storage.create(note, json.dumps(planned).encode())
    noted: dict[str, str] = json.loads(storage.read(note))
    return noted


def _copy(storage: S3Storage, output: TaskOutput, file: DataFile, name: str) -> None:
    target = f"{file.key.rpartition('/')[0]}/{name}"
    try:
        if file.name.endswith(_PACKED) and output.format != "parquet" and not name.endswith(_PACKED):
            storage.unpack(file.bucket, file.key, target)
        else:
            storage.copy(file.bucket, file.key, file.size, target)
    except FileNotFoundError:  # another driver of this execution has renamed it
        return
