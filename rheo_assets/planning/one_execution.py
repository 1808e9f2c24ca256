"""A single `execute` call: its output partition, its input tips, and what it still waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from rheo_assets.errors import Contradiction, DeclarationError, NotConcrete, Undetermined
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.filters import Window
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal, View, as_view, check_own
from rheo_assets.planning.input_sets import check_partition, tips_for
from rheo_assets.planning.plan import Execution, Tips

Given = Mapping[str, Signal | View] | Iterable[Signal | View] | Signal | View


def infer_execution(node: DataNode, target: Signal | View, given: Given | None = None) -> tuple[Partition, Tips]:
    """Returns the output partition that a call names, and the tip of each input.

    Args:
        node: The node to execute.
        target: A concrete view of the node, or the node itself if the given inputs determine the output.
        given: Concrete inputs, as a dict by alias or a list. In a list, each view fills every alias of its node that
            it satisfies. The other inputs are inferred.

    Raises:
        NotConcrete: The target or an input leaves a dimension open.
        Contradiction: An input does not belong to the node, or the values disagree.
        Undetermined: The output or an input cannot be determined.
    """
    wanted = as_view(target)
    named, listed = _given_tips(node, given)
    output = _output_of(wanted, bool(named or listed))
    tips = _fill(node, named, listed, output)
    if output is None:
        output = _infer_output(node, wanted, tips)
    check_partition(node, output)
    return output, tips_for(node, output, tips)


def _output_of(wanted: View, may_be_open: bool) -> Partition | None:
    try:
        return wanted.tip("execute")
    except NotConcrete:
        if not may_be_open or any(isinstance(constraint, Window) for constraint in wanted.constraints):
            raise
        return None


def _infer_output(node: DataNode, wanted: View, tips: Tips) -> Partition:
    solution = node.linkage.solve(tips)
    if solution.output is None:
        names = ", ".join(repr(name.split(".", 1)[1]) for name in solution.open if name.startswith("output."))
        raise Undetermined(
            f"the given inputs do not determine {names} of '{node.id}'. Name the partition "
            f"itself: execute({node.id}[...], inputs=...)"
        )
    if not wanted.admits(solution.output):
        raise Contradiction(f"the given inputs determine {node.describe(solution.output)}, which is not in {wanted}")
    return solution.output


def _given_tips(node: DataNode, given: Given | None) -> tuple[dict[str, Partition], list[tuple[View, Partition]]]:
    if given is None:
        return {}, []
    if isinstance(given, Mapping):
        return {alias: _named_tip(node, alias, as_view(signal)) for alias, signal in given.items()}, []
    is_one = isinstance(given, Signal | View) or not isinstance(given, Iterable)
    listed = [as_view(signal) for signal in ([given] if is_one else given)]
    for view in listed:
        _check_is_input(node, view)
    return {}, [(view, view.tip("execute(inputs=...)")) for view in listed]


def _named_tip(node: DataNode, alias: str, view: View) -> Partition:
    if alias not in node.inputs:
        raise DeclarationError(
            f"execute({node.id}, inputs=...)", f"it has no input '{alias}'", f"Its inputs are {sorted(node.inputs)}"
        )
    check_own(view.node, node.application, f"execute({node.id}, inputs={view.node.id})")
    if node.inputs[alias].node.id != view.node.id:
        raise Contradiction(f"input '{alias}' of '{node.id}' is '{node.inputs[alias].node.id}', not '{view.node.id}'")
    tip = view.tip("execute(inputs=...)")
    if not node.inputs[alias].admits(tip):
        raise Contradiction(f"{view} does not satisfy input '{alias}' of '{node.id}', which is {node.inputs[alias]}")
    return tip


def _check_is_input(node: DataNode, view: View) -> None:
    check_own(view.node, node.application, f"execute({node.id}, inputs={view.node.id})")
    if all(own.node.id != view.node.id for own in node.inputs.values()):
        raise Contradiction(
            f"'{view.node.id}' is not an input of '{node.id}', which reads {sorted(n.id for n in node.parents)}"
        )


def _fill(
    node: DataNode,
    named: Mapping[str, Partition],
    listed: Iterable[tuple[View, Partition]],
    output: Partition | None,
) -> dict[str, Partition]:
    filled = dict(named)
    node.linkage.solve(filled, output)
    for view, tip in listed:
        satisfied = [a for a, own in node.inputs.items() if own.node.id == view.node.id and own.admits(tip)]
        refusals = [refusal for alias in satisfied if (refusal := _take(node, filled, alias, tip, output))]
        if len(refusals) == len(satisfied):
            reason = refusals[0] if refusals else f"'{node.id}' reads it as {_readings(node, view)}"
            raise Contradiction(f"{view} does not fit execute({node.id}): {reason}")
    return filled


def _take(
    node: DataNode, filled: dict[str, Partition], alias: str, tip: Partition, output: Partition | None
) -> str | None:
    """Adds a tip if the links allow it, as a trigger group does; returns the reason if they do not."""
    if alias in filled:
        if node.inputs[alias].is_same_tip(filled[alias], tip):
            return None
        return f"input '{alias}' is already {node.inputs[alias].node.describe(filled[alias])}"
    try:
        node.linkage.solve({**filled, alias: tip}, output)
    except Contradiction as error:
        return str(error)
    filled[alias] = tip
    return None


def _readings(node: DataNode, view: View) -> str:
    return ", ".join(f"{alias}={own}" for alias, own in node.inputs.items() if own.node.id == view.node.id)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one execution waits for, and what its nearest inputs would read.

    Attributes:
        unready: Partitions of range-checked inputs that are not ready, in reading order.
        starved: Aliases of nearest inputs without a ready partition, with the partitions that they may read.
        nearest: For each other nearest input, the ready partition closest to its tip.
    """

    unready: tuple[Execution, ...] = ()
    starved: Mapping[str, tuple[Partition, ...]] = field(default_factory=dict, hash=False)
    nearest: Tips = field(default_factory=dict, hash=False)

    @property
    def are_met(self) -> bool:
        """Whether the execution may start."""
        return not self.unready and not self.starved

    def waiting_for(self, node: DataNode) -> list[str]:
        """Returns what is not ready as text: `x[NA][2021-03-18]`, `any of y[:-7].nearest() at y[2021-03-18]`."""
        signals = {view.node.id: view.node for view in node.inputs.values()}
        texts = [signals[source].describe(partition) for source, partition in self.unready]
        for alias, partitions in self.starved.items():
            view = node.inputs[alias]
            at = f" at {view.node.describe(partitions[0])}" if partitions else ""
            texts.append(f"any of {view}{at}")
        return texts


def unmet(
    node: DataNode,
    tips: Tips,
    is_ready: Callable[[str, Partition], bool],
    injected: Set[Execution] = frozenset(),
) -> Conditions:
    """Returns what an execution with these tips waits for.

    Args:
        node: The node.
        tips: The tip of each input.
        is_ready: Returns whether a partition's data may be read.
        injected: Partitions that count as ready for `range_check`, whether or not the storage has them; `nearest`
            looks at the storage only.
    """
    unready: dict[Execution, None] = {}
    lacking: dict[str, tuple[Partition, ...]] = {}
    nearest: dict[str, Partition] = {}
    for alias, view in node.inputs.items():
        source = view.node.id
        if not (view.checks_range or view.is_nearest):
            continue
        partitions = view.partitions(tips[alias])
        if view.is_nearest:
            chosen = next((p for p in partitions if not view.node.holds_data or is_ready(source, p)), None)
            if chosen is None:
                lacking[alias] = partitions
            else:
                nearest[alias] = chosen
        elif view.node.holds_data:
            unready.update(
                {(source, p): None for p in partitions if (source, p) not in injected and not is_ready(source, p)}
            )
    return Conditions(tuple(unready), lacking, nearest)


def never_ready(node: DataNode, tips: Tips) -> str | None:
    """Returns what a range-checked input needs that can never be ready; None if there is nothing."""
    for alias, view in node.inputs.items():
        if not (view.checks_range and view.node.holds_data):
            continue
        before = next((p for p in view.partitions(tips[alias]) if not view.node.spec.can_exist(p)), None)
        if before is not None:
            lacking = view.node.describe(before)
            return f"input '{alias}' needs {lacking}, which is before the `min` of '{view.node.id}': it is never ready"
    return None


def injected_tips(node: DataNode, tips: Tips) -> frozenset[Execution]:
    """Returns the tips of the plain inputs of external data: `execute` counts them as arrived.

    A data node's partition is ready only after its execution has succeeded. A covering input has no single tip.
    """
    return frozenset(
        (view.node.id, tips[alias])
        for alias, view in node.inputs.items()
        if view.needs_event and not view.is_covering and not isinstance(view.node, DataNode)
    )
