"""Reads the smallest expressions: literals, names, casts, and what has parentheses of its own."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.syntax import calls, expressions, tree
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.queries import Query
from rheo_assets.platforms.local.presto.syntax.tree import Node
from rheo_assets.platforms.local.presto.syntax.type_names import type_name

_BARE_CALLS = frozenset({"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"})
_BARE_CALLS |= {"CURRENT_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"}
_NUMBERS = frozenset({"integer", "decimal", "double"})


def starts_query(cursor: Cursor) -> bool:
    """Returns whether a query, in any number of parentheses, is next."""
    count = 0
    while cursor.ahead(count).word == "(":
        count += 1
    word = cursor.ahead(count).word
    return word in {"SELECT", "WITH", "VALUES"} or (word == "TABLE" and cursor.ahead(count + 1).word != "(")


def subquery(cursor: Cursor) -> Query:
    """Reads a query and the parenthesis after it."""
    from rheo_assets.platforms.local.presto.syntax.selects import query

    found = query(cursor)
    cursor.expect(")")
    return found


def primary(cursor: Cursor) -> Node:
    """Reads a primary with its subscripts and fields."""
    start = cursor.token.start
    value = cursor.spanned(_primary(cursor), start)
    while True:
        if cursor.take("["):
            index = expressions.operand(cursor)
            cursor.expect("]")
            value = cursor.spanned(tree.Subscript(value, index), start)
        elif cursor.sees(".") and cursor.is_name(1):
            cursor.next()
            value = cursor.spanned(tree.Field(value, cursor.name()), start)
        else:
            return value


def _primary(cursor: Cursor) -> Node:
    token, word = cursor.token, cursor.token.word
    if token.kind in _NUMBERS:
        return tree.Constant(token.kind, cursor.next().text.replace("_", ""))
    if token.kind in {"string", "binary"}:
        return tree.Constant(token.kind, cursor.next().text)
    if token.kind == "unicode":
        cursor.refuse("the literal U&'…'", "write the characters themselves")
    if word == "(":
        return _parenthesis(cursor)
    if word in _BARE_CALLS:
        cursor.next()
        args: tuple[Node, ...] = ()
        if cursor.take("("):
            args = expressions.expressions(cursor)
            cursor.expect(")")
        return tree.Call(word.lower(), args)
    reader = _SPECIAL.get(word)
    found = reader(cursor) if reader else None
    return _named(cursor) if found is None else found


def _named(cursor: Cursor) -> Node:
    typed = _typed_constant(cursor)
    if typed is not None:
        return typed
    if cursor.is_name() and cursor.ahead().word == "->":
        names = (cursor.name(),)
        cursor.next()
        return tree.Lambda(names, expressions.expression(cursor))
    if cursor.token.kind in {"word", "quoted"} and cursor.ahead().word == "(" and calls.may_call(cursor):
        return calls.call(cursor)
    return tree.Name(cursor.name())


def _typed_constant(cursor: Cursor) -> Node | None:
    """Reads `DATE '2024-01-01'`: a type's name with a string after it."""
    if cursor.token.kind != "word" or not cursor.is_name():
        return None
    if cursor.ahead().kind == "string":
        name = tree.TypeName(cursor.next().text.lower())
        return tree.TypedConstant(name, cursor.string())
    if cursor.sees("DOUBLE", "PRECISION") and cursor.ahead(2).kind == "string":
        cursor.position += 2
        return tree.TypedConstant(tree.TypeName("double"), cursor.string())
    return None


def _parenthesis(cursor: Cursor) -> Node:
    names = _parameters(cursor)
    if names is not None:
        return tree.Lambda(names, expressions.expression(cursor))
    if starts_query(cursor):
        position = cursor.position
        cursor.next()
        if cursor.sees("(") and not _is_whole_query(cursor):
            cursor.position = position
        else:
            return tree.Scalar(subquery(cursor))
    cursor.expect("(")
    items = expressions.expressions(cursor)
    cursor.expect(")")
    return items[0] if len(items) == 1 else tree.Row(items)


def _is_whole_query(cursor: Cursor) -> bool:
    """Returns whether the parenthesis that opens here closes before another operator of queries, or a parenthesis."""
    depth, count = 0, 0
    while True:
        word = cursor.ahead(count).word
        depth += (word == "(") - (word == ")")
        count += 1
        if depth == 0 or cursor.ahead(count).kind == "end":
            break
    return cursor.ahead(count).word in {")", "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH"}


def _parameters(cursor: Cursor) -> tuple[str, ...] | None:
    if cursor.sees("(", ")", "->"):
        cursor.position += 3
        return ()
    count = 1
    while cursor.is_name(count) and cursor.ahead(count + 1).word == ",":
        count += 2
    if not (cursor.is_name(count) and cursor.ahead(count + 1).word == ")" and cursor.ahead(count + 2).word == "->"):
        return None
    names = cursor.names()
    cursor.next()
    return names


def _boolean(cursor: Cursor) -> Node:
    return tree.Constant("boolean", cursor.next().word.lower())


def _null(cursor: Cursor) -> Node:
    cursor.next()
    return tree.Null()


def _case(cursor: Cursor) -> Node:
    cursor.next()
    operand = None if cursor.sees("WHEN") else expressions.expression(cursor)
    whens = []
    while cursor.take("WHEN"):
        condition = expressions.expression(cursor)
        cursor.expect("THEN")
        whens.append((condition, expressions.expression(cursor)))
    if not whens:
        cursor.fail("WHEN")
    default = expressions.expression(cursor) if cursor.take("ELSE") else None
    cursor.expect("END")
    return tree.Case(operand, tuple(whens), default)


def _cast(cursor: Cursor) -> Node:
    safe = cursor.next().word == "TRY_CAST"
    cursor.expect("(")
    value = expressions.expression(cursor)
    cursor.expect("AS")
    kind = type_name(cursor)
    cursor.expect(")")
    return tree.Cast(value, kind, safe)


def _try_cast(cursor: Cursor) -> Node | None:
    return _cast(cursor) if cursor.ahead().word == "(" else None


def _extract(cursor: Cursor) -> Node:
    cursor.next()
    cursor.expect("(")
    field = cursor.next().word
    cursor.expect("FROM")
    value = expressions.expression(cursor)
    cursor.expect(")")
    return tree.Extract(field, value)


def _exists(cursor: Cursor) -> Node:
    cursor.expect("EXISTS", "(")
    return tree.Exists(subquery(cursor))


def _array(cursor: Cursor) -> Node | None:
    if cursor.ahead().word != "[":
        return None
    cursor.position += 2
    items = () if cursor.sees("]") else expressions.expressions(cursor)
    cursor.expect("]")
    return tree.Array(items)


def _row(cursor: Cursor) -> Node | None:
    if cursor.ahead().word != "(":
        return None
    cursor.position += 2
    items = expressions.expressions(cursor)
    cursor.expect(")")
    return tree.Row(items)


def _interval(cursor: Cursor) -> Node | None:
    following = cursor.ahead()
    if following.kind != "string" and following.word not in {"+", "-"}:
        return None
    cursor.next()
    negative = cursor.take("-") or (cursor.take("+") and False)
    text, start = cursor.string(), cursor.next().word
    if start not in {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"}:
        cursor.position -= 1
        cursor.fail("YEAR, MONTH, DAY, HOUR, MINUTE or SECOND")
    return tree.Interval(text, negative, start, cursor.next().word if cursor.take("TO") else start)


_SPECIAL = {
    "TRUE": _boolean, "FALSE": _boolean, "NULL": _null, "CASE": _case, "CAST": _cast, "TRY_CAST": _try_cast,
    "EXTRACT": _extract, "EXISTS": _exists, "ARRAY": _array, "ROW": _row, "INTERVAL": _interval,
}  # fmt: skip
