"""Functions whose type or meaning depends on their arguments in ways of their own."""

from __future__ import annotations

from collections.abc import Callable

from rheo_assets.platforms.local.presto import patterns
from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.session import literal
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons, operators
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common, common_of
from rheo_assets.platforms.local.presto.types.kinds import FLOATS, INTEGERS, TEXTS, ZONED, Type, array, decimal
from rheo_assets.platforms.local.presto.types.storage import quoted, stored

_UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_CLOCK = {"millisecond": 1, "second": 1000, "minute": 60_000, "hour": 3_600_000}
_Handler = Callable[[Context, tree.Call], Value]


def _values(context: Context, node: tree.Call, least: int, most: int | None = None) -> list[Value]:
    most = least if most is None else most
    if not least <= len(node.args) <= most:
        wanted = str(least) if least == most else f"at least {least}" if most > 9 else f"{least} to {most}"
        raise context.wrong(node, f"{node.name} takes {wanted} arguments, found {len(node.args)}")
    if any(isinstance(arg, tree.Lambda) for arg in node.args):
        raise context.not_available(node, f"{node.name} with a function")
    return [context.value(arg) for arg in node.args]


def _alike(context: Context, node: tree.Call, values: list[Value]) -> tuple[list[str], Type]:
    kind = common_of(value.type for value in values)
    if kind is None:
        shown = ", ".join(dict.fromkeys(str(value.type) for value in values))
        raise context.wrong(node, f"{context.text(node)}: the arguments of {node.name} are of different types: {shown}")
    return [casts.coerce(context, node, value, kind).sql for value in values], kind


def _coalesce(context: Context, node: tree.Call) -> Value:
    sqls, kind = _alike(context, node, _values(context, node, 2, 200))
    return Value(f"coalesce({', '.join(sqls)})", kind)


def _nullif(context: Context, node: tree.Call) -> Value:
    first, second = _values(context, node, 2)
    if kinds.UNKNOWN in (second.type, first.type):
        return first
    same = comparisons.compared(context, node, "=", first, second)
    return Value(f"CASE WHEN {same} THEN NULL ELSE {first.sql} END", first.type)


def _if(context: Context, node: tree.Call) -> Value:
    if len(node.args) not in {2, 3}:
        raise context.wrong(node, "if takes two or three arguments")
    condition = comparisons.boolean(context, node.args[0])
    values = [context.value(arg) for arg in node.args[1:]]
    sqls, kind = _alike(context, node, values)
    otherwise = f" ELSE {sqls[1]}" if len(sqls) > 1 else ""
    return Value(f"CASE WHEN {condition} THEN {sqls[0]}{otherwise} END", kind)


def _try(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    if "random()" in value.sql or "uuid()" in value.sql:
        raise context.not_available(node, "TRY of a random value")
    return Value(f"TRY({value.sql})", value.type)


def _concat(context: Context, node: tree.Call) -> Value:
    values = _values(context, node, 2, 200)
    names = {value.type.name for value in values} - {"unknown"}
    if "array" in names:
        shared = common_of(value.type for value in values)
        if shared is None:
            raise context.mismatch(node, "concat", *(value.type for value in values))
        parts = [casts.coerce(context, node, value, shared).sql for value in values]
        present = " AND ".join(f"{part} IS NOT NULL" for part in parts)
        return Value(f"CASE WHEN {present} THEN flatten([{', '.join(parts)}]) END", shared)
    if names <= set(TEXTS) or names == {"varbinary"}:
        kind = Type("varbinary") if names == {"varbinary"} else kinds.VARCHAR
        parts = [f"CAST(NULL AS {stored(kind)})" if v.type == kinds.UNKNOWN else v.sql for v in values]
        return Value(f"({' || '.join(parts)})", kind)
    raise context.mismatch(node, "concat", *(value.type for value in values))


def _extreme_of(context: Context, node: tree.Call) -> Value:
    sqls, kind = _alike(context, node, _values(context, node, 1, 200))
    if kind.name in {"map", "json", "unknown", "row", "array"}:
        raise context.wrong(node, f"{node.name} does not take {kind}")
    if kind.name in FLOATS and node.name == "greatest":
        joined = ", ".join(f"athena_not_nan({sql})" for sql in sqls)
        best = f"coalesce({node.name}({joined}), {sqls[0]})"
    else:
        best = f"{node.name}({', '.join(sqls)})"
    return Value(f"CASE WHEN {' OR '.join(f'({sql}) IS NULL' for sql in sqls)} THEN NULL ELSE {best} END", kind)


def _typeof(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    return Value(literal(str(value.type)), kinds.VARCHAR)


def _array_join(context: Context, node: tree.Call) -> Value:
    values = _values(context, node, 2, 3)
    given, name = values[0], context.fresh("x")
    if given.type.name != "array" or given.type.args[0].name in {"array", "map", "row", "varbinary"}:
        raise context.wrong(node, f"array_join does not take {given.type}")
    text = casts.as_text(context, node, Value(name, given.type.args[0])) or f"CAST({name} AS VARCHAR)"
    separator = casts.coerce(context, node, values[1], kinds.VARCHAR).sql
    if len(values) == 3:
        missing = casts.coerce(context, node, values[2], kinds.VARCHAR).sql
        listed = f"list_transform({given.sql}, lambda {name}: coalesce({text}, {missing}))"
    else:
        listed = f"list_filter(list_transform({given.sql}, lambda {name}: {text}), lambda n: n IS NOT NULL)"
    return Value(f"array_to_string({listed}, {separator})", kinds.VARCHAR)


def _zip(context: Context, node: tree.Call) -> Value:
    values = _values(context, node, 2, 5)
    if any(value.type.name != "array" for value in values):
        raise context.mismatch(node, "zip", *(value.type for value in values))
    kind = array(Type("row", tuple((None, value.type.args[0]) for value in values)))
    name = context.fresh("x")
    parts = ", ".join(f"{quoted(key)} := {name}[{i + 1}]" for i, (key, _) in enumerate(kind.args[0].fields))
    zipped = f"list_zip({', '.join(value.sql for value in values)})"
    return Value(f"list_transform({zipped}, lambda {name}: struct_pack({parts}))", kind)


def _map_entries(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    if value.type.name != "map":
        raise context.mismatch(node, "map_entries", value.type)
    kind = array(Type("row", ((None, value.type.args[0]), (None, value.type.args[1]))))
    name = context.fresh("x")
    body = f"struct_pack(field0 := {name}.key, field1 := {name}.value)"
    return Value(f"list_transform(map_entries({value.sql}), lambda {name}: {body})", kind)


def _from_entries(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    inner = value.type.args[0] if value.type.name == "array" else kinds.UNKNOWN
    if inner.name != "row" or len(inner.args) != 2:
        raise context.mismatch(node, node.name, value.type)
    name, (first, second) = context.fresh("x"), inner.fields
    entry = f"{{'key': {name}.{quoted(first[0])}, 'value': {name}.{quoted(second[0])}}}"
    listed = f"list_transform({value.sql}, lambda {name}: {entry})"
    if node.name == "multimap_from_entries":
        return Value(f"athena_multimap_agg({listed})", Type("map", (first[1], array(second[1]))))
    return Value(f"athena_map_of({listed})", Type("map", (first[1], second[1])))


def _sort(context: Context, node: tree.Call) -> Value:
    if len(node.args) == 2:
        raise context.not_available(node, "array_sort with a function", "sort in a subquery: array_agg(x ORDER BY …)")
    (value,) = _values(context, node, 1)
    if value.type.name != "array" or value.type.args[0].name in {"map", "json"}:
        raise context.mismatch(node, "array_sort", value.type)
    return Value(f"list_sort({value.sql}, 'ASC', 'NULLS LAST')", value.type)


# Numbers.


def _rounded(context: Context, node: tree.Call) -> Value | None:
    """`ceil`, `floor`, `round` and `truncate` of a decimal."""
    values = _values(context, node, 1, 2)
    if values[0].type.name != "decimal":
        return None
    (precision, scale), sql = values[0].type.args, values[0].sql
    if len(values) == 2:
        kind = values[0].type if node.name == "truncate" else decimal(min(38, precision + 1), scale)
        digits = casts.coerce(context, node, values[1], kinds.INTEGER).sql
        macro = "athena_round_decimal" if node.name == "round" else "athena_truncate_decimal"
        return Value(f"CAST({macro}(CAST({sql} AS VARCHAR), {digits}, {scale}) AS {stored(kind)})", kind)
    grown = 0 if node.name == "truncate" or scale == 0 else 1
    kind = decimal(max(min(38, precision - scale + grown), 1), 0)
    if scale == 0:
        return Value(f"CAST({sql} AS {stored(kind)})", kind)
    function = {"ceiling": "ceil_decimal", "ceil": "ceil_decimal", "floor": "floor_decimal"}.get(node.name)
    function = function or {"truncate": "trunc_decimal"}.get(node.name, "round_decimal_whole")
    return Value(f"CAST(athena_{function}(CAST({sql} AS VARCHAR)) AS {stored(kind)})", kind)


def _or_listed(handler: Callable[[Context, tree.Call], Value | None]) -> _Handler:
    def build(context: Context, node: tree.Call) -> Value:
        made = handler(context, node)
        if made is not None:
            return made
        from rheo_assets.platforms.local.presto.translation.calls import _scalar, _scalars

        return _scalar(context, node, _scalars().get(node.name, []))

    return build


def _mod(context: Context, node: tree.Call) -> Value | None:
    left, right = _values(context, node, 2)
    kind = common(left.type, right.type)
    return (
        operators.arithmetic(context, node, "%", left, right) if kind is not None and kind.name == "decimal" else None
    )


def _shift_bits(context: Context, node: tree.Call) -> Value:
    value, count = _values(context, node, 2)
    if value.type.name not in INTEGERS or count.type.name not in (*INTEGERS, "unknown"):
        raise context.mismatch(node, node.name, value.type, count.type)
    bits = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}[value.type.name]
    sql = f"athena_{node.name}({value.sql}, CAST({count.sql} AS BIGINT), {bits})"
    return Value(f"CAST({sql} AS {stored(value.type)})", value.type)


# Times.


def _unit(context: Context, node: tree.Call, value: Value) -> str:
    if value.constant is None:
        raise context.not_available(node, f"a computed unit of {node.name}", "write it as a 'literal'")
    unit = value.constant.lower()
    if unit not in _UNITS:
        raise context.wrong(node, f"{unit!r} is no unit of time (known: {', '.join(_UNITS)})")
    return unit


def _date_add(context: Context, node: tree.Call) -> Value:
    given, count, time = _values(context, node, 3)
    unit = _unit(context, node, given)
    number = f"CAST({casts.coerce(context, node, count, kinds.BIGINT).sql} AS BIGINT)"
    if unit in {"month", "quarter", "year"}:
        months = {"month": 1, "quarter": 3, "year": 12}[unit]
        amount = Value(f"CAST({number} * {months} AS INTEGER)", Type(kinds.YEAR_INTERVAL))
    else:
        millis = {**_CLOCK, "day": 86_400_000, "week": 604_800_000}[unit]
        amount = Value(f"({number} * {millis})", Type(kinds.DAY_INTERVAL))
    if (time.type.name == "date" and unit in _CLOCK) or (time.type.name == "time" and unit not in _CLOCK):
        raise context.wrong(node, f"'{unit}' is no unit of {time.type}")
    if time.type.name == ZONED and unit in {"day", "week"}:  # a day of the zone's own clock, whose length may change
        days = f"to_days(CAST({number} * {7 if unit == 'week' else 1} AS INTEGER))"
        return Value(f"athena_in_zone(CAST(athena_local({time.sql}) + {days} AS TIMESTAMP), ({time.sql}).z)", time.type)
    made = (
        operators.shifted(context, node, time, amount, "+")
        if time.type.name in {"date", "time", "timestamp", ZONED}
        else None
    )
    if made is None:
        raise context.mismatch(node, "date_add", time.type)
    if _precision(time.type) < 3 and unit in _CLOCK:
        return (
            casts.cast(context, node, made, time.type)
            if time.type.name != "time"
            else _to_time(context, node, made, time)
        )
    return Value(made.sql, time.type)


def _precision(kind: Type) -> int:
    """Returns how many digits of a second a type has; dates have all that they need."""
    return int(kind.args[0]) if kind.args else 3


def _to_time(context: Context, node: tree.Call, made: Value, time: Value) -> Value:
    return casts.cast(context, node, Value(made.sql, Type("time", (3,))), time.type)


def _date_diff(context: Context, node: tree.Call) -> Value:
    given, first, second = _values(context, node, 3)
    unit, kind = _unit(context, node, given), common(first.type, second.type)
    if kind is None or kind.name not in {"date", "time", "timestamp", ZONED}:
        raise context.mismatch(node, "date_diff", first.type, second.type)
    if (kind.name == "date" and unit in _CLOCK) or (kind.name == "time" and unit not in _CLOCK):
        raise context.wrong(node, f"'{unit}' is no unit of {kind}")
    a, b = (casts.coerce(context, node, value, kind).sql for value in (first, second))
    if kind.name == ZONED:
        zone = f"({a}).z"
        if unit in _CLOCK:
            a, b = f"({a}).i", f"({b}).i"
        else:
            a, b = f"athena_local({a})", f"athena_local(athena_zoned(({b}).i, {zone}))"
    return Value(f"CAST(date_sub('{unit}', {a}, {b}) AS BIGINT)", kinds.BIGINT)


def _date_trunc(context: Context, node: tree.Call) -> Value:
    given, time = _values(context, node, 2)
    unit, name = _unit(context, node, given), time.type.name
    if name not in {"date", "time", "timestamp", ZONED}:
        raise context.mismatch(node, "date_trunc", time.type)
    if (name == "date" and unit in _CLOCK) or (name == "time" and unit not in _CLOCK):
        raise context.wrong(node, f"'{unit}' is no unit of {time.type}")
    if name == "date":
        return Value(f"CAST(date_trunc('{unit}', {time.sql}) AS DATE)", time.type)
    if name == "time":
        return Value(f"CAST(date_trunc('{unit}', DATE '1970-01-01' + {time.sql}) AS TIME)", time.type)
    if name == "timestamp":
        return Value(f"CAST(date_trunc('{unit}', {time.sql}) AS TIMESTAMP)", time.type)
    local = f"CAST(date_trunc('{unit}', athena_local({time.sql})) AS TIMESTAMP)"
    return Value(f"athena_in_zone({local}, ({time.sql}).z)", time.type)


def _to_iso8601(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    name, sql = value.type.name, value.sql
    if name == "date":
        return Value(f"athena_date_text({sql})", kinds.VARCHAR)
    if name == "timestamp":
        return Value(f"replace(athena_timestamp_text({sql}, {value.type.args[0]}), ' ', 'T')", kinds.VARCHAR)
    if name != ZONED:
        raise context.mismatch(node, node.name, value.type)
    local = f"athena_timestamp_text(athena_local({sql}), {value.type.args[0]})"
    return Value(f"replace({local}, ' ', 'T') || athena_iso_offset(athena_offset({sql}))", kinds.VARCHAR)


def _date(context: Context, node: tree.Call) -> Value:
    (value,) = _values(context, node, 1)
    return casts.cast(context, node, value, kinds.DATE)


def _bare_now(kind: str) -> _Handler:
    def build(context: Context, node: tree.Call) -> Value:
        if kind == "refused":
            raise context.not_available(node, node.name.upper())
        precision = 3
        if node.args and isinstance(node.args[0], tree.Constant):
            precision = int(node.args[0].text)
        made = Value("athena_zoned(athena_now(), 'UTC')", Type(ZONED, (6,)))
        return casts.cast(context, node, made, Type(kind, (precision,)))

    return build


# Patterns and paths, which are translated themselves.


def _literal_of(context: Context, node: tree.Call, value: Value, what: str) -> str:
    if value.constant is None or value.type.name != "varchar":
        raise context.not_available(node, f"a computed {what} of {node.name}", "write it as a 'literal'")
    return value.constant


def _json_path(context: Context, node: tree.Call) -> Value:
    given, path = _values(context, node, 2)
    if given.type.name not in {"json", "varchar", "unknown"}:
        raise context.mismatch(node, node.name, given.type, path.type)
    spelled = literal(patterns.json_path(_literal_of(context, node, path, "JSON path")))
    macro = {"json_extract": "json_path", "json_extract_scalar": "json_path_scalar", "json_size": "json_path_size"}
    kind = {"json_extract": kinds.JSON, "json_extract_scalar": kinds.VARCHAR, "json_size": kinds.BIGINT}[node.name]
    return Value(f"athena_{macro[node.name]}(CAST({given.sql} AS VARCHAR), {spelled})", kind)


def _formatted(context: Context, node: tree.Call) -> Value:
    value, given = _values(context, node, 2)
    if value.type.name not in {"date", "timestamp", ZONED, "unknown"}:
        raise context.mismatch(node, node.name, value.type, given.type)
    pattern = _literal_of(context, node, given, "date pattern")
    if node.name == "date_format":
        spelled = patterns.from_mysql(pattern)
    else:
        spelled = patterns.from_joda(pattern, parsing=False)
        if value.type.name == ZONED and patterns.has_zone(pattern):
            raise context.not_available(node, "the zone in a date pattern", "use to_iso8601 or CAST AS varchar")
    local = f"athena_local({value.sql})" if value.type.name == ZONED else f"CAST({value.sql} AS TIMESTAMP)"
    return Value(f"strftime(athena_rounded({local}, 3), {literal(spelled)})", kinds.VARCHAR)


def _parsed(context: Context, node: tree.Call) -> Value:
    value, given = _values(context, node, 2)
    text = casts.coerce(context, node, value, kinds.VARCHAR).sql
    pattern = _literal_of(context, node, given, "date pattern")
    if node.name == "date_parse":
        spelled = patterns.from_mysql(pattern)
        if not any(letter in spelled for letter in ("%Y", "%y", "%G")):
            text, spelled = f"('1970 ' || {text})", f"%Y {spelled}"
        parsed = f"athena_rounded_down(CAST(strptime({text}, {literal(spelled)}) AS TIMESTAMP))"
        if "%y" in spelled:
            parsed = f"athena_century({parsed})"
        return Value(parsed, Type("timestamp", (3,)))
    if patterns.has_zone(pattern):
        raise context.not_available(node, "a zone in the pattern of parse_datetime", "use from_iso8601_timestamp")
    spelled = patterns.from_joda(pattern, parsing=True)
    if not any(letter in spelled for letter in ("%Y", "%y", "%G")):
        text, spelled = f"('1970 ' || {text})", f"%Y {spelled}"
    local = f"CAST(strptime({text}, {literal(spelled)}) AS TIMESTAMP)"
    return Value(f"athena_zoned({local}, 'UTC')", Type(ZONED, (3,)))


SPECIAL: dict[str, _Handler] = {
    "json_extract": _json_path, "json_extract_scalar": _json_path, "json_size": _json_path,
    "date_format": _formatted, "format_datetime": _formatted, "date_parse": _parsed, "parse_datetime": _parsed,
    "coalesce": _coalesce, "nullif": _nullif, "if": _if, "try": _try, "concat": _concat, "greatest": _extreme_of,
    "least": _extreme_of, "typeof": _typeof, "array_join": _array_join, "zip": _zip, "map_entries": _map_entries,
    "map_from_entries": _from_entries, "multimap_from_entries": _from_entries, "array_sort": _sort,
    "ceil": _or_listed(_rounded), "ceiling": _or_listed(_rounded), "floor": _or_listed(_rounded),
    "round": _or_listed(_rounded), "truncate": _or_listed(_rounded), "mod": _or_listed(_mod),
    "bitwise_left_shift": _shift_bits, "bitwise_right_shift": _shift_bits,
    "bitwise_right_shift_arithmetic": _shift_bits, "date_add": _date_add, "date_diff": _date_diff,
    "date_trunc": _date_trunc, "to_iso8601": _to_iso8601, "date": _date, "current_timestamp": _bare_now(ZONED),
    "localtimestamp": _bare_now("timestamp"), "localtime": _bare_now("time"), "current_time": _bare_now("refused"),
    "current_user": _bare_now("refused"), "current_catalog": _bare_now("refused"),
    "current_schema": _bare_now("refused"),
}  # fmt: skip
