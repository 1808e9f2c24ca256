"""`GROUP BY`: its keys, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rheo_assets.platforms.local.presto.analysis.scope import Scope, Value
from rheo_assets.platforms.local.presto.syntax import queries, tree
from rheo_assets.platforms.local.presto.translation.context import Context


def walk(node: tree.Node) -> Iterator[tree.Node]:
    """Yields the nodes of an expression, without those of the queries inside it."""
    yield node
    for child in node.children():
        if not isinstance(child, queries.Query):
            yield from walk(child)
    if isinstance(node, tree.Case):
        for pair in node.whens:
            for each in pair:
                yield from walk(each)


def aggregates_in(node: tree.Node, is_aggregate: Callable[[str], bool]) -> bool:
    """Returns whether an expression has an aggregate that is no window function."""
    return any(isinstance(each, tree.Call) and each.over is None and is_aggregate(each.name) for each in walk(node))


def group_by(context: Context, node: queries.Select, scope: Scope) -> str:
    """Returns the clause, and lets the scope know its keys."""
    values: dict[tree.Node, Value] = {}
    parts: list[str] = []
    for element in node.groups or ():
        sets = [[_key(context, node, each, values) for each in one] for one in element.sets]
        parts.append(_element(element.kind, sets))
    if node.distinct_groups and len(parts) > 1:
        raise context.not_available(node, "GROUP BY DISTINCT")
    scope.keys = frozenset(value.sql for value in values.values())
    scope.group_values = values
    return f" GROUP BY {', '.join(parts)}" if parts else ""


def _element(kind: str, sets: list[list[str]]) -> str:
    if kind == "simple":
        return ", ".join(sets[0]) if len(sets[0]) == 1 else f"({', '.join(sets[0])})" if sets[0] else "()"
    listed = ", ".join(one[0] if len(one) == 1 else f"({', '.join(one)})" for one in sets)
    if not sets:
        return "()"
    return f"{'GROUPING SETS' if kind == 'sets' else kind.upper()} ({listed})"


def _key(context: Context, node: queries.Select, written: tree.Node, values: dict[tree.Node, Value]) -> str:
    if isinstance(written, tree.Constant) and written.kind == "integer":
        position = int(written.text)
        columns = node.columns
        if not 1 <= position <= len(columns) or not isinstance(columns[position - 1], queries.Column):
            raise context.wrong(written, f"GROUP BY {position}: there is no such column in the SELECT list")
        column = columns[position - 1]
        assert isinstance(column, queries.Column)
        written = column.value
    from rheo_assets.platforms.local.presto.translation.calls import is_aggregate

    if aggregates_in(written, is_aggregate):
        raise context.wrong(written, f"GROUP BY has no aggregates: {context.text(written)}")
    value = context.value(written)
    if value.type.name == "map":
        raise context.not_available(written, f"GROUP BY of {value.type}", "CAST it to varchar or json first")
    if value.constant is not None or value.type.name == "unknown":
        value = Value(f"athena_same({value.sql})", value.type)
    values[written] = value
    return value.sql
