"""The Dagster instance: where it is stored, how it is opened, and its asset events and key-value rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, EventLogRecord, EventRecordsFilter

from rheo_assets.bridge.dagster_internals import NO_LOG_CAPTURE, WRITES_IN_ORDER, InstanceRef
from rheo_assets.bridge.eventlog.batches import store_in_batches
from rheo_assets.bridge.eventlog.run_files import copy_empty_run_files
from rheo_assets.errors import StateError

_SETTLE = 1.0
_LONG_AGO = 60.0  # older events have been committed, if clocks differ by less
_SETTINGS = """\
# Written by rheo_assets for a local instance. Edit it freely: it is never overwritten.
telemetry:
  enabled: false
nux:
  enabled: false
sensors:
  use_threads: true
  num_workers: 4
  num_submit_workers: 4
run_queue:
  max_concurrent_runs: 2
  dequeue_interval_seconds: 1
"""


def home(root: Path | None) -> Path:
    """Returns the folder of the Dagster instance: `DAGSTER_HOME`, else `<root>/dagster`; created if it is missing."""
    named = os.environ.get("DAGSTER_HOME")
    folder = Path(named) if named else (root or Path.home() / ".rheo") / "dagster"
    if set("%?") & set(str(folder)):
        variable = "DAGSTER_HOME" if named else "RHEO_HOME"
        raise StateError(f"Dagster's SQLite cannot open files below {folder}: choose a {variable} without '%' and '?'")
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists() and not named:
        settings.write_text(_SETTINGS, encoding="utf-8")
    return folder


def open_instance(root: Path | None) -> dg.DagsterInstance:
    """Opens the instance that a daemon on this machine would use.

    Dagster redirects the standard output of the process to a file while a step runs, and concurrent runs never undo it.
    This is switched off: a script keeps its output, and the output of user code is in the run's log.
    """
    instance = _open(root)
    # Dagster calls logging.config.dictConfig whenever a run starts, even with nothing configured. That closes every
    # handler of the process under logging's own lock, and deadlocks with a run that is logging on another thread.
    configured = instance.get_python_log_dagster_handler_config()
    handlers = list(instance.get_yaml_python_handlers()) if configured else []
    instance.get_yaml_python_handlers = lambda: handlers  # type: ignore[method-assign]
    store_in_batches(instance)
    copy_empty_run_files(instance)
    return instance


def _open(root: Path | None) -> dg.DagsterInstance:
    try:
        reference = InstanceRef.from_dir(str(home(root)), overrides={"compute_logs": NO_LOG_CAPTURE})
        return dg.DagsterInstance.from_ref(reference)
    except Exception as error:  # its settings may name any storage, which may raise anything
        named = os.environ.get("DAGSTER_HOME")
        where = f"DAGSTER_HOME={named}" if named else str((root or Path.home() / ".rheo") / "dagster")
        raise StateError(
            f"the Dagster instance at {where} cannot be opened ({type(error).__name__}: {error}). Fix its "
            "dagster.yaml or what it refers to, or set DAGSTER_HOME to another folder"
        ) from error


class EventLog:
    """The instance's asset events and key-value rows, as this library reads and writes them.

    Args:
        instance: The instance.
        settle: How long to wait before new events are read, seconds. A database assigns storage ids before it commits,
            so an event may appear after one with a higher id, but all drivers must read them in the same order. By
            default 0 for SQLite, which has one writer at a time, and 1 for other databases.
    """

    def __init__(self, instance: dg.DagsterInstance, settle: float | None = None) -> None:
        self.instance = instance
        in_order = isinstance(instance.event_log_storage, WRITES_IN_ORDER)
        self._settle = settle if settle is not None else (0.0 if in_order else _SETTLE)
        self._existing: set[str] = set()

    def after(self, cursor: int, limit: int = 1000) -> list[EventLogRecord]:
        """Returns materialisations and observations of all assets after a storage id, in storage order.

        Both kinds end at the same storage id: if one kind has more than the limit, the other is cut, too.
        """
        found = self._merged(cursor, limit)
        if self._settle and found and max(record.timestamp for record in found) > time.time() - _LONG_AGO:
            last = found[-1].storage_id
            time.sleep(self._settle)
            found = [record for record in self._merged(cursor, limit) if record.storage_id <= last]
        return found

    def _merged(self, cursor: int, limit: int) -> list[EventLogRecord]:
        arrived = self._page(DagsterEventType.ASSET_MATERIALIZATION, cursor, limit)
        observed = self._page(DagsterEventType.ASSET_OBSERVATION, cursor, limit)
        last = max((page[-1].storage_id for page in (arrived, observed) if page), default=cursor)
        if observed and observed[-1].storage_id == last:
            # An event that was stored between the two queries must not be skipped.
            arrived = self._page(DagsterEventType.ASSET_MATERIALIZATION, cursor, limit)
        last = min([last, *(page[-1].storage_id for page in (arrived, observed) if len(page) >= limit)])
        merged = [record for page in (arrived, observed) for record in page if record.storage_id <= last]
        return sorted(merged, key=lambda record: record.storage_id)

    def _page(self, kind: DagsterEventType, cursor: int, limit: int) -> Sequence[EventLogRecord]:
        return self.instance.event_log_storage.get_event_records(
            EventRecordsFilter(event_type=kind, after_cursor=cursor), limit=limit, ascending=True
        )

    def of_asset(
        self,
        key: dg.AssetKey,
        partitions: Sequence[str] | None = None,
        before: int | None = None,
        limit: int | None = None,
        kinds: Iterable[DagsterEventType] = (
            DagsterEventType.ASSET_MATERIALIZATION,
            DagsterEventType.ASSET_OBSERVATION,
        ),
        ascending: bool = False,
    ) -> list[EventLogRecord]:
        """Returns an asset's events, newest first by default."""
        found: list[EventLogRecord] = []
        for kind in kinds:
            found += self.instance.event_log_storage.get_event_records(
                EventRecordsFilter(
                    event_type=kind,
                    asset_key=key,
                    asset_partitions=list(partitions) if partitions is not None else None,
                    before_cursor=before,
                ),
                limit=limit,
                ascending=ascending,
            )
        found.sort(key=lambda record: record.storage_id, reverse=not ascending)
        return found[:limit] if limit is not None else found

    def report(self, event: dg.AssetMaterialization | dg.AssetObservation) -> None:
        """Stores an event without a run."""
        self.instance.report_runless_asset_event(event)

    def last_position(self) -> int:
        """Returns the storage id of the newest asset event; 0 if there is none."""
        newest = [
            record.storage_id
            for kind in (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)
            for record in self.instance.event_log_storage.get_event_records(
                EventRecordsFilter(event_type=kind), limit=1, ascending=False
            )
        ]
        return max(newest, default=0)

    def rows(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Returns key-value rows."""
        return self.instance.run_storage.get_cursor_values(set(keys))

    def put_rows(self, rows: Mapping[str, str]) -> None:
        """Writes key-value rows: the new ones in one statement, then the existing ones in another.

        Dagster's own call inserts all rows. If one row exists, it updates the existing rows and drops the others.
        """
        unknown = rows.keys() - self._existing
        self._existing |= self.rows(unknown).keys() if unknown else set()
        new = {key: text for key, text in rows.items() if key not in self._existing}
        old = {key: text for key, text in rows.items() if key in self._existing}
        for part in (new, old):
            if part:
                self.instance.run_storage.set_cursor_values(part)
        self._existing |= new.keys()
