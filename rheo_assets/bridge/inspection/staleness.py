"""Staleness: partitions whose inputs were written again after the last execution read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rheo_assets.bridge.loop.session import Session
from rheo_assets.errors import InvalidValue, listed, subscripted
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.data.readiness import Readiness


@dataclass(frozen=True, slots=True)
class StalePartition:
    """A partition with inputs that are newer than those that its last execution read; `str()` is for people.

    Attributes:
        node: The node's id.
        partition: Its values as text.
        newer: The newer partitions of its inputs, as `x[NA][2024-03-01]`.
    """

    node: str
    partition: tuple[str, ...]
    newer: tuple[str, ...]

    def __str__(self) -> str:
        return f"{subscripted(self.node, self.partition)} was built before {listed(self.newer)}"


@dataclass(frozen=True)
class Staleness:
    """Compares the inputs that executions read with the current ones; checks each partition once.

    Attributes:
        readiness: The readiness of partitions.
    """

    readiness: Readiness
    _now: dict[tuple[str, Partition], str] = field(default_factory=dict, repr=False)

    def newer(self, node: DataNode, execution: Execution) -> tuple[str, ...]:
        """Returns the inputs that are newer than those that an execution read, or were absent then."""
        found = dict.fromkeys(name for alias in execution.versions for name in self._newer(node, execution, alias))
        return tuple(found)

    def _newer(self, node: DataNode, execution: Execution, alias: str) -> Iterator[str]:
        view = node.inputs.get(alias)
        read = execution.inputs.get(alias, [])
        if view is None or len(read) != len(execution.versions[alias]):
            return
        for values, version in zip(read, execution.versions[alias], strict=True):
            try:
                partition = view.node.spec.read(values)
            except InvalidValue:  # recorded by an earlier version of the node
                continue
            key = (view.node.id, partition)
            if key not in self._now:
                self._now[key] = self.readiness.version(view.node, partition)
            if self._now[key] not in {"", version}:
                yield view.node.describe(partition)


def stale(session: Session, nodes: Sequence[DataNode]) -> list[StalePartition]:
    """Returns the stale partitions of some nodes, node by node."""
    staleness = Staleness(session.binding.readiness)
    found: list[StalePartition] = []
    for node in nodes:
        last = {e.partition: e for e in session.history.ended(node) if e.dimensions in {(), node.spec.kinds}}
        newer = {e.partition: staleness.newer(node, e) for e in last.values() if e.status == Status.COMPLETED}
        found += [StalePartition(node.id, partition, names) for partition, names in newer.items() if names]
    return found
