"""The functions of Trino that take a function: `transform`, `filter`, `reduce` and their kin."""

from __future__ import annotations

from sqlglot import exp

from rheo_assets.platforms.local.presto.calls import Node, call, macro, record, shown
from rheo_assets.platforms.local.presto.refusals import Refusal

_ENTRY = "athena_entry"


def transform(array: Node, function: Node) -> Node:
    """Builds `transform(array, x -> …)`."""
    return call("list_transform", array, _checked(function, 1))


def keep(array: Node, function: Node) -> Node:
    """Builds `filter(array, x -> …)`."""
    return call("list_filter", array, _checked(function, 1))


def any_match(array: Node, function: Node) -> Node:
    """Builds `any_match(array, x -> …)`, NULL where only NULLs might match."""
    return macro("any_true", transform(array, function))


def all_match(array: Node, function: Node) -> Node:
    """Builds `all_match(array, x -> …)`."""
    return macro("all_true", transform(array, function))


def none_match(array: Node, function: Node) -> Node:
    """Builds `none_match(array, x -> …)`."""
    return exp.Not(this=any_match(array, function))


def reduce(array: Node, initial: Node, step: Node, finish: Node) -> Node:
    """Builds `reduce(array, initial, (s, x) -> …, s -> …)`."""
    reduced = call("list_reduce", array, _checked(step, 2), initial)
    return exp.Paren(this=_applied(_checked(finish, 1), reduced))


def zip_with(left: Node, right: Node, function: Node) -> Node:
    """Builds `zip_with(a, b, (x, y) -> …)`; the shorter array counts as padded with NULLs."""
    pair = [_element("1"), _element("2")]
    return call("list_transform", call("list_zip", left, right), _of_entry(_applied(_checked(function, 2), *pair)))


def map_filter(given: Node, function: Node) -> Node:
    """Builds `map_filter(map, (k, v) -> …)`."""
    kept = call("list_filter", call("map_entries", given), _of_entry(_over_entry(function)))
    return call("map_from_entries", kept)


def transform_values(given: Node, function: Node) -> Node:
    """Builds `transform_values(map, (k, v) -> …)`."""
    changed = record(key=_field("key"), value=_over_entry(function))
    return call("map_from_entries", call("list_transform", call("map_entries", given), _of_entry(changed)))


def transform_keys(given: Node, function: Node) -> Node:
    """Builds `transform_keys(map, (k, v) -> …)`."""
    changed = record(key=_over_entry(function), value=_field("value"))
    return call("map_from_entries", call("list_transform", call("map_entries", given), _of_entry(changed)))


def _checked(function: Node, count: int) -> Node:
    if not isinstance(function, exp.Lambda) or len(function.expressions) != count:
        shape = "x -> …" if count == 1 else "(x, y) -> …"
        raise Refusal(f"a function of the form {shape} is wanted, found {shown(function)}")
    return function


def _applied(function: Node, *values: Node) -> Node:
    """Returns the body of the function with the values in place of its arguments."""
    names = {parameter.name.lower(): value for parameter, value in zip(function.expressions, values, strict=True)}

    def replaced(node: Node) -> Node:
        if isinstance(node, exp.Lambda):
            names_inside = {parameter.name.lower() for parameter in node.expressions}
            if names_inside & set(names):
                raise Refusal("a function inside a function uses the same argument name: rename one of them")
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in names:
            return exp.Paren(this=names[node.name.lower()].copy())
        if isinstance(node, exp.Identifier) and node.name.lower() in names and _stands_alone(node):
            return exp.Paren(this=names[node.name.lower()].copy())
        return node

    return function.this.copy().transform(replaced)


def _stands_alone(node: Node) -> bool:
    """Returns whether an identifier is a value of its own, not a part of a name."""
    parent = node.parent
    if isinstance(parent, exp.Dot):
        return bool(node.arg_key == "this")
    return not isinstance(parent, (exp.Column, exp.Alias, exp.TableAlias, exp.Table, exp.PropertyEQ, exp.ColumnDef))


def _over_entry(function: Node) -> Node:
    return _applied(_checked(function, 2), _field("key"), _field("value"))


def _of_entry(body: Node) -> Node:
    return exp.Lambda(this=body, expressions=[exp.to_identifier(_ENTRY)])


def _field(name: str) -> Node:
    return exp.Dot(this=exp.to_identifier(_ENTRY), expression=exp.to_identifier(name))


def _element(index: str) -> Node:
    return exp.Bracket(this=exp.to_identifier(_ENTRY), expressions=[exp.Literal.number(index)], offset=1)
