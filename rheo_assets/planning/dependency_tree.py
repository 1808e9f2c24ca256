"""`update_dependency_tree=True`: what must be executed after a partition, because it is built from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rheo_assets.errors import Contradiction
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal, View
from rheo_assets.model.topology import Topology
from rheo_assets.planning.input_sets import check_partition, tips_of, tips_one_by_one
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Execution, Plan, Stage, Tips, stages_of
from rheo_assets.planning.recursive import Exists, Needs, TipSets

Readers = Callable[[str, Partition], Mapping[Execution, Tips]]
"""Returns the recorded executions that read a partition, each with the tips that its record contains."""


def plan_tree(
    topology: Topology,
    node: DataNode,
    partition: Partition,
    readers: Readers,
    *,
    exists: Exists | None = None,
    tips: Tips | None = None,
) -> Plan:
    """Plans one output partition and everything that is built from it.

    These are the downstream partitions whose tip it is, whether or not they have run before, and the recorded
    executions that read it. Each runs once, after its parents in the plan. A recorded one runs with its recorded tips.

    Args:
        topology: The application's nodes.
        node: The target node.
        partition: The output partition of the target.
        readers: Returns the recorded executions that read a partition.
        exists: For `recursive=True`: returns which partitions are complete. The missing inputs of the planned
            executions are then planned too, except those of nodes that are themselves in the tree.
        tips: The input tips of the target, if its output alone does not determine them.

    Raises:
        MissingInput: With `exists`: external data that the plan needs is missing; the message lists it.
        Contradiction: The node cannot have the partition.
    """
    check_partition(node, partition)
    tree = _Tree(topology, readers)
    tree.grow(node, partition, tips)
    planned = tree.partitions()
    targets = PartitionSet.of(node.spec, [partition])
    if exists is not None:
        needs = Needs(topology, exists, frozen=planned)
        planned = needs.collect(planned, tree.tips_of)
        needs.raise_missing(node, targets)
    return Plan(Stage(node.id, targets), stages_of(tuple(n.id for n in topology.upwards), planned), tree.inputs)


def plan_readers(
    topology: Topology, source: Signal, partition: Partition, readers: Readers, *, exists: Exists | None = None
) -> Plan:
    """Plans everything that is built from a partition that the application does not build; see `plan_tree`.

    Args:
        topology: The application's nodes.
        source: The signal that is read.
        partition: The partition of the signal.
        readers: Returns the recorded executions that read a partition.
        exists: For `recursive=True`: returns which partitions are complete.

    Raises:
        MissingInput: With `exists`: external data that the plan needs is missing; the message lists it.
        Contradiction: The signal cannot have the partition.
    """
    check_partition(source, partition)
    tree = _Tree(topology, readers)
    tree.grow_below(source, partition)
    planned = tree.partitions()
    if exists is not None and planned:
        needs = Needs(topology, exists, frozen=planned)
        planned = needs.collect(planned, tree.tips_of)
        first = next(node for node in topology.upwards if planned.get(node.id))
        needs.raise_missing(first, planned[first.id])
    target = Stage(source.id, PartitionSet.of(source.spec, [partition]))
    return Plan(target, stages_of(tuple(n.id for n in topology.upwards), planned), tree.inputs)


class _Tree:
    """Follows a change downstream, parents before children."""

    def __init__(self, topology: Topology, readers: Readers) -> None:
        self._topology = topology
        self._readers = readers
        self._found: dict[str, dict[Partition, None]] = {}
        self.inputs: dict[Execution, Tips] = {}

    def grow(self, node: DataNode, partition: Partition, tips: Tips | None) -> None:
        """Finds everything downstream of one execution."""
        self._add(node, partition, tips)
        self._follow_all()

    def grow_below(self, source: Signal, partition: Partition) -> None:
        """Finds everything downstream of a partition that no execution builds."""
        self._follow(source, partition)
        self._follow_all()

    def _follow_all(self) -> None:
        for current in self._topology.upwards:
            for changed in PartitionSet.of(current.spec, self._found.get(current.id, ())):
                self._follow(current, changed)

    def partitions(self) -> dict[str, PartitionSet]:
        """Returns the tree's partitions by node id."""
        return {node_id: PartitionSet.of(self._topology[node_id].spec, found) for node_id, found in self._found.items()}

    def tips_of(self, node: DataNode, outputs: PartitionSet) -> TipSets:
        """Returns the known tips of planned executions."""
        if node.id not in self._found:
            return tips_of(node, outputs)

        def known(output: Partition) -> Tips:
            return self.inputs.get((node.id, output)) or _implied(node, output)

        return tips_one_by_one(node, outputs, known)

    def _follow(self, source: Signal, partition: Partition) -> None:
        for consumer in self._topology.consumers.get(source.id, ()):
            for alias, view in consumer.inputs.items():
                if view.node.id == source.id and view.admits(partition):
                    self._add_anchored(consumer, alias, view, partition)
        for (node_id, output), recorded in self._readers(source.id, partition).items():
            reader = self._topology.data_nodes.get(node_id)
            if reader is not None and any(parent.id == source.id for parent in reader.parents):
                self._add_recorded(reader, output, recorded)
        for projection in self._topology.projections.get(source.id, ()):
            if projection.source.admits(partition):
                for branch in projection.fan_out(partition):
                    self._follow(projection, branch)

    def _add_anchored(self, consumer: DataNode, alias: str, view: View, tip: Partition) -> None:
        """Adds the execution with this tip if the tip determines the others; otherwise only the records have them."""
        if not view.needs_event and tip not in view.partitions(tip):
            return
        try:
            solution = consumer.linkage.solve({alias: tip})
            if solution.output is None or solution.open:
                return
            check_partition(consumer, solution.output)
        except Contradiction:
            return
        tips = _known(solution.tips)
        if view.needs_event or _anchors(consumer, tips).get(alias) == view.anchored(tip):
            self._add(consumer, solution.output, tips)

    def _add_recorded(self, reader: DataNode, output: Partition, recorded: Tips) -> None:
        """Adds a recorded execution, unless it was already added, with the tips of its record or else of its output."""
        if output in self._found.get(reader.id, ()):
            return
        tips = _recorded_tips(reader, output, recorded)
        if tips is not None:
            self._add(reader, output, tips)

    def _add(self, node: DataNode, output: Partition, tips: Tips | None) -> None:
        self._found.setdefault(node.id, {})[output] = None
        if tips is None or tips == _implied(node, output):
            self.inputs.pop((node.id, output), None)
        else:
            self.inputs[node.id, output] = tips


def _recorded_tips(node: DataNode, output: Partition, recorded: Tips) -> Tips | None:
    """Returns the tips of a recorded execution; None if the node can no longer have it."""
    for given in (recorded, {}):
        try:
            check_partition(node, output)
            solution = node.linkage.solve(given, output)
        except Contradiction:  # recorded under another declaration
            continue
        tips = _known(solution.tips)
        if len(tips) == len(node.inputs):
            return tips
    return None


def _anchors(node: DataNode, tips: Mapping[str, Partition]) -> Tips:
    """Returns the tips that follow from the events of the plain inputs alone."""
    plain = {alias: tip for alias, tip in tips.items() if node.inputs[alias].needs_event}
    return _known(node.linkage.solve(plain).tips)


def _implied(node: DataNode, output: Partition) -> Tips:
    """Returns the tips that follow from the output alone."""
    return _known(node.linkage.solve({}, output).tips)


def _known(tips: Mapping[str, Partition | None]) -> Tips:
    return {alias: tip for alias, tip in tips.items() if tip is not None}
