"""Covering inputs: the period that each covers, and the dimension that it is linked to automatically."""

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
"""An alias or `output`, and one of its dimensions."""

_REMEDY = 'Give the node an output with the period: output_dimension_spec={"month": {"type": "DATETIME", …}}'


@dataclass(frozen=True, slots=True)
class CoverLink:
    """The dimension that a covering input covers, and the coarser one that determines the period."""

    source: Name
    target: Name


def settle_covers(
    where: str, views: Mapping[str, View], output: DimensionSpec, links: Iterable[Sequence[Any]]
) -> tuple[dict[str, View], list[CoverLink]]:
    """Returns a node's inputs, with the period of each covering one, and their automatic links.

    Args:
        where: Names the node in messages.
        views: The inputs by alias.
        output: The dimensions of the output.
        links: The user's links; a covering input that they link to a coarser dimension gets no automatic link.

    Raises:
        DeclarationError: No dimension, or more than one, could be the period of an input.
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
    """Returns whether a dimension can be the period of a covering view."""
    if dimension.granularity is None or finer.granularity is None:
        return False
    return dimension.granularity.fineness < finer.granularity.fineness and view.period in {None, dimension.granularity}


def _linked(view: View, finer: Dimension, output: DimensionSpec, links: Iterable[Sequence[Any]]) -> Iterator[Dimension]:
    """Yields the dimensions that the user's links connect to the covered one."""
    for link in links:
        if not isinstance(link, tuple | list) or len(link) != 3:
            continue  # compiling raises for it
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
            raise DeclarationError(where, problem, 'Choose one: .covering("MONTH"), or link it')
    kind = f"a {view.period}" if view.period is not None else f"anything coarser than a {finer.granularity}"
    problem = f"input '{alias}' covers '{finer.name}', but neither the output nor another input has {kind}"
    raise DeclarationError(where, problem, _REMEDY)


def _check_output(where: str, views: Mapping[str, View], output: DimensionSpec, links: Iterable[Sequence[Any]]) -> None:
    """Raises if the output would have the first granule of a period instead of the period."""
    written = {link[0] for link in links if isinstance(link, tuple | list) and link and isinstance(link[0], str)}
    for alias, view in views.items():
        if view.cover is None or view.cover.dimension.name not in output:
            continue
        first = next(name for name, other in views.items() if view.cover.dimension.name in other.node.spec)
        dimension = output[view.cover.dimension.name]
        if first == alias and dimension.name not in written and _is_finer(dimension, view.cover):
            problem = f"input '{alias}' covers a {view.cover.period}, but the output's '{dimension.name}' is finer"
            raise DeclarationError(where, problem, _REMEDY)


def _is_finer(dimension: Dimension, cover: Cover) -> bool:
    return dimension.granularity is not None and dimension.granularity.fineness > cover.period.fineness
