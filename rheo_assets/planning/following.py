"""Finds the input dimensions that always equal an output dimension, so that one solution serves a whole row."""

from __future__ import annotations

from collections.abc import Sequence

from rheo_assets.model.links import OUTPUT, Linkage, Rule


def followers(linkage: Linkage, name: str) -> frozenset[tuple[str, str]] | None:
    """Returns the (alias, dimension) pairs that always equal an ordered output dimension.

    Every other input dimension is then the same for all outputs that differ only in this dimension, and no link
    compares the two kinds. None if each output must be solved on its own.
    """
    return _Tracing(linkage, name).result()


class _Tracing:
    """Infers like `Linkage`, but tracks which values are known instead of the values."""

    def __init__(self, linkage: Linkage, name: str) -> None:
        self._variables = linkage.variables
        self._rules = linkage.rules
        outputs = {i: v.dimension.name for i, v in enumerate(self._variables) if v.alias == OUTPUT}
        self._moving = {i for i, dimension in outputs.items() if dimension == name}
        self._sound = not self._moving & set(linkage.constants)
        self._known = set(linkage.constants) | set(outputs)

    def result(self) -> frozenset[tuple[str, str]] | None:
        careful = [rule for rule in self._rules if not rule.guesses]
        guesses = [rule for rule in self._rules if rule.guesses]
        while self._pass(careful) or self._guess(guesses):
            pass
        if not self._sound or not all(self._agrees(rule) for rule in self._rules if self._applies(rule)):
            return None
        return frozenset(
            (self._variables[i].alias, self._variables[i].dimension.name)
            for i in self._moving
            if self._variables[i].alias != OUTPUT
        )

    def _pass(self, rules: Sequence[Rule]) -> bool:
        before = len(self._known)
        for rule in rules:
            if self._applies(rule) and rule.target not in self._known:
                self._infer(rule)
        return len(self._known) > before

    def _guess(self, rules: Sequence[Rule]) -> bool:
        rule = next((r for r in rules if self._applies(r) and r.target not in self._known), None)
        if rule is not None:
            self._infer(rule)
        return rule is not None

    def _infer(self, rule: Rule) -> None:
        self._known.add(rule.target)
        if self._moving.intersection(rule.sources):
            self._sound = self._sound and self._is_identity(rule)
            self._moving.add(rule.target)

    def _applies(self, rule: Rule) -> bool:
        return self._known.issuperset(rule.sources)

    def _agrees(self, rule: Rule) -> bool:
        involved = {rule.target, *rule.sources}
        if not rule.checks or not involved & self._moving:
            return True
        return involved <= self._moving and self._is_identity(rule)

    def _is_identity(self, rule: Rule) -> bool:
        if rule.function is not None or len(rule.sources) != 1:
            return False
        target, source = (self._variables[i].dimension for i in (rule.target, rule.sources[0]))
        return target.type is source.type and target.granularity is source.granularity and target.has_order
