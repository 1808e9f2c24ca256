"""What all translations share: the text, the scope, and how to refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rheo_assets.platforms.local.presto.analysis.scope import Relation, Scope, Value
from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available
from rheo_assets.platforms.local.presto.syntax.tree import Node
from rheo_assets.platforms.local.presto.types.kinds import Type

_SHOWN = 80


@dataclass
class Context:
    """The translation of one statement.

    Attributes:
        query: The text.
        tables: The tables there are, with their columns.
        handlers: What translates each kind of node.
        scope: The columns that may be named.
        counter: How many names were invented.
    """

    query: Query
    tables: dict[str, Relation]
    handlers: dict[type[Node], Callable[[Context, Any], Value]]
    scope: Scope = field(default_factory=Scope)
    counter: int = 0
    select: Callable[[Context, Any], Relation] | None = None
    functions: set[str] = field(default_factory=set)

    def value(self, node: Node) -> Value:
        """Returns an expression in DuckDB's SQL."""
        grouped = self.scope.group_values
        if grouped and not self.scope.in_aggregate and node in grouped:
            return grouped[node]
        handler = self.handlers.get(type(node))
        if handler is None:
            raise self.not_available(node, f"the expression {self.text(node)}")
        return handler(self, node)

    def fresh(self, prefix: str) -> str:
        """Returns a name that nothing else has."""
        self.counter += 1
        return f"{prefix}{self.counter}"

    @contextmanager
    def scoped(self, scope: Scope) -> Iterator[Scope]:
        """Translates with another scope."""
        before, self.scope = self.scope, scope
        try:
            yield scope
        finally:
            self.scope = before

    def text(self, node: Node) -> str:
        """Returns what the user wrote, shortened."""
        text = " ".join(self.query.text[node.at : node.end].split())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

    def where(self, node: Node) -> str:
        """Returns where a node stands."""
        return str(self.query.place(node.at))

    def wrong(self, node: Node, why: str) -> Refusal:
        """Returns the refusal of what Athena refuses too."""
        return Refusal(f"{self.where(node)}: {why}")

    def not_available(self, node: Node, what: str, remedy: str = "") -> Refusal:
        """Returns the refusal of what Athena has and this engine has not."""
        return not_available(f"{self.where(node)}: {what}", remedy)

    def mismatch(self, node: Node, op: str, *kinds: Type) -> Refusal:
        """Returns the refusal of an operator between types that it does not take."""
        shown = ", ".join(str(kind) for kind in kinds)
        return self.wrong(node, f"{self.text(node)}: '{op}' cannot be applied to {shown}")
