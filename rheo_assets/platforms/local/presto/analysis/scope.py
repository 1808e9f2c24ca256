"""The columns that an expression may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rheo_assets.platforms.local.presto.syntax.tree import Node, Window
from rheo_assets.platforms.local.presto.types.kinds import Type


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in DuckDB's SQL with the type that Trino gives it.

    Attributes:
        sql: The expression; it may stand wherever an operand may.
        type: Its type.
        constant: The text of a literal.
    """

    sql: str
    type: Type
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a relation.

    Attributes:
        name: Its name in lower case; None if it has none.
        type: Its type.
        sql: How DuckDB names it.
        relation: The alias of its relation; None where a qualifier finds nothing, as for the columns of `USING`.
        hidden: Whether `*` leaves it out.
    """

    name: str | None
    type: Type
    sql: str
    relation: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation in DuckDB's SQL and its columns."""

    sql: str
    fields: tuple[Field, ...]

    def named(self, name: str, columns: Sequence[str] = ()) -> tuple[Field, ...]:
        """Returns the columns under an alias."""
        names = iter(columns)
        return tuple(
            replace(each, relation=name, name=each.name if each.hidden else next(names, each.name))
            for each in self.fields
        )


@dataclass
class Scope:
    """The columns of one SELECT, with those of the queries around it.

    Attributes:
        fields: The columns.
        parent: The scope of the query around.
        names: Arguments of lambdas, and output columns in ORDER BY.
        keys: For a query with groups: the SQL of its keys; None elsewhere.
        group_values: The grouped expressions with their values.
        in_aggregate: How many aggregates are around the expression that is translated.
        windows: The named windows.
        outer: Whether a column of a query around was named.
    """

    fields: tuple[Field, ...] = ()
    parent: Scope | None = None
    names: dict[str, Value] = field(default_factory=dict)
    keys: frozenset[str] | None = None
    group_values: Mapping[Node, Value] = field(default_factory=dict)
    in_aggregate: int = 0
    windows: Mapping[str, Window] = field(default_factory=dict)
    outer: bool = False
    relations: Mapping[str, Relation] = field(default_factory=dict)

    def find(self, name: str, relation: str | None = None) -> list[tuple[Scope, Field]]:
        """Returns the columns of this name in the nearest scope that has some."""
        scope: Scope | None = self
        while scope is not None:
            found = [
                each for each in scope.fields if each.name == name and (relation is None or each.relation == relation)
            ]
            if found:
                return [(scope, each) for each in found]
            scope = scope.parent
        return []

    def knows_relation(self, name: str) -> bool:
        """Returns whether a relation has this alias."""
        scope: Scope | None = self
        while scope is not None:
            if any(each.relation == name for each in scope.fields):
                return True
            scope = scope.parent
        return False

    def common_table(self, name: str) -> Relation | None:
        """Returns the `WITH` query of a name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.relations:
                return scope.relations[name]
            scope = scope.parent
        return None
