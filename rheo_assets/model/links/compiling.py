"""Compiles the user's links into rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from rheo_assets.errors import DeclarationError, InvalidValue, RheoError
from rheo_assets.model.dimensions import Value
from rheo_assets.model.links.building import RuleBuilder
from rheo_assets.model.links.covers import CoverLink
from rheo_assets.model.links.rules import EQUALS, OUTPUT, Rule, Rulebook
from rheo_assets.model.signals import View
from rheo_assets.model.subscripts import DimensionsOf


class Compiler(RuleBuilder):
    """Turns the links of one node into a rulebook.

    A ref whose dimensions are all literals reads exactly that partition: no link applies to it, and the output follows
    it only in dimensions that other inputs do not have. See `RuleBuilder` for the arguments.
    """

    def compile(
        self,
        input_links: Iterable[Sequence[Any]],
        output_links: Iterable[Sequence[Any]],
        auto_inputs: bool,
        auto_output: bool,
        covers: Iterable[CoverLink] = (),
    ) -> Rulebook:
        """Returns the rules; see `Linkage` for the arguments.

        Raises:
            DeclarationError: A link names an unknown input or dimension, or cannot work.
        """
        for link in input_links:
            self._add_input_link(link)
        if auto_inputs:
            self._link_by_name()
        else:
            self._link_silent_inputs_by_name()
        covered = {name for link in output_links for name in [self._add_output_link(link)] if name}
        periods = list(covers)
        self._cover_output(covered, auto_output, {period.target[1] for period in periods if period.target[0] == OUTPUT})
        for period in periods:
            self._equate(self._index[period.target], self._index[period.source])
        self._infer_open_inputs(covered)
        return self.book()

    def _aliases(self, side: object, link: object) -> list[str]:
        if not isinstance(side, DimensionsOf):
            raise DeclarationError(self._subject(link), f"{side!r} is not a dimension of a signal", 'Write node("day")')
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
                        self._subject(link), "a function computes one dimension", "Write one link per dimension"
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
            self._equated |= {(target, target_name), (source, source_name)}
            self._equate(self._index[target, target_name], self._index[source, source_name])

    def _link_by_name(self) -> None:
        aliases = [alias for alias in self._inputs if alias not in self._fixed]
        for position, one in enumerate(aliases):
            for other in aliases[position + 1 :]:
                for name in self._inputs[one].node.spec.names:
                    if (other, name) in self._index and self._links_automatically(one, other, name):
                        self._equate(self._index[one, name], self._index[other, name])

    def _link_silent_inputs_by_name(self) -> None:
        """Links each ref and nearest input by name to one other input, if automatic links are off.

        To only one, and a plain one if possible: a second link would link two plain inputs to each other.
        """
        free = {alias: view for alias, view in self._inputs.items() if alias not in self._fixed}
        others = sorted(free, key=lambda alias: not free[alias].needs_event)
        for alias in (alias for alias, view in free.items() if not view.needs_event):
            for name in free[alias].node.spec.names:
                if (alias, name) in self._equated | self._computed:
                    continue
                linked = (o for o in others if o != alias and (o, name) in self._index)
                other = next((o for o in linked if self._links_automatically(alias, o, name)), None)
                if other is not None:
                    self._equate(self._index[alias, name], self._index[other, name])

    def _infer_open_inputs(self, covered: Set[str]) -> None:
        """Links open dimensions of ref and nearest inputs to output dimensions that an output link determines."""
        silent = [alias for alias, view in self._inputs.items() if not view.needs_event]
        while True:
            known = self._known_from_events()
            found = (
                (self._index[alias, name], self._index[OUTPUT, name])
                for alias in silent
                for name in self._output.names
                if name in covered and (alias, name) in self._index
            )
            pair = next(((i, o) for i, o in found if i not in known and o in known), None)
            if pair is None:
                return
            self._equate(*pair)

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
            problem = f"its function gets {count} value{'s' if count != 1 else ''}, but does not accept them ({error})"
            raise DeclarationError(
                self._subject(link), problem, "It gets one value per dimension of the source"
            ) from None
        except ValueError:  # a builtin without a signature
            return

    def _literal(self, position: int, function: Callable[..., Any], source: object, link: object) -> Value:
        """Returns the value of an output dimension that is linked to a literal or to a function of one."""
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
                self._subject(link), problem, "The third element must be a dimension or a literal"
            ) from error

    def _add_reverse_link(
        self, target: DimensionsOf, function: Callable[..., Any], source: object, link: Sequence[Any]
    ) -> None:
        names = (source,) if isinstance(source, str) else source
        if not isinstance(names, tuple | list) or len(target.names) != 1:
            raise DeclarationError(
                self._subject(link),
                "a reverse link is (input('d'), f, ('o1', 'o2'))",
                "Name output dimensions as strings",
            )
        sources = tuple(self._output_index(name, link) for name in names)
        self._check_arity(function, len(sources), link)
        for alias in [alias for alias in self._aliases(target, link) if alias not in self._fixed]:
            # A reverse link is only for look-ups: it may be coarser than the forward link, so it never contradicts it.
            self._rules.append(Rule(self._index[alias, target.names[0]], sources, function, checks=False))

    def _cover_output(self, covered: Set[str], auto_output: bool, of_periods: Set[str]) -> None:
        for name in self._output.names:
            if name in covered:
                continue
            havers = [alias for alias in self._inputs if (alias, name) in self._index]
            source = min(havers, key=self._fixed.__contains__, default=None)
            if auto_output and source is not None:
                self._equate(self._index[OUTPUT, name], self._index[source, name])
            elif not auto_output and self._inputs and name not in of_periods:
                raise DeclarationError(
                    f"node '{self._node_id}'",
                    f"output dimension '{name}' has no link and automatic output links are off",
                    f'Add output_dim_links=[("{name}", EQUALS, <input>("<dimension>"))]',
                )
