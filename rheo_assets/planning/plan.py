"""Plans as data: stages of executions, parents first. A plan can be read, counted and explained; it runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rheo_assets.model.dimensions import Partition
from rheo_assets.planning.partition_sets import PartitionSet

Execution = tuple[str, Partition]
"""A node id and one of its output partitions."""

Tips = Mapping[str, Partition]
"""The tip of each input, by alias."""

_LINES = 12


@dataclass(frozen=True, slots=True)
class Stage:
    """Executions of one node that do not depend on each other, so that they can run together.

    Attributes:
        node: The data node's id.
        partitions: Its output partitions, oldest first.
    """

    node: str
    partitions: PartitionSet

    def __len__(self) -> int:
        return len(self.partitions)


@dataclass(frozen=True, slots=True)
class Plan:
    """Executions in an order in which each comes after its inputs.

    Attributes:
        target: The requested stage.
        stages: One per node, parents first.
        inputs: The input tips of executions whose output partition alone does not determine them.
    """

    target: Stage
    stages: tuple[Stage, ...]
    inputs: Mapping[Execution, Tips] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return sum(len(stage) for stage in self.stages)

    def __iter__(self) -> Iterator[Execution]:
        for stage in self.stages:
            for partition in stage.partitions:
                yield stage.node, partition

    def __contains__(self, execution: object) -> bool:
        match execution:
            case (node, partition):
                return any(stage.node == node and partition in stage.partitions for stage in self.stages)
            case _:
                return False

    def explain(self) -> str:
        """Returns the plan as readable text: what runs, in which order."""
        stages, count = len(self.stages), len(self)
        lines = [f"{_counted(count, 'execution')} in {_counted(stages, 'stage')}, one after the other:"]
        for number, stage in enumerate(self.stages, 1):
            mark = "  <- requested" if stage.node == self.target.node else ""
            lines.append(f"  {number}. {stage.node}: {_counted(len(stage), 'partition')}{mark}")
            lines.extend(f"       {line}" for line in _lines(stage.partitions))
        return "\n".join(lines)

    def to_fields(self) -> dict[str, Any]:
        """Returns the plan as JSON fields; neighbouring partitions are written as `[first, last]`."""
        return {
            "target": _fields(self.target),
            "stages": [_fields(stage) for stage in self.stages],
            "executions": len(self),
        }


def stages_of(order: Iterator[str] | tuple[str, ...], planned: Mapping[str, PartitionSet]) -> tuple[Stage, ...]:
    """Returns the planned partitions as stages in the given order of nodes, empty ones left out."""
    return tuple(Stage(node, planned[node]) for node in order if planned.get(node))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lines(partitions: PartitionSet) -> Iterator[str]:
    def text(partition: Partition) -> str:
        return "".join(f"[{value}]" for value in partitions.spec.render(partition)) or "(no dimensions)"

    stretches = partitions.stretches()
    for first, last, count in islice(stretches, _LINES):
        yield text(first) if count == 1 else f"{text(first)} … {text(last)} ({count:,})"
    rest = sum(stretch.length for stretch in stretches)
    if rest:
        yield f"and {rest:,} more"


def _fields(stage: Stage) -> dict[str, Any]:
    spec = stage.partitions.spec
    ranges = [[list(spec.render(first)), list(spec.render(last))] for first, last, _ in stage.partitions.stretches()]
    return {"node": stage.node, "partitions": ranges, "count": len(stage)}
