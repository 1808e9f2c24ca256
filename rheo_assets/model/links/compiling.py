"""Compiles what the user writes as links into rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rheo_assets.errors import DeclarationError, InvalidValue, RheoError
from rheo_assets.model.dimensions import DimensionSpec, Value, compared_equal
from rheo_assets.model.links.rules import EQUALS, OUTPUT, Rule, Rulebook, Variable
from rheo_assets.model.signals import DimensionsOf, View


class Compiler:
    """Turns the links of one node into a rulebook.

    A ref whose dimensions are all literals reads exactly that partition: no link applies to it, and the output follows
    it only in dimensions that no other input has.

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
            self._add_variables(alias, view.node.spec)
        self._add_variables(OUTPUT, output)
        self._constants = self._literals()
        self._fixed = {alias for alias, view in inputs.items() if view.is_ref and view.is_material}
        self._rules: list[Rule] = []
        self._explicit_pairs: set[tuple[str, str, str]] = set()
        self._computed: set[tuple[str, str]] = set()

    def compile(
        self,
        input_links: Iterable[Sequence[Any]],
        output_links: Iterable[Sequence[Any]],
        auto_inputs: bool,
        auto_output: bool,
    ) -> Rulebook:
        """Returns the rules; see `Linkage` for the arguments.

        Raises:
            DeclarationError: A link that names what is not there, or cannot work.
        """
        for link in input_links:
            self._add_input_link(link)
        if auto_inputs:
            self._link_by_name()
        covered = {name for link in output_links for name in [self._add_output_link(link)] if name}
        self._cover_output(covered, auto_output)
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

    def _aliases(self, side: object, link: object) -> list[str]:
        if not isinstance(side, DimensionsOf):
            raise DeclarationError(self._subject(link), f"{side!r} is not a signal's dimension", 'Write node("day")')
        exact = [alias for alias, view in self._inputs.items() if view is side.signal or view == side.signal]
        if exact and isinstance(side.signal, View):
            return exact
        found = [alias for alias, view in self._inputs.items() if view.node.id == side.node.id]
        if not found:
            raise DeclarationError(
                self._subject(link), f"'{side.node.id}' is not an input", f"The inputs are {sorted(self._inputs)}"
            )
        return found

    @staticmethod
    def _triple(subject: str, link: Sequence[Any]) -> tuple[Any, Any, Any]:
        if not isinstance(link, tuple | list) or len(link) != 3 or not callable(link[1]):
            raise DeclarationError(subject, "is not (target, function, source)", 'E.g. (x("day"), EQUALS, t("time"))')
        target, function, source = link
        return target, function, source

    def _add_input_link(self, link: Sequence[Any]) -> None:
        target, function, source = self._triple(self._subject(link), link)
        for target_alias in self._aliases(target, link):
            for source_alias in self._aliases(source, link):
                if target_alias == source_alias or self._fixed & {target_alias, source_alias}:
                    continue
                for name in (*target.names, *source.names):
                    self._explicit_pairs.add((target_alias, source_alias, name))
                    self._explicit_pairs.add((source_alias, target_alias, name))
                sources = tuple(self._index[source_alias, name] for name in source.names)
                if function is EQUALS:
                    self._equate_each(target_alias, target.names, source_alias, source.names, link)
                    continue
                if len(target.names) != 1:
                    raise DeclarationError(
                        self._subject(link), "a function computes one dimension", "Write one link a dimension"
                    )
                self._check_arity(function, len(sources), link)
                self._computed.add((target_alias, target.names[0]))
                self._rules.append(Rule(self._index[target_alias, target.names[0]], sources, function))

    def _equate_each(
        self, target: str, target_names: Sequence[str], source: str, source_names: Sequence[str], link: object
    ) -> None:
        if len(target_names) != len(source_names):
            raise DeclarationError(self._subject(link), "EQUALS needs as many dimensions on both sides")
        for target_name, source_name in zip(target_names, source_names, strict=True):
            self._equate(self._index[target, target_name], self._index[source, source_name])

    def _equate(self, one: int, other: int) -> None:
        for target, source in ((one, other), (other, one)):
            to, of = self._variables[target].dimension, self._variables[source].dimension
            if to.granularity is not None and of.type is not to.type and of.has_order:
                raise DeclarationError(
                    f"node '{self._node_id}'",
                    f"{self._variables[source]} is {of.type}, {self._variables[target]} is {to.type}: not comparable",
                    "Link them with a function, or switch auto_input_dim_linking_enabled off",
                )
            coarser = (
                to.granularity is not None
                and of.granularity is not None
                and of.granularity.fineness < to.granularity.fineness
            )
            self._rules.append(Rule(target, (source,), None, guesses=coarser))

    def _link_by_name(self) -> None:
        aliases = [alias for alias in self._inputs if alias not in self._fixed]
        for position, one in enumerate(aliases):
            for other in aliases[position + 1 :]:
                for name in self._inputs[one].node.spec.names:
                    if (other, name) in self._index and self._links_automatically(one, other, name):
                        self._equate(self._index[one, name], self._index[other, name])

    def _links_automatically(self, one: str, other: str, name: str) -> bool:
        if (one, other, name) in self._explicit_pairs:
            return False
        if (one, name) in self._computed or (other, name) in self._computed:
            return False
        first, second = self._index[one, name], self._index[other, name]
        if first in self._constants and second in self._constants:
            # The user pinned them apart ({"x": a['NA'], "y": a['EU']}): linking them would make a dead node.
            return compared_equal(
                self._constants[first],
                self._variables[first].dimension,
                self._constants[second],
                self._variables[second].dimension,
            )
        return True

    def _output_index(self, name: object, link: object) -> int:
        if not isinstance(name, str) or (OUTPUT, name) not in self._index:
            raise DeclarationError(
                self._subject(link), f"the output has no dimension {name!r}", f"It has {list(self._output.names)}"
            )
        return self._index[OUTPUT, name]

    def _add_output_link(self, link: Sequence[Any]) -> str | None:
        target, function, source = self._triple(self._subject(link), link)
        if isinstance(target, DimensionsOf):
            self._add_reverse_link(target, function, source, link)
            return None
        position = self._output_index(target, link)
        if not isinstance(source, DimensionsOf):
            self._constants[position] = self._literal(position, function, source, link)
            return str(target)
        for alias in sorted(self._aliases(source, link), key=self._fixed.__contains__)[:1]:
            sources = tuple(self._index[alias, name] for name in source.names)
            if function is EQUALS:
                if len(sources) != 1:
                    raise DeclarationError(self._subject(link), "EQUALS takes one dimension on each side")
                self._equate(position, sources[0])
            else:
                self._check_arity(function, len(sources), link)
                self._rules.append(Rule(position, sources, function))
        return str(target)

    def _check_arity(self, function: Callable[..., Any], count: int, link: object) -> None:
        try:
            inspect.signature(function).bind(*[None] * count)
        except TypeError as error:
            problem = f"its function gets {count} value{'s' if count != 1 else ''}, and does not take them ({error})"
            raise DeclarationError(
                self._subject(link), problem, "It gets one value a dimension of the source"
            ) from None
        except ValueError:  # a builtin that does not say what it takes
            return

    def _literal(self, position: int, function: Callable[..., Any], source: object, link: object) -> Value:
        """Returns the value that a literal, or a function of one, gives an output dimension."""
        try:
            value = source if function is EQUALS else function(source)
            return self._variables[position].dimension.read(value)
        except InvalidValue as error:
            raise DeclarationError(self._subject(link), str(error)) from None
        except RheoError:
            raise  # a recorded function that cannot be opened
        except (Exception, SystemExit) as error:
            problem = f"its function raised {type(error).__name__}: {error} for {source!r}"
            raise DeclarationError(
                self._subject(link), problem, "The last of the three is a dimension, or a literal"
            ) from error

    def _add_reverse_link(
        self, target: DimensionsOf, function: Callable[..., Any], source: object, link: Sequence[Any]
    ) -> None:
        names = (source,) if isinstance(source, str) else source
        if not isinstance(names, tuple | list) or len(target.names) != 1:
            raise DeclarationError(
                self._subject(link), "a reverse link is (input('d'), f, ('o1', 'o2'))", "Name output dimensions as text"
            )
        sources = tuple(self._output_index(name, link) for name in names)
        self._check_arity(function, len(sources), link)
        for alias in [alias for alias in self._aliases(target, link) if alias not in self._fixed]:
            # A reverse link serves look-ups only: it may be coarser than the forward link, so it never contradicts it.
            self._rules.append(Rule(self._index[alias, target.names[0]], sources, function, checks=False))

    def _cover_output(self, covered: set[str], auto_output: bool) -> None:
        for name in self._output.names:
            if name in covered:
                continue
            havers = [alias for alias in self._inputs if (alias, name) in self._index]
            source = min(havers, key=self._fixed.__contains__, default=None)
            if auto_output and source is not None:
                self._equate(self._index[OUTPUT, name], self._index[source, name])
            elif not auto_output and self._inputs:
                raise DeclarationError(
                    f"node '{self._node_id}'",
                    f"output dimension '{name}' has no link and automatic output links are off",
                    f'Add output_dim_links=[("{name}", EQUALS, <input>("<dimension>"))]',
                )
