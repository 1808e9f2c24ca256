"""Recorded plans: the fixed stages of a plan as JSON, and the process that carries them out."""

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
    """The executions of one node in a plan, with their fixed input tips."""

    node: DataNode
    partitions: tuple[Partition, ...]
    tips: Mapping[Partition, Mapping[str, Partition]]


@dataclass(frozen=True)
class PlanRecord:
    """A plan in progress.

    Attributes:
        id: The id of the plan, from which the ids of its executions are built.
        target: The id of the requested node.
        stages: The stages, parents first.
        owner: The process that carries it out as long as it lives; None for any driver of the application.
        starts_outside: Whether the target is external data: it is not executed, only what is built from it.
    """

    id: str
    target: str
    stages: tuple[PlannedStage, ...]
    owner: Owner | None
    starts_outside: bool = False

    @classmethod
    def of(cls, topology: Topology, plan: Plan, owner: Owner | None) -> PlanRecord:
        """Returns a new run of a plan."""
        stages = []
        for stage in plan.stages:
            partitions = tuple(stage.partitions)
            fixed = {p: plan.inputs[stage.node, p] for p in partitions if (stage.node, p) in plan.inputs}
            stages.append(PlannedStage(topology.data_nodes[stage.node], partitions, fixed))
        outside = plan.target.node not in topology.data_nodes
        return cls(str(uuid.uuid4()), plan.target.node, tuple(stages), owner, outside)

    def holds(self) -> dict[str, tuple[Partition, ...]]:
        """Returns the partitions that the plan holds, by node id."""
        return {stage.node.id: stage.partitions for stage in self.stages}

    @property
    def position(self) -> int:
        """The position of the target's stage; past the end if the target is no longer declared."""
        if self.starts_outside:
            return 0
        return next((n for n, stage in enumerate(self.stages) if stage.node.id == self.target), len(self.stages))

    @property
    def has_target(self) -> bool:
        """Whether the target is still declared with the same dimensions, so that its stage exists."""
        return self.starts_outside or self.position < len(self.stages)

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
        fields = {"version": 1, "id": self.id, "owner": owner, "target": self.target, "stages": stages}
        return json.dumps({**fields, **({"starts_outside": True} if self.starts_outside else {})})

    @classmethod
    def of_fields(cls, topology: Topology, fields: Mapping[str, Any]) -> PlanRecord:
        """Reads the fields of `to_json` under the current declaration.

        Nodes that are no longer declared, or have other dimensions, are skipped. Fixed tips are used if they match the
        current inputs of a node. Otherwise the tips follow from the partition.
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
        return cls(fields["id"], fields["target"], tuple(stages), owner, fields.get("starts_outside", False))


def _read_stage(node: DataNode, item: Mapping[str, Any]) -> PlannedStage:
    tips = {
        node.spec.read(values): {alias: node.inputs[alias].node.spec.read(text) for alias, text in fixed.items()}
        for values, fixed in item["tips"]
        if fixed.keys() == node.inputs.keys()
    }
    return PlannedStage(node, tuple(node.spec.read(values) for values in item["partitions"]), tips)
