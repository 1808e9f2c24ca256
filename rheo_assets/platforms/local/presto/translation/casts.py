"""Casts by type: what Trino takes, and how it writes and rounds."""

from __future__ import annotations

import re

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.syntax.tree import Node
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import can_coerce
from rheo_assets.platforms.local.presto.types.kinds import FLOATS, INTEGERS, TEXTS, ZONED, Type
from rheo_assets.platforms.local.presto.types.storage import quoted, stored

_NUMBERS = (*INTEGERS, "decimal", *FLOATS)
_SCALARS = (*_NUMBERS, "boolean")
_FROM_TEXT = {
    "boolean": "text_boolean", "tinyint": "text_integer", "smallint": "text_integer", "integer": "text_integer",
    "bigint": "text_integer", "real": "text_double", "double": "text_double", "decimal": "text_decimal",
    "date": "text_date", "time": "text_time", "timestamp": "text_timestamp",
    kinds.DAY_INTERVAL: "", "uuid": "text_uuid",
}  # fmt: skip


def coerce(context: Context, node: Node, value: Value, to: Type) -> Value:
    """Returns a value as Trino converts it by itself."""
    if value.type == to:
        return value
    if not can_coerce(value.type, to):
        raise context.wrong(node, f"{context.text(node)} is {value.type}, where {to} is expected")
    return cast(context, node, value, to)


def cast(context: Context, node: Node, value: Value, to: Type) -> Value:
    """Returns `CAST(value AS to)`.

    Raises:
        Refusal: Trino has no such cast.
    """
    given = value.type
    if given == kinds.UNKNOWN:
        return Value(f"CAST(NULL AS {stored(to)})", to)
    if given == to:
        return value
    sql = _converted(context, node, value, to)
    if sql is None:
        raise context.wrong(node, f"{context.text(node)}: cannot cast {given} to {to}")
    return Value(sql, to, value.constant if to.name == "varchar" and given.name == "varchar" else None)


def _converted(context: Context, node: Node, value: Value, to: Type) -> str | None:
    given, name = value.type.name, to.name
    if name == "varchar":
        return _to_varchar(context, node, value, to)
    if name == "char":
        text = value.sql if given in TEXTS else None
        return None if text is None else f"athena_char({text}, {to.args[0]})"
    if given == "json":
        return _from_json(context, node, value.sql, to)
    if name == "json":
        return to_json(context, node, value)
    if given in TEXTS:
        return _from_text(value, to)
    if name in _SCALARS and given in _SCALARS:
        return _number(value, to)
    if name in {"date", "time", "timestamp", ZONED}:
        return _time(value, to)
    if name == given and name in {"array", "map", "row"}:
        return _collection(context, node, value, to)
    if (given == "uuid" and name == "varbinary") or (given == "varbinary" and name == "uuid"):
        raise context.not_available(node, f"the cast of {given} to {name}")
    return None


def _to_varchar(context: Context, node: Node, value: Value, to: Type) -> str | None:
    if value.type.name in TEXTS:
        shorter = to.args and (not value.type.args or value.type.args[0] > to.args[0])
        return f"left({value.sql}, {to.args[0]})" if shorter else value.sql
    if value.type.name == "json":
        text = f"athena_json_text({value.sql})"
        return f"athena_fitting({text}, {to.args[0]}, 'json')" if to.args else text
    shown = as_text(context, node, value)
    if shown is None or not to.args:
        return shown
    return f"athena_fitting({shown}, {to.args[0]}, '{value.type}')"


def as_text(context: Context, node: Node, value: Value) -> str | None:
    """Returns the SQL of a value as Trino writes it, or None for a type that has no text."""
    name, sql = value.type.name, value.sql
    if name in TEXTS:
        return sql
    if name in {*INTEGERS, "boolean", "date", "uuid"}:
        return f"CAST({sql} AS VARCHAR)" if name != "date" else f"athena_date_text({sql})"
    if name == "decimal":
        return f"athena_decimal_text({sql})" if value.type.args[0] == value.type.args[1] else f"CAST({sql} AS VARCHAR)"
    if name in FLOATS:
        return f"athena_double_text(CAST({sql} AS VARCHAR))"
    if name in {"time", "timestamp", ZONED}:
        return f"athena_{name.split()[0] if name != ZONED else 'zoned'}_text({sql}, {value.type.args[0]})"
    if name == "json":
        return f"athena_json_text({sql})"
    texts = {kinds.DAY_INTERVAL: "athena_interval_text", kinds.YEAR_INTERVAL: "athena_months_text"}
    return f"{texts[name]}({sql})" if name in texts else None


def _from_text(value: Value, to: Type) -> str | None:
    name = to.name
    sql = value.sql
    if value.type.name == "char":
        sql = f"rtrim({sql}, ' ')"
    if name in {"timestamp", "time"}:
        return f"athena_{_FROM_TEXT[name]}({sql}, {to.args[0]})"
    if name == ZONED:
        return f"athena_text_zoned({sql}, {to.args[0]})"
    if name == "varbinary":
        return None if value.type.name == "varchar" else f"encode({value.sql})"
    checked = _FROM_TEXT.get(name)
    if name == "json":
        return f"CAST(to_json({value.sql}) AS JSON)"
    return f"CAST(athena_{checked}({sql}) AS {stored(to)})" if checked else None


def _number(value: Value, to: Type) -> str | None:
    given, name, sql = value.type.name, to.name, value.sql
    if name == "boolean":
        return f"(({sql}) <> 0)"
    if given == "boolean":
        return f"CAST(CAST({sql} AS INTEGER) AS {stored(to)})"
    if name in INTEGERS and given in FLOATS:
        return f"CAST(athena_whole({sql}) AS {stored(to)})"
    if name == "decimal" and given == "real":
        return f"CAST(athena_real_digits(CAST({sql} AS VARCHAR)) AS {stored(to)})"
    if name == "decimal" and given in FLOATS:
        return f"CAST(CAST({sql} AS VARCHAR) AS {stored(to)})"
    return f"CAST({sql} AS {stored(to)})"


def _time(value: Value, to: Type) -> str | None:
    given, name, sql = value.type.name, to.name, value.sql
    if given not in {"date", "time", "timestamp", ZONED} or ((given == "date") and name == "time"):
        return None
    if given == "time" and name != "time":
        return f"(DATE '1970-01-01' + {sql})" if name == "timestamp" else None
    if name == ZONED:
        if given == ZONED:
            finer = value.type.args[0] <= to.args[0]
            return sql if finer else f"athena_zoned(athena_rounded(({sql}).i, {to.args[0]}), ({sql}).z)"
        local = f"CAST({sql} AS TIMESTAMP)"
        local = (
            f"athena_rounded({local}, {to.args[0]})"
            if given == "timestamp" and value.type.args[0] > to.args[0]
            else local
        )
        return f"athena_zoned({local}, 'UTC')"
    local = f"athena_local({sql})" if given == ZONED else sql
    if name == "date":
        return f"CAST({local} AS DATE)"
    finer = given == "date" or value.type.args[0] <= to.args[0]
    if name == "timestamp":
        return f"CAST({local} AS TIMESTAMP)" if finer else f"athena_rounded({local}, {to.args[0]})"
    if given == "time":
        return sql if finer else f"CAST(athena_rounded(DATE '1970-01-01' + {sql}, {to.args[0]}) AS TIME)"
    return f"CAST({local if finer else f'athena_rounded({local}, {to.args[0]})'} AS TIME)"


def _collection(context: Context, node: Node, value: Value, to: Type) -> str | None:
    given, sql, name = value.type, value.sql, context.fresh("e")
    if stored(given) == stored(to) and _is_same(given, to):
        return sql
    if to.name == "array":
        inner = cast(context, node, Value(name, given.args[0]), to.args[0]).sql
        return f"list_transform({sql}, lambda {name}: {inner})"
    if to.name == "map":
        key = cast(context, node, Value(f"{name}.key", given.args[0]), to.args[0]).sql
        item = cast(context, node, Value(f"{name}.value", given.args[1]), to.args[1]).sql
        return f"athena_map_of(list_transform(map_entries({sql}), lambda {name}: {{'key': {key}, 'value': {item}}}))"
    if len(given.args) != len(to.args):
        return None
    parts = [
        f"{quoted(new)} := {cast(context, node, Value(f'({sql}).{quoted(old)}', kind), wanted).sql}"
        for (old, kind), (new, wanted) in zip(given.fields, to.fields, strict=True)
    ]
    return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"


def _is_same(given: Type, to: Type) -> bool:
    return not re.search(r"char|time|row", f"{given}{to}") or str(given) == str(to)


def to_json(context: Context, node: Node, value: Value) -> str | None:
    """Returns the SQL of a value as JSON, or None for a type that JSON does not have."""
    kind, sql, name = value.type, value.sql, context.fresh("j")
    if kind.name in {*INTEGERS, "boolean", "decimal", "double", *TEXTS}:
        return f"to_json({sql})"
    if kind.name == "real":
        return f"to_json(CAST(CAST({sql} AS VARCHAR) AS DOUBLE))"
    if kind.name == "json":
        return sql
    if kind.name in {"date", "timestamp", ZONED}:
        return f"to_json({as_text(context, node, value)})"
    if kind.name == "unknown":
        return "CAST(NULL AS JSON)"
    if kind.name == "array":
        inner = to_json(context, node, Value(name, kind.args[0]))
        made = f"to_json(list_transform({sql}, lambda {name}: {_json_null(inner)}))"
        return inner and f"CASE WHEN {sql} IS NOT NULL THEN {made} END"
    if kind.name == "map":
        return _map_to_json(context, node, value)
    if kind.name == "row":
        parts = [to_json(context, node, Value(f"({sql}).{quoted(key)}", field)) for key, field in kind.fields]
        if None in parts:
            return None
        if any(written is None for written, _ in kind.args):
            raise context.not_available(node, "a row without names as JSON", "CAST it to row(name type, …) first")
        fields = ", ".join(
            f"{quoted(key)} := {_json_null(part)}" for (key, _), part in zip(kind.fields, parts, strict=True)
        )
        return f"CASE WHEN {sql} IS NOT NULL THEN to_json(struct_pack({fields})) END"
    return None


def _json_null(sql: str | None) -> str:
    return f"coalesce({sql}, CAST('null' AS JSON))"


def _map_to_json(context: Context, node: Node, value: Value) -> str | None:
    kind, name = value.type, context.fresh("j")
    key = as_text(context, node, Value(f"{name}.key", kind.args[0]))
    item = to_json(context, node, Value(f"{name}.value", kind.args[1]))
    if key is None or item is None or kind.args[0].name not in {*INTEGERS, "boolean", "decimal", *FLOATS, "varchar"}:
        return None
    entry = f"{{'key': {key}, 'value': {_json_null(item)}}}"
    made = f"to_json(map_from_entries(list_sort(list_transform(map_entries({value.sql}), lambda {name}: {entry}))))"
    return f"CASE WHEN {value.sql} IS NOT NULL THEN {made} END"


def _from_json(context: Context, node: Node, sql: str, to: Type) -> str | None:
    name = context.fresh("j")
    if to.name in {"boolean", *INTEGERS, *FLOATS, "decimal"}:
        family = to.name if to.name in {"boolean", "decimal"} else "double" if to.name in FLOATS else "integer"
        return f"CAST(athena_json_{family}({sql}) AS {stored(to)})"
    if to.name in {"varchar"}:
        return f"athena_json_text({sql})"
    if to.name in {"date", "timestamp"}:
        text = Value(f"athena_json_text({sql})", kinds.VARCHAR)
        return _from_text(text, to)
    if to.name == "array":
        inner = _from_json(context, node, name, to.args[0]) if to.args[0] != kinds.JSON else name
        return inner and f"list_transform(athena_json_list({sql}), lambda {name}: {inner})"
    if to.name == "map":
        return _map_from_json(context, node, sql, to)
    if to.name == "row":
        return _row_from_json(context, node, sql, to)
    return None


def _map_from_json(context: Context, node: Node, sql: str, to: Type) -> str | None:
    name = context.fresh("j")
    if to.args[0].name not in {*INTEGERS, "boolean", "decimal", *FLOATS, "varchar"}:
        return None
    key = cast(context, node, Value(f"{name}.key", kinds.VARCHAR), to.args[0]).sql
    item = cast(context, node, Value(f"{name}.value", kinds.JSON), to.args[1]).sql
    return (
        f"athena_map_of(list_transform(athena_json_entries({sql}), lambda {name}: {{'key': {key}, 'value': {item}}}))"
    )


def _row_from_json(context: Context, node: Node, sql: str, to: Type) -> str | None:
    parts = []
    for index, ((key, kind), (written, _)) in enumerate(zip(to.fields, to.args, strict=True)):
        member = f"athena_json_member({sql}, {_text(written or '')}, {index})"
        inner = member if kind == kinds.JSON else _from_json(context, node, member, kind)
        if inner is None:
            return None
        parts.append(f"{quoted(key)} := {inner}")
    return f"CASE WHEN athena_json_rows({sql}) THEN struct_pack({', '.join(parts)}) END"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
