"""Stale partitions: those whose inputs are newer than what their last execution read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rheo_assets.bridge.loop.session import Session
from rheo_assets.errors import listed, subscripted
from rheo_assets.model.executions import Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.data.staleness import Staleness


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


def stale(session: Session, nodes: Sequence[DataNode]) -> list[StalePartition]:
    """Returns the stale partitions of some nodes, node by node."""
    staleness = Staleness(session.binding.readiness)
    found: list[StalePartition] = []
    for node in nodes:
        last = {e.partition: e for e in session.history.ended(node) if e.dimensions in {(), node.spec.kinds}}
        newer = {e.partition: staleness.newer(node, e) for e in last.values() if e.status == Status.COMPLETED}
        found += [StalePartition(node.id, partition, names) for partition, names in newer.items() if names]
    return found
