"""`execute`: from what a person asks for to a plan, and to its end."""

from __future__ import annotations

from typing import Any

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.plans import PlanRun, raise_failed
from rheo_assets.assets.session import Session
from rheo_assets.dimensions import Partition
from rheo_assets.errors import NotReady
from rheo_assets.nodes import DataNode
from rheo_assets.planning.execution import infer_execution, injected_tips, unmet
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Plan, Stage, Tips
from rheo_assets.planning.recursive import plan_recursive
from rheo_assets.planning.tree import Readers, plan_tree
from rheo_assets.signals import as_view


def execute(
    session: Session, node: DataNode, target: Any, inputs: Any, waits: bool, recursive: bool, tree: bool
) -> str:
    """Plans and runs; returns the output path. See `Application.execute`."""
    readers = session.history.readers() if tree else None
    plan, partition = plan_of(session.binding, node, target, inputs, recursive, readers)
    session.resume()
    run = PlanRun.of(session.binding.topology, plan)
    path = session.binding.platform.storage.location(node.layout.uri(node.spec, partition))
    before = session.history.last(node, partition)
    while not _hold(session, run, node, partition):
        if not waits:
            return path
        session.await_end(node, partition)
        last = session.history.last(node, partition)
        if last is not None and (before is None or last.id != before.id):
            raise_failed([last])
            return path
    _carry_out(session, run, waits)
    return path


def _hold(session: Session, run: PlanRun, node: DataNode, partition: Partition) -> bool:
    """Opens the plan; returns whether the target is its own: whoever recorded a plan first executes it."""
    with session.driver.lock:
        if session.active(node, partition):
            return False
        session.plans.start(run)
        is_first = session.plans.holders(node, partition)[0] == run.id
    if not is_first:
        session.plans.finish(run)
    return is_first


def _carry_out(session: Session, run: PlanRun, waits: bool) -> None:
    before, target, after = run.split()
    is_open = True
    try:
        session.plans.run_stages(run, before)
        if waits:
            session.plans.run_stages(run, (target, *after))
        else:
            session.conclude(run, after, session.plans.submit_stage(run, target))
            is_open = False
    finally:
        if is_open:
            session.close(run)


def plan_of(
    binding: Binding, node: DataNode, target: Any, inputs: Any, recursive: bool, readers: Readers | None = None
) -> tuple[Plan, Partition]:
    """Returns the plan of an execution, with everything made of it where `readers` is given.

    Nothing has been run when it raises.
    """
    wanted = as_view(target)
    partition, tips = infer_execution(node, type(wanted)(node, wanted.constraints), inputs)
    topology, given = binding.topology, tips if inputs is not None else None

    def exists(node_id: str, partitions: PartitionSet) -> PartitionSet:
        signal = topology[node_id]
        return PartitionSet.of(signal.spec, binding.readiness.ready_of(signal, partitions))

    if readers is not None:
        looking = exists if recursive else None
        return plan_tree(topology, node, partition, readers, exists=looking, tips=given), partition
    if recursive:
        return plan_recursive(topology, node, [partition], exists, given), partition
    _check_ready(binding, node, partition, tips)
    stage = Stage(node.id, PartitionSet.of(node.spec, [partition]))
    return Plan(stage, (stage,), {(node.id, partition): tips}), partition


def _check_ready(binding: Binding, node: DataNode, partition: Partition, tips: Tips) -> None:
    conditions = unmet(node, tips, binding.is_ready, injected_tips(node, tips))
    if not conditions.are_met:
        raise NotReady(node.id, "/".join(node.spec.render(partition)), conditions.waiting_for(node))
