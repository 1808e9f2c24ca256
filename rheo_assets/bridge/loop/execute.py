"""`execute`: plans what a user requests, and carries the plan out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.loop.daemon import not_served
from rheo_assets.bridge.loop.plan_records import PlanRecord
from rheo_assets.bridge.loop.plans import Step, raise_failed
from rheo_assets.bridge.loop.progress import Counts, Progress
from rheo_assets.bridge.loop.session import Session
from rheo_assets.errors import NotReady
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import as_view
from rheo_assets.planning.dependency_tree import Readers, plan_readers, plan_tree
from rheo_assets.planning.one_execution import infer_execution, injected_tips, never_ready, unmet
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Plan, Stage, Tips
from rheo_assets.planning.recursive import plan_recursive

_log = logging.getLogger("rheo_assets")
_ASK_EVERY = 1.0


def execute(
    session: Session,
    binding: Binding,
    node: DataNode,
    target: Any,
    inputs: Any,
    waits: bool,
    recursive: bool,
    tree: bool,
    progress: bool | None = None,
) -> str:
    """Plans and runs; returns the output path. See `Application.execute`.

    Args:
        session: The session that drives the application.
        binding: The application with the declaration of the node; the session may switch to another one meanwhile.
        node: The target's node.
        target: The requested view.
        inputs: The given inputs.
        waits: Whether to wait for the end.
        recursive: Whether missing inputs are built first.
        tree: Whether everything that was built from the target is rebuilt.
        progress: Whether to show progress; None if `RHEO_PROGRESS` decides.
    """
    readers = session.history.readers() if tree else None
    plan, partition = plan_of(binding, node, target, inputs, recursive, readers)
    session.resume()
    run = PlanRecord.of(binding.topology, plan, _owner(session, plan))
    path = binding.platform.storage.location(node.layout.uri(node.spec, partition))
    before = session.history.last(node, partition)
    with Progress(node.describe(partition), progress) as shown:
        while not _hold(session, run, node, partition):
            if not waits:
                return path
            session.await_end(node, partition)
            last = session.history.last(node, partition)
            if last is not None and (before is None or last.id != before.id):
                raise_failed([last])
                return path
        if run.owner is not None or not _is_done_by_daemon(session, run, waits, shown):
            _carry_out(session, run, waits, shown)
    return path


def execute_readers(
    session: Session,
    source: ExternalData,
    partition: Partition,
    waits: bool,
    recursive: bool,
    progress: bool | None = None,
) -> str:
    """Plans and runs what is built from a partition of external data; returns its path. See `execute`."""
    binding = session.binding
    exists = partial(_existing, binding) if recursive else None
    plan = plan_readers(binding.topology, source, partition, session.history.readers(), exists=exists)
    path = binding.platform.storage.location(binding.readiness.folder(source, partition))
    if not len(plan):
        _log.warning("nothing was built from %s: there is nothing to execute", source.describe(partition))
        return path
    session.resume()
    run = PlanRecord.of(binding.topology, plan, _owner(session, plan))
    with Progress(f"nodes built from {source.describe(partition)}", progress) as shown:
        session.plans.start(run)
        if run.owner is not None or not _is_done_by_daemon(session, run, waits, shown):
            _carry_out(session, run, waits, shown)
    return path


def _existing(binding: Binding, node_id: str, partitions: PartitionSet) -> PartitionSet:
    """Returns those partitions that are complete."""
    signal = binding.topology[node_id]
    return PartitionSet.of(signal.spec, binding.readiness.ready_of(signal, partitions))


def _owner(session: Session, plan: Plan) -> Owner | None:
    """Returns the process that carries a plan out: this one, or None for the daemon."""
    if not session.is_passive():
        return session.binding.heartbeats.live_owner()
    if _is_served(session, [stage.node for stage in plan.stages]):
        return None
    _log.warning(
        "the daemon has another version of '%s', or of a node that is executed with it, than this session, which "
        "therefore executes it in this process. Reload the code location to let the daemon execute it",
        plan.target.node,
    )
    return session.binding.heartbeats.live_owner()


def _is_served(session: Session, node_ids: Sequence[str]) -> bool:
    """Returns whether the daemon has the same versions of these nodes as this session."""
    nodes = session.binding.topology.data_nodes
    return not not_served(session.binding, session.driver.log, [nodes[name] for name in node_ids if name in nodes])


def _hold(session: Session, run: PlanRecord, node: DataNode, partition: Partition) -> bool:
    """Opens the plan; returns whether it may execute the target: the plan that was recorded first does."""
    with session.driver.lock:
        if session.active(node, partition):
            return False
        try:
            session.plans.start(run)
            session.plans.check_target(run)
            is_first = session.plans.holders(node, partition)[:1] == [run.id]
        except BaseException:
            session.plans.finish(run)
            raise
    if not is_first:
        session.plans.finish(run)
    return is_first


def _is_done_by_daemon(session: Session, run: PlanRecord, waits: bool, shown: Progress) -> bool:
    """Leaves a plan to the daemon; false if the daemon stops before the plan ends, so that this process takes over.

    A daemon whose code location no longer has the recorded versions does not drive the plan either.
    """
    node_ids = [stage.node.id for stage in run.stages]
    try:
        while session.is_passive() and _is_served(session, node_ids):
            if not waits:
                return True
            if not session.plans.is_open(run):
                session.plans.verdict(run)
                return True
            shown.look(lambda: _counts(session, run))
            time.sleep(_ASK_EVERY)
    except KeyboardInterrupt:
        _log.warning("the daemon still runs it: %s stops it", _kill(run))
        raise
    _log.warning("the daemon has stopped: this process continues the execution of %s", run.target)
    return False


def _kill(run: PlanRecord) -> str:
    stage = run.stages[run.position]
    values = "".join(f"[{text!r}]" for text in stage.node.spec.render(stage.partitions[0]))
    return f"app.kill(app[{run.target!r}]{values})"


def _carry_out(session: Session, run: PlanRecord, waits: bool, shown: Progress) -> None:
    """Carries a plan out in this process."""
    run = session.plans.files.adopt(run)
    is_open = True
    try:
        while (step := _next(session, run)) is not None:
            if not waits and step.requests and step.position >= run.position:
                session.conclude(run)
                is_open = False
                return
            shown.look(lambda: _counts(session, run))
            session.rest(step, shown.every)
    finally:
        if is_open:
            session.close(run)


def _next(session: Session, run: PlanRecord) -> Step | None:
    """Starts the next executions of a plan; raises if its target is no longer declared."""
    session.plans.check_target(run)
    step = session.advance(run)
    session.plans.check_target(run)
    return step


def _counts(session: Session, run: PlanRecord) -> Counts:
    ended, total = session.plans.counts(run)
    nodes = {stage.node.id: set(stage.partitions) for stage in run.stages}
    running = sum(
        stage.node.spec.read(execution.partition) in nodes[stage.node.id]
        for stage in run.stages
        for execution in session.history.active(stage.node)
    )
    return Counts(ended, total, running)


def plan_of(
    binding: Binding,
    node: DataNode,
    target: Any,
    inputs: Any,
    recursive: bool = False,
    readers: Readers | None = None,
    *,
    checks_readiness: bool = True,
) -> tuple[Plan, Partition]:
    """Returns the plan of an execution; with everything that was built from it if `readers` is given.

    If it raises, nothing has been executed.
    """
    wanted = as_view(target)
    partition, tips = infer_execution(node, type(wanted)(node, wanted.constraints), inputs)
    if (never := never_ready(node, tips)) is not None:  # before the plan builds anything else
        raise NotReady(node.id, node.spec.render(partition), (), never)
    topology, given = binding.topology, tips if inputs is not None else None

    exists = partial(_existing, binding)
    if readers is not None:
        looking = exists if recursive else None
        return plan_tree(topology, node, partition, readers, exists=looking, tips=given), partition
    if recursive:
        return plan_recursive(topology, node, [partition], exists, given), partition
    if checks_readiness:
        _check_ready(binding, node, partition, tips)
    stage = Stage(node.id, PartitionSet.of(node.spec, [partition]))
    return Plan(stage, (stage,), {(node.id, partition): tips}), partition


def _check_ready(binding: Binding, node: DataNode, partition: Partition, tips: Tips) -> None:
    conditions = unmet(node, tips, binding.is_ready, injected_tips(node, tips))
    if not conditions.are_met:
        raise NotReady(node.id, node.spec.render(partition), conditions.waiting_for(node))
