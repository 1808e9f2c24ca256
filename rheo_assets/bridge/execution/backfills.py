"""Backfills: the partitions of a backfill that other runs have built since it was launched."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.execution.execution import completed
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.planning.plan import Tips
from rheo_assets.routing.trigger_group import Key

BACKFILL_TAG = "dagster/backfill"


class Backfill:
    """The backfill that a run belongs to, if any.

    The router starts the executions that follow from the backfill's outputs. They may end before Dagster launches the
    backfill's run for the same partitions. Then that run reports their results.

    Args:
        binding: The application.
        node: The node that the run executes.
        run: The run.
        instance: The Dagster instance.
    """

    def __init__(self, binding: Binding, node: DataNode, run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
        self._binding = binding
        self._node = node
        self._id = run.tags.get(BACKFILL_TAG)
        self._instance = instance
        self._modified: dict[Key, float | None] = {}

    @cached_property
    def requested_at(self) -> float | None:
        """When the backfill was launched, epoch seconds; None if the run belongs to none."""
        found = self._instance.get_backfill(self._id) if self._id is not None else None
        return found.backfill_timestamp if found is not None else None

    def made(self, partition: Partition, tips: Tips) -> Execution | None:
        """Returns the execution that has built a partition since, if its inputs were not written again; else None."""
        if self.requested_at is None:
            return None
        execution = completed(self._node, partition, self._binding.platform)
        if execution is None or execution.started is None:
            return None
        began = execution.started.timestamp()
        return execution if began >= self.requested_at and not self._is_newer(tips, began) else None

    def _is_newer(self, tips: Tips, moment: float) -> bool:
        """Returns whether one of the inputs was written after a moment."""
        return any((written := self._written(key)) is not None and written > moment for key in self._inputs(tips))

    def _inputs(self, tips: Tips) -> Iterable[Key]:
        for alias, view in self._node.inputs.items():
            for partition in view.partitions(tips[alias]) if view.node.holds_data else ():
                yield view.node.id, partition

    def _written(self, key: Key) -> float | None:
        if key not in self._modified:
            node_id, partition = key
            self._modified[key] = self._binding.readiness.written_at(self._binding.topology[node_id], partition)
        return self._modified[key]
