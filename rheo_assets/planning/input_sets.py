"""The input tips of a node's executions, for a whole set of output partitions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from operator import or_

from rheo_assets.errors import Contradiction, InvalidValue, Undetermined
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.filters import Exactly
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.ranges import Bound
from rheo_assets.model.signals import Signal, View
from rheo_assets.planning.following import followers
from rheo_assets.planning.partition_sets import PartitionSet, axis_of
from rheo_assets.planning.plan import Tips

Solve = Callable[[Partition], Tips]


def tips_of(node: DataNode, outputs: PartitionSet) -> dict[str, PartitionSet]:
    """Returns, for each input, the tips of the executions of these output partitions.

    If the outputs' ordered dimension reaches the inputs unchanged, one solution serves a whole row of outputs.

    Raises:
        Contradiction: An input cannot have the partition.
        Undetermined: The output does not determine an input.
    """
    moving = _moving_inputs(node)
    if moving is None:
        return tips_one_by_one(node, outputs)
    solved = {row: tips_for(node, partition) for row, partition in outputs.oldest().items()}
    return {
        alias: outputs.carried(
            view.node.spec, {row: tips[alias] for row, tips in solved.items()}, moves=alias in moving
        )
        for alias, view in node.inputs.items()
    }


def tips_one_by_one(
    node: DataNode, outputs: Iterable[Partition], solve: Solve | None = None
) -> dict[str, PartitionSet]:
    """Returns the same as `tips_of`, but solves each output on its own; `solve` may leave inputs out."""
    found: dict[str, dict[Partition, None]] = {alias: {} for alias in node.inputs}
    for partition in outputs:
        for alias, tip in (solve or partial(tips_for, node))(partition).items():
            found[alias][tip] = None
    return {alias: PartitionSet.of(view.node.spec, found[alias]) for alias, view in node.inputs.items()}


def tips_for(node: DataNode, output: Partition, given: Tips | None = None) -> Tips:
    """Returns the tip of each input for one output partition; errors name the partition."""
    try:
        return node.linkage.resolve_output(output, given)
    except (Contradiction, Undetermined) as error:
        raise type(error)(f"{node.describe(output)} cannot be executed: {error}") from None


def recorded_tips(node: DataNode, inputs: Mapping[str, Sequence[Sequence[str]]]) -> Tips:
    """Returns the tips of the plain inputs of a recorded execution; the other tips follow from them.

    Args:
        node: The node.
        inputs: The partitions that each input was resolved to, with values as text, tip first.
    """
    tips = {}
    for alias, view in node.inputs.items():
        if view.needs_event and inputs.get(alias):
            try:
                tips[alias] = view.tip_reading(view.node.spec.read(inputs[alias][0]))
            except InvalidValue:  # recorded under another declaration
                continue
    return tips


def check_declared(signal: Signal, partitions: PartitionSet) -> None:
    """Checks that a node can have these partitions at all.

    Raises:
        Contradiction: A partition is before a dimension's `min` or outside the node's filter.
    """
    axis = axis_of(signal.spec)
    is_row_enough = axis is None or not _pins(signal.filter.branches, axis)
    for partition in partitions.oldest().values() if is_row_enough else partitions:
        check_partition(signal, partition)


def check_partition(signal: Signal, partition: Partition) -> None:
    """Checks that a node can have a partition.

    Raises:
        Contradiction: The partition is before a dimension's `min` or outside the node's filter.
    """
    for dimension, value in zip(signal.spec, partition, strict=True):
        if dimension.min is not None and dimension.min > value:  # type: ignore[operator]
            raise Contradiction(
                f"'{signal.id}' has no partition {signal.describe(partition)}: {_before(signal, partition)}"
            )
    if not signal.filter.admits(signal.spec, partition):
        raise Contradiction(
            f"'{signal.id}' has no partition {signal.describe(partition)}: it is outside the declared values"
        )


def _before(signal: Signal, partition: Partition) -> str:
    try:
        signal.spec.read(partition)
    except InvalidValue as error:
        return str(error)
    return "it is before the min"


def _moving_inputs(node: DataNode) -> frozenset[str] | None:
    """Returns the aliases whose axis moves with the output's (the others are fixed); None to solve one by one."""
    axis = axis_of(node.spec)
    if axis is None:
        return frozenset()
    following = followers(node.linkage, node.spec.dimensions[axis].name)
    if following is None:
        return None
    for alias, name in following:
        view = node.inputs[alias]
        position = view.node.spec.index(name)
        if view.cover is not None or position != axis_of(view.node.spec) or _pins(view.narrowed.branches, position):
            return None
    return frozenset(alias for alias, _ in following)


def _pins(branches: Iterable[tuple[object, ...]], position: int) -> bool:
    return any(isinstance(branch[position], Exactly) for branch in branches)


def read_by(view: View, tips: PartitionSet) -> PartitionSet:
    """Returns every partition that a view reads for any of the tips."""
    if view.cover is not None:
        return PartitionSet.of(view.node.spec, (partition for tip in tips for partition in view.partitions(tip)))
    if not view.reads.bounds:
        return tips.spread(view.windows())
    return reduce(or_, (_let_through(bound, tips.spread(bound.windows)) for bound in view.reads.bounds))


def starved(view: View, tips: PartitionSet, ready: PartitionSet) -> PartitionSet:
    """Returns the tips of a nearest view that have no ready partition in their range."""
    if not view.reads.bounds:
        return tips - tips.reaching(view.windows(), ready)
    for bound in view.reads.bounds:
        tips = tips - tips.reaching(bound.windows, _let_through(bound, ready))
    return tips


def _let_through(bound: Bound, partitions: PartitionSet) -> PartitionSet:
    axis = partitions.axis
    admits = partial(bound.among.admits, partitions.spec)
    return partitions.where(admits, by_row=axis is None or not _pins(bound.among.branches, axis))


def closest(view: View, tips: PartitionSet) -> Mapping[Partition, Partition | None]:
    """Returns for each tip the partition that a nearest view would read first; None if its range is empty."""
    return {tip: next(iter(view.partitions(tip)), None) for tip in tips}
