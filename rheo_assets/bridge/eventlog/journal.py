"""The journal: reads the asset events of one application as entries for the router, and writes them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
from dagster import EventLogRecord

from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.entries import execution_entry, execution_of, is_of
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.recordings import Recordings
from rheo_assets.bridge.names import EVENT_ENTRY, EXECUTION_ENTRY, asset_key, node_of, router_key
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Began, Ended, Entry, Event, PlanClosed, PlanOpened, Turn
from rheo_assets.routing.trigger_group import Key

_log = logging.getLogger("rheo_assets")


class Journal:
    """Reads and writes the entries of one application in a Dagster instance.

    Args:
        log: The instance's event log.
        topology: The application's nodes.
        since: See `Codec`.

    Attributes:
        recordings: The runs that have just recorded something.
    """

    def __init__(self, log: EventLog, topology: Topology, since: datetime) -> None:
        self.log = log
        self.topology = topology
        self.codecs = {node.id: Codec(node, since) for node in topology}
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
            if isinstance(entry, Event):
                events.append(entry)
                if record.run_id:
                    self.recordings.note(entry.identity, record.run_id)
            if entry is not None:
                entries.append(entry)
        self._learn_identities(events)
        return [entry for entry in entries if not isinstance(entry, Event) or self._is_new(entry)]

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
            return self._arrival(record, node_id, partition)
        fields = _json_entry(record.asset_observation.metadata if record.asset_observation else {}, EVENT_ENTRY)
        if fields.get("kind") == "injected":
            identity, route = str(fields["identity"]), fields.get("route")
            return Event(record.storage_id, node_id, partition, identity, record.timestamp, False, route)
        if fields.get("kind") == "ended":
            metadata = record.asset_observation.metadata if record.asset_observation else {}
            execution = fields.get("execution") or _json_entry(metadata, EXECUTION_ENTRY).get("id")
            return Ended(record.storage_id, node_id, partition, execution)
        return None

    def _is_of_before(self, record: EventLogRecord, node_id: str, partition: Partition) -> bool:
        """Whether the event is the end of an execution from a time when its node had other dimensions."""
        execution = execution_of(record)
        return execution is not None and not is_of(execution, self.topology[node_id].spec, partition)

    def _arrival(self, record: EventLogRecord, node_id: str, partition: Partition) -> Event:
        materialization = record.asset_materialization
        assert materialization is not None
        fields = _json_entry(materialization.metadata, EVENT_ENTRY)
        identity = fields.get("identity")
        if identity is None:
            execution = _json_entry(materialization.metadata, EXECUTION_ENTRY)
            identity = execution.get("id") or f"event:{record.storage_id}"
        return Event(record.storage_id, node_id, partition, str(identity), record.timestamp)

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
        fields = _json_entry(observation.metadata if observation is not None else {}, EVENT_ENTRY)
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
        for event in events:
            if (event.node, event.partition) not in self._seen:
                unknown[event.node].setdefault(event.partition, event.position)
        for node_id, partitions in unknown.items():
            codec = self.codecs[node_id]
            keys = [codec.encode(partition) for partition in partitions] if codec.is_partitioned else None
            first = min(partitions.values())
            key = asset_key(self.topology.application, node_id)
            records = self.log.of_asset(key, keys, before=first)
            for partition in partitions:
                self._seen[node_id, partition] = set()
            for record in records:
                entry = self._entry(record)
                if isinstance(entry, Event):
                    self._seen.setdefault((entry.node, entry.partition), set()).add(entry.identity)

    def _is_new(self, event: Event) -> bool:
        seen = self._seen[event.node, event.partition]
        if event.identity in seen:
            return False
        seen.add(event.identity)
        return True

    # writing --------------------------------------------------------------------------------------------------

    def _key(self, node_id: str, partition: Partition) -> str | None:
        return self.codecs[node_id].encode(partition) or None

    def arrived(self, node_id: str, partition: Partition, identity: str, metadata: Mapping[str, Any]) -> None:
        """Records that data of an external signal arrived, or that a timer ticked."""
        self.codecs[node_id].register(self.log.instance, [partition])
        self.log.report(
            dg.AssetMaterialization(
                asset_key(self.topology.application, node_id),
                partition=self._key(node_id, partition),
                metadata={**metadata, EVENT_ENTRY: dg.MetadataValue.json({"identity": identity})},
                tags={"dagster/data_version": _tag_text(identity)},
            )
        )

    def inject(self, node_id: str, partition: Partition, identity: str, route: str | None) -> None:
        """Records an event that was injected by hand; it creates no data, so it is an observation."""
        self.codecs[node_id].register(self.log.instance, [partition])
        fields = {"kind": "injected", "identity": identity, "route": route}
        self._observe(asset_key(self.topology.application, node_id), fields, self._key(node_id, partition))

    def succeeded(self, execution: Execution, partition: Partition, metadata: Mapping[str, Any]) -> None:
        """Records that an execution succeeded, if its run could not. A repeat is not a new event."""
        self.codecs[execution.node].register(self.log.instance, [partition])
        key = asset_key(self.topology.application, execution.node)
        self.log.report(dg.AssetMaterialization(key, partition=self._key(execution.node, partition), metadata=metadata))

    def failed(self, execution: Execution, partition: Partition) -> None:
        """Records that an execution ended without success, if its run could not."""
        self.log.report(
            dg.AssetObservation(
                asset_key(self.topology.application, execution.node),
                partition=self._key(execution.node, partition),
                metadata={
                    EVENT_ENTRY: dg.MetadataValue.json({"kind": "ended"}),
                    **execution_entry(self.topology[execution.node].spec, execution),
                },
            )
        )

    def skipped(self, node_id: str, partition: Partition, execution: str, reader: str) -> None:
        """Records that an execution did not run, as an earlier one has read the same data.

        Args:
            node_id: The node.
            partition: Its partition.
            execution: The id of the execution that did not run.
            reader: The id of the one that has read the data.
        """
        self.log.report(
            dg.AssetObservation(
                asset_key(self.topology.application, node_id),
                partition=self._key(node_id, partition),
                description="An arrival started no run: the last execution has read this data already.",
                metadata={EVENT_ENTRY: dg.MetadataValue.json({"kind": "ended", "execution": execution, "by": reader})},
            )
        )

    def turn(self, at: float, ready: Sequence[Key], gone: Sequence[Key]) -> None:
        """Records a closed turn."""
        self._observe(
            router_key(self.topology.application),
            {"kind": "turn", "at": at, "ready": self._write_keys(ready), "gone": self._write_keys(gone)},
        )

    def began(self, node_id: str, run: str, owner: str, executions: Mapping[Partition, str]) -> None:
        """Records that a manual run starts executions."""
        ids = [[self._key(node_id, partition) or "", execution] for partition, execution in executions.items()]
        fields = {"kind": "began", "node": node_id, "run": run, "owner": owner, "executions": ids}
        self._observe(router_key(self.topology.application), fields)

    def open_plan(self, plan: str, holds: Mapping[str, Iterable[Partition]]) -> None:
        """Records which partitions a plan holds."""
        written = {node_id: [self._key(node_id, p) or "" for p in partitions] for node_id, partitions in holds.items()}
        fields = {"kind": "plan_opened", "plan": plan, "holds": written}
        self._observe(router_key(self.topology.application), fields)

    def close_plan(self, plan: str) -> None:
        """Records that a plan ended."""
        self._observe(router_key(self.topology.application), {"kind": "plan_closed", "plan": plan})

    def _write_keys(self, keys: Sequence[Key]) -> list[list[str]]:
        return [[node_id, self._key(node_id, partition) or ""] for node_id, partition in keys]

    def _observe(self, key: dg.AssetKey, fields: Mapping[str, Any], partition: str | None = None) -> None:
        metadata = {EVENT_ENTRY: dg.MetadataValue.json(dict(fields))}
        self.log.report(dg.AssetObservation(key, partition=partition, metadata=metadata))


def _json_entry(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    entry = metadata.get(name)
    value = getattr(entry, "data", None)
    return dict(value) if isinstance(value, Mapping) else {}


def _tag_text(text: str) -> str:
    return "".join(character if character.isalnum() or character in "-_.:" else "_" for character in text)[:200]
