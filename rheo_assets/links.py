"""Links: how the tips of a node's inputs and its output partition determine and constrain each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.dimensions import Dimension, DimensionSpec, Partition, Value, compared_equal
from rheo_assets.errors import Contradiction, DeclarationError, InvalidValue, RheoError, Undetermined
from rheo_assets.filters import ANY, Exactly, Filter
from rheo_assets.signals import DimensionsOf, View

OUTPUT: Final = "output"
_BRANCH_BUDGET: Final = 20_000


class _Equals:
    """The link that works both ways."""

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
    """One dimension of one input (or of the output) as something to be known."""

    alias: str
    dimension: Dimension

    def __str__(self) -> str:
        return f"{self.alias}.{self.dimension.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one variable follows from others.

    Attributes:
        target: Index of the variable that is computed.
        sources: Indices of the variables it is computed from; none for a constant.
        function: Python function of the source values; None for EQUALS.
        checks: Whether a known target that disagrees is a contradiction.
        guesses: Whether the value is only the first moment of a coarser one, so that better rules go first.
    """

    target: int
    sources: tuple[int, ...]
    function: Callable[..., Any] | None
    checks: bool = True
    guesses: bool = False


@dataclass(frozen=True, slots=True)
class Solution:
    """What is known after inference: a partition, or None, for each input and the output."""

    tips: Mapping[str, Partition | None]
    output: Partition | None
    open: tuple[str, ...]


class Linkage:
    """The links of one node, compiled: it infers to a fixpoint and finds contradictions.

    A ref whose dimensions are all literals reads exactly that partition: no link applies to it, and the output follows
    it only in dimensions that no other input has.

    Args:
        node_id: For messages.
        inputs: The node's views by alias, in declared order.
        output: The output's spec.
        input_links: `(target("a"), f, source("b", "c"))` triples.
        output_links: `("out", f, input("d"))`, `("out", EQUALS, literal)` and `(input("d"), f, ("o1",))` triples.
        auto_inputs: Whether inputs are linked by equal dimension names.
        auto_output: Whether output dimensions follow inputs of the same name.

    Raises:
        DeclarationError: A link that names what is not there, or cannot work.
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
    ) -> None:
        self.node_id = node_id
        self.inputs = dict(inputs)
        self.output = output
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
        for link in input_links:
            self._add_input_link(link)
        if auto_inputs:
            self._link_by_name()
        covered = {name for link in output_links for name in [self._add_output_link(link)] if name}
        self._cover_output(covered, auto_output)
        self._careful = [rule for rule in self._rules if not rule.guesses]
        # The finest source guesses best: its first moment also lies in the granules of the coarser ones.
        guesses = [rule for rule in self._rules if rule.guesses]
        self._guesses = sorted(guesses, key=self._fineness_of_source, reverse=True)

    # building -------------------------------------------------------------------------------------------------

    def _add_variables(self, alias: str, spec: DimensionSpec) -> None:
        for dimension in spec:
            self._index[alias, dimension.name] = len(self._variables)
            self._variables.append(Variable(alias, dimension))

    def _literals(self) -> dict[int, Value]:
        constants = {}
        for alias, view in self.inputs.items():
            for dimension in view.node.spec:
                values = view.narrowed.literals(view.node.spec, dimension.name)
                if values is not None and len(values) == 1:
                    constants[self._index[alias, dimension.name]] = values[0]
        return constants

    def _subject(self, link: object) -> str:
        return f"node '{self.node_id}': link {link!r}"

    def _aliases(self, side: object, link: object) -> list[str]:
        if not isinstance(side, DimensionsOf):
            raise DeclarationError(self._subject(link), f"{side!r} is no signal's dimension", 'Write node("day")')
        exact = [alias for alias, view in self.inputs.items() if view is side.signal or view == side.signal]
        if exact and isinstance(side.signal, View):
            return exact
        found = [alias for alias, view in self.inputs.items() if view.node.id == side.node.id]
        if not found:
            raise DeclarationError(
                self._subject(link), f"'{side.node.id}' is not an input", f"The inputs are {sorted(self.inputs)}"
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
                    f"node '{self.node_id}'",
                    f"{self._variables[source]} is {of.type}, {self._variables[target]} is {to.type}: not comparable",
                    "Link them with a function, or switch auto_input_dim_linking_enabled off",
                )
            coarser = (
                to.granularity is not None
                and of.granularity is not None
                and of.granularity.fineness < to.granularity.fineness
            )
            self._rules.append(Rule(target, (source,), None, guesses=coarser))

    def _fineness_of_source(self, rule: Rule) -> int:
        granularity = self._variables[rule.sources[0]].dimension.granularity
        assert granularity is not None
        return granularity.fineness

    def _link_by_name(self) -> None:
        aliases = [alias for alias in self.inputs if alias not in self._fixed]
        for position, one in enumerate(aliases):
            for other in aliases[position + 1 :]:
                for name in self.inputs[one].node.spec.names:
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
                self._subject(link), f"the output has no dimension {name!r}", f"It has {list(self.output.names)}"
            )
        return self._index[OUTPUT, name]

    def _add_output_link(self, link: Sequence[Any]) -> str | None:
        target, function, source = self._triple(self._subject(link), link)
        if isinstance(target, DimensionsOf):
            self._add_reverse_link(target, function, source, link)
            return None
        position = self._output_index(target, link)
        if not isinstance(source, DimensionsOf):
            value = self._variables[position].dimension.read(source if function is EQUALS else function(source))
            self._constants[position] = value
            return str(target)
        for alias in sorted(self._aliases(source, link), key=self._fixed.__contains__)[:1]:
            sources = tuple(self._index[alias, name] for name in source.names)
            if function is EQUALS:
                if len(sources) != 1:
                    raise DeclarationError(self._subject(link), "EQUALS takes one dimension on each side")
                self._equate(position, sources[0])
            else:
                self._rules.append(Rule(position, sources, function))
        return str(target)

    def _add_reverse_link(
        self, target: DimensionsOf, function: Callable[..., Any], source: object, link: Sequence[Any]
    ) -> None:
        names = (source,) if isinstance(source, str) else source
        if not isinstance(names, tuple | list) or len(target.names) != 1:
            raise DeclarationError(
                self._subject(link), "a reverse link is (input('d'), f, ('o1', 'o2'))", "Name output dimensions as text"
            )
        sources = tuple(self._output_index(name, link) for name in names)
        for alias in [alias for alias in self._aliases(target, link) if alias not in self._fixed]:
            # A reverse link serves look-ups only: it may be coarser than the forward link, so it never contradicts it.
            self._rules.append(Rule(self._index[alias, target.names[0]], sources, function, checks=False))

    def _cover_output(self, covered: set[str], auto_output: bool) -> None:
        for name in self.output.names:
            if name in covered:
                continue
            havers = [alias for alias in self.inputs if (alias, name) in self._index]
            source = min(havers, key=self._fixed.__contains__, default=None)
            if auto_output and source is not None:
                self._equate(self._index[OUTPUT, name], self._index[source, name])
            elif not auto_output and self.inputs:
                raise DeclarationError(
                    f"node '{self.node_id}'",
                    f"output dimension '{name}' has no link and automatic output links are off",
                    f'Add output_dim_links=[("{name}", EQUALS, <input>("<dimension>"))]',
                )

    # checking -------------------------------------------------------------------------------------------------

    def check_determined(self) -> None:
        """Checks that events determine every ref, nearest and output dimension.

        Raises:
            DeclarationError: One that nothing determines.
        """
        known = set(self._constants)
        known |= {
            index
            for index, variable in enumerate(self._variables)
            if variable.alias != OUTPUT and self.inputs[variable.alias].needs_event
        }
        before = -1
        while before != len(known):
            before = len(known)
            known |= {rule.target for rule in self._rules if known.issuperset(rule.sources)}
        for index, variable in enumerate(self._variables):
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
                "which waits for no event",
                f"Pin it to a value, or link it: input_dim_links=[({self.inputs[variable.alias].node.id}"
                f'("{variable.dimension.name}"), EQUALS, <other input>("<dimension>"))]',
            )

    def output_filter(self) -> Filter:
        """Returns which output partitions there are, after every literal and declared value of the inputs.

        Raises:
            DeclarationError: None at all: the node could never run.
        """
        constants = dict(self._constants)
        partial = [(constants, self._consistent(constants) or {})]
        for alias, view in self.inputs.items():
            choices = self._choices(alias, view)
            if len(choices) * len(partial) > _BRANCH_BUDGET:
                continue
            chosen = [
                {**known, **choice} for known, _ in partial for choice in choices if self._compatible(known, choice)
            ]
            partial = [(known, solved) for known in chosen if (solved := self._consistent(known)) is not None]
            if not partial:
                raise DeclarationError(
                    f"node '{self.node_id}'", f"can never run: the values of input '{alias}' contradict the others"
                )
        outputs = [self._index[OUTPUT, name] for name in self.output.names]
        branches = [
            tuple(Exactly(solved[index]) if index in solved else ANY for index in outputs) for _, solved in partial
        ]
        unique = tuple(dict.fromkeys(branches))
        return Filter(unique) if unique else Filter.open(self.output)

    def _choices(self, alias: str, view: View) -> list[dict[int, Value]]:
        names = view.node.spec.names
        choices = [
            {self._index[alias, name]: c.value for name, c in zip(names, branch, strict=True) if isinstance(c, Exactly)}
            for branch in view.narrowed.branches
        ]
        return [dict(pairs) for pairs in dict.fromkeys(tuple(choice.items()) for choice in choices)]

    def _compatible(self, known: Mapping[int, Value], choice: Mapping[int, Value]) -> bool:
        """Returns whether two sets of values agree at first sight, so that few need the whole inference."""
        if not all(known.get(index, value) == value for index, value in choice.items()):
            return False
        return all(
            self._agrees(rule, choice[rule.target], known[rule.sources[0]])
            for rule in self._rules
            if rule.function is None and rule.target in choice and rule.sources[0] in known
        )

    def _agrees(self, rule: Rule, found: Value, source: Value) -> bool:
        target, other = self._variables[rule.target].dimension, self._variables[rule.sources[0]].dimension
        return (found == source and target is other) or compared_equal(found, target, source, other)

    def _consistent(self, known: Mapping[int, Value]) -> dict[int, Value] | None:
        """Returns everything that the values determine, None where they contradict each other."""
        try:
            return self._fixpoint(dict(known), allow_guesses=False)
        except Contradiction:
            return None

    # solving --------------------------------------------------------------------------------------------------

    def solve(
        self, tips: Mapping[str, Partition], output: Partition | None = None, *, allow_guesses: bool = True
    ) -> Solution:
        """Infers everything that the given tips and output determine.

        Args:
            tips: Known input tips by alias.
            output: The output partition, for a reverse look-up.
            allow_guesses: Whether a finer time may be taken as the first moment of a coarser one. Switched off while
                a group still waits for events.

        Raises:
            Contradiction: The given values break a literal, a link or a filter.
        """
        values = dict(self._constants)
        for alias, partition in tips.items():
            self._enter(values, alias, partition, self.inputs[alias].node.spec)
        if output is not None:
            self._enter(values, OUTPUT, output, self.output)
        values = self._fixpoint(values, allow_guesses)
        found: dict[str, Partition | None] = {}
        for alias, view in self.inputs.items():
            tip = self._collect(values, alias, view.node.spec)
            if tip is not None and not view.admits(tip):
                raise Contradiction(
                    f"node '{self.node_id}': input '{alias}' has no partition {view.node.describe(tip)} in {view}"
                )
            found[alias] = tip
        unknown = tuple(str(variable) for index, variable in enumerate(self._variables) if index not in values)
        return Solution(found, self._collect(values, OUTPUT, self.output), unknown)

    def resolve_output(
        self, output: Partition, given: Mapping[str, Partition] | None = None
    ) -> Mapping[str, Partition]:
        """Returns every input's tip for an output partition.

        Raises:
            Undetermined: A dimension stays unknown; the message shows the reverse link that would supply it.
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
            f"node '{self.node_id}': the output does not tell dimension '{name}' of input '{alias}'. Supply a reverse "
            f'link: output_dim_links=[..., ({node}("{name}"), <function>, {tuple(self.output.names)!r})], or give '
            f"the input: execute(..., inputs=[{node}[...]])"
        )

    def _enter(self, values: dict[int, Value], alias: str, partition: Partition, spec: DimensionSpec) -> None:
        for dimension, value in zip(spec, partition, strict=True):
            index = self._index[alias, dimension.name]
            constant = values.get(index)
            if constant is not None and dimension.comparable(constant) != dimension.comparable(value):
                raise Contradiction(
                    f"node '{self.node_id}': {alias}.{dimension.name} is {dimension.render(constant)}, "
                    f"not {dimension.render(value)}"
                )
            values[index] = value

    def _collect(self, values: Mapping[int, Value], alias: str, spec: DimensionSpec) -> Partition | None:
        indices = [self._index[alias, name] for name in spec.names]
        return tuple(values[index] for index in indices) if all(index in values for index in indices) else None

    def _fixpoint(self, values: dict[int, Value], allow_guesses: bool) -> dict[int, Value]:
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
        try:
            if rule.function is None:
                return target.dimension.convert(arguments[0], self._variables[rule.sources[0]].dimension)
            return target.dimension.read(rule.function(*arguments))
        except InvalidValue as error:
            raise Contradiction(f"node '{self.node_id}': {target}: {error}") from None
        except RheoError:
            raise  # a recorded function that cannot be opened is no contradiction of values
        except Exception as error:
            sources = ", ".join(str(self._variables[source]) for source in rule.sources)
            raise Contradiction(
                f"node '{self.node_id}': the link {target} <- f({sources}) raised {type(error).__name__}: {error} "
                f"for {arguments!r}. Links get str, int and naive UTC datetime values"
            ) from error

    def _check(self, rule: Rule, values: Mapping[int, Value]) -> None:
        if not rule.checks:
            return
        target = self._variables[rule.target]
        found = values[rule.target]
        if rule.function is None:
            agrees = self._agrees(rule, found, values[rule.sources[0]])
        else:
            wanted = self._apply(rule, values)
            agrees = target.dimension.comparable(found) == target.dimension.comparable(wanted)
        if not agrees:
            sources = ", ".join(
                f"{self._variables[s]} = {self._variables[s].dimension.render(values[s])}" for s in rule.sources
            )
            raise Contradiction(
                f"node '{self.node_id}': {target} = {target.dimension.render(found)} breaks its link with {sources}"
            )

    # for the router's index and the planner -------------------------------------------------------------------

    @property
    def variables(self) -> Sequence[Variable]:
        """The dimensions of every input and of the output; rules name them by index."""
        return self._variables

    @property
    def constants(self) -> Mapping[int, Value]:
        """The values of the variables that literals pin."""
        return self._constants

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules in the order in which inference applies them; those that guess come last."""
        return (*self._careful, *self._guesses)

    def equalities(self) -> Iterable[tuple[Variable, Variable]]:
        """Yields the pairs of variables that EQUALS links, each pair in both directions."""
        for rule in self._rules:
            if rule.function is None:
                yield self._variables[rule.target], self._variables[rule.sources[0]]

    def functions(self) -> Iterable[tuple[Variable, Callable[..., Any], tuple[Variable, ...]]]:
        """Yields the constraining function links as (target, function, sources)."""
        for rule in self._rules:
            if rule.function is not None and rule.checks:
                yield self._variables[rule.target], rule.function, tuple(self._variables[s] for s in rule.sources)
