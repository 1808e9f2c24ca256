"""Covering inputs: the period that each of them covers, and the dimension that it is linked to automatically."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rheo_assets.errors import DeclarationError, listed
from rheo_assets.model.dimensions import Dimension, DimensionSpec
from rheo_assets.model.filters import ANY
from rheo_assets.model.links.rules import OUTPUT
from rheo_assets.model.periods import Cover
from rheo_assets.model.signals import View
from rheo_assets.model.subscripts import DimensionsOf

Name = tuple[str, str]
"""An alias, or `output`, and a dimension of it."""

_REMEDY = 'Give the node an output with the period: output_dimension_spec={"month": {"type": "DATETIME", …}}'


@dataclass(frozen=True, slots=True)
class CoverLink:
    """Links the covered dimension of an input to the coarser dimension that gives its period."""

    source: Name
    target: Name


def settle_covers(
    where: str, views: Mapping[str, View], output: DimensionSpec, links: Iterable[Sequence[Any]]
) -> tuple[dict[str, View], list[CoverLink]]:
    """Returns the inputs of a node with the periods that they cover, and the links to those periods.

    Args:
        where: Names the node in messages.
        views: Its inputs by alias.
        output: Its output's dimensions.
        links: The user's links. If one of them gives a covering input its period, no other link is added.

    Raises:
        DeclarationError: No dimension gives an input its period, or several do.
    """
    settled = dict(views)
    found: list[CoverLink] = []
    written = list(links)
    for alias, view in views.items():
        if not view.is_covering:
            continue
        finer = _covered(view)
        own = [d for d in _linked(view, finer, output, written) if _is_period(d, finer, view)]
        if own:
            settled[alias] = replace(view, period=own[0].granularity)
            continue
        target, dimension = _target(where, alias, views, output, finer)
        settled[alias] = replace(view, period=dimension.granularity)
        found.append(CoverLink((alias, finer.name), target))
    _check_output(where, settled, output, written)
    return settled, found


def _covered(view: View) -> Dimension:
    branch = view.constraints + (ANY,) * (len(view.node.spec) - len(view.constraints))
    return Cover.of(view.node.spec, branch, None, str(view)).dimension


def _is_period(dimension: Dimension, finer: Dimension, view: View) -> bool:
    """Returns whether a dimension can give a view its period."""
    if dimension.granularity is None or finer.granularity is None:
        return False
    return dimension.granularity.fineness < finer.granularity.fineness and view.period in {None, dimension.granularity}


def _linked(view: View, finer: Dimension, output: DimensionSpec, links: Iterable[Sequence[Any]]) -> Iterator[Dimension]:
    """Yields the dimensions that the user linked to the covered one."""
    for link in links:
        if not isinstance(link, tuple | list) or len(link) != 3:
            continue  # compiling says so
        target, _, source = link
        for side, other in ((target, source), (source, target)):
            if isinstance(side, DimensionsOf) and side.node.id == view.node.id and finer.name in side.names:
                if isinstance(other, DimensionsOf):
                    yield from (other.node.spec[name] for name in other.names)
                elif side is source and isinstance(other, str) and other in output:
                    yield output[other]


def _target(
    where: str, alias: str, views: Mapping[str, View], output: DimensionSpec, finer: Dimension
) -> tuple[Name, Dimension]:
    view = views[alias]
    others = [(name, other.node.spec) for name, other in views.items() if name != alias and not other.is_covering]
    for specs in ([(OUTPUT, output)], others):
        found = [((name, d.name), d) for name, spec in specs for d in spec if _is_period(d, finer, view)]
        same = [pair for pair in found if pair[1].name == finer.name]
        if len(found) == 1 or len(same) == 1:
            return found[0] if len(found) == 1 else same[0]
        if found:
            names = listed(f"{name[0]}.{name[1]}" for name, _ in found)
            problem = f"input '{alias}' may cover the period of any of {names}"
            raise DeclarationError(where, problem, 'Say which: .covering("MONTH"), or link it')
    kind = f"a {view.period}" if view.period is not None else f"anything coarser than a {finer.granularity}"
    problem = f"input '{alias}' covers '{finer.name}', and neither the output nor another input has {kind}"
    raise DeclarationError(where, problem, _REMEDY)


def _check_output(where: str, views: Mapping[str, View], output: DimensionSpec, links: Iterable[Sequence[Any]]) -> None:
    """Refuses an output dimension that is finer than the period: it would name the period by its first day."""
    written = {link[0] for link in links if isinstance(link, tuple | list) and link and isinstance(link[0], str)}
    for alias, view in views.items():
        if view.cover is None or view.cover.dimension.name not in output:
            continue
        first = next(name for name, other in views.items() if view.cover.dimension.name in other.node.spec)
        dimension = output[view.cover.dimension.name]
        if first == alias and dimension.name not in written and _is_finer(dimension, view.cover):
            problem = f"input '{alias}' covers a {view.cover.period}, and the output's '{dimension.name}' is finer"
            raise DeclarationError(where, problem, _REMEDY)


def _is_finer(dimension: Dimension, cover: Cover) -> bool:
    return dimension.granularity is not None and dimension.granularity.fineness > cover.period.fineness
