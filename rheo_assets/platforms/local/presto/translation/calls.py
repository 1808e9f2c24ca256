"""Function calls: scalars, aggregates and window functions."""

from __future__ import annotations

from functools import cache

from rheo_assets.platforms.local.presto.analysis.scope import Value
from rheo_assets.platforms.local.presto.analysis.signatures import Signature, chosen, table
from rheo_assets.platforms.local.presto.functions import collections, python, scalars
from rheo_assets.platforms.local.presto.functions.texts import macros, used
from rheo_assets.platforms.local.presto.refusals import near_misses
from rheo_assets.platforms.local.presto.syntax import tree
from rheo_assets.platforms.local.presto.translation import aggregates, casts, lambdas, special
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.storage import stored


@cache
def _scalars() -> dict[str, list[Signature]]:
    texts = (scalars.MATHEMATICS, scalars.TEXT, scalars.BYTES, scalars.JSON, collections.COLLECTIONS, collections.TIMES)
    have = {*macros(), *python.names()}
    return {
        name: kept
        for name, overloads in table("".join(texts)).items()
        if (kept := [each for each in overloads if used(each.sql.replace("{name}", name)) <= have])
    }


@cache
def _aggregates() -> dict[str, list[Signature]]:
    return table(collections.AGGREGATES)


@cache
def _windows() -> dict[str, list[Signature]]:
    return table(collections.WINDOWS)


def is_aggregate(name: str) -> bool:
    """Returns whether a function is an aggregate."""
    return name in _aggregates() or name in aggregates.SPECIAL or name == "grouping"


def known() -> set[str]:
    """Returns the names of all functions."""
    return {*_scalars(), *_aggregates(), *_windows(), *special.SPECIAL, *aggregates.SPECIAL, *lambdas.LAMBDAS}


def call(context: Context, node: tree.Call) -> Value:
    """A call of any kind."""
    name = node.name
    if name in _windows() or (node.over is not None and is_aggregate(name)):
        if node.over is None:
            raise context.wrong(node, f"{name} needs OVER (…)")
        return aggregates.windowed(context, node, _windows() if name in _windows() else _aggregates())
    if name == "grouping":
        return aggregates.grouping(context, node)
    if is_aggregate(name):
        return aggregates.aggregate(context, node, _aggregates())
    if node.over is not None or node.where is not None or node.distinct or node.order or node.nulls or node.star:
        raise context.wrong(node, f"{name} is no aggregate: it takes no OVER, FILTER, DISTINCT or ORDER BY")
    if name in lambdas.LAMBDAS:
        return lambdas.LAMBDAS[name](context, node)
    if name in special.SPECIAL:
        return special.SPECIAL[name](context, node)
    overloads = _scalars().get(name)
    if overloads is None:
        raise context.not_available(node, f"the function {name}", near_misses(name, known()).strip())
    return _scalar(context, node, overloads)


def _scalar(context: Context, node: tree.Call, overloads: list[Signature]) -> Value:
    if any(isinstance(arg, tree.Lambda) for arg in node.args):
        raise context.not_available(node, f"{node.name} with a function")
    values = [context.value(arg) for arg in node.args]
    hit = chosen(overloads, [value.type for value in values])
    if hit is None:
        raise unexpected(context, node, overloads, values)
    signature, wanted, result = hit
    _check_elements(context, node, wanted)
    args = arguments(context, node, values, wanted)
    sql = signature.sql.replace("{name}", node.name).replace("{args}", ", ".join(args))
    for index, arg in enumerate(args):
        sql = sql.replace(f"{{{index}}}", arg)
    return Value(f"CAST({sql} AS {stored(result)})" if result == kinds.BIGINT else sql, result)


_BY_EQUALITY = frozenset(
    {"contains", "array_position", "array_remove", "arrays_overlap", "contains_sequence", "array_except"}
    | {"array_intersect", "array_union", "array_distinct", "element_at"}
)
_NESTED = frozenset({"array", "row", "map", kinds.ZONED})


def _check_elements(context: Context, node: tree.Call, wanted: tuple[kinds.Type, ...]) -> None:
    """Refuses to compare elements whose equality DuckDB does not share."""
    if node.name not in _BY_EQUALITY:
        return
    inner = wanted[0].args[0] if wanted[0].args and isinstance(wanted[0].args[0], kinds.Type) else wanted[0]
    if inner.name in _NESTED and node.name not in {"array_distinct", "element_at"}:
        raise context.not_available(node, f"{node.name} of {wanted[0]}", "unnest the array, or use filter")


def arguments(context: Context, node: tree.Node, values: list[Value], wanted: tuple[kinds.Type, ...]) -> list[str]:
    """Returns the arguments as the overload takes them."""
    return [
        f"CAST(NULL AS {stored(kind)})" if value.type == kinds.UNKNOWN else casts.coerce(context, node, value, kind).sql
        for value, kind in zip(values, wanted, strict=True)
    ]


def unexpected(context: Context, node: tree.Call, overloads: list[Signature], values: list[Value]) -> Exception:
    """Returns the refusal of arguments that no overload takes."""
    shown = ", ".join(str(value.type) for value in values)
    counts = sorted({len(each.params) for each in overloads})
    if len(values) not in counts and not any(each.repeats for each in overloads):
        listed = " or ".join(map(str, counts))
        return context.not_available(node, f"{node.name} with {len(values)} arguments", f"it takes {listed}")
    return context.wrong(node, f"{context.text(node)}: {node.name} does not take ({shown})")
