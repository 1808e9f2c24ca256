"""Every private name of Dagster that this library relies on. Seen in dagster 1.13.27.

No other module imports from `dagster._…` or calls a private method of a Dagster object. `tests/bridge/
test_dagster_internals.py` has a test for each name, which fails when a release of Dagster changes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg
from dagster._check import CheckError
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.instance import InstanceRef
from dagster._core.scheduler.instigation import InstigatorStatus, SensorInstigatorData
from dagster._core.storage.event_log import (
    ConsolidatedSqliteEventLogStorage,
    EventLogStorage,
    InMemoryEventLogStorage,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
)
from dagster._core.storage.sql import create_engine
from dagster._utils.warnings import disable_dagster_warnings

__all__ = [
    "NO_LOG_CAPTURE",
    "WRITES_IN_ORDER",
    "CheckError",
    "InstanceRef",
    "InstigatorStatus",
    "InstigatorType",
    "SensorInstigatorData",
    "SqliteEventLogStorage",
    "UnresolvedAssetJobDefinition",
    "blocking_checks",
    "create_engine",
    "disable_dagster_warnings",
    "enable_event_batches",
    "index_events",
    "is_whole_run_here",
    "replace_run_file_initializer",
    "run_transaction",
]

NO_LOG_CAPTURE: Final = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}
"""The compute log manager that leaves a process's standard output alone."""

WRITES_IN_ORDER: Final = (SqliteEventLogStorage, ConsolidatedSqliteEventLogStorage, InMemoryEventLogStorage)
"""Event log storages with one writer at a time: they commit events in the order of their storage ids."""

Initializer = Callable[[Any, bool], None]


def replace_run_file_initializer(storage: SqliteEventLogStorage, replace: Callable[[Initializer], Initializer]) -> None:
    """Replaces how a SQLite event log creates a database file.

    Args:
        storage: The event log.
        replace: Takes Dagster's initializer, `(engine, for_index_shard)`, and returns the one to use.
    """
    private: Any = storage
    if hasattr(private, "_initdb"):
        private._initdb = replace(private._initdb)


def enable_event_batches(
    instance: dg.DagsterInstance, size: int, store: Callable[[SqliteEventLogStorage, Sequence[dg.EventLogEntry]], None]
) -> None:
    """Lets an instance hand over events in batches, if its event log is SQLite or can write batches (PostgreSQL).

    Args:
        instance: The instance object; no other one is changed.
        size: Events per batch. `DAGSTER_EVENT_BATCH_SIZE` takes precedence for other databases than SQLite.
        store: Stores a batch of events of one run in SQLite.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        has_own = type(storage).store_event_batch is not EventLogStorage.store_event_batch
        if has_own and not os.environ.get("DAGSTER_EVENT_BATCH_SIZE"):
            instance._get_event_batch_size = lambda: size  # type: ignore[method-assign]
        return
    if not hasattr(storage, "_store_asset_event"):
        return
    private: Any = storage
    private._db_lock = threading.RLock()  # a batch holds the run's file and the index open at once
    private.store_event_batch = lambda events: store(storage, events)
    instance._get_event_batch_size = lambda: size  # type: ignore[method-assign]


def blocking_checks(context: dg.AssetExecutionContext) -> list[str]:
    """Returns the names of the blocking asset checks of an asset that its own run evaluates after it, sorted."""
    graph = context.job_def.asset_layer.asset_graph
    names = [
        key.name for key in graph.asset_check_keys if key.asset_key == context.asset_key and graph.get(key).blocking
    ]
    if not names:
        return []
    entries = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    planned = [entry.get_dagster_event().asset_check_planned_data for entry in entries]
    return sorted(
        data.check_name for data in planned if data.asset_key == context.asset_key and data.check_name in names
    )


def is_whole_run_here(context: dg.AssetExecutionContext) -> bool:
    """Returns whether all steps of a run execute in this process."""
    entries = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    of_run = [entry.get_dagster_event().engine_event_data for entry in entries if entry.step_key is None]
    pids = [data.metadata["pid"].value for data in of_run if "pid" in data.metadata]
    return str(os.getpid()) in pids


@contextmanager
def index_events(storage: SqliteEventLogStorage, events: Sequence[dg.EventLogEntry]) -> Iterator[list[Any]]:
    """Writes asset events to the index of a SQLite event log in one transaction; yields their rows for the run's file.

    An asset's own row keeps only the last event of each kind, so that one is enough.
    """
    private: Any = storage
    insert = SqlEventLogStorageTable.insert()
    rows = [private._event_to_row(event) for event in events]
    with private.index_transaction() as index:
        ids = [index.execute(insert, row).inserted_primary_key[0] for row in rows]
        private._store_asset_event_tags(index, events, ids)
        last = {(e.dagster_event_type, row["asset_key"]): (e, i) for e, row, i in zip(events, rows, ids, strict=True)}
        for event, event_id in last.values():
            private._store_asset_event(index, event, event_id)
        yield rows


def run_transaction(storage: SqliteEventLogStorage, run_id: str, rows: Sequence[Any]) -> None:
    """Writes rows to the file of a run in a SQLite event log."""
    private: Any = storage
    with private.run_connection(run_id) as run:
        run.execute(SqlEventLogStorageTable.insert(), rows)
