"""The journal: reads the asset events of one application as entries for the router, and writes them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from dagster import DagsterEventType, EventLogRecord

from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.entries import AWAITS_CHECKS, event_fields, execution_of, is_of
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.recorder import Recorder
from rheo_assets.bridge.eventlog.recordings import Recordings
from rheo_assets.bridge.names import EVENT_ENTRY, EXECUTION_ENTRY, asset_key, node_of, router_key
from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import (
    AwaitsChecks,
    Began,
    Ended,
    Entry,
    Event,
    LookedAt,
    PlanClosed,
    PlanOpened,
    Reported,
    Turn,
)
from rheo_assets.routing.trigger_group import Key

_log = logging.getLogger("rheo_assets")


class Journal(Recorder):
    """Reads and writes the entries of one application in a Dagster instance.

    Args:
        log: The instance's event log.
        topology: The application's nodes.
        since: See `Codec`.

    Attributes:
        recordings: The runs that have just recorded something.
    """

    def __init__(self, log: EventLog, topology: Topology, since: datetime) -> None:
        super().__init__(log, topology, since)
        self._seen: dict[Key, set[str]] = {}
        self._warned: set[int] = set()
        self._refused: set[tuple[str, str | None]] = set()
        self.skipped_to = 0
        self.recordings = Recordings(log.instance)

    # reading --------------------------------------------------------------------------------------------------

    def read(self, cursor: int) -> list[Entry]:
        """Returns the next page of entries after a position, without repeats. Empty at the end of the log.

        A page may hold fewer entries than events: `skipped_to` is the position of its last event.
        """
        records = self.log.after(cursor)
        self.skipped_to = records[-1].storage_id if records else cursor
        events: list[Event] = []
        entries: list[Entry] = []
        for record in records:
            entry = self._entry(record)
            if (event := _event_of(entry)) is not None:
                events.append(event)
                self.recordings.note(event.identity, record)
            if entry is not None:
                entries.append(entry)
        self._learn_identities(events)
        return [kept for entry in entries if (kept := self._without_repeat(entry)) is not None]

    def awaiting_checks(self, run_id: str) -> list[AwaitsChecks]:
        """Returns the executions that a run has recorded and whose blocking checks decide how they end."""
        logged = self.log.instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        entries = [self._entry(EventLogRecord(0, each)) for each in logged]
        return [entry for entry in entries if isinstance(entry, AwaitsChecks)]

    def _entry(self, record: EventLogRecord) -> Entry | None:
        try:
            return self._readable(record)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # one entry must not stop the others
            if record.storage_id not in self._warned:
                self._warned.add(record.storage_id)
                name = record.asset_key.to_user_string() if record.asset_key is not None else "?"
                _log.warning(
                    "application '%s': skipped event %d of asset %s, as rheo-assets does not write such events (%s: "
                    "%s). If it was an arrival, app.process(view) reports it again",
                    self.topology.application,
                    record.storage_id,
                    name,
                    type(error).__name__,
                    error,
                )
            return None

    def _readable(self, record: EventLogRecord) -> Entry | None:
        key = record.asset_key
        if key is None or key.path[0] != self.topology.application:
            return None
        if key == router_key(self.topology.application):
            return self._router_entry(record)
        node_id = node_of(key, self.topology.application)
        if node_id is None or node_id not in self.topology:
            return None
        partition = self._partition(node_id, record.partition_key)
        if partition is None or self._is_of_before(record, node_id, partition):
            return None
        if record.asset_materialization is not None:
            return self._materialised(record, record.asset_materialization.metadata, node_id, partition)
        if record.asset_observation is not None:
            return self._observed(record, record.asset_observation.metadata, node_id, partition)
        return None

    def _observed(
        self, record: EventLogRecord, metadata: Mapping[str, Any], node_id: str, partition: Partition
    ) -> Entry | None:
        fields = event_fields(metadata)
        match fields.get("kind"):
            case "injected":
                identity, route = str(fields["identity"]), fields.get("route")
                return Event(record.storage_id, node_id, partition, identity, record.timestamp, False, route)
            case "ended":
                execution = fields.get("execution") or event_fields(metadata, EXECUTION_ENTRY).get("id")
                return Ended(record.storage_id, node_id, partition, execution)
            case "checked":
                return Event(record.storage_id, node_id, partition, str(fields["identity"]), record.timestamp)
            case "looked_at":
                found = fields["identity"]
                event = Event(record.storage_id, node_id, partition, str(found), record.timestamp)
                return LookedAt(record.storage_id, node_id, partition, event if found is not None else None)
        return None

    def _is_of_before(self, record: EventLogRecord, node_id: str, partition: Partition) -> bool:
        """Whether the event is the end of an execution from a time when its node had other dimensions."""
        execution = execution_of(record)
        return execution is not None and not is_of(execution, self.topology[node_id].spec, partition)

    def _materialised(
        self, record: EventLogRecord, metadata: Mapping[str, Any], node_id: str, partition: Partition
    ) -> Entry:
        fields, execution = event_fields(metadata), event_fields(metadata, EXECUTION_ENTRY).get("id")
        position, at = record.storage_id, record.timestamp
        if fields.get("kind") == AWAITS_CHECKS:
            checks = tuple(fields["checks"])
            owner = Owner.of_text(fields["owner"]).text() if fields["owner"] else ""
            return AwaitsChecks(position, node_id, partition, str(execution), record.run_id, owner, checks)
        identity = fields.get("identity") or execution
        if identity is None and self.topology[node_id].holds_data:
            return Reported(position, node_id, partition)
        return Event(position, node_id, partition, str(identity or f"event:{position}"), at)

    def _partition(self, node_id: str, key: str | None) -> Partition | None:
        codec = self.codecs[node_id]
        try:
            return codec.decode(key or "")
        except (ValueError, InvalidValue) as error:
            if (node_id, key) not in self._refused:
                self._refused.add((node_id, key))
                _log.warning("an event of '%s' is not routed: %s", node_id, error)
            return None

    def _router_entry(self, record: EventLogRecord) -> Entry | None:
        observation = record.asset_observation
        fields = event_fields(observation.metadata if observation is not None else {}, EVENT_ENTRY)
        kind = fields.get("kind")
        if kind == "turn":
            ready, gone = (self._read_keys(fields[name]) for name in ("ready", "gone"))
            return Turn(record.storage_id, float(fields["at"]), ready, gone)
        if kind == "began" and fields["node"] in self.topology:
            ids = {self._partition(fields["node"], key): execution for key, execution in fields["executions"]}
            known = {partition: execution for partition, execution in ids.items() if partition is not None}
            owner = Owner.of_text(fields["owner"]).text()
            return Began(record.storage_id, fields["node"], fields["run"], owner, known)
        if kind == "plan_opened":
            holds = {
                node_id: frozenset(partition for _, partition in self._read_keys([[node_id, key] for key in keys]))
                for node_id, keys in fields["holds"].items()
            }
            return PlanOpened(record.storage_id, fields["plan"], holds)
        if kind == "plan_closed":
            return PlanClosed(record.storage_id, fields["plan"])
        return None

    def _read_keys(self, rows: Iterable[Sequence[str]]) -> tuple[Key, ...]:
        found = []
        for node_id, key in rows:
            partition = self._partition(node_id, key) if node_id in self.topology else None
            if partition is not None:
                found.append((node_id, partition))
        return tuple(found)

    def _learn_identities(self, events: Sequence[Event]) -> None:
        unknown: dict[str, dict[Partition, int]] = defaultdict(dict)
        for each in events:
            if (each.node, each.partition) not in self._seen:
                unknown[each.node].setdefault(each.partition, each.position)
        for node_id, partitions in unknown.items():
            codec = self.codecs[node_id]
            keys = [codec.encode(partition) for partition in partitions] if codec.is_partitioned else None
            first = min(partitions.values())
            key = asset_key(self.topology.application, node_id)
            records = self.log.of_asset(key, keys, before=first)
            for partition in partitions:
                self._seen[node_id, partition] = set()
            for record in records:
                if (event := _event_of(self._entry(record))) is not None:
                    self._seen.setdefault((event.node, event.partition), set()).add(event.identity)

    def _without_repeat(self, entry: Entry) -> Entry | None:
        if isinstance(entry, Event):
            return entry if self._is_new(entry) else None
        if isinstance(entry, LookedAt) and entry.event is not None and not self._is_new(entry.event):
            return replace(entry, event=None)
        return entry

    def _is_new(self, event: Event) -> bool:
        seen = self._seen[event.node, event.partition]
        if event.identity in seen:
            return False
        seen.add(event.identity)
        return True


def _event_of(entry: Entry | None) -> Event | None:
    return entry.event if isinstance(entry, LookedAt) else entry if isinstance(entry, Event) else None
