"""Comparisons and conditions, by the types of what is compared."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.session import literal
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common, common_of
from rheo_assets.platforms.local.presto.types.kinds import FLOATS, TEXTS, ZONED, Type
from rheo_assets.platforms.local.presto.types.storage import quoted

_NOT_ORDERED = frozenset({"map", "json"})


def comparison(context: Context, node: tree.Comparison) -> Value:
    """`a = b` and the like."""
    left, right = context.value(node.left), context.value(node.right)
    return Value(compared(context, node, node.op, left, right), kinds.BOOLEAN)


def compared(context: Context, node: tree.Node, op: str, left: Value, right: Value) -> str:
    """Returns the SQL of a comparison.

    Raises:
        Refusal: Trino does not compare values of these types.
    """
    kind = common(left.type, right.type)
    if kind is None or (op in {"<", ">", "<=", ">="} and not _ordered(kind)) or not comparable(kind):
        raise context.mismatch(node, op, left.type, right.type)
    if left.type.name == "char" and right.type.name == "varchar" and right.constant is not None:
        kind = Type("char", (max(left.type.args[0], right.type.args[0]),))
    if left.type.name != "char" or right.type.name != "varchar" or kind.name != "char":
        left, right = (casts.coerce(context, node, value, kind) for value in (left, right))
    else:
        left, right = (casts.cast(context, node, value, kind) for value in (left, right))
    return _compared(context, op, left, right, kind)


def _ordered(kind: Type) -> bool:
    if kind.name == "row":
        return all(_ordered(field) for _, field in kind.args)
    return kind.name not in _NOT_ORDERED and all(_ordered(arg) for arg in kind.args if isinstance(arg, Type))


def comparable(kind: Type) -> bool:
    """Returns whether values of a type can be equal."""
    if kind.name == "row":
        return all(comparable(field) for _, field in kind.args)
    return kind.name != "function" and all(comparable(arg) for arg in kind.args if isinstance(arg, Type))


def _compared(context: Context, op: str, left: Value, right: Value, kind: Type) -> str:
    a, b = left.sql, right.sql
    if op.startswith("IS"):
        a, b = key(Value(a, kind)), key(Value(b, kind))
        return f"({a} {op} {b})"
    if kind.name in FLOATS:
        return _of_floats(op, left, right)
    if kind.name in {"array", "row", "map"}:
        return _of_collections(context, op, a, b, kind)
    if kind.name == ZONED:
        a, b = f"({a}).i", f"({b}).i"
    return f"({a} {op} {b})"


def _of_floats(op: str, left: Value, right: Value) -> str:
    """NaN equals nothing in Trino; DuckDB takes it for the greatest number."""
    a, b = left.sql, right.sql
    sides: tuple[Value, ...] = {">": (left,), ">=": (left,), "<": (right,), "<=": (right,)}.get(op, (left, right))
    sides = tuple(side for side in sides if side.constant is None or side.constant == "NaN")
    if op in {"=", "<>"} and len(sides) == 2:
        sides = (right,)
    elif op in {"=", "<>"}:
        sides = tuple(side for side in (left, right) if side.constant == "NaN")
    if not sides:
        return f"({a} {op} {b})"
    if op == "<>":
        return f"({a} <> {b} OR (isnan({a}) AND isnan({b})))"
    return f"({a} {op} {b} AND NOT isnan({sides[0].sql}))"


def _of_collections(context: Context, op: str, a: str, b: str, kind: Type) -> str:
    if op in {"=", "<>"}:
        same = equal(context, a, b, kind)
        return same if op == "=" else f"(NOT {same})"
    if "double" in str(kind) or "real" in str(kind) or "zone" in str(kind):
        a, b = key(Value(a, kind)), key(Value(b, kind))
    return f"athena_ordered({a} {op} {b}, to_json({a}), to_json({b}))"


def equal(context: Context, a: str, b: str, kind: Type) -> str:
    """Returns the SQL of `a = b`, which is NULL where only NULLs inside leave it open."""
    if kind.name == "array":
        name = context.fresh("q")
        inner = equal(context, f"{name}[1]", f"{name}[2]", kind.args[0])
        return (
            f"CASE WHEN len({a}) <> len({b}) THEN false WHEN {a} IS NOT NULL AND {b} IS NOT NULL THEN "
            f"athena_all_true(list_transform(list_zip({a}, {b}), lambda {name}: {inner})) END"
        )
    if kind.name == "row":
        parts = (equal(context, f"({a}).{quoted(n)}", f"({b}).{quoted(n)}", field) for n, field in kind.fields)
        return f"CASE WHEN {a} IS NOT NULL AND {b} IS NOT NULL THEN ({' AND '.join(parts)}) END"
    if kind.name == "map":
        name = context.fresh("q")
        inner = equal(context, f"{name}.value", f"({b})[{name}.key]", kind.args[1])
        return (
            f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL "
            f"WHEN list_sort(map_keys({a})) IS DISTINCT FROM list_sort(map_keys({b})) THEN false ELSE "
            f"athena_all_true(list_transform(map_entries({a}), lambda {name}: {inner})) END"
        )
    if kind.name in FLOATS:
        return f"({a} = {b} AND NOT isnan({a}))"
    if kind.name == "unknown":
        return "CAST(NULL AS BOOLEAN)"
    return f"(({a}).i = ({b}).i)" if kind.name == ZONED else f"({a} = {b})"


def key(value: Value) -> str:
    """Returns the SQL by which DuckDB may tell equal values: a map's entries in order, an instant without its zone."""
    if value.type.name == "map":
        return f"list_sort(map_entries({value.sql}))"
    return f"({value.sql}).i" if value.type.name == ZONED else value.sql


# Conditions.


def boolean(context: Context, node: tree.Node) -> str:
    """Returns the SQL of a condition.

    Raises:
        Refusal: It is no boolean.
    """
    value = context.value(node)
    if value.type.name not in {"boolean", "unknown"}:
        raise context.wrong(node, f"{context.text(node)} is {value.type}, where boolean is expected")
    return value.sql if value.type.name == "boolean" else "CAST(NULL AS BOOLEAN)"


def logical(context: Context, node: tree.Logical) -> Value:
    """`a AND b`, `a OR b`."""
    parts: list[tree.Node] = []
    rest: tree.Node = node
    while isinstance(rest, tree.Logical) and rest.op == node.op:
        parts.append(rest.right)
        rest = rest.left
    sqls = [boolean(context, part) for part in (rest, *reversed(parts))]
    return Value(f"({f' {node.op} '.join(sqls)})", kinds.BOOLEAN)


def negation(context: Context, node: tree.Not) -> Value:
    """`NOT x`."""
    return Value(f"(NOT {boolean(context, node.value)})", kinds.BOOLEAN)


def is_null(context: Context, node: tree.IsNull) -> Value:
    """`x IS NULL`."""
    return Value(f"({context.value(node.value).sql} IS NULL)", kinds.BOOLEAN)


def between(context: Context, node: tree.Between) -> Value:
    """`x BETWEEN a AND b`."""
    value, low, high = (context.value(part) for part in (node.value, node.low, node.high))
    first = compared(context, node, ">=", value, low)
    return Value(f"({first} AND {compared(context, node, '<=', value, high)})", kinds.BOOLEAN)


def in_list(context: Context, node: tree.InList) -> Value:
    """`x IN (a, b)`."""
    value = context.value(node.value)
    items = [context.value(item) for item in node.items]
    kind = common_of([value.type, *(item.type for item in items)])
    if kind is None:
        raise context.mismatch(node, "IN", value.type, *dict.fromkeys(item.type for item in items))
    if kind.name in {"array", "row", "map", ZONED, *FLOATS, "char"} and not all(item.constant for item in items):
        parts = [compared(context, node, "=", value, item) for item in items]
        return Value(f"({' OR '.join(parts)})", kinds.BOOLEAN)
    listed = ", ".join(casts.coerce(context, node, item, kind).sql for item in items)
    return Value(f"({casts.coerce(context, node, value, kind).sql} IN ({listed}))", kinds.BOOLEAN)


def like(context: Context, node: tree.Like) -> Value:
    """`x LIKE p ESCAPE e`."""
    value, pattern = context.value(node.value), context.value(node.pattern)
    for part in (value, pattern):
        if part.type.name not in {*TEXTS, "unknown"}:
            raise context.mismatch(node, "LIKE", value.type, pattern.type)
    if pattern.type.name == "char":
        pattern = Value(f"rtrim({pattern.sql}, ' ')", kinds.VARCHAR)
    escape = ""
    if node.escape is not None:
        given = context.value(node.escape)
        if given.constant is None:
            raise context.not_available(node, "a computed ESCAPE", "write it as a 'literal'")
        if len(given.constant) != 1:
            raise context.wrong(node, "the ESCAPE of LIKE is one character")
        if pattern.constant is not None:
            _check_escapes(context, node, pattern.constant, given.constant)
        escape = f" ESCAPE {literal(given.constant)}"
    texts = ("CAST(NULL AS VARCHAR)" if part.type == kinds.UNKNOWN else part.sql for part in (value, pattern))
    return Value(f"({' LIKE '.join(texts)}{escape})", kinds.BOOLEAN)


def _check_escapes(context: Context, node: tree.Node, pattern: str, escape: str) -> None:
    position = 0
    while position < len(pattern):
        if pattern[position] == escape:
            position += 1
            if pattern[position : position + 1] not in {"%", "_", escape}:
                raise context.wrong(node, f"in LIKE, {escape!r} stands before %, _ or itself")
        position += 1
