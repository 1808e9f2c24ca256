"""The output partitions that a node can have, given the literals and declared values of its inputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from rheo_assets.errors import Contradiction, DeclarationError
from rheo_assets.model.dimensions import Value
from rheo_assets.model.filters import ANY, Exactly, Filter
from rheo_assets.model.links.inference import Inference
from rheo_assets.model.links.rules import OUTPUT, Rule, Rulebook
from rheo_assets.model.signals import View

_BRANCH_BUDGET: Final = 20_000

Values = Mapping[int, Value]
"""Values by the index of their variable, or of the representative of all equal variables."""

Inputs = Sequence[tuple[str, Sequence[Values]]]
"""For each alias, the values that the branches of its view pin."""


def outputs_of(book: Rulebook, inference: Inference) -> Filter:
    """Returns the filter of a node's outputs.

    Raises:
        DeclarationError: There are no output partitions: the node could never run.
    """
    outputs = [book.index[OUTPUT, name] for name in book.output.names]
    inputs = [(alias, _choices(book, alias, view)) for alias, view in book.inputs.items()]
    equals = _equal_variables(book, inputs)
    rows = _join_equals(book, equals, inputs) if equals is not None else []
    if equals is not None and rows:
        outputs = [equals[index] for index in outputs]
    else:
        rows = _join_inferred(book, inference, inputs)
    branches = (tuple(Exactly(row[index]) if index in row else ANY for index in outputs) for row in rows)
    made = Filter(tuple(dict.fromkeys(branches)))
    # Most nodes have the partitions of their inputs: thousands of nodes then share the declared branches.
    return next((view.narrowed for view in book.inputs.values() if view.narrowed == made), made)


def _choices(book: Rulebook, alias: str, view: View) -> list[Values]:
    indices = [book.index[alias, name] for name in view.node.spec.names]
    choices = [
        tuple((index, c.value) for index, c in zip(indices, branch, strict=True) if isinstance(c, Exactly))
        for branch in view.narrowed.branches
    ]
    return [dict(pairs) for pairs in dict.fromkeys(choices)]


# if links are plain equality ----------------------------------------------------------------------------------


def _equal_variables(book: Rulebook, inputs: Inputs) -> Sequence[int] | None:
    """Returns for each variable the representative of all equal variables.

    None if values must be inferred, because a rule that they reach converts, computes or guesses.
    """
    reached = set(book.constants)
    for _, choices in inputs:
        reached.update(index for choice in choices for index in choice)
    stands_for = list(range(len(book.variables)))
    waiting: Sequence[Rule] = book.rules
    before = -1
    while before != len(reached):
        before, later = len(reached), []
        for rule in waiting:
            if not reached.issuperset(rule.sources):
                later.append(rule)
                continue
            if not _is_equality(book, rule):
                return None
            one, other = stands_for[rule.target], stands_for[rule.sources[0]]
            if one != other:
                stands_for = [one if index == other else index for index in stands_for]
            reached.add(rule.target)
        waiting = later
    return stands_for


def _is_equality(book: Rulebook, rule: Rule) -> bool:
    if rule.function is not None:
        return False
    target, source = book.variables[rule.target].dimension, book.variables[rule.sources[0]].dimension
    return target.transform is None and not target.insensitive and (target is source or target == source)


def _join_equals(book: Rulebook, equals: Sequence[int], inputs: Inputs) -> list[Values]:
    """Returns the natural join of the inputs' values; empty if they contradict each other."""
    rows = _merged(equals, [book.constants])
    for _, choices in inputs:
        if rows and len(choices) * len(rows) <= _BRANCH_BUDGET:
            rows = _joined(rows, _merged(equals, choices))
    return rows


def _merged(equals: Sequence[int], choices: Sequence[Values]) -> list[Values]:
    """Returns the choices by representative variable, without those that contradict themselves."""
    merged: list[Values] = []
    for choice in choices:
        row: dict[int, Value] = {}
        if all(row.setdefault(equals[index], value) == value for index, value in choice.items()):
            merged.append(row)
    return merged


def _joined(rows: Sequence[Values], choices: Sequence[Values]) -> list[Values]:
    if not choices:
        return []
    shared = sorted(set.intersection(*map(set, rows), *map(set, choices)))
    groups: dict[tuple[Value, ...], list[Values]] = defaultdict(list)
    for choice in choices:
        groups[tuple(choice[index] for index in shared)].append(choice)
    return [
        {**row, **choice}
        for row in rows
        for choice in groups.get(tuple(row[index] for index in shared), ())
        if all(row.get(index, value) == value for index, value in choice.items())
    ]


# if values are inferred ---------------------------------------------------------------------------------------


def _join_inferred(book: Rulebook, inference: Inference, inputs: Inputs) -> list[Values]:
    partial = [(book.constants, _consistent(inference, book.constants) or {})]
    for alias, choices in inputs:
        if len(choices) * len(partial) > _BRANCH_BUDGET:
            continue
        chosen = [
            {**known, **choice}
            for known, _ in partial
            for choice in choices
            if _is_compatible(book, inference, known, choice)
        ]
        partial = [(known, solved) for known in chosen if (solved := _consistent(inference, known)) is not None]
        if not partial:
            raise DeclarationError(
                f"node '{book.node_id}'", f"can never run: the values of input '{alias}' contradict the others"
            )
    return [solved for _, solved in partial]


def _is_compatible(book: Rulebook, inference: Inference, known: Values, choice: Values) -> bool:
    """Returns whether two sets of values may agree: a quick check, so that few need full inference."""
    if not all(known.get(index, value) == value for index, value in choice.items()):
        return False
    return all(
        inference.agrees(rule, choice[rule.target], known[rule.sources[0]])
        for rule in book.rules
        if rule.function is None and rule.target in choice and rule.sources[0] in known
    )


def _consistent(inference: Inference, known: Values) -> Values | None:
    """Returns everything that the values determine; None if they contradict each other."""
    try:
        return inference.fixpoint(dict(known), allow_guesses=False)
    except Contradiction:
        return None
