"""Reads expressions: from `OR`, which binds least, down to signs and `AT TIME ZONE`."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.syntax import primaries, tree
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.tree import Node

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def expression(cursor: Cursor) -> Node:
    """Reads an expression."""
    start, left = cursor.token.start, _conjunction(cursor)
    while cursor.take("OR"):
        left = cursor.spanned(tree.Logical("OR", left, _conjunction(cursor)), start)
    return left


def expressions(cursor: Cursor) -> tuple[Node, ...]:
    """Reads expressions with commas between them."""
    found = [expression(cursor)]
    while cursor.take(","):
        found.append(expression(cursor))
    return tuple(found)


def sort_items(cursor: Cursor) -> tuple[tree.SortItem, ...]:
    """Reads what follows `ORDER BY`."""
    found = [_sort_item(cursor)]
    while cursor.take(","):
        found.append(_sort_item(cursor))
    return tuple(found)


def _sort_item(cursor: Cursor) -> tree.SortItem:
    start, value = cursor.token.start, expression(cursor)
    descending = cursor.take("DESC") or (cursor.take("ASC") and False)
    first = cursor.take("NULLS", "FIRST") or (cursor.take("NULLS", "LAST") and False)
    return cursor.spanned(tree.SortItem(value, descending, first), start)


def _conjunction(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _negation(cursor)
    while cursor.take("AND"):
        left = cursor.spanned(tree.Logical("AND", left, _negation(cursor)), start)
    return left


def _negation(cursor: Cursor) -> Node:
    start = cursor.token.start
    if cursor.take("NOT"):
        return cursor.spanned(tree.Not(_negation(cursor)), start)
    value = operand(cursor)
    found = cursor.spanned(_predicate(cursor, value), start)
    if cursor.token.word in _COMPARISONS and found is not value:
        cursor.fail("AND, OR or the end of the expression")
    return found


def _predicate(cursor: Cursor, value: Node) -> Node:
    op = _COMPARISONS.get(cursor.token.word)
    if op:
        cursor.next()
        return _compared(cursor, op, value)
    start = cursor.token.start
    if cursor.take("IS"):
        found = _is(cursor, value)
    else:
        negated = cursor.take("NOT")
        inner = _membership(cursor, value)
        if inner is None:
            if negated:
                cursor.fail("BETWEEN, IN or LIKE")
            return value
        found = cursor.spanned(inner, start)
        return tree.Not(found) if negated else found
    return found


def _compared(cursor: Cursor, op: str, value: Node) -> Node:
    if cursor.sees_any("ALL", "ANY", "SOME") and cursor.ahead().word == "(":
        quantifier = cursor.next().word
        cursor.expect("(")
        query = primaries.subquery(cursor)
        return tree.Quantified(op, value, "ALL" if quantifier == "ALL" else "ANY", query)
    return tree.Comparison(op, value, operand(cursor))


def _is(cursor: Cursor, value: Node) -> Node:
    negated = cursor.take("NOT")
    if cursor.take("NULL"):
        return tree.Not(tree.IsNull(value)) if negated else tree.IsNull(value)
    if cursor.sees_any("TRUE", "FALSE", "UNKNOWN"):
        cursor.refuse(f"IS {cursor.token.word}", "compare with = or IS NOT DISTINCT FROM")
    cursor.expect("DISTINCT", "FROM")
    return tree.Comparison("IS NOT DISTINCT FROM" if negated else "IS DISTINCT FROM", value, operand(cursor))


def _membership(cursor: Cursor, value: Node) -> Node | None:
    if cursor.take("BETWEEN"):
        if cursor.sees_any("SYMMETRIC", "ASYMMETRIC"):
            cursor.refuse(f"BETWEEN {cursor.token.word}", "write BETWEEN low AND high")
        low = operand(cursor)
        cursor.expect("AND")
        return tree.Between(value, low, operand(cursor))
    if cursor.take("LIKE"):
        pattern = operand(cursor)
        return tree.Like(value, pattern, operand(cursor) if cursor.take("ESCAPE") else None)
    if not cursor.take("IN"):
        return None
    cursor.expect("(")
    if primaries.starts_query(cursor):
        return tree.InQuery(value, primaries.subquery(cursor))
    items = expressions(cursor)
    cursor.expect(")")
    return tree.InList(value, items)


def operand(cursor: Cursor) -> Node:
    """Reads a value without a predicate: `a || b + c`."""
    start, left = cursor.token.start, _sum(cursor)
    while cursor.take("||"):
        left = cursor.spanned(tree.Binary("||", left, _sum(cursor)), start)
    return left


def _sum(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _product(cursor)
    while cursor.sees_any("+", "-"):
        left = cursor.spanned(tree.Binary(cursor.next().word, left, _product(cursor)), start)
    return left


def _product(cursor: Cursor) -> Node:
    start, left = cursor.token.start, _signed(cursor)
    while cursor.sees_any("*", "/", "%"):
        left = cursor.spanned(tree.Binary(cursor.next().word, left, _signed(cursor)), start)
    return left


def _signed(cursor: Cursor) -> Node:
    start = cursor.token.start
    if cursor.sees_any("+", "-"):
        op = cursor.next().word
        return cursor.spanned(tree.Unary(op, _signed(cursor)), start)
    value = primaries.primary(cursor)
    while cursor.take("AT"):
        cursor.expect("TIME", "ZONE")
        value = cursor.spanned(tree.AtTimeZone(value, primaries.primary(cursor)), start)
    return value
