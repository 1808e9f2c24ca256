"""A DuckDB connection of one task: in memory, locked into the object store."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.presto.functions.python import register
from rheo_assets.platforms.local.presto.functions.texts import definitions
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal

_IDLE_KEPT = 2
_PATTERN = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class _Engine:
    """A DuckDB of its own; what does not fit in memory goes to `spill`, a folder that it makes when it needs it."""

    connection: Any
    spill: Path

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.spill, ignore_errors=True)


_idle: list[tuple[object, _Engine]] = []  # the longest idle first
_idle_lock = threading.Lock()


@contextlib.contextmanager
def session(store: Store, *, threads: int, memory_limit: str) -> Iterator[Any]:
    """Yields a connection that reaches the files of the store and nothing else, and is gone at the end."""
    engine = _started(store, threads, memory_limit)
    try:
        yield engine.connection
    finally:
        engine.close()


@contextlib.contextmanager
def warm_session(store: Store, *, threads: int, memory_limit: str) -> Iterator[Any]:
    """Yields a connection as `session` does, of an engine that an earlier task of this process left idle if there is.

    A task has its engine for itself, within one transaction that is rolled back: none sees what another made. After a
    failure, or when it spilled, an engine is closed.
    """
    key = (os.getpid(), store.base, threads, memory_limit)
    engine = _taken(key) or _started(store, threads, memory_limit)
    try:
        engine.connection.begin()
        yield engine.connection
        engine.connection.rollback()
    except BaseException:
        engine.close()
        raise
    _give_back(key, engine)


def _taken(key: object) -> _Engine | None:
    with _idle_lock:
        for place in reversed(range(len(_idle))):
            if _idle[place][0] == key:
                return _idle.pop(place)[1]
    return None


def _give_back(key: object, engine: _Engine) -> None:
    if engine.spill.exists():
        engine.close()
        return
    with _idle_lock:
        _idle.append((key, engine))
        surplus = [_idle.pop(0)[1] for _ in range(len(_idle) - _IDLE_KEPT)]
    for old in surplus:
        old.close()


def _started(store: Store, threads: int, memory_limit: str) -> _Engine:
    import duckdb

    store.base.mkdir(parents=True, exist_ok=True)
    spill = store.root / f".presto-{uuid.uuid4().hex[:12]}"
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "enable_external_file_cache": False,  # a partition may be written again between two tasks
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        register(connection)
        connection.execute(definitions())
        base = f"{store.base}/"
        allowed = ", ".join(map(literal, {base, _as_name(base)}))  # a path is compared as it is written
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return _Engine(connection, spill)


def literal(text: str) -> str:
    """Returns the text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Returns the name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def file_list(files: Any) -> str:
    """Returns the paths as a SQL list. Each is a name: what DuckDB would take for a pattern stands in brackets."""
    return "[" + ", ".join(literal(_as_name(str(file))) for file in files) + "]"


def _as_name(path: str) -> str:
    if not _PATTERN.search(path):
        return path
    if "\\" in path:  # DuckDB knows no way to write one in a pattern
        raise Refusal(f"the path {path!r} has a backslash and one of '*', '?' and '[', which DuckDB cannot read")
    return _PATTERN.sub(r"[\g<0>]", path)
