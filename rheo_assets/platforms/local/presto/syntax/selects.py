"""Reads queries and the relations of their FROM."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.syntax import calls, primaries, queries, tree
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.expressions import expression, expressions, sort_items
from rheo_assets.platforms.local.presto.syntax.tree import Node

_AFTER_RELATION = frozenset({"TABLESAMPLE", "MATCH_RECOGNIZE", "OFFSET", "LIMIT", "FETCH", "WINDOW", "ORDER"})
_JOIN_STARTS = ("CROSS", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "NATURAL")


def query(cursor: Cursor) -> queries.Query:
    """Reads a query."""
    start = cursor.token.start
    tables: list[queries.CommonTable] = []
    if cursor.take("WITH"):
        if cursor.sees("RECURSIVE"):
            cursor.refuse("WITH RECURSIVE")
        tables.append(_common_table(cursor))
        while cursor.take(","):
            tables.append(_common_table(cursor))
    body = _union(cursor)
    order = sort_items(cursor) if cursor.take("ORDER", "BY") else ()
    offset = None
    if cursor.take("OFFSET"):
        offset = expression(cursor)
        _ = cursor.take("ROWS") or cursor.take("ROW")
    limit, ties = _limit(cursor)
    if cursor.sees("OFFSET"):
        cursor.fail("the end of the query (Athena wants OFFSET before LIMIT)")
    return cursor.spanned(queries.Query(tuple(tables), body, order, offset, limit, ties), start)


def _limit(cursor: Cursor) -> tuple[Node | None, bool]:
    if cursor.take("LIMIT"):
        return (None if cursor.take("ALL") else expression(cursor)), False
    if not cursor.take("FETCH"):
        return None, False
    if not (cursor.take("FIRST") or cursor.take("NEXT")):
        cursor.fail("FIRST")
    count: Node = tree.Constant("integer", "1")
    if not cursor.sees_any("ROW", "ROWS"):
        count = expression(cursor)
    cursor.next()
    if cursor.take("WITH", "TIES"):
        return count, True
    cursor.expect("ONLY")
    return count, False


def _common_table(cursor: Cursor) -> queries.CommonTable:
    start, name = cursor.token.start, cursor.name()
    columns = cursor.names() if cursor.sees("(") else ()
    cursor.expect("AS", "(")
    return cursor.spanned(queries.CommonTable(name, columns, primaries.subquery(cursor)), start)


def _union(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _intersection(cursor)
    while cursor.sees_any("UNION", "EXCEPT"):
        kind = cursor.next().word
        every = cursor.take("ALL") or (cursor.take("DISTINCT") and False)
        left = cursor.spanned(queries.SetOperation(kind, every, left, _intersection(cursor)), start)
    return left


def _intersection(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _body(cursor)
    while cursor.take("INTERSECT"):
        every = cursor.take("ALL") or (cursor.take("DISTINCT") and False)
        left = cursor.spanned(queries.SetOperation("INTERSECT", every, left, _body(cursor)), start)
    return left


def _body(cursor: Cursor) -> Node:
    start = cursor.token.start
    if cursor.take("("):
        return primaries.subquery(cursor)
    if cursor.take("VALUES"):
        return cursor.spanned(queries.Values(expressions(cursor)), start)
    if cursor.take("TABLE"):
        return cursor.spanned(queries.TableRows(_table(cursor)), start)
    return _select(cursor)


def _select(cursor: Cursor) -> Node:
    start = cursor.token.start
    cursor.expect("SELECT")
    distinct = cursor.take("DISTINCT") or (cursor.take("ALL") and False)
    columns = [_column(cursor)]
    while cursor.take(","):
        columns.append(_column(cursor))
    source = _relations(cursor) if cursor.take("FROM") else None
    where = expression(cursor) if cursor.take("WHERE") else None
    groups, distinct_groups = None, False
    if cursor.take("GROUP", "BY"):
        distinct_groups = cursor.take("DISTINCT") or (cursor.take("ALL") and False)
        groups = _groups(cursor)
    having = expression(cursor) if cursor.take("HAVING") else None
    windows = _windows(cursor) if cursor.take("WINDOW") else ()
    found = queries.Select(distinct, tuple(columns), source, where, groups, distinct_groups, having, windows)
    return cursor.spanned(found, start)


def _windows(cursor: Cursor) -> tuple[tuple[str, tree.Window], ...]:
    found = []
    while True:
        name = cursor.name()
        cursor.expect("AS", "(")
        found.append((name, calls.window(cursor)))
        cursor.expect(")")
        if not cursor.take(","):
            return tuple(found)


def _column(cursor: Cursor) -> Node:
    start = cursor.token.start
    if cursor.take("*"):
        return cursor.spanned(queries.AllColumns(None), start)
    value = expression(cursor)
    if cursor.take(".", "*"):
        aliases = cursor.names() if cursor.take("AS") else ()
        return cursor.spanned(queries.AllColumns(value, aliases), start)
    alias = cursor.name() if cursor.take("AS") or cursor.is_name() else ""
    return cursor.spanned(queries.Column(value, alias), start)


def _groups(cursor: Cursor) -> tuple[queries.GroupElement, ...]:
    found = [_group(cursor)]
    while cursor.take(","):
        found.append(_group(cursor))
    return tuple(found)


def _group(cursor: Cursor) -> queries.GroupElement:
    if cursor.take("GROUPING", "SETS"):
        cursor.expect("(")
        sets = [_grouping_set(cursor)]
        while cursor.take(","):
            sets.append(_grouping_set(cursor))
        cursor.expect(")")
        return queries.GroupElement("sets", tuple(sets))
    if cursor.sees_any("ROLLUP", "CUBE") and cursor.ahead().word == "(":
        kind = cursor.next().word.lower()
        cursor.expect("(")
        sets = [] if cursor.sees(")") else [_grouping_set(cursor)]
        while cursor.take(","):
            sets.append(_grouping_set(cursor))
        cursor.expect(")")
        return queries.GroupElement(kind, tuple(sets))
    return queries.GroupElement("simple", (_grouping_set(cursor),))


def _grouping_set(cursor: Cursor) -> tuple[Node, ...]:
    if cursor.take("(", ")"):
        return ()
    value = expression(cursor)
    return value.items if isinstance(value, tree.Row) else (value,)


# Relations.


def _relations(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _joined(cursor)
    while cursor.take(","):
        left = cursor.spanned(queries.Join("cross", left, _joined(cursor)), start)
    return left


def _joined(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _aliased(cursor)
    while cursor.sees_any(*_JOIN_STARTS):
        left = cursor.spanned(_join(cursor, left), start)
    return left


def _join(cursor: Cursor, left: Node) -> Node:
    if cursor.sees("NATURAL"):
        cursor.refuse("NATURAL JOIN", "Athena does not have it either: write JOIN … USING (column)")
    if cursor.take("CROSS"):
        cursor.expect("JOIN")
        return queries.Join("cross", left, _aliased(cursor))
    kind = cursor.next().word.lower() if not cursor.sees("JOIN") else "inner"
    cursor.take("OUTER")
    cursor.expect("JOIN")
    right = _aliased(cursor)
    if cursor.take("USING"):
        return queries.Join(kind, left, right, using=cursor.names())
    cursor.expect("ON")
    return queries.Join(kind, left, right, expression(cursor))


def _aliased(cursor: Cursor) -> Node:
    start, relation = cursor.token.start, _relation(cursor)
    if cursor.sees("TABLESAMPLE"):
        cursor.refuse("TABLESAMPLE")
    if cursor.sees("MATCH_RECOGNIZE"):
        cursor.refuse("MATCH_RECOGNIZE")
    if cursor.take("AS") or (cursor.is_name() and cursor.token.word not in _AFTER_RELATION):
        name = cursor.name()
        columns = cursor.names() if cursor.sees("(") else ()
        relation = queries.Aliased(relation, name, columns)
        if cursor.sees("MATCH_RECOGNIZE"):
            cursor.refuse("MATCH_RECOGNIZE")
    return cursor.spanned(relation, start)


def _relation(cursor: Cursor) -> Node:
    start = cursor.token.start
    if cursor.take("UNNEST", "("):
        items = expressions(cursor)
        cursor.expect(")")
        return cursor.spanned(queries.Unnest(items, cursor.take("WITH", "ORDINALITY")), start)
    if cursor.take("LATERAL", "("):
        return cursor.spanned(queries.Derived(primaries.subquery(cursor), lateral=True), start)
    if cursor.sees("TABLE", "("):
        cursor.refuse("a table function")
    if not cursor.sees("("):
        return _table(cursor)
    position = cursor.position
    if primaries.starts_query(cursor):
        try:
            cursor.next()
            return cursor.spanned(queries.Derived(primaries.subquery(cursor)), start)
        except Exception:
            cursor.position = position
            if cursor.ahead().word != "(":
                raise
    cursor.expect("(")
    found = _joined(cursor)
    cursor.expect(")")
    return found


def _table(cursor: Cursor) -> queries.Table:
    start, parts = cursor.token.start, [cursor.name()]
    if cursor.sees("("):
        cursor.position -= 1
        cursor.refuse(f"the table function {parts[0]}")
    while cursor.take("."):
        parts.append(cursor.name())
    return cursor.spanned(queries.Table(tuple(parts)), start)
