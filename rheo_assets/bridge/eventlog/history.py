"""History: ended and running executions, from the event log and the run records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import dagster as dg
from dagster import DagsterRun, RunRecord, RunsFilter

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.entries import ended_execution, is_of, replaces
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.names import (
    APPLICATION_TAG,
    NODE_TAG,
    OWNER_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    asset_key,
)
from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.planning.input_sets import recorded_tips
from rheo_assets.planning.plan import Tips

_Readers = dict[tuple[str, Partition], Tips]
_PARTITION_TAG = "dagster/partition"
_KEYS_A_QUERY = 500
_FIRST_LOOK = 10
_LATELY = 900.0
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
NOT_BEGUN = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}


class History:
    """The executions of one application.

    Args:
        binding: The application.
        log: The instance's event log.
    """

    def __init__(self, binding: Binding, log: EventLog) -> None:
        self.binding = binding
        self.log = log

    def ended(self, node: DataNode, partition: Partition | None = None) -> list[Execution]:
        """Returns the executions that have ended, oldest first: of one partition, or all.

        All includes those from a time when the node had other dimensions.
        """
        keys = None
        if partition is not None:
            keys = [key] if (key := self.binding.codec(node).encode(partition)) else None
        records = self.log.of_asset(asset_key(node.application, node.id), keys, ascending=True)
        found: dict[str, Execution] = {}
        for record in records:
            execution = ended_execution(record)
            if execution is None:
                continue
            if partition is not None and replaces(execution, node.spec, partition):
                found.clear()
            elif partition is None or is_of(execution, node.spec, partition):
                found.pop(execution.id, None)
                found[execution.id] = execution
        return list(found.values())

    def last(self, node: DataNode, partition: Partition) -> Execution | None:
        """Returns the last ended execution of a partition; None if there is none."""
        keys = [key] if (key := self.binding.codec(node).encode(partition)) else None
        for limit in (_FIRST_LOOK, None):
            for record in self.log.of_asset(asset_key(node.application, node.id), keys, limit=limit):
                execution = ended_execution(record)
                if execution is not None and is_of(execution, node.spec, partition):
                    return execution
                if execution is not None and replaces(execution, node.spec, partition):
                    return None
        return None

    def ended_as(self, node: DataNode, ids: Mapping[Partition, str]) -> dict[Partition, Execution]:
        """Returns the executions with these ids that have ended; `ids` has one id per partition."""
        codec, wanted = self.binding.codec(node), {identity: partition for partition, identity in ids.items()}
        keys = [codec.encode(partition) for partition in ids] if codec.is_partitioned else [None]
        found: dict[Partition, Execution] = {}
        for page in range(0, len(keys), _KEYS_A_QUERY):
            page_keys = [key for key in keys[page : page + _KEYS_A_QUERY] if key is not None]
            for record in self.log.of_asset(asset_key(node.application, node.id), page_keys or None, ascending=True):
                execution = ended_execution(record)
                if execution is not None and execution.id in wanted:
                    found[wanted[execution.id]] = execution
        return found

    def readers(self) -> Callable[[str, Partition], _Readers]:
        """Returns a function that returns the recorded executions that read a partition of a node, with their tips.

        It uses the last success of each output partition. It reads a consumer's records once, at the first call.
        """
        known: dict[str, dict[tuple[str, tuple[str, ...]], _Readers]] = {}

        def readers_of(node_id: str, partition: Partition) -> _Readers:
            source = self.binding.topology[node_id]
            found: _Readers = {}
            for consumer in self.binding.topology.consumers.get(node_id, ()):
                if consumer.id not in known:
                    known[consumer.id] = self._reads_of(consumer)
                found.update(known[consumer.id].get((node_id, source.spec.render(partition)), {}))
            return found

        return readers_of

    def _reads_of(self, node: DataNode) -> dict[tuple[str, tuple[str, ...]], _Readers]:
        latest = {(e.partition, e.dimensions): e for e in self.ended(node) if e.status == Status.COMPLETED}
        reads: dict[tuple[str, tuple[str, ...]], _Readers] = {}
        for (rendered, _), execution in latest.items():
            try:
                output = node.spec.read(rendered)
            except InvalidValue:  # recorded by an earlier version of the node
                continue
            if not is_of(execution, node.spec, output):
                continue
            tips = recorded_tips(node, execution.inputs)
            for alias, partitions in execution.inputs.items():
                if alias in node.inputs:
                    for partition in partitions:
                        reads.setdefault((node.inputs[alias].node.id, partition), {})[node.id, output] = tips
        return reads

    def active(self, node: DataNode, partition: Partition | None = None) -> list[Execution]:
        """Returns the executions whose run has not ended; runs of dead processes do not count.

        It is not known whether the process of a run that Dagster launched is dead. Executions whose end such a run has
        recorded count as ended, so that nothing waits for a run that was killed before its own end.
        """
        found = []
        for record in self._active_runs():
            run = record.dagster_run
            mine = [p for p in self._partitions_of(run, node) if partition is None or p == partition]
            ended = self._ended_of(run, node, mine) if mine and owner_of(run) is None else {}
            found += [_running(node, p, record) for p in mine if p not in ended]
        return found

    def _ended_of(
        self, run: DagsterRun, node: DataNode, partitions: Sequence[Partition]
    ) -> Mapping[Partition, Execution]:
        if run.status in NOT_BEGUN:
            return {}
        routed = _routed_ids(run)
        ids = {p: routed.get(node.spec.render(p)) or manual_execution_id(run.run_id, node, p) for p in partitions}
        return self.ended_as(node, ids)

    def about_to_begin(self, node: DataNode) -> set[str]:
        """Returns the ids of the executions that a run may still claim.

        A run claims its executions as soon as it starts. A run that started long ago and did not is dead.
        """
        long_ago = time.time() - _LATELY
        return {
            identity
            for record in self._active_runs()
            if record.dagster_run.status in NOT_BEGUN
            or (record.start_time or record.update_timestamp.timestamp()) > long_ago
            if self._partitions_of(record.dagster_run, node)
            for identity in _routed_ids(record.dagster_run).values()
        }

    def active_runs(self, node: DataNode, partition: Partition) -> list[DagsterRun]:
        """Returns the runs that are executing a partition."""
        return [
            record.dagster_run
            for record in self._active_runs()
            if partition in self._partitions_of(record.dagster_run, node)
        ]

    def _active_runs(self) -> list[RunRecord]:
        records = self.log.instance.get_run_records(RunsFilter(statuses=_ACTIVE), ascending=True)
        return [record for record in records if not self._is_orphan(record.dagster_run)]

    def orphans(self) -> list[DagsterRun]:
        """Returns the runs of this application whose process is dead."""
        tags = {APPLICATION_TAG: self.binding.application}
        records = self.log.instance.get_run_records(RunsFilter(statuses=_ACTIVE, tags=tags))
        return [record.dagster_run for record in records if self._is_orphan(record.dagster_run)]

    def _is_orphan(self, run: DagsterRun) -> bool:
        owner = owner_of(run)
        is_ours = run.tags.get(APPLICATION_TAG) == self.binding.application  # those of others are not checked
        return owner is not None and is_ours and self.binding.heartbeats.is_dead(owner)

    def _partitions_of(self, run: DagsterRun, node: DataNode) -> Sequence[Partition]:
        """Returns the partitions of a node that a run executes, without those requested under other dimensions."""
        found = self._keyed(run, node)
        routed = _routed_ids(run) if found else {}
        return [partition for partition in found if node.spec.render(partition) in routed] if routed else found

    def _keyed(self, run: DagsterRun, node: DataNode) -> Sequence[Partition]:
        if run.tags.get(NODE_TAG) is not None:
            if (run.tags.get(APPLICATION_TAG), run.tags[NODE_TAG]) != (node.application, node.id):
                return ()
        elif asset_key(node.application, node.id) not in (run.asset_selection or ()):
            return ()
        codec = self.binding.codec(node)
        if not codec.is_partitioned:
            return [()]
        try:
            if _PARTITION_TAG in run.tags:
                return [codec.decode(run.tags[_PARTITION_TAG])]
            if RANGE_START_TAG in run.tags:
                first, last = codec.decode(run.tags[RANGE_START_TAG]), codec.decode(run.tags[RANGE_END_TAG])
                return list(codec.between(first, last))
        except (ValueError, InvalidValue):
            pass
        return ()


def owner_of(run: DagsterRun) -> Owner | None:
    """Returns the process that created a run and executes it itself; None for a run that Dagster launches.

    Dagster launches retries, which have the tags of their parent.
    """
    text = run.tags.get(OWNER_TAG) if run.parent_run_id is None else None
    return None if text is None else Owner.of_text(text)


def manual_execution_id(run_id: str, node: DataNode, partition: Partition) -> str:
    """Returns the id of the execution of a partition in a manual run."""
    return str(uuid5(NAMESPACE_URL, f"rheo:{run_id}|{node.id}|{partition!r}"))


def _running(node: DataNode, partition: Partition, record: RunRecord) -> Execution:
    run = record.dagster_run
    begun = run.status not in NOT_BEGUN
    started = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    rendered = node.spec.render(partition)
    return Execution(
        _routed_ids(run).get(rendered, f"run:{run.run_id}"),
        node.id,
        rendered,
        str(Status.RUNNING if begun else Status.QUEUED),
        started=started,
        run_id=run.run_id,
    )


def _routed_ids(run: DagsterRun) -> dict[tuple[str, ...], str]:
    """Returns the ids of the executions that the router or a plan requested, by partition; none for a retry."""
    found: dict[tuple[str, ...], str] = {}
    if run.parent_run_id is not None:
        return found
    config: Mapping[str, Any] = run.run_config
    for op in config.get("ops", {}).values():
        for item in op.get("config", {}).get("executions", ()):
            found[tuple(item["partition"])] = item["id"]
    return found
