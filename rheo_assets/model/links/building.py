"""The base of link compilation: the variables of a node, its literals, and the equalities between them."""

from __future__ import annotations

from collections.abc import Mapping

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DimensionSpec, Value, compared_equal
from rheo_assets.model.links.rules import OUTPUT, Rule, Rulebook, Variable, closure
from rheo_assets.model.signals import View


class RuleBuilder:
    """Collects the rules of one node.

    Args:
        node_id: For messages.
        inputs: The node's views by alias, in declared order.
        output: The output's spec.
    """

    def __init__(self, node_id: str, inputs: Mapping[str, View], output: DimensionSpec) -> None:
        self._node_id = node_id
        self._inputs = dict(inputs)
        self._output = output
        self._variables: list[Variable] = []
        self._index: dict[tuple[str, str], int] = {}
        for alias, view in inputs.items():
            self._add_variables(alias, view.linked_spec)
        self._add_variables(OUTPUT, output)
        self._constants = self._literals()
        self._fixed = {alias for alias, view in inputs.items() if view.is_ref and view.is_material}
        self._rules: list[Rule] = []
        self._explicit_pairs: set[tuple[str, str, str]] = set()
        self._computed: set[tuple[str, str]] = set()
        self._equated: set[tuple[str, str]] = set()

    def book(self) -> Rulebook:
        """Returns the rules."""
        return Rulebook(
            self._node_id,
            self._inputs,
            self._output,
            tuple(self._variables),
            self._index,
            self._constants,
            tuple(self._rules),
        )

    def _add_variables(self, alias: str, spec: DimensionSpec) -> None:
        for dimension in spec:
            self._index[alias, dimension.name] = len(self._variables)
            self._variables.append(Variable(alias, dimension))

    def _literals(self) -> dict[int, Value]:
        constants = {}
        for alias, view in self._inputs.items():
            for dimension in view.node.spec:
                values = view.narrowed.literals(view.node.spec, dimension.name)
                if values is not None and len(values) == 1:
                    constants[self._index[alias, dimension.name]] = values[0]
        return constants

    def _subject(self, link: object) -> str:
        return f"node '{self._node_id}': link {link!r}"

    def _equate(self, one: int, other: int) -> None:
        for target, source in ((one, other), (other, one)):
            to, of = self._variables[target].dimension, self._variables[source].dimension
            if to.granularity is not None and of.type is not to.type and of.has_order:
                raise DeclarationError(
                    f"node '{self._node_id}'",
                    f"{self._variables[source]} is {of.type}, {self._variables[target]} is {to.type}: not comparable",
                    "Link them with a function, or set auto_input_dim_linking_enabled=False",
                )
            coarser = (
                to.granularity is not None
                and of.granularity is not None
                and of.granularity.fineness < to.granularity.fineness
            )
            self._rules.append(Rule(target, (source,), None, guesses=coarser))

    def _known_from_events(self) -> set[int]:
        """Returns the variables that literals, events and the existing rules determine."""
        plain = {alias for alias, view in self._inputs.items() if view.needs_event}
        known = {index for index, variable in enumerate(self._variables) if variable.alias in plain}
        return closure(known | set(self._constants), self._rules)

    def _links_automatically(self, one: str, other: str, name: str) -> bool:
        if (one, other, name) in self._explicit_pairs:
            return False
        if (one, name) in self._computed or (other, name) in self._computed:
            return False
        first, second = self._index[one, name], self._index[other, name]
        if first in self._constants and second in self._constants:
            # The user pinned them to different values ({"x": a['NA'], "y": a['EU']}): a link would block the node.
            return compared_equal(
                self._constants[first],
                self._variables[first].dimension,
                self._constants[second],
                self._variables[second].dimension,
            )
        return True
