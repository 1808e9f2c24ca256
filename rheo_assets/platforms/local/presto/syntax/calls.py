"""Reads function calls, those with a grammar of their own included."""

from __future__ import annotations

from dataclasses import replace

from rheo_assets.platforms.local.presto.syntax import expressions, tree
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.tree import Call, Constant, Node

_WITH_GRAMMAR = frozenset({"TRIM", "SUBSTRING", "POSITION", "NORMALIZE", "LISTAGG", "GROUPING"})
_SQL_JSON = frozenset({"JSON_EXISTS", "JSON_VALUE", "JSON_QUERY", "JSON_OBJECT", "JSON_ARRAY", "JSON_TABLE"})
_KEYWORD_FUNCTIONS = _WITH_GRAMMAR | {"LEFT", "RIGHT"}
_BOUNDS = {"UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING", "CURRENT ROW"}


def may_call(cursor: Cursor) -> bool:
    """Returns whether the next name may be a function's."""
    return cursor.is_name() or cursor.token.word in _KEYWORD_FUNCTIONS | _SQL_JSON


def call(cursor: Cursor) -> Node:
    """Reads a call with FILTER, IGNORE NULLS and OVER."""
    if cursor.token.word in _SQL_JSON:
        cursor.refuse(f"the function {cursor.token.text.lower()}", "use json_extract or json_extract_scalar")
    name = cursor.next().text.lower()
    cursor.expect("(")
    found = _arguments(cursor, name)
    cursor.expect(")")
    if cursor.take("WITHIN", "GROUP"):
        cursor.expect("(", "ORDER", "BY")
        found = replace(found, order=expressions.sort_items(cursor), clauses=(*found.clauses, ("within", True)))
        cursor.expect(")")
    if cursor.take("FILTER"):
        cursor.expect("(", "WHERE")
        found = replace(found, where=expressions.expression(cursor))
        cursor.expect(")")
    if cursor.sees_any("IGNORE", "RESPECT") and cursor.ahead().word == "NULLS":
        found = replace(found, nulls=cursor.next().word)
        cursor.expect("NULLS")
    if cursor.take("OVER"):
        found = replace(found, over=cursor.name() if cursor.is_name() else _parenthesized_window(cursor))
    return found


def _arguments(cursor: Cursor, name: str) -> Call:
    if cursor.take("*"):
        return Call(name, star=True)
    if name in {"trim", "substring", "position", "normalize"}:
        return _with_grammar(cursor, name)
    distinct = cursor.take("DISTINCT") or (cursor.take("ALL") and False)
    args: tuple[Node, ...] = () if cursor.sees_any(")", "ORDER") else expressions.expressions(cursor)
    clauses = ()
    if name == "listagg" and cursor.take("ON", "OVERFLOW") and not cursor.take("ERROR"):
        cursor.refuse("ON OVERFLOW TRUNCATE")
    order: tuple[tree.SortItem, ...] = ()
    if cursor.take("ORDER"):
        cursor.expect("BY")
        order = expressions.sort_items(cursor)
    return Call(name, args, distinct=distinct, order=order, clauses=clauses)


def _with_grammar(cursor: Cursor, name: str) -> Call:
    if name == "trim":
        side = cursor.next().word if cursor.sees_any("LEADING", "TRAILING", "BOTH") else "BOTH"
        target = {"LEADING": "ltrim", "TRAILING": "rtrim", "BOTH": "trim"}[side]
        if cursor.take("FROM"):
            return Call(target, (expressions.operand(cursor),))
        first = expressions.operand(cursor)
        if cursor.take("FROM"):
            return Call(target, (expressions.operand(cursor), first))
        return Call(target, (first, expressions.operand(cursor)) if cursor.take(",") else (first,))
    first = expressions.operand(cursor)
    if name == "position":
        cursor.expect("IN")
        return Call("strpos", (expressions.operand(cursor), first))
    if name == "substring" and cursor.take("FROM"):
        start = expressions.operand(cursor)
        return Call("substr", (first, start, expressions.operand(cursor)) if cursor.take("FOR") else (first, start))
    if name == "normalize" and cursor.take(","):
        return Call(name, (first, Constant("string", cursor.next().word)))
    rest = expressions.expressions(cursor) if cursor.take(",") else ()
    return Call(name, (first, *rest))


def _parenthesized_window(cursor: Cursor) -> tree.Window:
    cursor.expect("(")
    found = window(cursor)
    cursor.expect(")")
    return found


def window(cursor: Cursor) -> tree.Window:
    """Reads what stands in `OVER (…)`."""
    start = cursor.token.start
    base = cursor.name() if cursor.is_name() and not cursor.sees_any("PARTITION", "RANGE", "ROWS", "GROUPS") else ""
    partition: tuple[Node, ...] = ()
    if cursor.take("PARTITION", "BY"):
        partition = expressions.expressions(cursor)
    order: tuple[tree.SortItem, ...] = ()
    if cursor.take("ORDER", "BY"):
        order = expressions.sort_items(cursor)
    frame = None
    if cursor.sees_any("RANGE", "ROWS", "GROUPS"):
        mode = cursor.next().word
        if cursor.take("BETWEEN"):
            first = _bound(cursor)
            cursor.expect("AND")
            frame = (mode, first, _bound(cursor))
        else:
            frame = (mode, _bound(cursor), ("CURRENT ROW", None))
    if cursor.sees_any("MEASURES", "PATTERN", "AFTER", "DEFINE"):
        cursor.refuse("row pattern recognition in a window")
    return cursor.spanned(tree.Window(base, partition, order, frame), start)


def _bound(cursor: Cursor) -> tuple[str, Node | None]:
    words = f"{cursor.token.word} {cursor.ahead().word}"
    if words in _BOUNDS:
        cursor.position += 2
        return words, None
    distance = expressions.expression(cursor)
    if not cursor.sees_any("PRECEDING", "FOLLOWING"):
        cursor.fail("PRECEDING or FOLLOWING")
    return cursor.next().word, distance
