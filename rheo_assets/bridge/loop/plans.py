"""Plans in execution: `execute` as a held set of partitions, stage by stage, resumable after a kill.

A plan is carried out in steps. A step looks at what is recorded and says what may run now; it starts nothing and waits
for nothing. So a script and the daemon carry out the same plans, and either goes on where the other has stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.execution.execution import Request, recorded_success
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.plan_records import PlannedStage, PlanRecord
from rheo_assets.bridge.loop.plan_store import PlanStore
from rheo_assets.errors import ExecutionFailed, NotReady
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.planning.one_execution import injected_tips, never_ready, unmet
from rheo_assets.planning.plan import Tips
from rheo_assets.routing.entries import planned_id

_log = logging.getLogger("rheo_assets")


@dataclass(frozen=True)
class Step:
    """The executions of a plan that have to run now.

    Attributes:
        position: The position of the current stage.
        stage: The current stage.
        requests: The executions of the stage that have not ended; empty while other executions run its partitions.
    """

    position: int
    stage: PlannedStage
    requests: tuple[Request, ...]


@dataclass
class _Walk:
    """The progress of one plan: a cache of recorded facts, and decisions that are made once.

    Attributes:
        position: The position of the current stage.
        requests: The executions of the current stage; None until they are decided.
        postponed: Downstream executions whose other inputs were not ready: their tips by node id and partition.
        counts: The number of ended executions per stage, as seen so far.
    """

    position: int = 0
    requests: dict[Partition, Request] | None = None
    postponed: dict[tuple[str, Partition], Tips] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


class Plans:
    """The plans of one application.

    Args:
        driver: The event loop.
        history: The executions of the application.

    Attributes:
        files: The store of the plans and their owners.
    """

    def __init__(self, driver: Driver, history: History) -> None:
        self.driver = driver
        self.history = history
        binding = driver.binding
        self.files = PlanStore(binding.platform.storage, f"{binding.home}/plans", binding.heartbeats)
        self._walks: dict[str, _Walk] = {}

    @property
    def _topology(self) -> Topology:
        return self.driver.binding.topology

    def renewed(self, run: PlanRecord) -> PlanRecord:
        """Returns a plan under the current declaration."""
        nodes = self._topology.data_nodes
        if all(stage.node is nodes.get(stage.node.id) for stage in run.stages):
            return run
        return PlanRecord.of_fields(self._topology, json.loads(run.to_json()))

    def reset(self) -> None:
        """Restarts every plan at its first stage, because the declaration has changed."""
        self.history.binding = self.driver.binding
        self._walks = {name: _Walk(postponed=walk.postponed) for name, walk in self._walks.items()}

    # opening and closing --------------------------------------------------------------------------------------

    def start(self, run: PlanRecord) -> None:
        """Records a plan and holds its partitions."""
        self.files.write(run)
        with self.driver.lock:
            self.driver.journal.open_plan(run.id, run.holds())
            self.driver.fold()

    def finish(self, run: PlanRecord) -> None:
        """Closes a plan. Executions that could not start yet wait as trigger groups from now on."""
        try:
            self._finish(run)
        finally:
            self.files.release(run)

    def _finish(self, run: PlanRecord) -> None:
        with self.driver.lock:
            self.driver.turn()  # the plan absorbs the events of its own outputs while it is open
            run, absorbed = self.renewed(run), self.driver.router.absorbed.get(run.id, set())
            self.driver.journal.close_plan(run.id)
            for (node_id, partition), tips in self._walk(run).postponed.items():
                if (node := self._topology.data_nodes.get(node_id)) is not None:
                    self._leave_waiting(run, node, partition, tips)
            for stage in run.stages:
                self._run_again(run, stage, [p for p in stage.partitions if (stage.node.id, p) in absorbed])
            self.driver.fold()
        self._walks.pop(run.id, None)
        self.files.delete(run)

    def _leave_waiting(self, run: PlanRecord, node: DataNode, partition: Partition, tips: Tips) -> None:
        if self.driver.binding.claims.newest(planned_id(run.id, node.id, partition)) is not None:
            return  # another driver found it ready and ran it
        self._inject(node, tips, f"plan:{run.id}:{node.id}")

    def _inject(self, node: DataNode, tips: Tips, identity: str) -> None:
        """Injects the events that start an execution of a node, for that node only."""
        for alias, view in node.inputs.items():
            if view.needs_event and alias in tips:
                self.driver.journal.inject(view.node.id, tips[alias], f"{identity}:{alias}", node.id)

    def _run_again(self, run: PlanRecord, stage: PlannedStage, absorbed: Sequence[Partition]) -> None:
        """Injects absorbed events again if their data was written after the plan's own execution read it."""
        node, ended = stage.node, self._ended(run, stage) if absorbed else {}
        for partition in absorbed:
            execution = ended.get(partition)
            if execution is None or execution.status != Status.COMPLETED or execution.started is None:
                continue
            tips = self._tips(stage, partition)
            if self._was_written_since(node, tips, execution.started.timestamp()):
                rendered = "/".join(node.spec.render(partition))
                self._inject(node, tips, f"plan:{run.id}:again:{node.id}:{rendered}")

    def _was_written_since(self, node: DataNode, tips: Tips, moment: float) -> bool:
        written_since = self.driver.binding.readiness.was_written_since
        views = node.inputs.items()
        return any(view.needs_event and written_since(view.node, tips[alias], moment) for alias, view in views)

    def abandoned(self) -> list[PlanRecord]:
        """Returns the recorded plans that no live process carries out."""
        found, damaged = self.files.abandoned(self._topology)
        for plan in damaged:
            self.driver.journal.close_plan(plan)
        return found

    # what they hold -------------------------------------------------------------------------------------------

    def is_open(self, run: PlanRecord) -> bool:
        """Returns whether a plan is not closed yet."""
        with self.driver.lock:
            self.driver.fold()
            return run.id in self.driver.router.plans

    def holders(self, node: DataNode, partition: Partition) -> list[str]:
        """Returns the open plans that hold a partition, oldest first."""
        with self.driver.lock:
            plans = self.driver.router.plans
            found = [name for name, plan in plans.items() if partition in plan.holds.get(node.id, ())]
            return sorted(found, key=lambda name: plans[name].position)

    def unfinished(self, node: DataNode, partition: Partition | None = None) -> dict[Partition, str]:
        """Returns the unfinished executions of a node in open plans: their ids by partition."""
        with self.driver.lock:
            held = {
                held: planned_id(name, node.id, held)
                for name, plan in self.driver.router.plans.items()
                for held in plan.holds.get(node.id, ())
                if partition is None or held == partition
            }
        ended = self.history.ended_as(node, held) if held else {}
        return {partition: identity for partition, identity in held.items() if partition not in ended}

    # carrying out ---------------------------------------------------------------------------------------------

    def step(self, run: PlanRecord) -> Step | None:
        """Returns the executions to run now; None if the plan is finished.

        Raises:
            NotReady: The target's inputs are not ready.
            ExecutionFailed: A stage failed, or the target was killed before its stage. Later stages do not start.
        """
        run, walk = self.renewed(run), self._walk(run)
        if walk.position < run.position < len(run.stages):
            raise_failed(self.ended(run, run.stages[run.position]))
        while walk.position < len(run.stages):
            stage = run.stages[walk.position]
            if walk.requests is None:
                if self._is_busy(run, stage):
                    return Step(walk.position, stage, ())
                walk.requests = self._requests(run, stage, walk)
            ended = self._ended(run, stage)
            rest = tuple(request for partition, request in walk.requests.items() if partition not in ended)
            if rest:
                return Step(walk.position, stage, self._without_checked(stage, rest))
            raise_failed(list(ended.values()))
            walk.position, walk.requests = walk.position + 1, None
        return None

    def verdict(self, run: PlanRecord) -> None:
        """Raises if a closed plan did not succeed.

        Raises:
            NotReady: The target's inputs are not ready.
            ExecutionFailed: A stage failed, or the target never ran.
        """
        run = self.renewed(run)
        self.check_target(run)
        for stage in run.stages:
            raise_failed(self.ended(run, stage))
        if run.starts_outside:
            return
        stage = run.stages[run.position]
        if not self.ended(run, stage):
            self._requests(run, stage, _Walk())
            partition = stage.node.spec.render(stage.partitions[0])
            raise ExecutionFailed(
                stage.node.id, partition, "its plan", "it was closed before this execution ran; see the logs"
            )

    def check_target(self, run: PlanRecord) -> None:
        """Checks that the target of a plan is still declared.

        Raises:
            ExecutionFailed: The target is no longer declared, or has other dimensions.
        """
        if not self.renewed(run).has_target:
            error = "meanwhile the node was removed, or declared with other dimensions, so the plan was stopped"
            raise ExecutionFailed(run.target, (), "its plan", error)

    def ended(self, run: PlanRecord, stage: PlannedStage) -> list[Execution]:
        """Returns the executions of a stage that have ended."""
        found = self._ended(run, stage)
        return [found[partition] for partition in stage.partitions if partition in found]

    def counts(self, run: PlanRecord) -> tuple[int, int]:
        """Returns the number of ended executions of a plan, and the number of all."""
        run, counts = self.renewed(run), self._walk(run).counts
        for position, stage in enumerate(run.stages):
            if counts.get(position, 0) < len(stage.partitions):
                counts[position] = len(self._ended(run, stage))
                if not counts[position]:
                    break
        return sum(counts.values()), sum(len(stage.partitions) for stage in run.stages)

    def _walk(self, run: PlanRecord) -> _Walk:
        return self._walks.setdefault(run.id, _Walk())

    def _ended(self, run: PlanRecord, stage: PlannedStage) -> Mapping[Partition, Execution]:
        return self.history.ended_as(stage.node, {p: planned_id(run.id, stage.node.id, p) for p in stage.partitions})

    def _without_checked(self, stage: PlannedStage, requests: Sequence[Request]) -> tuple[Request, ...]:
        """Returns those of which more is left to do than their blocking checks."""
        with self.driver.lock:
            is_checked = self.driver.unresolved.is_checked
            return tuple(request for request in requests if not is_checked(stage.node.id, request.id))

    def _is_busy(self, run: PlanRecord, stage: PlannedStage) -> bool:
        """Whether executions from before the plan still run partitions of a stage, which must not run twice at once."""
        mine = {p: planned_id(run.id, stage.node.id, p) for p in stage.partitions}
        if not self.driver.is_paused():
            with self.driver.lock:
                state = self.driver.groups_of(stage.node)
                if state is not None and mine.keys() & state.in_flight.keys():
                    return True
        spec = stage.node.spec
        return any(mine.get(spec.read(e.partition), e.id) != e.id for e in self.history.active(stage.node))

    def _requests(self, run: PlanRecord, stage: PlannedStage, walk: _Walk) -> dict[Partition, Request]:
        ended = self._ended(run, stage)
        found = {p: self._request(run, stage, p, walk) for p in stage.partitions if p not in ended}
        return {partition: request for partition, request in found.items() if request is not None}

    def _request(self, run: PlanRecord, stage: PlannedStage, partition: Partition, walk: _Walk) -> Request | None:
        node, binding = stage.node, self.driver.binding
        walk.postponed.pop((node.id, partition), None)
        identity = planned_id(run.id, node.id, partition)
        if binding.readiness.is_ready(node, partition):
            if recorded_success(node, partition, identity, binding.platform) is not None:
                # Its process died before it recorded the end. The body now only records it, whatever its inputs are.
                return Request(identity, partition, self._tips(stage, partition))
            if self._only_fills_gaps(run, node):
                return None  # something else has built it since
        tips = self._tips(stage, partition)
        conditions = unmet(node, tips, binding.is_ready, injected_tips(node, tips))
        if conditions.are_met:
            return Request(identity, partition, tips, conditions.nearest)
        missing, never = conditions.waiting_for(node), never_ready(node, tips)
        is_recursive = run.position > 0  # the stages before the target build its inputs
        error = NotReady(node.id, node.spec.render(partition), missing, never, is_recursive)
        if node.id == run.target:
            raise error
        _log.warning("%s", error)
        walk.postponed[node.id, partition] = tips
        return None

    @staticmethod
    def _tips(stage: PlannedStage, partition: Partition) -> Tips:
        return stage.tips.get(partition) or stage.node.linkage.resolve_output(partition)

    def _only_fills_gaps(self, run: PlanRecord, node: DataNode) -> bool:
        return node.id != run.target and node.id not in self._topology.descendants(run.target)


def raise_failed(executions: Sequence[Execution]) -> None:
    """Raises if an execution did not succeed.

    Raises:
        ExecutionFailed: The first execution that did not succeed, with the failed target and its cause.
    """
    for execution in executions:
        if execution.status == Status.COMPLETED:
            continue
        record = next((r for r in execution.records if r.status != Status.COMPLETED), None)
        target = f"target {record.target} ({record.title})" if record is not None else "its run"
        details = record.detail.strip() if record is not None else ""
        detail = f"\n{details}" if details not in str(execution.error) else ""
        raise ExecutionFailed(execution.node, execution.partition, target, f"{execution.error}{detail}")
