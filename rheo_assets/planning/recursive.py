"""`recursive=True`: what must be executed before a partition, because it is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from rheo_assets.errors import Contradiction, MissingInput
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal, View
from rheo_assets.model.topology import Topology
from rheo_assets.planning.input_sets import check_declared, closest, read_by, starved, tips_of
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Plan, Stage, Tips, stages_of

Exists = Callable[[str, PartitionSet], PartitionSet]
"""Returns which of a node's partitions are complete."""

TipSets = Mapping[str, PartitionSet]
TipsOf = Callable[[DataNode, PartitionSet], TipSets]

_K = TypeVar("_K")


def plan_recursive(
    topology: Topology,
    node: DataNode,
    partitions: PartitionSet | Iterable[Partition],
    exists: Exists,
    tips: Tips | None = None,
) -> Plan:
    """Plans output partitions of a node, after every missing partition that the application can build for them.

    The target is always executed. Everything else is executed once, and only if it is missing.

    Args:
        topology: The application's nodes.
        node: The target node.
        partitions: The output partitions of the target.
        exists: Returns which partitions are complete in storage.
        tips: The input tips of the single target partition, if the output alone does not determine them.

    Raises:
        MissingInput: External data that the plan needs is missing; the message lists it.
        Contradiction: The node cannot have the partition.
        Undetermined: An output partition does not determine its inputs.
    """
    targets = partitions if isinstance(partitions, PartitionSet) else PartitionSet.of(node.spec, partitions)
    check_declared(node, targets)
    needs = Needs(topology, exists)

    def resolve(current: DataNode, outputs: PartitionSet) -> TipSets:
        if current is node and tips is not None:
            return {alias: PartitionSet.of(view.node.spec, [tips[alias]]) for alias, view in node.inputs.items()}
        return tips_of(current, outputs)

    planned = needs.collect({node.id: targets}, resolve)
    target = Stage(node.id, targets)
    needs.raise_missing(node, targets)
    inputs = {(node.id, partition): tips for partition in targets} if tips is not None else {}
    return Plan(target, stages_of(tuple(n.id for n in topology.upwards), planned), inputs)


class Needs:
    """Collects what is missing, node by node from the targets upstream.

    Args:
        topology: The application's nodes.
        exists: Returns which partitions are complete in storage.
        frozen: Ids of nodes that get no more executions in the plan.
    """

    def __init__(self, topology: Topology, exists: Exists, frozen: Iterable[str] = ()) -> None:
        self._topology = topology
        self._exists = exists
        self._frozen = frozenset(frozen)
        self._required: dict[str, PartitionSet] = {}
        self._starved: dict[str, None] = {}

    def collect(self, targets: Mapping[str, PartitionSet], resolve: TipsOf = tips_of) -> dict[str, PartitionSet]:
        """Returns, by node id, the targets and the missing partitions that the application must build for them."""
        planned: dict[str, PartitionSet] = {}
        needed: dict[str, PartitionSet] = {}
        for node in reversed(self._topology.upwards):
            wanted = needed.pop(node.id, None)
            due = wanted - self._existing(node, wanted) if wanted and node.id not in self._frozen else None
            due = _joined(due, targets.get(node.id))
            if not due:
                continue
            check_declared(node, due)
            planned[node.id] = due
            self._demand(node, resolve(node, due), needed)
        return planned

    def _demand(self, node: DataNode, tips: TipSets, needed: dict[str, PartitionSet]) -> None:
        for alias, view in node.inputs.items():
            if not view.node.holds_data or not tips.get(alias):
                continue
            is_own = view.node.id in self._topology.data_nodes
            if view.is_nearest:
                self._demand_nearest(view, tips[alias], is_own, needed)
            elif is_own:
                _add(needed, view.node.id, read_by(view, tips[alias]))
            else:
                self._require(view, tips[alias])

    def _demand_nearest(self, view: View, tips: PartitionSet, is_own: bool, needed: dict[str, PartitionSet]) -> None:
        if is_own and view.node.id in self._frozen:
            return
        lacking = starved(view, tips, self._existing(view.node, read_by(view, tips)))
        if not lacking:
            return
        if not is_own:
            self._starved.update({f"{view.node.describe(tip)} (or another of {view})": None for tip in lacking})
            return
        chosen = closest(view, lacking)
        empty = next((tip for tip, partition in chosen.items() if partition is None), None)
        if empty is not None:
            raise Contradiction(f"'{view.node.id}' has no partition in the range {view} of {view.node.describe(empty)}")
        _add(needed, view.node.id, PartitionSet.of(view.node.spec, [p for p in chosen.values() if p is not None]))

    def _require(self, view: View, tips: PartitionSet) -> None:
        if view.needs_event and not view.is_covering:
            _add(self._required, view.node.id, tips)
        if view.checks_range:
            _add(self._required, view.node.id, read_by(view, tips))

    def _existing(self, signal: Signal, partitions: PartitionSet) -> PartitionSet:
        return self._exists(signal.id, partitions)

    def raise_missing(self, node: DataNode, targets: PartitionSet) -> None:
        """Checks that all external data that the plan needs exists.

        Raises:
            MissingInput: Some data is missing; the message lists it.
        """
        missing = []
        for source, required in self._required.items():
            signal = self._topology[source]
            missing += [signal.describe(partition) for partition in required - self._exists(source, required)]
        missing += self._starved
        if missing:
            first = next(iter(targets))
            label = "][".join(node.spec.render(first)) + (f" and {len(targets) - 1} more" if len(targets) > 1 else "")
            raise MissingInput(node.id, label, missing)


def _joined(one: PartitionSet | None, other: PartitionSet | None) -> PartitionSet | None:
    return one | other if one is not None and other is not None else one if other is None else other


def _add(sets: dict[_K, PartitionSet], key: _K, more: PartitionSet) -> None:
    sets[key] = sets[key] | more if key in sets else more
