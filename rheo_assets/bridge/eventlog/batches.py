"""Batches: events that Dagster hands to the storage together go to SQLite in one transaction, not two an event.

Dagster hands over the planned events of a run, and the materialisations of an output, as batches where that is switched
on. Its SQLite storage then takes a batch apart again. What is stored is the same, row by row, and in the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import dagster as dg
from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage

_SIZE = 500  # a transaction of these takes a few tenths of a second, for which other writers wait
_TOGETHER = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED}


def store_in_batches(instance: dg.DagsterInstance) -> None:
    """Switches batches on for this instance object, where its event log is Dagster's SQLite of one file a run."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage) or not hasattr(storage, "_store_asset_event"):
        return  # another storage does as its own settings say, and an older Dagster cannot do it in one transaction
    sqlite: Any = storage
    sqlite._db_lock = threading.RLock()  # a batch has the run's file and the index open at once
    sqlite.store_event_batch = partial(_store, sqlite)
    instance._get_event_batch_size = lambda: _SIZE  # type: ignore[method-assign]


def _store(storage: Any, events: Sequence[EventLogEntry]) -> None:
    """Stores events of one run: all of them or, where that fails, none, and Dagster stores them one by one."""
    if any(event.dagster_event_type not in _TOGETHER for event in events):
        for event in events:
            storage.store_event(event)
        return
    insert = SqlEventLogStorageTable.insert()
    rows = [storage._event_to_row(event) for event in events]
    with storage.index_transaction() as index:
        ids = [index.execute(insert, row).inserted_primary_key[0] for row in rows]
        storage._store_asset_event_tags(index, events, ids)
        # An asset's own row keeps the last event of each kind: the ones before it would be written over.
        last = {(e.dagster_event_type, row["asset_key"]): (e, i) for e, row, i in zip(events, rows, ids, strict=True)}
        for event, event_id in last.values():
            storage._store_asset_event(index, event, event_id)
        with storage.run_connection(events[0].run_id) as run:
            run.execute(insert, rows)
