"""The recorder: what this library writes into the event log, as asset events of one application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from rheo_assets.bridge.eventlog.entries import execution_entry
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.names import EVENT_ENTRY, asset_key, router_key
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution
from rheo_assets.model.topology import Topology
from rheo_assets.routing.trigger_group import Key


class Recorder:
    """Writes the entries of one application into a Dagster instance.

    Args:
        log: The instance's event log.
        topology: The application's nodes.
        since: See `Codec`.
    """

    def __init__(self, log: EventLog, topology: Topology, since: datetime) -> None:
        self.log = log
        self.topology = topology
        self.codecs = {node.id: Codec(node, since) for node in topology}

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
        """Records that an execution succeeded, where its run could not do so itself; a repeat is no new event."""
        self.codecs[execution.node].register(self.log.instance, [partition])
        key = asset_key(self.topology.application, execution.node)
        self.log.report(dg.AssetMaterialization(key, partition=self._key(execution.node, partition), metadata=metadata))

    def checked(self, execution: Execution, partition: Partition, run_id: str) -> None:
        """Records that an execution succeeded, as the blocking checks of its run have passed."""
        fields = {"kind": "checked", "identity": execution.id, "run": run_id}
        entries = execution_entry(self.topology[execution.node].spec, execution)
        key = asset_key(self.topology.application, execution.node)
        self._observe(key, fields, self._key(execution.node, partition), entries)

    def looked_at(self, node_id: str, partition: Partition, identity: str | None) -> None:
        """Records what a driver found of data that was reported; None if it is missing or not complete."""
        fields = {"kind": "looked_at", "identity": identity}
        self._observe(asset_key(self.topology.application, node_id), fields, self._key(node_id, partition))

    def failed(self, execution: Execution, partition: Partition) -> None:
        """Records that an execution ended without success, where its run could not do so itself."""
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
        """Records that a run that nobody routed begins executions."""
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

    def _observe(
        self,
        key: dg.AssetKey,
        fields: Mapping[str, Any],
        partition: str | None = None,
        entries: Mapping[str, Any] | None = None,
    ) -> None:
        metadata = {EVENT_ENTRY: dg.MetadataValue.json(dict(fields)), **(entries or {})}
        self.log.report(dg.AssetObservation(key, partition=partition, metadata=metadata))


def _tag_text(text: str) -> str:
    return "".join(character if character.isalnum() or character in "-_.:" else "_" for character in text)[:200]
