"""Aggregates and window functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.analysis.signatures import Signature, chosen
from rheo_assets.platforms.local.presto.session import literal
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons, operators
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.kinds import FLOATS, INTEGERS, Type, decimal
from rheo_assets.platforms.local.presto.types.storage import stored

_IGNORES_NULLS = frozenset({"lag", "lead", "first_value", "last_value", "nth_value"})
_Made = tuple[str, str, Type]  # the function with its arguments, what is around the call, the type


def _arguments(context: Context, node: tree.Call) -> list[Value]:
    scope = context.scope
    scope.in_aggregate += 1
    try:
        return [context.value(arg) for arg in node.args]
    finally:
        scope.in_aggregate -= 1


def aggregate(context: Context, node: tree.Call, overloads: Mapping[str, list[Signature]]) -> Value:
    """`f(x) FILTER (WHERE c)`."""
    if context.scope.in_aggregate:
        raise context.wrong(node, f"{context.text(node)}: an aggregate is inside another one, or where none may be")
    if node.nulls:
        raise context.wrong(node, f"{node.name} takes no {node.nulls} NULLS without OVER")
    return _finished(context, node, overloads, "")


def windowed(context: Context, node: tree.Call, overloads: Mapping[str, list[Signature]]) -> Value:
    """`f(x) OVER (…)`."""
    if node.distinct:
        raise context.wrong(node, "DISTINCT is not allowed in a window function")
    if node.nulls and node.name not in _IGNORES_NULLS:
        raise context.wrong(node, f"{node.name} takes no {node.nulls} NULLS")
    return _finished(context, node, overloads, f" OVER ({_window(context, node)})")


def _finished(context: Context, node: tree.Call, overloads: Mapping[str, list[Signature]], over: str) -> Value:
    plain = bool(over)
    values = [context.value(arg) for arg in node.args] if plain else _arguments(context, node)
    made = (
        SPECIAL[node.name](context, node, values) if node.name in SPECIAL else _listed(context, node, values, overloads)
    )
    if made is None:
        made = _listed(context, node, values, overloads)
    function, around, kind = made
    name, _, inside = function.partition("(")
    if node.distinct:
        inside = f"DISTINCT {inside}"
    inside = inside[:-1]
    if node.order and node.name not in {"count", "sum", "avg", "min", "max"}:
        inside += f" ORDER BY {_order(context, node.order, aggregate_inside=not plain)}"
    if node.nulls == "IGNORE":
        inside += " IGNORE NULLS"
    call = f"{name}({inside})"
    condition = _filter(context, node, plain, around)
    sql = around.replace("{all}", f"{call}{_filter(context, node, plain, '')}{over}").replace(
        "{}", f"{call}{condition}{over}"
    )
    return Value(sql, kind)


def _filter(context: Context, node: tree.Call, plain: bool, around: str) -> str:
    conditions = []
    if node.where is not None:
        scope = context.scope
        scope.in_aggregate += not plain
        try:
            conditions.append(comparisons.boolean(context, node.where))
        finally:
            scope.in_aggregate -= not plain
    if "{where:" in around:
        conditions.append(around.partition("{where:")[2].partition("}")[0])
    return f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""


def _listed(context: Context, node: tree.Call, values: list[Value], overloads: Mapping[str, list[Signature]]) -> _Made:
    from rheo_assets.platforms.local.presto.translation.calls import arguments, unexpected

    hit = chosen(overloads[node.name], [value.type for value in values])
    if hit is None:
        raise unexpected(context, node, overloads[node.name], values)
    signature, wanted, result = hit
    function, _, around = signature.sql.replace("{name}", node.name).partition(" => ")
    args = arguments(context, node, values, wanted)
    for index, arg in enumerate(args):
        function = function.replace(f"{{{index}}}", arg)
    if function.startswith("count(DISTINCT"):
        function = f"count(DISTINCT {comparisons.key(Value(args[0], wanted[0]))})"
    if node.name in {"lag", "lead", "nth_value"} and len(values) > 1 and values[1].type == kinds.UNKNOWN:
        raise context.wrong(node, f"the offset of {node.name} is NULL")
    return function, around or "{}", result


def _order(context: Context, items: tuple[tree.SortItem, ...], *, aggregate_inside: bool = False) -> str:
    scope = context.scope
    scope.in_aggregate += aggregate_inside
    try:
        return ", ".join(_sorted(context, item) for item in items)
    finally:
        scope.in_aggregate -= aggregate_inside


def _sorted(context: Context, item: tree.SortItem) -> str:
    value = context.value(item.value)
    if value.type.name in {"map", "json"}:
        raise context.wrong(item, f"{context.text(item)} is {value.type}, which has no order")
    direction = " DESC" if item.descending else " ASC"
    return f"{comparisons.key(value)}{direction} NULLS {'FIRST' if item.nulls_first else 'LAST'}"


def _window(context: Context, node: tree.Call) -> str:
    over = node.over
    if isinstance(over, str):
        over = tree.Window(over, (), (), None)
    assert over is not None
    partition, order, frame, base = over.partition, over.order, over.frame, over.base
    while base:
        if base not in context.scope.windows:
            raise context.wrong(node, f"there is no window {base!r}")
        found = context.scope.windows[base]
        partition, order, frame = partition or found.partition, order or found.order, frame or found.frame
        base = found.base
    parts = []
    if partition:
        keys = (comparisons.key(context.value(each)) for each in partition)
        parts.append(f"PARTITION BY {', '.join(keys)}")
    if order:
        parts.append(f"ORDER BY {_order(context, order)}")
    if frame:
        parts.append(_frame(context, node, frame, order))
    return " ".join(parts)


def _frame(context: Context, node: tree.Call, frame: tuple, order: tuple[tree.SortItem, ...]) -> str:  # type: ignore[type-arg]
    mode, first, last = frame
    if first[0] == "UNBOUNDED FOLLOWING" or last[0] == "UNBOUNDED PRECEDING":
        raise context.wrong(node, "a frame does not start with UNBOUNDED FOLLOWING or end with UNBOUNDED PRECEDING")
    ranks = {"UNBOUNDED PRECEDING": 0, "PRECEDING": 1, "CURRENT ROW": 2, "FOLLOWING": 3, "UNBOUNDED FOLLOWING": 4}
    if ranks[first[0]] > ranks[last[0]]:
        raise context.wrong(node, f"a frame does not start with {first[0]} and end with {last[0]}")
    bounds = []
    for word, distance in (first, last):
        if distance is None:
            bounds.append(word)
            continue
        value = context.value(distance)
        if mode == "RANGE":
            if len(order) != 1:
                raise context.wrong(node, "RANGE with a distance needs one ORDER BY expression")
            raise_zone = context.value(order[0].value).type
            if raise_zone.name not in (*INTEGERS, "decimal", *FLOATS):
                raise context.not_available(node, f"RANGE with a distance over {raise_zone}", "use ROWS")
        elif value.type.name not in INTEGERS:
            raise context.wrong(node, f"the distance of {mode} is {value.type}, where a whole number is expected")
        if value.constant is None or value.constant.startswith("-"):
            raise context.not_available(node, "a computed distance in a frame", "write it as a number")
        bounds.append(f"{value.sql} {word}")
    return f"{mode} BETWEEN {bounds[0]} AND {bounds[1]}"


# Those with rules of their own.


def _extreme(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    name = node.name
    if len(values) == 2:
        return _extremes(context, node, values)
    if len(values) != 1:
        raise context.wrong(node, f"{name} takes one or two arguments")
    value = values[0]
    if value.type.name in {"map", "json"}:
        raise context.wrong(node, f"{name} does not take {value.type}, which has no order")
    sql = "CAST(NULL AS INTEGER)" if value.type == kinds.UNKNOWN else value.sql
    if name == "max" and value.type.name in FLOATS and node.over is None:
        # NaN is the greatest number of DuckDB; Trino leaves it out.
        return f"max(athena_not_nan({sql}))", f"coalesce({{}}, max({sql}){_nan_filter(context, node)})", value.type
    return f"{name}({sql})", "{}", value.type


def _nan_filter(context: Context, node: tree.Call) -> str:
    return _filter(context, node, False, "")


def _extremes(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    kind = Type("array", (values[0].type,))
    count = casts.coerce(context, node, values[1], kinds.BIGINT).sql
    return f"{node.name}({values[0].sql}, {count})", f"CAST({{}} AS {stored(kind)})", kind


def _extreme_by(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    if len(values) not in {2, 3}:
        raise context.wrong(node, f"{node.name} takes two or three arguments")
    if values[1].type.name in {"map", "json"}:
        raise context.wrong(node, f"{node.name} does not compare {values[1].type}")
    name = "arg_max" if node.name == "max_by" else "arg_min"
    first, by = (f"CAST(NULL AS {stored(v.type)})" if v.type == kinds.UNKNOWN else v.sql for v in values[:2])
    if values[1].type.name in FLOATS and name == "arg_max":
        by = f"athena_nan_first({by})"
    if len(values) == 3:
        raise context.not_available(node, f"{node.name} with three arguments", "use array_agg(x ORDER BY y) and slice")
    return f"{name}_null({first}, {by})", "{}", values[0].type


def _sum(context: Context, node: tree.Call, values: list[Value]) -> _Made | None:
    if len(values) != 1 or values[0].type.name != "decimal":
        return None
    kind = decimal(38, values[0].type.args[1])
    return f"sum({values[0].sql})", f"CAST({{}} AS {stored(kind)})", kind


def _avg(context: Context, node: tree.Call, values: list[Value]) -> _Made | None:
    if len(values) != 1 or values[0].type.name != "decimal":
        return None
    kind, scale = values[0].type, values[0].type.args[1]
    if node.over is not None or node.distinct:
        raise context.not_available(
            node, "avg of a decimal with OVER or DISTINCT", "CAST to double, or divide sum by count"
        )
    condition = _nan_filter(context, node)
    total = Value(f"sum({values[0].sql}){condition}", decimal(38, scale))
    unscaled = f"athena_unscaled_text(CAST({total.sql} AS VARCHAR))"
    quotient = f"athena_quotient({unscaled}, CAST(nullif({{}}, 0) AS HUGEINT))"
    return f"count({values[0].sql})", f"CAST({operators.scaled(quotient, scale)} AS {stored(kind)})", kind


def _map_agg(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    if len(values) != 2:
        raise context.wrong(node, f"{node.name} takes two arguments")
    key, item = (f"CAST(NULL AS {stored(v.type)})" if v.type == kinds.UNKNOWN else v.sql for v in values)
    kind = Type("map", (values[0].type, values[1].type))
    if node.name == "multimap_agg":
        kind = Type("map", (values[0].type, Type("array", (values[1].type,))))
    return f"list({{'key': {key}, 'value': {item}}})", f"athena_{node.name}({{}})", kind


def _histogram(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    if len(values) != 1 or values[0].type == kinds.UNKNOWN:
        raise context.wrong(node, "histogram takes one argument with a type")
    kind = Type("map", (values[0].type, kinds.BIGINT))
    return f"histogram({values[0].sql})", f"CAST({{}} AS {stored(kind)})", kind


def _listagg(context: Context, node: tree.Call, values: list[Value]) -> _Made:
    if not values or values[0].type.name not in {"varchar", "char", "unknown"}:
        raise context.wrong(node, "listagg joins values of varchar: CAST them")
    if ("within", True) not in node.clauses:
        raise context.wrong(node, "listagg needs WITHIN GROUP (ORDER BY …)")
    if len(values) > 2 or (len(values) > 1 and (values[1].constant is None or values[1].type.name != "varchar")):
        raise context.wrong(node, "listagg takes a value and a separator, which is a 'literal'")
    separator = literal(values[1].constant or "") if len(values) > 1 else "''"
    return f"string_agg(CAST({values[0].sql} AS VARCHAR), {separator})", "{}", kinds.VARCHAR


def grouping(context: Context, node: tree.Call) -> Value:
    """`grouping(a, b)`."""
    scope = context.scope
    scope.in_aggregate += 1
    try:
        args = ", ".join(context.value(arg).sql for arg in node.args)
    finally:
        scope.in_aggregate -= 1
    if scope.keys is None:
        raise context.wrong(node, "grouping needs a GROUP BY")
    return Value(f"CAST(grouping({args}) AS INTEGER)", kinds.INTEGER)


SPECIAL: dict[str, Callable[[Context, tree.Call, list[Value]], _Made | None]] = {
    "max": _extreme,
    "min": _extreme,
    "max_by": _extreme_by,
    "min_by": _extreme_by,
    "sum": _sum,
    "avg": _avg,
    "map_agg": _map_agg,
    "multimap_agg": _map_agg,
    "histogram": _histogram,
    "listagg": _listagg,
}
