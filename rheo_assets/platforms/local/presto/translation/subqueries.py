"""Queries inside expressions."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.analysis.scope import Relation, Value
from rheo_assets.platforms.local.presto.syntax import queries, tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.translation.selects import query
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common
from rheo_assets.platforms.local.presto.types.kinds import FLOATS, ZONED, Type
from rheo_assets.platforms.local.presto.types.storage import quoted

_OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _made(context: Context, node: queries.Query) -> Relation:
    """Returns a query that a value may hold; what groups the query around does not bind it."""
    scope = context.scope
    before = scope.in_aggregate
    made = query(context, node)
    scope.in_aggregate = before
    if context.scope.outer and (node.limit is not None or node.offset is not None):
        raise context.wrong(node, "a correlated subquery with LIMIT or OFFSET is not supported by Athena")
    return made


def scalar(context: Context, node: tree.Scalar) -> Value:
    """`(SELECT …)` as a value."""
    made = _made(context, node.query)
    if len(made.fields) == 1:
        return Value(f"({made.sql})", made.fields[0].type)
    parts = tuple((each.name, each.type) for each in made.fields)
    kind = Type("row", parts)
    packed = ", ".join(f"{quoted(key)} := {each.sql}" for (key, _), each in zip(kind.fields, made.fields, strict=True))
    return Value(f"(SELECT struct_pack({packed}) FROM ({made.sql}))", kind)


def exists(context: Context, node: tree.Exists) -> Value:
    """`EXISTS (SELECT …)`."""
    return Value(f"EXISTS ({_made(context, node.query).sql})", kinds.BOOLEAN)


def in_query(context: Context, node: tree.InQuery) -> Value:
    """`x IN (SELECT …)`."""
    return Value(_member(context, node, node.value, node.query), kinds.BOOLEAN)


def _member(context: Context, node: tree.Node, written: tree.Node, inner: queries.Query) -> str:
    value, made = context.value(written), _made(context, inner)
    if value.type.name == "row" and len(made.fields) > 1:
        raise context.not_available(node, "IN of a row and a query", "use EXISTS")
    if len(made.fields) != 1:
        raise context.wrong(node, f"the query of IN has {len(made.fields)} columns")
    kind = common(value.type, made.fields[0].type)
    if kind is None:
        raise context.mismatch(node, "IN", value.type, made.fields[0].type)
    if kind.name in {"row", "array", "map", ZONED}:
        raise context.not_available(node, f"IN of {kind} and a query", "use EXISTS")
    column = casts.coerce(context, node, Value(made.fields[0].sql, made.fields[0].type), kind).sql
    sql = casts.coerce(context, node, value, kind).sql
    found = f"SELECT {column} AS v FROM ({made.sql})"
    if kind.name in FLOATS:  # NaN equals nothing, while DuckDB finds it
        found = f"SELECT v FROM ({found}) WHERE v IS NULL OR NOT isnan(v)"
    return f"({sql} IN ({found}))"


def quantified(context: Context, node: tree.Quantified) -> Value:
    """`x > ALL (SELECT …)`."""
    if node.op == "=" and node.quantifier == "ANY":
        return Value(_member(context, node, node.value, node.query), kinds.BOOLEAN)
    if node.op == "<>" and node.quantifier == "ALL":
        return Value(f"(NOT {_member(context, node, node.value, node.query)})", kinds.BOOLEAN)
    value, made = context.value(node.value), _made(context, node.query)
    if len(made.fields) != 1 or value.type.name in {"row", "array", "map", ZONED}:
        raise context.not_available(node, f"{node.quantifier} of rows")
    column = made.fields[0]
    test = comparisons.compared(context, node, node.op, value, Value(f"q.{column.sql}", column.type))
    function = "bool_and" if node.quantifier == "ALL" else "bool_or"
    empty = "true" if node.quantifier == "ALL" else "false"
    decided = "false" if node.quantifier == "ALL" else "true"
    sql = (
        f"(SELECT CASE WHEN count(*) = 0 THEN {empty} WHEN {function}({test}) = {decided} THEN {decided} "
        f"WHEN count(*) > count({test}) THEN NULL ELSE {empty} END FROM ({made.sql}) AS q)"
    )
    return Value(sql, kinds.BOOLEAN)
