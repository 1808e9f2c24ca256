"""Join keys: find the waiting groups that can accept an event, without checking the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionType, Partition
from rheo_assets.model.links import OUTPUT, Linkage, Variable
from rheo_assets.model.nodes import DataNode

_NO_VALUE = object()


@dataclass(frozen=True, slots=True)
class _Extractor:
    """Computes one component of an input's join key from its partition."""

    positions: tuple[int, ...]
    function: Callable[..., Any] | None
    dimension: Dimension
    granularity: DatetimeGranularity | None
    folds_case: bool

    def __call__(self, partition: Partition) -> object:
        values = [partition[position] for position in self.positions]
        try:
            value = values[0] if self.function is None else self.dimension.read(self.function(*values))
        except InvalidValue:
            return _NO_VALUE
        except Exception:  # the user's function; the linkage reports the error with the node and link
            return _NO_VALUE
        if self.granularity is not None:
            return self.granularity.truncate(value)  # type: ignore[arg-type]
        return value.casefold() if self.folds_case and isinstance(value, str) else value


class JoinKeys:
    """The join keys of one node.

    Two inputs can be in one group only if their keys are equal. The key has a component for every class of
    EQUALS-linked dimensions that reaches each event input, also through a function of one input's dimensions. A node
    with a single event input joins only repeats of the same event, so its key is the partition.
    """

    def __init__(self, node: DataNode) -> None:
        plain = [alias for alias, view in node.inputs.items() if view.needs_event]
        self._only = node.inputs[plain[0]].node.spec if len(plain) == 1 else None
        self._views = node.inputs
        self._extractors: dict[str, tuple[_Extractor, ...]] = dict.fromkeys(plain, ())
        for members in _classes(node.linkage, plain):
            chosen = _extractors(node, members, plain)
            if chosen:
                for alias in plain:
                    self._extractors[alias] += (chosen[alias],)

    def key(self, alias: str, partition: Partition) -> tuple[object, ...]:
        """Returns the join key of an input's tip."""
        partition = self._views[alias].anchored(partition)
        if self._only is not None:
            return self._only.comparable(partition)
        return tuple(extract(partition) for extract in self._extractors[alias])


@dataclass(frozen=True, slots=True)
class _Member:
    alias: str
    variable: Variable
    function: Callable[..., Any] | None = None
    sources: tuple[Variable, ...] = ()


def _classes(linkage: Linkage, plain: Sequence[str]) -> list[list[_Member]]:
    parent: dict[tuple[str, str], tuple[str, str]] = {}
    variables: dict[tuple[str, str], Variable] = {}

    def name(variable: Variable) -> tuple[str, str]:
        key = (variable.alias, variable.dimension.name)
        variables.setdefault(key, variable)
        parent.setdefault(key, key)
        return key

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for one, other in linkage.equalities():
        if one.alias in plain and other.alias in plain:
            parent[root(name(one))] = root(name(other))
    functions = [
        (target, function, sources)
        for target, function, sources in linkage.functions()
        if target.alias in plain and sources and sources[0].alias in plain and target.alias != OUTPUT
    ]
    for target, _, _ in functions:
        name(target)
    classes: dict[tuple[str, str], list[_Member]] = {}
    for key, variable in variables.items():
        classes.setdefault(root(key), []).append(_Member(key[0], variable))
    for target, function, sources in functions:
        classes[root(name(target))].append(_Member(sources[0].alias, target, function, sources))
    return list(classes.values())


def _extractors(node: DataNode, members: list[_Member], plain: Sequence[str]) -> dict[str, _Extractor] | None:
    by_alias = {member.alias: member for member in reversed(members)}
    dimensions = [member.variable.dimension for member in members]
    if set(plain) - set(by_alias) or len({(dimension.type, dimension.transform) for dimension in dimensions}) > 1:
        return None  # such values can match without being equal
    coarsest = None
    if dimensions[0].type is DimensionType.DATETIME:
        granularities = [d.granularity for d in dimensions if d.granularity is not None]
        coarsest = min(granularities, key=lambda granularity: granularity.fineness)
        if coarsest is DatetimeGranularity.MONTH and DatetimeGranularity.WEEK in granularities:
            return None  # weeks do not nest in months, so equal values need not have a common truncation
        if coarsest is DatetimeGranularity.YEAR and DatetimeGranularity.WEEK in granularities:
            return None
    folds = any(dimension.insensitive for dimension in dimensions)
    result = {}
    for alias in plain:
        member = by_alias[alias]
        spec = node.inputs[alias].node.spec
        names = [source.dimension.name for source in member.sources] or [member.variable.dimension.name]
        positions = tuple(spec.index(name) for name in names)
        result[alias] = _Extractor(positions, member.function, member.variable.dimension, coarsest, folds)
    return result
