"""Run files: the SQLite file of a run's events starts as a copy of an empty one, not with Dagster's migrations.

Dagster keeps the events of each run in a separate file. To create one, it creates the tables and reads all of its
migration scripts, twice, which takes as long as the rest of a short run.
"""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

import dagster as dg

from rheo_assets.bridge.dagster_internals import (
    Initializer,
    SqliteEventLogStorage,
    create_engine,
    replace_run_file_initializer,
)

_lock = threading.Lock()
_kept: list[bytes] = []  # the empty file, once this process has needed it: it depends on Dagster's version alone


def copy_empty_run_files(instance: dg.DagsterInstance) -> None:
    """Lets this instance object copy an empty file for each new run, if its event log is one SQLite file per run."""
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        replace_run_file_initializer(storage, _copying)


def _copying(by_dagster: Initializer) -> Initializer:
    def initialize(engine: Any, for_index_shard: bool = False) -> None:
        path = Path(engine.url.database)
        if for_index_shard or path.exists():
            by_dagster(engine, for_index_shard)
        else:
            _create(path, _empty(by_dagster))

    return initialize


def _empty(by_dagster: Initializer) -> bytes:
    """Returns the content of a run's file without events."""
    with _lock:
        if not _kept:
            with tempfile.TemporaryDirectory(prefix="rheo-run-") as folder:
                path = Path(folder, "empty.db")
                engine = create_engine(f"sqlite:///{path}")
                by_dagster(engine, False)
                engine.dispose()  # the last connection to close moves the write-ahead log into the file
                _kept.append(path.read_bytes())
        return _kept[0]


def _create(path: Path, content: bytes) -> None:
    """Creates a file in one step; keeps one that another process created in the meantime."""
    whole = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    whole.write_bytes(content)
    try:
        os.link(whole, path)
    except FileExistsError:
        pass
    finally:
        whole.unlink()
