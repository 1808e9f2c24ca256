"""Literals: each with the type that Trino gives it."""

from __future__ import annotations

import re

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.session import literal
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.kinds import Type, decimal, of_name
from rheo_assets.platforms.local.presto.types.storage import stored

_DECIMAL = re.compile(r"[+-]?(\d*)(?:\.(\d*))?")
_FRACTION = re.compile(r":\d\d?\.(\d+)")
_ZONE = re.compile(r"\d\s*(?:[A-Za-z][\w/+\-]*|[+-]\d\d?(?::?\d\d)?)\s*$")
_MILLIS = {"DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000}


def null(_: Context, __: tree.Null) -> Value:
    """`NULL`, of the type unknown."""
    return Value("NULL", kinds.UNKNOWN)


def constant(context: Context, node: tree.Constant) -> Value:
    """A number, string or bytes."""
    text = node.text
    if node.kind == "boolean":
        return Value(text, kinds.BOOLEAN, text)
    if node.kind == "string":
        return Value(literal(text), Type("varchar", (len(text),)), text)
    if node.kind == "binary":
        digits = re.sub(r"\s", "", text)
        if len(digits) % 2 or re.search(r"[^0-9a-fA-F]", digits):
            raise context.wrong(node, f"{context.text(node)} is no even number of hexadecimal digits")
        return Value(f"unhex('{digits}')", Type("varbinary"))
    if node.kind == "double":
        return Value(f"CAST('{text}' AS DOUBLE)", kinds.DOUBLE, text)
    if node.kind == "decimal":
        return decimal_of(context, node, text)
    return _integer(context, node, int(text, 0) if text[:2].lower() in {"0x", "0b", "0o"} else int(text))


def _integer(context: Context, node: tree.Node, number: int) -> Value:
    if number > 2**63:
        raise context.wrong(node, f"{number} is no bigint: write DECIMAL '{number}'")
    if number >= 2**31:
        return Value(f"CAST({number} AS BIGINT)", kinds.BIGINT, str(number))
    return Value(str(number), kinds.INTEGER, str(number))


def decimal_of(context: Context, node: tree.Node, text: str) -> Value:
    """A decimal with the precision and scale that its digits have."""
    hit = _DECIMAL.fullmatch(text.strip())
    if hit is None or not (hit[1] or hit[2]):
        raise context.wrong(node, f"{text!r} is no decimal")
    whole, fraction = hit[1].lstrip("0"), hit[2] or ""
    precision = max(len(whole) + len(fraction), 1)
    if precision > kinds.MOST_DIGITS:
        raise context.wrong(node, f"{text} has more than 38 digits")
    kind = decimal(precision, len(fraction))
    return Value(f"CAST('{text.strip()}' AS {stored(kind)})", kind, text)


def typed(context: Context, node: tree.TypedConstant) -> Value:
    """`DATE '2024-01-01'` and the like."""
    name, text = node.type.name, node.text
    if name in {"decimal", "dec", "numeric"}:
        return decimal_of(context, node, text)
    if name == "char":
        return Value(literal(text), Type("char", (len(text),)), text)
    if name in {"time", "timestamp"}:
        return _time(context, node)
    if name == "json":
        context.functions.add("json_parse")
        return Value(f"athena_json_parse({literal(text)})", kinds.JSON)
    kind = of_name(node.type)
    given = Value(literal(text), kinds.VARCHAR, text)
    if kind.name == "varchar":
        return Value(given.sql, Type("varchar", (len(text),)), text)
    return Value(casts.cast(context, node, given, kind).sql, kind, text)


def _time(context: Context, node: tree.TypedConstant) -> Value:
    name, text = node.type.name, node.text
    fraction = _FRACTION.search(text)
    precision = len(fraction[1]) if fraction else 0
    clock = text.strip().partition(" ")[2] if name == "timestamp" else text
    has_zone = bool(_ZONE.search(clock)) if name == "timestamp" else bool(re.search(r"[+-]\d\d", clock))
    if (
        name == "timestamp"
        and not has_zone
        and clock == ""
        and _ZONE.search(text)
        and not re.fullmatch(r"\s*[+-]?\d+-\d+-\d+\s*", text)
    ):
        has_zone = True
    if has_zone:
        name += " with time zone"
    kind = of_name(tree.TypeName(name, (precision,)))
    return Value(casts.cast(context, node, Value(literal(text), kinds.VARCHAR, text), kind).sql, kind)


def interval(context: Context, node: tree.Interval) -> Value:
    """An interval, as a number of milliseconds or months."""
    units = ("YEAR", "MONTH") if node.start in {"YEAR", "MONTH"} else tuple(_MILLIS)
    if node.start not in units or node.stop not in units or units.index(node.start) > units.index(node.stop):
        raise context.wrong(node, f"there is no INTERVAL {node.start} TO {node.stop}")
    asked = units[units.index(node.start) : units.index(node.stop) + 1]
    separators = {"YEAR": "-", "DAY": " ", "HOUR": ":", "MINUTE": ":"}
    pattern = r"\s*([+-])?\s*"
    for index, unit in enumerate(asked):
        part = r"(\d+(?:\.\d{1,3})?)" if unit == "SECOND" else r"(\d+)"
        pattern += part if index == 0 else f"(?:{separators[asked[index - 1]]}{part})?"
    hit = re.fullmatch(pattern + r"\s*", node.text)
    if hit is None:
        raise context.wrong(node, f"{node.text!r} is no interval {node.start.lower()} to {node.stop.lower()}")
    sign = -1 if (hit[1] == "-") != node.negative else 1
    weights = {"YEAR": 12, "MONTH": 1, **_MILLIS}
    total = sum(_thousandths(part) * weights[unit] for unit, part in zip(asked, hit.groups()[1:], strict=True) if part)
    number = sign * (total // 1000)
    if units[0] == "YEAR":
        return Value(f"CAST({number} AS INTEGER)", Type(kinds.YEAR_INTERVAL))
    return Value(f"CAST({number} AS BIGINT)", Type(kinds.DAY_INTERVAL))


def _thousandths(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0") or 0)
