"""Arithmetic, by the types of its operands."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common
from rheo_assets.platforms.local.presto.types.kinds import (
    DAY_INTERVAL,
    DIGITS,
    FLOATS,
    INTEGERS,
    MOST_DIGITS,
    YEAR_INTERVAL,
    ZONED,
    Type,
    array,
    decimal,
)
from rheo_assets.platforms.local.presto.types.storage import stored

_NUMBERS = (*INTEGERS, "decimal", *FLOATS)
_INTERVALS = (DAY_INTERVAL, YEAR_INTERVAL)
_TIMES = ("date", "time", "timestamp", ZONED)


def unary(context: Context, node: tree.Unary) -> Value:
    """`-x` and `+x`."""
    if node.op == "-" and isinstance(node.value, tree.Constant) and node.value.kind == "integer":
        number = int(node.value.text, 0) if node.value.text[:1] != "0" else int(node.value.text)
        if 2**31 <= number <= 2**63:
            return Value(f"CAST(-{number} AS BIGINT)", kinds.BIGINT, f"-{number}")
        if number < 2**31:
            return Value(f"(-{number})", kinds.INTEGER, f"-{number}")
    value = context.value(node.value)
    if value.type.name not in (*_NUMBERS, *_INTERVALS, "unknown"):
        raise context.mismatch(node, node.op, value.type)
    constant = f"-{value.constant}" if value.constant and node.op == "-" else value.constant
    return Value(f"({node.op}{value.sql})" if node.op == "-" else value.sql, value.type, constant)


def binary(context: Context, node: tree.Binary) -> Value:
    """`a + b` and the like."""
    left, right = context.value(node.left), context.value(node.right)
    if node.op == "||":
        return _concatenated(context, node, left, right)
    names = (left.type.name, right.type.name)
    if "unknown" in names:
        left, right = _with_types(left, right)
        names = (left.type.name, right.type.name)
    if set(names) <= set(_NUMBERS):
        return arithmetic(context, node, node.op, left, right)
    found = _of_times(context, node, left, right)
    if found is None:
        raise context.mismatch(node, node.op, left.type, right.type)
    return found


def _with_types(left: Value, right: Value) -> tuple[Value, Value]:
    """Gives a NULL the other operand's type: `NULL + 1` is an integer."""
    kind = right.type if left.type == kinds.UNKNOWN else left.type
    if kind.name == "unknown":
        kind = kinds.BIGINT
    if kind.name not in _NUMBERS:
        kind = Type(DAY_INTERVAL) if kind.name in _TIMES else kind
    null = Value(f"CAST(NULL AS {stored(kind)})", kind)
    return (null, right) if left.type == kinds.UNKNOWN else (left, null)


def arithmetic(context: Context, node: tree.Node, op: str, left: Value, right: Value) -> Value:
    """Returns `+`, `-`, `*`, `/` or `%` of two numbers."""
    kind = common(left.type, right.type)
    assert kind is not None
    if kind.name == "decimal":
        return _decimal(context, node, op, _as_decimal(left), _as_decimal(right))
    a, b = (casts.coerce(context, node, value, kind).sql for value in (left, right))
    if kind.name in FLOATS:
        return Value(f"({a} {op} {b})", kind)
    if op in {"/", "%"}:
        checked = b if right.constant and right.constant.strip("-0") else f"athena_nonzero({b})"
        return Value(f"CAST({a} {'//' if op == '/' else '%'} {checked} AS {stored(kind)})", kind)
    size = stored(kind)
    return Value(f"(CAST({a} AS {size}) {op} CAST({b} AS {size}))", kind)


def _as_decimal(value: Value) -> Value:
    if value.type.name == "decimal":
        return value
    kind = decimal(DIGITS[value.type.name])
    return Value(f"CAST({value.sql} AS {stored(kind)})", kind)


def _decimal(context: Context, node: tree.Node, op: str, left: Value, right: Value) -> Value:
    (p1, s1), (p2, s2) = left.type.args, right.type.args
    scale = max(s1, s2)
    if op == "*":
        if s1 + s2 > MOST_DIGITS:
            raise context.wrong(node, f"{context.text(node)}: the scale of {left.type} * {right.type} is more than 38")
        kind = decimal(min(MOST_DIGITS, p1 + p2), s1 + s2)
        wide = kind.args[0]
        a, b = (f"CAST({v.sql} AS DECIMAL({max(wide, v.type.args[0])}, {v.type.args[1]}))" for v in (left, right))
        return Value(f"CAST(({a} * {b}) AS {stored(kind)})", kind)
    if op == "/":
        kind = decimal(min(MOST_DIGITS, p1 + s2 + max(0, s2 - s1)), scale)
        return divided(left, right, kind)
    if op == "%":
        kind = decimal(min(p2 - s2, p1 - s1) + scale, scale)
        wide = min(MOST_DIGITS, max(p1 - s1, p2 - s2) + scale)
        a, b = (f"CAST({v.sql} AS DECIMAL({wide}, {scale}))" for v in (left, right))
        return Value(f"CAST(({a} % athena_nonzero({b})) AS {stored(kind)})", kind)
    kind = decimal(min(MOST_DIGITS, scale + max(p1 - s1, p2 - s2) + 1), scale)
    a, b = (f"CAST({v.sql} AS {stored(kind)})" for v in (left, right))
    return Value(f"CAST(({a} {op} {b}) AS {stored(kind)})", kind)


def divided(left: Value, right: Value, kind: Type) -> Value:
    """Returns the quotient of two decimals, rounded half away from zero to the scale of its type."""
    (p1, s1), (_, s2), scale = left.type.args, right.type.args, kind.args[1]
    shift = scale - s1 + s2
    if p1 + shift > MOST_DIGITS:
        quotient = f"athena_wide_quotient(CAST({left.sql} AS VARCHAR), CAST({right.sql} AS VARCHAR), {scale})"
        return Value(f"CAST({quotient} AS {stored(kind)})", kind)
    numerator = f"({_unscaled(left.sql, s1)} * CAST('1{'0' * max(shift, 0)}' AS HUGEINT))"
    quotient = f"athena_quotient({numerator}, {_unscaled(right.sql, s2)})"
    return Value(f"CAST({scaled(quotient, scale)} AS {stored(kind)})", kind)


def _unscaled(sql: str, scale: int) -> str:
    if scale == 0:
        return f"CAST({sql} AS HUGEINT)"
    return f"CAST(CAST({sql} AS DECIMAL(38, {scale})) * CAST('1{'0' * scale}' AS DECIMAL(38, 0)) AS HUGEINT)"


def scaled(sql: str, scale: int) -> str:
    """Returns a whole number divided by a power of ten, exactly."""
    if scale == 0:
        return f"CAST({sql} AS DECIMAL(38, 0))"
    if scale == MOST_DIGITS:
        return f"athena_scaled_text({sql}, {scale})"
    return f"CAST(athena_scaled_text({sql}, {scale}) AS DECIMAL(38, {scale}))"


# Times and intervals.


def _of_times(context: Context, node: tree.Binary, left: Value, right: Value) -> Value | None:
    a, b, op = left.type.name, right.type.name, node.op
    if a in _INTERVALS and b in _NUMBERS and op in {"*", "/"}:
        return _multiplied(left, right, op)
    if b in _INTERVALS and a in _NUMBERS and op == "*":
        return _multiplied(right, left, op)
    if op not in {"+", "-"}:
        return None
    if a == b and a in _INTERVALS:
        return Value(f"({left.sql} {op} {right.sql})", left.type)
    if a in _TIMES and b in _INTERVALS:
        return shifted(context, node, left, right, op)
    if b in _TIMES and a in _INTERVALS and op == "+":
        return shifted(context, node, right, left, op)
    if op == "-" and a in _TIMES and b in _TIMES:
        return _difference(context, node, left, right)
    return None


def _multiplied(interval: Value, number: Value, op: str) -> Value:
    kind = stored(interval.type)
    if number.type.name in INTEGERS:
        if op == "*":
            return Value(f"CAST({interval.sql} * {number.sql} AS {kind})", interval.type)
        return Value(f"CAST({interval.sql} // athena_nonzero({number.sql}) AS {kind})", interval.type)
    other = f"CAST({number.sql} AS DOUBLE)"
    value = f"CAST({interval.sql} AS DOUBLE) {op} {f'athena_nonzero({other})' if op == '/' else other}"
    return Value(f"CAST(trunc({value}) AS {kind})", interval.type)


def _difference(context: Context, node: tree.Binary, left: Value, right: Value) -> Value | None:
    kind = common(left.type, right.type)
    if kind is None:
        return None
    a, b = (casts.coerce(context, node, value, kind).sql for value in (left, right))
    if kind.name == ZONED:
        a, b = f"({a}).i", f"({b}).i"
    if kind.name == "date":
        return Value(f"(CAST({a} - {b} AS BIGINT) * 86400000)", Type(DAY_INTERVAL))
    if kind.name == "time":
        a, b = f"(DATE '1970-01-01' + {a})", f"(DATE '1970-01-01' + {b})"
    return Value(f"athena_milliseconds_between({b}, {a})", Type(DAY_INTERVAL))


def shifted(context: Context, node: tree.Node, time: Value, interval: Value, op: str) -> Value | None:
    """Returns a time plus or minus an interval."""
    name, months = time.type.name, interval.type.name == YEAR_INTERVAL
    amount = interval.sql if op == "+" else f"(-{interval.sql})"
    if name == "time":
        return None if months else Value(f"athena_shift_time({time.sql}, {amount})", time.type)
    if name == "date":
        if months:
            return Value(f"CAST({time.sql} + to_months({amount}) AS DATE)", time.type)
        return Value(f"athena_shift_date({time.sql}, {amount})", time.type)
    kind = time.type
    if not months:
        kind = Type(name, (max(kind.args[0], 3),))
    if name == ZONED:
        macro = "athena_shift_zoned_months" if months else "athena_shift_zoned"
        return Value(f"{macro}({time.sql}, {amount})", kind)
    return Value(f"({time.sql} + to_{'months' if months else 'milliseconds'}({amount}))", kind)


# Texts, bytes and arrays.


def _concatenated(context: Context, node: tree.Binary, left: Value, right: Value) -> Value:
    a, b = left.type, right.type
    if "array" in {a.name, b.name}:
        return _joined_arrays(context, node, left, right)
    if a.name == "varbinary" or b.name == "varbinary":
        if {a.name, b.name} <= {"varbinary", "unknown"}:
            return Value(f"({left.sql} || {right.sql})", Type("varbinary"))
        raise context.mismatch(node, "||", a, b)
    if a.name == b.name == "char":
        length = a.args[0] + b.args[0]
        return Value(f"({left.sql} || {right.sql})", Type("char", (length,)))
    if {a.name, b.name} <= {"varchar", "char", "unknown"}:
        return Value(f"({_text(left)} || {_text(right)})", kinds.VARCHAR)
    raise context.mismatch(node, "||", a, b)


def _text(value: Value) -> str:
    return "CAST(NULL AS VARCHAR)" if value.type == kinds.UNKNOWN else value.sql


def _joined_arrays(context: Context, node: tree.Binary, left: Value, right: Value) -> Value:
    a, b = left.type, right.type
    if a.name == b.name:
        kind = common(a, b)
        if kind is None:
            raise context.mismatch(node, "||", a, b)
        both = [casts.coerce(context, node, value, kind).sql for value in (left, right)]
        return Value(f"athena_list_concat({both[0]}, {both[1]})", kind)
    listed, single = (left, right) if a.name == "array" else (right, left)
    element = common(listed.type.args[0], single.type)
    if element is None:
        raise context.mismatch(node, "||", a, b)
    items = casts.coerce(context, node, listed, array(element)).sql
    one = casts.coerce(context, node, single, element).sql
    both = [items, f"[{one}]"] if listed is left else [f"[{one}]", items]
    return Value(f"athena_list_concat({both[0]}, {both[1]})", array(element))
