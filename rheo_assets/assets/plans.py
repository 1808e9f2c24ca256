"""Plans in execution: `execute` as a held set of partitions, stage by stage, resumable after a kill."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
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
from rheo_assets.planning.plan import Plan
from rheo_assets.runner.execution import Request
from rheo_assets.topology import Topology

_log = logging.getLogger("rheo_assets")


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
        stages: Its stages, parents first.
    """

    id: str
    stages: tuple[PlannedStage, ...]

    @classmethod
    def of(cls, topology: Topology, plan: Plan) -> PlanRun:
        """Returns a new run of a plan."""
        stages = []
        for stage in plan.stages:
            partitions = tuple(stage.partitions)
            fixed = {p: plan.inputs[stage.node, p] for p in partitions if (stage.node, p) in plan.inputs}
            stages.append(PlannedStage(topology.data_nodes[stage.node], partitions, fixed))
        return cls(str(uuid.uuid4()), tuple(stages))

    def holds(self) -> dict[str, tuple[Partition, ...]]:
        """Returns the partitions that the plan holds, by node id."""
        return {stage.node.id: stage.partitions for stage in self.stages}

    def execution_id(self, node: DataNode, partition: Partition) -> str:
        """Returns the id of one of its executions."""
        return str(uuid5(NAMESPACE_URL, f"rheo:{self.id}|{node.id}|{partition!r}"))

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
        return json.dumps({"version": 1, "id": self.id, "owner": Owner.this_process().text(), "stages": stages})

    @classmethod
    def of_fields(cls, topology: Topology, fields: Mapping[str, Any]) -> PlanRun:
        """Reads what `to_json` wrote; nodes that are no longer declared are left out."""
        stages = []
        for item in fields["stages"]:
            node = topology.data_nodes.get(item["node"])
            if node is None:
                continue
            tips = {
                node.spec.read(values): {a: node.inputs[a].node.spec.read(t) for a, t in fixed.items() if a in node.inputs}
                for values, fixed in item["tips"]
            }
            stages.append(PlannedStage(node, tuple(node.spec.read(v) for v in item["partitions"]), tips))
        return cls(fields["id"], tuple(stages))


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
        self._storage = driver.binding.platform.storage
        self._prefix = f"{driver.binding.home}/plans"

    def start(self, run: PlanRun) -> None:
        """Records a plan and holds its partitions."""
        self._storage.write(f"{self._prefix}/{run.id}.json", run.to_json().encode())
        with self.driver.lock:
            self.driver.journal.open_plan(run.id, run.holds())
            self.driver.fold()

    def finish(self, run: PlanRun) -> None:
        """Lets the partitions go."""
        with self.driver.lock:
            self.driver.journal.close_plan(run.id)
            self.driver.fold()
        self._storage.delete(f"{self._prefix}/{run.id}.json")

    def carry_out(self, run: PlanRun, progress: Callable[[str, int, int], None] | None = None) -> list[Execution]:
        """Runs every stage and returns its executions; stops after a stage that failed."""
        executions: list[Execution] = []
        total = sum(len(stage.partitions) for stage in run.stages)
        for stage in run.stages:
            ended = self.run_stage(run, stage)
            executions += ended
            if progress is not None:
                progress(stage.node.id, len(executions), total)
            if any(execution.status != Status.COMPLETED for execution in ended):
                break
        return executions

    def run_stage(self, run: PlanRun, stage: PlannedStage) -> list[Execution]:
        """Runs one stage to its end."""
        wait(self.submit_stage(run, stage))
        return [execution for p in stage.partitions if (execution := self.history.last(stage.node, p)) is not None]

    def submit_stage(self, run: PlanRun, stage: PlannedStage) -> list[Future[None]]:
        """Starts one stage on the pool.

        Raises:
            NotReady: An input that it waits for is not ready.
        """
        return self.runs.submit(stage.node, [self._request(run, stage, p) for p in stage.partitions])

    def _request(self, run: PlanRun, stage: PlannedStage, partition: Partition) -> Request:
        node = stage.node
        tips = stage.tips.get(partition) or node.linkage.resolve_output(partition)
        topology = self.driver.binding.topology
        conditions = unmet(
            node,
            tips,
            lambda source, p: self.driver.binding.readiness.is_ready(topology[source], p),
            injected_tips(node, tips),
        )
        if not conditions.are_met:
            raise NotReady(node.id, "/".join(node.spec.render(partition)), conditions.waiting_for(node))
        return Request(run.execution_id(node, partition), partition, tips, conditions.nearest)

    def abandoned(self) -> list[PlanRun]:
        """Returns the recorded plans whose process is dead."""
        found = []
        for name in self._storage.children(self._prefix):
            if not name.endswith(".json"):
                continue
            try:
                fields = json.loads(self._storage.read(f"{self._prefix}/{name}"))
                if Owner.of_text(fields["owner"]).is_dead():
                    found.append(PlanRun.of_fields(self.driver.binding.topology, fields))
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
