"""A whole query in DuckDB's SQL, with the columns that it has for Trino."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rheo_assets.platforms.local.presto.analysis.scope import Field, Relation
from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.refusals import not_available
from rheo_assets.platforms.local.presto.syntax import queries, tree
from rheo_assets.platforms.local.presto.translation import (
    calls,
    comparisons,
    expressions,
    literals,
    operators,
    subqueries,
)
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.translation.selects import query as query_of
from rheo_assets.platforms.local.presto.types.kinds import Type
from rheo_assets.platforms.local.presto.types.storage import out, quoted

PATH = "$path"
_HANDLERS = {
    tree.Null: literals.null,
    tree.Constant: literals.constant,
    tree.TypedConstant: literals.typed,
    tree.Interval: literals.interval,
    tree.Name: expressions.name,
    tree.Field: expressions.field,
    tree.Unary: operators.unary,
    tree.Binary: operators.binary,
    tree.Comparison: comparisons.comparison,
    tree.Logical: comparisons.logical,
    tree.Not: comparisons.negation,
    tree.IsNull: comparisons.is_null,
    tree.Between: comparisons.between,
    tree.InList: comparisons.in_list,
    tree.Like: comparisons.like,
    tree.Case: expressions.case,
    tree.Cast: expressions.cast,
    tree.Extract: expressions.extract,
    tree.Row: expressions.row,
    tree.Array: expressions.array_of,
    tree.Subscript: expressions.subscript,
    tree.AtTimeZone: expressions.at_time_zone,
    tree.Call: calls.call,
    tree.Scalar: subqueries.scalar,
    tree.Exists: subqueries.exists,
    tree.InQuery: subqueries.in_query,
    tree.Quantified: subqueries.quantified,
}


@dataclass(frozen=True, slots=True)
class Translated:
    """A query in DuckDB's SQL.

    Attributes:
        sql: The query; its columns hold values as DuckDB keeps them while a query runs.
        columns: The name (None if it has none) and type of each column.
        names: The columns' names in the SQL.
    """

    sql: str
    columns: tuple[tuple[str | None, Type], ...]
    names: tuple[str, ...]

    @property
    def stored(self) -> str:
        """The query with its values as files have them."""
        parts = (
            f"{out(name, kind)} AS {quoted(given or f'_col{index}')}"
            for index, (name, (given, kind)) in enumerate(zip(self.names, self.columns, strict=True))
        )
        return f"SELECT {', '.join(parts)} FROM ({self.sql})"


def translate(query: Query, node: queries.Query, tables: Mapping[str, tuple[tuple[str, Type], ...]]) -> Translated:
    """Returns a query in DuckDB's SQL.

    Args:
        query: The text, for the places in messages.
        node: The query.
        tables: The columns of the tables there are, by the tables' names in lower case.

    Raises:
        Refusal: Athena would refuse the query, or this engine has not what it needs.
    """
    relations = {
        name: Relation(
            quoted(name),
            tuple(Field(column.lower(), kind, quoted(column), hidden=column == PATH) for column, kind in columns),
        )
        for name, columns in tables.items()
    }
    context = Context(query, relations, _HANDLERS)  # type: ignore[arg-type]
    try:
        made = query_of(context, node)
    except RecursionError:
        raise not_available("a query that is nested so deeply", "split it with WITH") from None
    return Translated(
        made.sql,
        tuple((each.name, each.type) for each in made.fields),
        tuple(each.sql for each in made.fields),
    )
