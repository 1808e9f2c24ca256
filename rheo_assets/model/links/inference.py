"""Inference: derives everything that the rules determine from the known values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rheo_assets.errors import BeforeMin, Contradiction, FormatFailed, InvalidValue, LinkFailed
from rheo_assets.model.dimensions import Value, compared_equal
from rheo_assets.model.links.rules import Rule, Rulebook


class Inference:
    """Applies the rules of one node to a fixpoint, and finds contradictions."""

    def __init__(self, book: Rulebook) -> None:
        self._node_id = book.node_id
        self._variables = book.variables
        self._careful, self._guesses = book.careful, book.guesses

    def fixpoint(self, values: dict[int, Value], *, allow_guesses: bool) -> dict[int, Value]:
        """Adds everything that the values determine, and returns them.

        Raises:
            Contradiction: The values break a rule; it is a `LinkFailed` if a function is at fault.
        """
        checked: set[int] = set()
        while True:
            progress = self._pass(self._careful, values, checked)
            if progress:
                continue
            if not allow_guesses or not self._guess(values):
                break
        self._pass(self._guesses, values, checked, infer=False)
        return values

    def _pass(self, rules: Sequence[Rule], values: dict[int, Value], checked: set[int], infer: bool = True) -> bool:
        progress = False
        for rule in rules:
            if id(rule) in checked or any(source not in values for source in rule.sources):
                continue
            if rule.target not in values:
                if infer:
                    values[rule.target] = self._apply(rule, values)
                    checked.add(id(rule))
                    progress = True
            else:
                checked.add(id(rule))
                self._check(rule, values)
        return progress

    def _guess(self, values: dict[int, Value]) -> bool:
        for rule in self._guesses:
            if rule.target not in values and all(source in values for source in rule.sources):
                values[rule.target] = self._apply(rule, values)
                return True
        return False

    def _apply(self, rule: Rule, values: Mapping[int, Value]) -> Value:
        target = self._variables[rule.target]
        arguments = [values[source] for source in rule.sources]
        if rule.function is None:
            try:
                return target.dimension.convert(arguments[0], self._variables[rule.sources[0]].dimension)
            except InvalidValue as error:
                kind = LinkFailed if isinstance(error, FormatFailed) else Contradiction
                raise kind(f"node '{self._node_id}': {target}: {error}") from None
        if (open_blob := getattr(rule.function, "open", None)) is not None:
            open_blob()  # if it cannot be opened, neither the values nor the function are at fault
        try:
            found = rule.function(*arguments)
        except (Exception, SystemExit) as error:  # one node's function must not stop the event loop
            raise LinkFailed(
                f"node '{self._node_id}': {self._link(rule)} raised {type(error).__name__}: {error} "
                f"for {arguments!r}. Links get str, int and naive UTC datetime values"
            ) from error
        try:
            return target.dimension.read(found)
        except InvalidValue as error:
            kind = Contradiction if isinstance(error, BeforeMin) else LinkFailed
            raise kind(f"node '{self._node_id}': {self._link(rule)} for {arguments!r}: {error}") from None

    def _link(self, rule: Rule) -> str:
        sources = ", ".join(str(self._variables[source]) for source in rule.sources)
        return f"the link {self._variables[rule.target]} <- f({sources})"

    def _check(self, rule: Rule, values: Mapping[int, Value]) -> None:
        if not rule.checks:
            return
        target = self._variables[rule.target]
        found = values[rule.target]
        if rule.function is None:
            agrees = self.agrees(rule, found, values[rule.sources[0]])
        else:
            wanted = self._apply(rule, values)
            agrees = target.dimension.comparable(found) == target.dimension.comparable(wanted)
        if not agrees:
            sources = ", ".join(
                f"{self._variables[s]} = {self._variables[s].dimension.render(values[s])}" for s in rule.sources
            )
            raise Contradiction(
                f"node '{self._node_id}': {target} = {target.dimension.render(found)} breaks its link with {sources}"
            )

    def agrees(self, rule: Rule, found: Value, source: Value) -> bool:
        """Returns whether the two values of an EQUALS rule agree."""
        target, other = self._variables[rule.target].dimension, self._variables[rule.sources[0]].dimension
        return (found == source and target is other) or compared_equal(found, target, source, other)
