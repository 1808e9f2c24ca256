"""Rules: the compiled form of links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from rheo_assets.model.dimensions import Dimension, DimensionSpec, Value
from rheo_assets.model.signals import View

OUTPUT: Final = "output"


class _Equals:
    """The link that works in both directions."""

    def __call__(self, value: Value) -> Value:
        return value

    def __repr__(self) -> str:
        return "EQUALS"


EQUALS: Final = _Equals()


def UPPER(value: str) -> str:  # noqa: N802  # RheocerOS's name
    """Returns the text in upper case; for links."""
    return value.upper()


def LOWER(value: str) -> str:  # noqa: N802  # RheocerOS's name
    """Returns the text in lower case; for links."""
    return value.lower()


@dataclass(frozen=True, slots=True)
class Variable:
    """One dimension of one input, or of the output, whose value can be known or inferred."""

    alias: str
    dimension: Dimension

    def __str__(self) -> str:
        return f"{self.alias}.{self.dimension.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one variable follows from others.

    Attributes:
        target: The index of the variable that is computed.
        sources: The indices of the variables that it is computed from; empty for a constant.
        function: The Python function of the source values; None for EQUALS.
        checks: Whether a known target that disagrees is a contradiction.
        guesses: Whether the value is only the first moment of a coarser one, so that exact rules go first.
    """

    target: int
    sources: tuple[int, ...]
    function: Callable[..., Any] | None
    checks: bool = True
    guesses: bool = False


def closure(known: Iterable[int], rules: Sequence[Rule]) -> set[int]:
    """Returns the known variables and all variables that the rules determine from them."""
    found, before = set(known), -1
    while before != len(found):
        before = len(found)
        found |= {rule.target for rule in rules if found.issuperset(rule.sources)}
    return found


@dataclass(frozen=True)
class Rulebook:
    """The compiled links of one node.

    Attributes:
        node_id: For messages.
        inputs: The node's views by alias, in declared order.
        output: The output's spec.
        variables: Every dimension of the inputs and of the output; rules refer to them by index.
        index: The index of a variable by alias and dimension name.
        constants: The values that literals pin.
        rules: The rules in the order in which they were declared.
    """

    node_id: str
    inputs: Mapping[str, View]
    output: DimensionSpec
    variables: tuple[Variable, ...]
    index: Mapping[tuple[str, str], int]
    constants: Mapping[int, Value]
    rules: tuple[Rule, ...]

    @cached_property
    def careful(self) -> tuple[Rule, ...]:
        """The rules that compute exact values."""
        return tuple(rule for rule in self.rules if not rule.guesses)

    @cached_property
    def guesses(self) -> tuple[Rule, ...]:
        """The rules that guess, finest source first: its first moment is also in the coarser granules."""
        found = [rule for rule in self.rules if rule.guesses]
        return tuple(sorted(found, key=self._fineness_of_source, reverse=True))

    def _fineness_of_source(self, rule: Rule) -> int:
        granularity = self.variables[rule.sources[0]].dimension.granularity
        assert granularity is not None
        return granularity.fineness
