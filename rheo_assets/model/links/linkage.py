"""The links of one node: how its inputs' tips and its output determine each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rheo_assets.errors import Contradiction, DeclarationError, Undetermined
from rheo_assets.model.dimensions import DimensionSpec, Partition, Value
from rheo_assets.model.filters import Filter
from rheo_assets.model.links.compiling import Compiler
from rheo_assets.model.links.covers import CoverLink
from rheo_assets.model.links.inference import Inference
from rheo_assets.model.links.outputs import outputs_of
from rheo_assets.model.links.rules import OUTPUT, Rule, Variable, closure
from rheo_assets.model.signals import View


@dataclass(frozen=True, slots=True)
class Solution:
    """The result of inference: a partition, or None, for each input and the output."""

    tips: Mapping[str, Partition | None]
    output: Partition | None
    open: tuple[str, ...]


class Linkage:
    """The compiled links of one node: they infer to a fixpoint and find contradictions.

    Args:
        node_id: For messages.
        inputs: The node's views by alias, in declared order.
        output: The output's spec.
        input_links: `(target("a"), f, source("b", "c"))` triples.
        output_links: `("out", f, input("d"))`, `("out", EQUALS, literal)` and `(input("d"), f, ("o1",))` triples.
        auto_inputs: Whether inputs are linked by equal dimension names.
        auto_output: Whether output dimensions follow inputs of the same name.
        covers: The automatic links of covering inputs.

    Raises:
        DeclarationError: A link names an unknown input or dimension, or cannot work.
    """

    def __init__(
        self,
        node_id: str,
        inputs: Mapping[str, View],
        output: DimensionSpec,
        input_links: Iterable[Sequence[Any]] = (),
        output_links: Iterable[Sequence[Any]] = (),
        auto_inputs: bool = True,
        auto_output: bool = True,
        covers: Iterable[CoverLink] = (),
    ) -> None:
        self.node_id = node_id
        self.inputs = dict(inputs)
        self.output = output
        compiler = Compiler(node_id, inputs, output)
        self._book = compiler.compile(input_links, output_links, auto_inputs, auto_output, covers)
        self._inference = Inference(self._book)

    def check_determined(self) -> None:
        """Checks that events determine every ref, nearest and output dimension.

        Raises:
            DeclarationError: Nothing determines one of them.
        """
        known = set(self._book.constants)
        known |= {
            index
            for index, variable in enumerate(self._book.variables)
            if variable.alias != OUTPUT and self.inputs[variable.alias].needs_event
        }
        known = closure(known, self._book.rules)
        for index, variable in enumerate(self._book.variables):
            if index in known:
                continue
            if variable.alias == OUTPUT:
                raise DeclarationError(
                    f"node '{self.node_id}'",
                    f"nothing determines output dimension '{variable.dimension.name}'",
                    f'Add output_dim_links=[("{variable.dimension.name}", EQUALS, <input or literal>)]',
                )
            raise DeclarationError(
                f"node '{self.node_id}'",
                f"nothing determines dimension '{variable.dimension.name}' of input '{variable.alias}', "
                "which does not wait for an event",
                f"Pin it to a value, or link it: input_dim_links=[({self.inputs[variable.alias].node.id}"
                f'("{variable.dimension.name}"), EQUALS, <other input>("<dimension>"))]',
            )

    def output_filter(self) -> Filter:
        """Returns the filter of the output, given every literal and declared value of the inputs.

        Raises:
            DeclarationError: There are no output partitions: the node could never run.
        """
        return self._outputs

    @cached_property
    def _outputs(self) -> Filter:
        return outputs_of(self._book, self._inference)

    # solving --------------------------------------------------------------------------------------------------

    def solve(
        self, tips: Mapping[str, Partition], output: Partition | None = None, *, allow_guesses: bool = True
    ) -> Solution:
        """Infers everything that the given tips and output determine.

        Args:
            tips: Known input tips by alias.
            output: The output partition, for a reverse look-up.
            allow_guesses: Whether a coarser time may determine a finer one, as its first moment. False while a group
                still waits for events.

        Raises:
            Contradiction: The given values break a literal, a link or a filter; it is a `LinkFailed` if a link's
                function is at fault.
        """
        values = dict(self._book.constants)
        for alias, partition in tips.items():
            view = self.inputs[alias]
            self._enter(values, alias, view.linked(partition), view.linked_spec)
        if output is not None:
            self._enter(values, OUTPUT, output, self.output)
        values = self._inference.fixpoint(values, allow_guesses=allow_guesses)
        found: dict[str, Partition | None] = {}
        for alias, view in self.inputs.items():
            tip = self._collect(values, alias, view.node.spec)
            tip = view.anchored(tip) if tip is not None else None
            if tip is not None and not view.admits(tip):
                raise Contradiction(
                    f"node '{self.node_id}': input '{alias}' has no partition {view.node.describe(tip)} in {view}"
                )
            found[alias] = tip
        unknown = tuple(str(variable) for index, variable in enumerate(self._book.variables) if index not in values)
        return Solution(found, self._collect(values, OUTPUT, self.output), unknown)

    def resolve_output(
        self, output: Partition, given: Mapping[str, Partition] | None = None
    ) -> Mapping[str, Partition]:
        """Returns every input's tip for an output partition.

        Raises:
            Undetermined: A dimension is still unknown; the message shows the reverse link that would determine it.
            Contradiction: The output or the given tips break a link.
        """
        solution = self.solve(given or {}, output)
        tips = {}
        for alias, tip in solution.tips.items():
            if tip is None:
                raise self._undetermined(alias, solution)
            tips[alias] = tip
        return tips

    def _undetermined(self, alias: str, solution: Solution) -> Undetermined:
        name = next(text for text in solution.open if text.startswith(f"{alias}.")).split(".", 1)[1]
        node = self.inputs[alias].node.id
        return Undetermined(
            f"node '{self.node_id}': the output does not determine dimension '{name}' of input '{alias}'. Add a "
            f'reverse link: output_dim_links=[..., ({node}("{name}"), <function>, {tuple(self.output.names)!r})], or '
            f"give the input: execute(..., inputs=[{node}[...]])"
        )

    def _enter(self, values: dict[int, Value], alias: str, partition: Partition, spec: DimensionSpec) -> None:
        for dimension, value in zip(spec, partition, strict=True):
            index = self._book.index[alias, dimension.name]
            constant = values.get(index)
            if constant is not None and dimension.comparable(constant) != dimension.comparable(value):
                raise Contradiction(
                    f"node '{self.node_id}': {alias}.{dimension.name} is {dimension.render(constant)}, "
                    f"not {dimension.render(value)}"
                )
            values[index] = value

    def _collect(self, values: Mapping[int, Value], alias: str, spec: DimensionSpec) -> Partition | None:
        indices = [self._book.index[alias, name] for name in spec.names]
        return tuple(values[index] for index in indices) if all(index in values for index in indices) else None

    # for the router's index and the planner -------------------------------------------------------------------

    @property
    def variables(self) -> Sequence[Variable]:
        """The dimensions of every input and of the output; rules refer to them by index."""
        return self._book.variables

    @property
    def constants(self) -> Mapping[int, Value]:
        """The values of the variables that literals pin."""
        return self._book.constants

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules in the order of inference, guesses last."""
        return (*self._book.careful, *self._book.guesses)

    def equalities(self) -> Iterable[tuple[Variable, Variable]]:
        """Yields the pairs of variables that EQUALS links, each pair in both directions."""
        for rule in self._book.rules:
            if rule.function is None:
                yield self._book.variables[rule.target], self._book.variables[rule.sources[0]]

    def functions(self) -> Iterable[tuple[Variable, Callable[..., Any], tuple[Variable, ...]]]:
        """Yields the constraining function links as (target, function, sources)."""
        for rule in self._book.rules:
            if rule.function is not None and rule.checks:
                yield (
                    self._book.variables[rule.target],
                    rule.function,
                    tuple(self._book.variables[s] for s in rule.sources),
                )
