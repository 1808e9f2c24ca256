"""Plans in execution: `execute` as a held set of partitions, stage by stage, resumable after a kill."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rheo_assets.assets.claims import Owner
from rheo_assets.assets.driver import Driver
from rheo_assets.assets.history import History
from rheo_assets.assets.runs import LocalRuns
from rheo_assets.dimensions import Partition
from rheo_assets.errors import ExecutionFailed, NotReady
from rheo_assets.executions import Execution, Status
from rheo_assets.nodes import DataNode
from rheo_assets.planning.execution import injected_tips, unmet
from rheo_assets.planning.plan import Plan, Tips
from rheo_assets.runner.execution import Request
from rheo_assets.topology import Topology

_log = logging.getLogger("rheo_assets")
_LOOK_EVERY = 0.2


@dataclass(frozen=True)
class PlannedStage:
    """One node's executions of a plan, with the input tips that the plan fixed."""

    node: DataNode
    partitions: tuple[Partition, ...]
    tips: Mapping[Partition, Mapping[str, Partition]]


@dataclass(frozen=True)
class PlanRun:
    """A plan that this process carries out.

    Attributes:
        id: Its identity; executions are named after it.
        target: The id of the node that was asked for.
        stages: Its stages, parents first.
    """

    id: str
    target: str
    stages: tuple[PlannedStage, ...]

    @classmethod
    def of(cls, topology: Topology, plan: Plan) -> PlanRun:
        """Returns a new run of a plan."""
        stages = []
        for stage in plan.stages:
            partitions = tuple(stage.partitions)
            fixed = {p: plan.inputs[stage.node, p] for p in partitions if (stage.node, p) in plan.inputs}
            stages.append(PlannedStage(topology.data_nodes[stage.node], partitions, fixed))
        return cls(str(uuid.uuid4()), plan.target.node, tuple(stages))

    def holds(self) -> dict[str, tuple[Partition, ...]]:
        """Returns the partitions that the plan holds, by node id."""
        return {stage.node.id: stage.partitions for stage in self.stages}

    def split(self) -> tuple[tuple[PlannedStage, ...], PlannedStage, tuple[PlannedStage, ...]]:
        """Returns the stages before the target's, the target's, and those after it."""
        position = next(index for index, stage in enumerate(self.stages) if stage.node.id == self.target)
        return self.stages[:position], self.stages[position], self.stages[position + 1 :]

    def to_json(self) -> str:
        """Returns the plan as JSON, with its owner."""
        stages = []
        for stage in self.stages:
            spec = stage.node.spec
            fixed = [
                [list(spec.render(p)), {a: list(stage.node.inputs[a].node.spec.render(t)) for a, t in tips.items()}]
                for p, tips in stage.tips.items()
            ]
            partitions = [list(spec.render(p)) for p in stage.partitions]
            stages.append({"node": stage.node.id, "partitions": partitions, "tips": fixed})
        owner = Owner.this_process().text()
        return json.dumps({"version": 1, "id": self.id, "owner": owner, "target": self.target, "stages": stages})

    @classmethod
    def of_fields(cls, topology: Topology, fields: Mapping[str, Any]) -> PlanRun:
        """Reads what `to_json` wrote; nodes that are no longer declared are left out."""
        stages = []
        for item in fields["stages"]:
            node = topology.data_nodes.get(item["node"])
            if node is None:
                continue
            tips = {
                node.spec.read(values): {
                    a: node.inputs[a].node.spec.read(t) for a, t in fixed.items() if a in node.inputs
                }
                for values, fixed in item["tips"]
            }
            stages.append(PlannedStage(node, tuple(node.spec.read(v) for v in item["partitions"]), tips))
        return cls(fields["id"], fields["target"], tuple(stages))


def planned_id(plan: str, node: DataNode, partition: Partition) -> str:
    """Returns the id of one of a plan's executions."""
    return str(uuid5(NAMESPACE_URL, f"rheo:{plan}|{node.id}|{partition!r}"))


class Plans:
    """Carries plans out.

    Args:
        driver: The event loop.
        runs: Where executions run.
        history: What happened.
    """

    def __init__(self, driver: Driver, runs: LocalRuns, history: History) -> None:
        self.driver = driver
        self.runs = runs
        self.history = history
        self._topology = driver.binding.topology
        self._storage = driver.binding.platform.storage
        self._prefix = f"{driver.binding.home}/plans"
        self._postponed: dict[str, list[tuple[DataNode, Tips]]] = {}

    # opening and closing --------------------------------------------------------------------------------------

    def start(self, run: PlanRun) -> None:
        """Records a plan and holds its partitions."""
        self._storage.write(f"{self._prefix}/{run.id}.json", run.to_json().encode())
        with self.driver.lock:
            self.driver.journal.open_plan(run.id, run.holds())
            self.driver.fold()

    def finish(self, run: PlanRun) -> None:
        """Lets the partitions go; what could not start yet waits as a trigger group from now on."""
        with self.driver.lock:
            self.driver.turn()  # what the plan's own outputs pushed is absorbed while the plan still holds it
            self.driver.journal.close_plan(run.id)
            for node, tips in self._postponed.pop(run.id, ()):
                self._leave_waiting(run, node, tips)
            self.driver.fold()
        self._storage.delete(f"{self._prefix}/{run.id}.json")

    def _leave_waiting(self, run: PlanRun, node: DataNode, tips: Tips) -> None:
        for alias, view in node.inputs.items():
            if view.needs_event:
                self.driver.journal.inject(view.node.id, tips[alias], f"plan:{run.id}:{node.id}:{alias}", node.id)

    def holders(self, node: DataNode, partition: Partition) -> list[str]:
        """Returns the open plans that hold a partition, oldest first."""
        with self.driver.lock:
            plans = self.driver.router.plans
            found = [name for name, plan in plans.items() if partition in plan.holds.get(node.id, ())]
            return sorted(found, key=lambda name: plans[name].position)

    def unfinished(self, node: DataNode, partition: Partition | None = None) -> dict[Partition, str]:
        """Returns the executions of a node that open plans have not ended yet: their ids by partition."""
        with self.driver.lock:
            held = {
                held: planned_id(name, node, held)
                for name, plan in self.driver.router.plans.items()
                for held in plan.holds.get(node.id, ())
                if partition is None or held == partition
            }
        ended = self.history.ended_as(node, held) if held else {}
        return {partition: identity for partition, identity in held.items() if partition not in ended}

    # carrying out ---------------------------------------------------------------------------------------------

    def run_stages(self, run: PlanRun, stages: Sequence[PlannedStage]) -> None:
        """Runs stages to their ends.

        Raises:
            NotReady: The target's inputs are not ready.
            ExecutionFailed: A stage failed; later ones have not been started.
        """
        for stage in stages:
            wait(self.submit_stage(run, stage))
            raise_failed(self.ended(run, stage))

    def ended(self, run: PlanRun, stage: PlannedStage) -> list[Execution]:
        """Returns the executions of a stage that have ended."""
        found = self.history.ended_as(stage.node, {p: planned_id(run.id, stage.node, p) for p in stage.partitions})
        return [found[partition] for partition in stage.partitions if partition in found]

    def submit_stage(self, run: PlanRun, stage: PlannedStage) -> list[Future[None]]:
        """Starts what can be started of one stage.

        Raises:
            NotReady: The target's inputs are not ready; other executions are left to wait as trigger groups.
        """
        self._await_others(stage)
        requests = [request for p in stage.partitions if (request := self._request(run, stage, p)) is not None]
        return self.runs.submit(stage.node, requests)

    def _await_others(self, stage: PlannedStage) -> None:
        """Waits for what was started before the plan held it: no partition runs twice at once."""
        mine = set(stage.partitions)
        with self.driver.lock:
            emitted = [t for p, t in self.driver.router.groups(stage.node.id).in_flight.items() if p in mine]
        identities = [trigger.execution_id(self._topology.application) for trigger in emitted]
        wait([future for identity in identities if (future := self.runs.future(identity)) is not None])
        while any(stage.node.spec.read(e.partition) in mine for e in self.history.active(stage.node)):
            time.sleep(_LOOK_EVERY)

    def _request(self, run: PlanRun, stage: PlannedStage, partition: Partition) -> Request | None:
        node, binding = stage.node, self.driver.binding
        if self._only_fills_gaps(run, node) and binding.readiness.is_ready(node, partition):
            return None  # somebody else has made it since
        tips = stage.tips.get(partition) or node.linkage.resolve_output(partition)
        conditions = unmet(
            node,
            tips,
            binding.is_ready,
            injected_tips(node, tips),
        )
        if conditions.are_met:
            return Request(planned_id(run.id, node, partition), partition, tips, conditions.nearest)
        error = NotReady(node.id, "/".join(node.spec.render(partition)), conditions.waiting_for(node))
        if node.id == run.target:
            raise error
        _log.warning("%s", error)
        self._postponed.setdefault(run.id, []).append((node, tips))
        return None

    def _only_fills_gaps(self, run: PlanRun, node: DataNode) -> bool:
        return node.id != run.target and node.id not in self._topology.descendants(run.target)

    def abandoned(self) -> list[PlanRun]:
        """Returns the recorded plans whose process is dead."""
        found = []
        for name in self._storage.children(self._prefix):
            if not name.endswith(".json"):
                continue
            try:
                fields = json.loads(self._storage.read(f"{self._prefix}/{name}"))
                if Owner.of_text(fields["owner"]).is_dead():
                    found.append(PlanRun.of_fields(self._topology, fields))
            except (FileNotFoundError, ValueError, KeyError) as error:
                _log.warning("the plan %s cannot be resumed: %s", name, error)
        return found


def raise_failed(executions: Sequence[Execution]) -> None:
    """Raises for the first execution that did not succeed.

    Raises:
        ExecutionFailed: With the failed target and its cause.
    """
    for execution in executions:
        if execution.status == Status.COMPLETED:
            continue
        record = next((r for r in execution.records if r.status != Status.COMPLETED), None)
        target = f"target {record.target} ({record.title})" if record is not None else "its run"
        detail = f"\n{record.detail}" if record is not None and record.detail else ""
        raise ExecutionFailed(execution.node, "/".join(execution.partition), target, f"{execution.error}{detail}")
