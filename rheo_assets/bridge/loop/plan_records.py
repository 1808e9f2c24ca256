"""Plans as they are recorded: the stages that a plan fixed, as JSON, and who carries them out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.planning.plan import Plan


@dataclass(frozen=True)
class PlannedStage:
    """One node's executions of a plan, with the input tips that the plan fixed."""

    node: DataNode
    partitions: tuple[Partition, ...]
    tips: Mapping[Partition, Mapping[str, Partition]]


@dataclass(frozen=True)
class PlanRecord:
    """A plan that is carried out.

    Attributes:
        id: Its identity; executions are named after it.
        target: The id of the node that was asked for.
        stages: Its stages, parents first.
        owner: The process that carries it out while it lives; None: whoever drives the application.
    """

    id: str
    target: str
    stages: tuple[PlannedStage, ...]
    owner: Owner | None

    @classmethod
    def of(cls, topology: Topology, plan: Plan, owner: Owner | None) -> PlanRecord:
        """Returns a new run of a plan."""
        stages = []
        for stage in plan.stages:
            partitions = tuple(stage.partitions)
            fixed = {p: plan.inputs[stage.node, p] for p in partitions if (stage.node, p) in plan.inputs}
            stages.append(PlannedStage(topology.data_nodes[stage.node], partitions, fixed))
        return cls(str(uuid.uuid4()), plan.target.node, tuple(stages), owner)

    def holds(self) -> dict[str, tuple[Partition, ...]]:
        """Returns the partitions that the plan holds, by node id."""
        return {stage.node.id: stage.partitions for stage in self.stages}

    @property
    def position(self) -> int:
        """The position of the target's stage; past the end where the target is no longer declared."""
        return next((n for n, stage in enumerate(self.stages) if stage.node.id == self.target), len(self.stages))

    @property
    def has_target(self) -> bool:
        """Whether the target's stage is there, as it is still declared with the dimensions of then."""
        return self.position < len(self.stages)

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
            item = {"node": stage.node.id, "dimensions": spec.kinds, "partitions": partitions, "tips": fixed}
            stages.append(item)
        owner = self.owner.text() if self.owner is not None else None
        return json.dumps({"version": 1, "id": self.id, "owner": owner, "target": self.target, "stages": stages})

    @classmethod
    def of_fields(cls, topology: Topology, fields: Mapping[str, Any]) -> PlanRecord:
        """Reads what `to_json` wrote, under the present declaration.

        Nodes that are not declared any more, or with other dimensions, are left out. Tips are kept as far as they are
        those of the inputs that a node has now; others follow from the partition.
        """
        stages = []
        for item in fields["stages"]:
            node = topology.data_nodes.get(item["node"])
            if node is None or tuple(item.get("dimensions", node.spec.kinds)) != node.spec.kinds:
                continue
            try:
                stages.append(_read_stage(node, item))
            except InvalidValue:
                continue
        owner = Owner.of_text(fields["owner"]) if fields["owner"] is not None else None
        return cls(fields["id"], fields["target"], tuple(stages), owner)


def _read_stage(node: DataNode, item: Mapping[str, Any]) -> PlannedStage:
    tips = {
        node.spec.read(values): {alias: node.inputs[alias].node.spec.read(text) for alias, text in fixed.items()}
        for values, fixed in item["tips"]
        if fixed.keys() == node.inputs.keys()
    }
    return PlannedStage(node, tuple(node.spec.read(values) for values in item["partitions"]), tips)
