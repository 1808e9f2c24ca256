"""`execute`: from what a person asks for to a plan, and to its end."""

from __future__ import annotations

from typing import Any

from rheo_assets.assets.session import Session
from rheo_assets.dimensions import Partition
from rheo_assets.errors import NotReady
from rheo_assets.nodes import DataNode
from rheo_assets.planning.execution import infer_execution, injected_tips, unmet
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Plan, Stage, Tips
from rheo_assets.planning.recursive import plan_recursive
from rheo_assets.signals import as_view


def execute(
    session: Session, node: DataNode, target: Any, inputs: Any, wait: bool, recursive: bool, tree: bool
) -> str:
    """Plans and runs; returns the output path. See `Application.execute`."""
    plan, partition = plan_of(session, node, target, inputs, recursive, tree)
    session.execute(plan, node, partition, wait)
    return session.binding.platform.storage.location(node.layout.uri(node.spec, partition))


def plan_of(
    session: Session, node: DataNode, target: Any, inputs: Any, recursive: bool, tree: bool
) -> tuple[Plan, Partition]:
    """Returns the plan of an execution; nothing has been run when it raises."""
    wanted = as_view(target)
    partition, tips = infer_execution(node, type(wanted)(node, wanted.constraints), inputs)
    topology = session.binding.topology

    def exists(node_id: str, partitions: PartitionSet) -> PartitionSet:
        signal = topology[node_id]
        return PartitionSet.of(signal.spec, session.binding.readiness.ready_of(signal, partitions))

    if tree:
        from rheo_assets.planning.tree import plan_tree

        return plan_tree(topology, node, partition, session.history.readers, recursive, exists), partition
    if recursive:
        return plan_recursive(topology, node, [partition], exists, tips if inputs is not None else None), partition
    _check_ready(session, node, partition, tips)
    stage = Stage(node.id, PartitionSet.of(node.spec, [partition]))
    return Plan(stage, (stage,), {(node.id, partition): tips}), partition


def _check_ready(session: Session, node: DataNode, partition: Partition, tips: Tips) -> None:
    topology = session.binding.topology
    conditions = unmet(
        node, tips, lambda source, p: session.binding.readiness.is_ready(topology[source], p), injected_tips(node, tips)
    )
    if not conditions.are_met:
        raise NotReady(node.id, "/".join(node.spec.render(partition)), conditions.waiting_for(node))
