"""Names, fields, conditionals, casts and constructors."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.analysis.scope import Scope, Value
from rheo_assets.platforms.local.presto.refusals import Refusal, near_misses
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import can_coerce, common_of
from rheo_assets.platforms.local.presto.types.kinds import INTEGERS, ZONED, Type, array, of_name
from rheo_assets.platforms.local.presto.types.storage import quoted, stored

_MOST_ROW_FIELDS = 254


def name(context: Context, node: tree.Name) -> Value:
    """A column, or the argument of a lambda."""
    scope: Scope | None = context.scope
    while scope is not None:
        if node.name in scope.names:
            return scope.names[node.name]
        if any(each.name == node.name for each in scope.fields):
            break
        scope = scope.parent
    return _column(context, node, node.name, None)


def _column(context: Context, node: tree.Node, column: str, relation: str | None) -> Value:
    found = context.scope.find(column, relation)
    if not found:
        raise _unknown(context, node, column)
    if len(found) > 1:
        raise context.wrong(node, f"the column {column!r} is ambiguous: write its table in front")
    scope, field = found[0]
    if scope.keys is not None and not scope.in_aggregate and field.sql not in scope.keys:
        raise context.wrong(node, f"{context.text(node)} must be an aggregate expression or appear in GROUP BY")
    if scope is not context.scope:
        context.scope.outer = True
    return Value(field.sql, field.type)


def _unknown(context: Context, node: tree.Node, column: str) -> Exception:
    known = [each.name for each in context.scope.fields if each.name and not each.hidden]
    listed = ", ".join(dict.fromkeys(known)) or "none"
    start = node.end - len(column) if isinstance(node, tree.Field) else node.at
    where = context.query.place(start)
    return Refusal(f"there is no column {column!r} at {where} (the columns are: {listed}).{near_misses(column, known)}")


def field(context: Context, node: tree.Field) -> Value:
    """`table.column`, or a field of a row."""
    base = node.base
    if isinstance(base, tree.Name) and context.scope.find(node.name, base.name):
        return _column(context, node, node.name, base.name)
    if isinstance(base, tree.Name) and context.scope.knows_relation(base.name) and not context.scope.find(base.name):
        return _column(context, node, node.name, base.name)
    value = context.value(base)
    if value.type.name != "row":
        raise context.wrong(node, f"{context.text(base)} is {value.type}, which has no field {node.name!r}")
    hits = [index for index, (given, _) in enumerate(value.type.args) if given == node.name]
    if len(hits) != 1:
        raise context.wrong(node, f"{value.type} has {'no' if not hits else 'more than one'} field {node.name!r}")
    key, kind = value.type.fields[hits[0]]
    return Value(f"({value.sql}).{quoted(key)}", kind)


def cast(context: Context, node: tree.Cast) -> Value:
    """`CAST(x AS t)`."""
    kind = of_name(node.type)
    made = casts.cast(context, node, context.value(node.value), kind)
    return Value(f"TRY({made.sql})" if node.safe and made.type else made.sql, kind, made.constant)


def case(context: Context, node: tree.Case) -> Value:
    """`CASE … END`."""
    operand = context.value(node.operand) if node.operand is not None else None
    results = [context.value(result) for _, result in node.whens]
    default = context.value(node.default) if node.default is not None else Value("NULL", kinds.UNKNOWN)
    kind = _same_kind(context, node, "CASE", [*results, default])
    parts = []
    for (condition, _), result in zip(node.whens, results, strict=True):
        if operand is None:
            test = comparisons.boolean(context, condition)
        else:
            test = comparisons.compared(context, condition, "=", operand, context.value(condition))
        parts.append(f"WHEN {test} THEN {casts.coerce(context, node, result, kind).sql}")
    otherwise = casts.coerce(context, node, default, kind).sql
    return Value(f"CASE {' '.join(parts)} ELSE {otherwise} END", kind)


def _same_kind(context: Context, node: tree.Node, what: str, values: list[Value]) -> Type:
    kind = common_of(value.type for value in values)
    if kind is None:
        shown = ", ".join(dict.fromkeys(str(value.type) for value in values))
        raise context.wrong(node, f"{context.text(node)}: the results of {what} are of different types: {shown}")
    return kind


def row(context: Context, node: tree.Row) -> Value:
    """`ROW(a, b)`."""
    values = [context.value(item) for item in node.items]
    kind = Type("row", tuple((None, value.type) for value in values))
    if len(values) > _MOST_ROW_FIELDS:
        raise context.wrong(node, "a row has no more than 254 fields")
    parts = (
        f"{quoted(key)} := {value.sql if value.type != kinds.UNKNOWN else f'CAST(NULL AS {stored(value.type)})'}"
        for (key, _), value in zip(kind.fields, values, strict=True)
    )
    return Value(f"struct_pack({', '.join(parts)})", kind)


def array_of(context: Context, node: tree.Array) -> Value:
    """`ARRAY[a, b]`."""
    values = [context.value(item) for item in node.items]
    kind = _same_kind(context, node, "ARRAY", values)
    listed = ", ".join(casts.coerce(context, node, value, kind).sql for value in values)
    return Value(f"CAST([{listed}] AS {stored(array(kind))})", array(kind))


def subscript(context: Context, node: tree.Subscript) -> Value:
    """`base[index]`."""
    base, index = context.value(node.base), context.value(node.index)
    if base.type.name == "array" and index.type.name in {*INTEGERS, "unknown"}:
        return Value(f"athena_element({base.sql}, CAST({index.sql} AS BIGINT))", base.type.args[0])
    if base.type.name == "map" and can_coerce(index.type, base.type.args[0]):
        key = casts.coerce(context, node, index, base.type.args[0])
        shown = casts.as_text(context, node, key) or "'…'"
        return Value(f"athena_entry({base.sql}, {key.sql}, {shown})", base.type.args[1])
    if base.type.name == "row" and index.constant is not None and index.constant.isdigit():
        position = int(index.constant)
        if not 1 <= position <= len(base.type.fields):
            raise context.wrong(node, f"{base.type} has {len(base.type.fields)} fields, not {position}")
        name, kind = base.type.fields[position - 1]
        return Value(f"({base.sql}).{quoted(name)}", kind)
    raise context.mismatch(node, "[]", base.type, index.type)


def at_time_zone(context: Context, node: tree.AtTimeZone) -> Value:
    """`x AT TIME ZONE zone`: the same instant in another zone."""
    value, zone = context.value(node.value), context.value(node.zone)
    if value.type.name == "time":
        raise context.not_available(node, "AT TIME ZONE of a time", "use a timestamp")
    if value.type.name not in {"timestamp", ZONED} or zone.type.name != "varchar":
        raise context.mismatch(node, "AT TIME ZONE", value.type, zone.type)
    kind = Type(ZONED, value.type.args)
    instant = casts.coerce(context, node, value, kind)
    return Value(f"athena_zoned(({instant.sql}).i, athena_zone({zone.sql}))", kind)


_UNITS = {
    "YEAR": "year", "QUARTER": "quarter", "MONTH": "month", "WEEK": "week", "DAY": "day", "DAY_OF_MONTH": "day",
    "DAY_OF_WEEK": "day_of_week", "DOW": "day_of_week", "DAY_OF_YEAR": "day_of_year", "DOY": "day_of_year",
    "YEAR_OF_WEEK": "year_of_week", "YOW": "year_of_week", "HOUR": "hour", "MINUTE": "minute", "SECOND": "second",
    "TIMEZONE_HOUR": "timezone_hour", "TIMEZONE_MINUTE": "timezone_minute",
}  # fmt: skip


def extract(context: Context, node: tree.Extract) -> Value:
    """`EXTRACT(field FROM x)`."""
    unit = _UNITS.get(node.field)
    if unit is None:
        raise context.wrong(node, f"EXTRACT has no field {node.field} (known: {', '.join(_UNITS)})")
    kind = context.value(node.value).type
    clock = unit in {"hour", "minute", "second"}
    if (clock and kind.name == "date") or (unit.startswith("timezone") and kind.name != ZONED):
        raise context.wrong(node, f"{context.text(node)}: cannot extract {node.field} from {kind}")
    return context.value(context_call(node, unit))


def context_call(node: tree.Extract, unit: str) -> tree.Call:
    """Returns the call that an EXTRACT stands for, at the place of the EXTRACT."""
    return tree.Call(unit, (node.value,), at=node.at, end=node.end)
