"""Batches: SQLite stores events that Dagster hands over together in one transaction, not in two per event.

If batches are switched on, Dagster hands over the planned events of a run, and the materialisations of an output, as
batches. Its SQLite storage then stores them one by one. Here they are stored at once: the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterEventType, EventLogEntry

from rheo_assets.bridge.dagster_internals import (
    SqliteEventLogStorage,
    enable_event_batches,
    index_events,
    run_transaction,
)

_SIZE = 500  # a transaction of these takes some tenths of a second, and other writers wait for it
_BATCHED = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED}


def store_in_batches(instance: dg.DagsterInstance) -> None:
    """Switches batches on for this instance object, if its event log can write them."""
    enable_event_batches(instance, _SIZE, _store)


def _store(storage: SqliteEventLogStorage, events: Sequence[EventLogEntry]) -> None:
    """Stores events of one run: all, or none if it fails; Dagster then stores them one by one."""
    if any(event.dagster_event_type not in _BATCHED for event in events):
        for event in events:
            storage.store_event(event)
        return
    with index_events(storage, events) as rows:
        run_transaction(storage, events[0].run_id, rows)
