"""Staleness: which partitions were written again after the last execution that read them."""

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
    """A partition whose inputs are newer than what its last execution read; `str()` is for people.

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
    """Compares what executions read with what there is now; each partition is looked at once.

    Attributes:
        readiness: What the storage shows.
    """

    readiness: Readiness
    _now: dict[tuple[str, Partition], str] = field(default_factory=dict, repr=False)

    def newer(self, node: DataNode, execution: Execution) -> tuple[str, ...]:
        """Returns the inputs that are newer than what an execution read; what was absent is newer once it is there."""
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
            except InvalidValue:  # recorded under another declaration
                continue
            key = (view.node.id, partition)
            if key not in self._now:
                self._now[key] = self.readiness.version(view.node, partition)
            if self._now[key] not in {"", version}:
                yield view.node.describe(partition)


def stale(session: Session, nodes: Sequence[DataNode]) -> list[StalePartition]:
    """Returns the partitions of nodes whose inputs are newer than what their last execution read, node by node."""
    staleness = Staleness(session.binding.readiness)
    found: list[StalePartition] = []
    for node in nodes:
        last = {e.partition: e for e in session.history.ended(node) if e.dimensions in {(), node.spec.kinds}}
        newer = {e.partition: staleness.newer(node, e) for e in last.values() if e.status == Status.COMPLETED}
        found += [StalePartition(node.id, partition, names) for partition, names in newer.items() if names]
    return found
