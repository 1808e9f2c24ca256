"""The functions that take a function."""

from __future__ import annotations

from collections.abc import Callable

from rheo_assets.platforms.local.presto.analysis.scope import Scope, Value
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import casts
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import can_coerce, common
from rheo_assets.platforms.local.presto.types.kinds import Type, array
from rheo_assets.platforms.local.presto.types.storage import stored


def _body(context: Context, node: tree.Call, index: int, *args: Value) -> Value:
    """Returns the body of the function that stands at a place among the arguments."""
    function = node.args[index]
    if not isinstance(function, tree.Lambda) or len(function.names) != len(args):
        shape = "x -> …" if len(args) == 1 else f"({', '.join('xyz'[: len(args)])}) -> …"
        raise context.wrong(function, f"{node.name} takes a function of the form {shape}")
    if any(isinstance(inner, (tree.Scalar, tree.Exists, tree.InQuery)) for inner in function.body.walk()):
        raise context.wrong(function, "a function has no queries inside")
    outer = context.scope
    scope = Scope((), outer, dict(zip(function.names, args, strict=True)))
    with context.scoped(scope):
        made = context.value(function.body)
    if "random()" in made.sql:
        raise context.not_available(function, "random() in a function")
    return made


def _check(context: Context, node: tree.Call, count: int) -> None:
    if len(node.args) != count:
        raise context.wrong(node, f"{node.name} takes {count} arguments, found {len(node.args)}")


def _collection(context: Context, node: tree.Call, kind: str, index: int = 0) -> Value:
    value = context.value(node.args[index])
    if value.type == kinds.UNKNOWN:
        empty = array(kinds.UNKNOWN) if kind == "array" else Type("map", (kinds.UNKNOWN, kinds.UNKNOWN))
        return Value(f"CAST(NULL AS {stored(empty)})", empty)
    if value.type.name != kind:
        raise context.wrong(node, f"{context.text(node)}: {node.name} does not take {value.type}, but {kind}")
    return value


def _condition(context: Context, node: tree.Call, made: Value) -> str:
    if made.type.name not in {"boolean", "unknown"}:
        raise context.wrong(node, f"the function of {node.name} gives {made.type}, where boolean is expected")
    return made.sql if made.type.name == "boolean" else "CAST(NULL AS BOOLEAN)"


def _typed(value: Value) -> str:
    return f"CAST(NULL AS {stored(value.type)})" if value.type == kinds.UNKNOWN else value.sql


def _transform(context: Context, node: tree.Call) -> Value:
    _check(context, node, 2)
    given, name = _collection(context, node, "array"), context.fresh("x")
    made = _body(context, node, 1, Value(name, given.type.args[0]))
    return Value(f"list_transform({given.sql}, lambda {name}: {_typed(made)})", array(made.type))


def _filter(context: Context, node: tree.Call) -> Value:
    _check(context, node, 2)
    given, name = _collection(context, node, "array"), context.fresh("x")
    made = _condition(context, node, _body(context, node, 1, Value(name, given.type.args[0])))
    return Value(f"list_filter({given.sql}, lambda {name}: {made})", given.type)


def _matching(macro: str, negated: bool = False) -> Callable[[Context, tree.Call], Value]:
    def build(context: Context, node: tree.Call) -> Value:
        _check(context, node, 2)
        given, name = _collection(context, node, "array"), context.fresh("x")
        made = _condition(context, node, _body(context, node, 1, Value(name, given.type.args[0])))
        sql = f"athena_{macro}(list_transform({given.sql}, lambda {name}: {made}))"
        return Value(f"(NOT {sql})" if negated else sql, kinds.BOOLEAN)

    return build


def _reduce(context: Context, node: tree.Call) -> Value:
    _check(context, node, 4)
    given, initial = _collection(context, node, "array"), context.value(node.args[1])
    state, item = context.fresh("s"), context.fresh("x")
    kind = initial.type
    step = _body(context, node, 2, Value(state, kind), Value(item, given.type.args[0]))
    if kind == kinds.UNKNOWN or not can_coerce(step.type, kind):
        kind = step.type
        initial = casts.coerce(context, node, initial, kind)
        step = _body(context, node, 2, Value(state, kind), Value(item, given.type.args[0]))
    step = casts.coerce(context, node, step, kind)
    if stored(given.type.args[0]) == stored(kind) and given.type.args[0] != kinds.UNKNOWN:
        sql = f"list_reduce({given.sql}, lambda {state}, {item}: {step.sql}, {initial.sql})"
    else:
        sql = _reduced(context, node, given, Value(initial.sql, kind))
    finished = _body(context, node, 3, Value(f"({sql})", kind))
    return Value(_typed(finished), finished.type)


def _reduced(context: Context, node: tree.Call, given: Value, initial: Value) -> str:
    """Returns a reduction whose state has another type than the items: both are fields of one row."""
    kind, element = stored(initial.type), given.type.args[0]
    state, item = context.fresh("s"), context.fresh("x")
    step = _body(context, node, 2, Value(f"{state}.s", initial.type), Value(f"{item}.x", element))
    step = casts.coerce(context, node, step, initial.type)
    row = f"STRUCT(s {kind}, x {stored(element)})"
    items = f"list_transform({given.sql}, lambda {item}: CAST({{'s': NULL, 'x': {item}}} AS {row}))"
    first = f"CAST({{'s': {initial.sql}, 'x': NULL}} AS {row})"
    body = f"CAST({{'s': {step.sql}, 'x': NULL}} AS {row})"
    return f"(list_reduce({items}, lambda {state}, {item}: {body}, {first})).s"


def _zip_with(context: Context, node: tree.Call) -> Value:
    _check(context, node, 3)
    left, right = _collection(context, node, "array"), _collection(context, node, "array", 1)
    name = context.fresh("x")
    pair = (Value(f"{name}[1]", left.type.args[0]), Value(f"{name}[2]", right.type.args[0]))
    made = _body(context, node, 2, *pair)
    sql = f"list_transform(list_zip({left.sql}, {right.sql}), lambda {name}: {_typed(made)})"
    return Value(f"CASE WHEN {left.sql} IS NOT NULL AND {right.sql} IS NOT NULL THEN {sql} END", array(made.type))


def _entry(context: Context, node: tree.Call) -> tuple[Value, str, Value]:
    _check(context, node, 2)
    given, name = _collection(context, node, "map"), context.fresh("x")
    made = _body(context, node, 1, Value(f"{name}.key", given.type.args[0]), Value(f"{name}.value", given.type.args[1]))
    return given, name, made


def _map_filter(context: Context, node: tree.Call) -> Value:
    given, name, made = _entry(context, node)
    condition = _condition(context, node, made)
    return Value(f"map_from_entries(list_filter(map_entries({given.sql}), lambda {name}: {condition}))", given.type)


def _transform_values(context: Context, node: tree.Call) -> Value:
    given, name, made = _entry(context, node)
    entry = f"{{'key': {name}.key, 'value': {_typed(made)}}}"
    kind = Type("map", (given.type.args[0], made.type))
    return Value(f"map_from_entries(list_transform(map_entries({given.sql}), lambda {name}: {entry}))", kind)


def _transform_keys(context: Context, node: tree.Call) -> Value:
    given, name, made = _entry(context, node)
    entry = f"{{'key': {_typed(made)}, 'value': {name}.value}}"
    kind = Type("map", (made.type, given.type.args[1]))
    return Value(f"athena_map_of(list_transform(map_entries({given.sql}), lambda {name}: {entry}))", kind)


def _map_zip_with(context: Context, node: tree.Call) -> Value:
    _check(context, node, 3)
    left, right = _collection(context, node, "map"), _collection(context, node, "map", 1)
    key = common(left.type.args[0], right.type.args[0])
    if key is None or key != left.type.args[0] or key != right.type.args[0]:
        raise context.wrong(node, f"map_zip_with takes maps with keys of one type, not {left.type} and {right.type}")
    name = context.fresh("x")
    values = (Value(f"({side.sql})[{name}]", side.type.args[1]) for side in (left, right))
    made = _body(context, node, 2, Value(name, key), *values)
    keys = f"athena_array_union(map_keys({left.sql}), map_keys({right.sql}))"
    entry = f"{{'key': {name}, 'value': {_typed(made)}}}"
    return Value(f"map_from_entries(list_transform({keys}, lambda {name}: {entry}))", Type("map", (key, made.type)))


LAMBDAS: dict[str, Callable[[Context, tree.Call], Value]] = {
    "transform": _transform,
    "filter": _filter,
    "reduce": _reduce,
    "any_match": _matching("any_true"),
    "all_match": _matching("all_true"),
    "none_match": _matching("any_true", negated=True),
    "zip_with": _zip_with,
    "map_filter": _map_filter,
    "transform_values": _transform_values,
    "transform_keys": _transform_keys,
    "map_zip_with": _map_zip_with,
}
