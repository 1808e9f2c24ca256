"""Inputs that are pinned to different literals: the declaration must say which one the output has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DimensionSpec, Value
from rheo_assets.model.signals import View


def check_pinned_apart(
    where: str, views: Mapping[str, View], output: DimensionSpec, output_links: Iterable[Sequence[Any]]
) -> None:
    """Refuses a default output spec if two inputs pin one of its dimensions to different literals.

    Only inputs that take events count: the output follows them.

    Args:
        where: Names the node in messages.
        views: Its inputs by alias.
        output: The default output spec, which is that of the first input.
        output_links: The user's links. A dimension with a link of its own is not checked.

    Raises:
        DeclarationError: Names the inputs and the spec to write.
    """
    chosen = {link[0] for link in output_links if isinstance(link, tuple | list) and link and isinstance(link[0], str)}
    for dimension in output:
        pins: dict[Value, str] = {}
        for alias, view in views.items():
            if view.needs_event and dimension.name in view.node.spec and dimension.name not in chosen:
                pins.update({value: alias for value in _pin(view, dimension.name) if value not in pins})
        if len(pins) > 1:
            pinned = [(alias, dimension.render(value)) for value, alias in pins.items()]
            problem = " and ".join(f"'{alias}' pins {dimension.name} to {text!r}" for alias, text in pinned)
            rest = [d.name for d in output if d is not dimension]
            raise DeclarationError(
                where,
                f"{problem}, but nothing chooses the value of the output",
                f"Write output_dimension_spec with {rest or 'no dimension'}, or "
                f'output_dim_links=[("{dimension.name}", EQUALS, {pinned[0][1]!r})]',
            )


def _pin(view: View, name: str) -> tuple[Value, ...]:
    """Returns the literal that a view pins a dimension to, in comparable form; empty if it pins none."""
    values = view.narrowed.literals(view.node.spec, name)
    dimension = view.node.spec[name]
    return tuple(map(dimension.comparable, values)) if values is not None and len(values) == 1 else ()
