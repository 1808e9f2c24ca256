"""The relations of FROM: tables, queries, joins and UNNEST."""

from __future__ import annotations

from dataclasses import replace

from rheo_assets.platforms.local.presto.analysis.scope import Field, Relation, Scope, Value
from rheo_assets.platforms.local.presto.refusals import Refusal, listing, near_misses
from rheo_assets.platforms.local.presto.syntax import queries, tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common
from rheo_assets.platforms.local.presto.types.storage import quoted


def relation(context: Context, node: tree.Node | None) -> Relation:
    """Returns a relation of FROM."""
    if isinstance(node, queries.Table):
        return _table(context, node)
    if isinstance(node, queries.Aliased):
        return _aliased(context, node)
    if isinstance(node, queries.Derived):
        return _derived(context, node)
    if isinstance(node, queries.Unnest):
        return _unnest(context, node)
    assert isinstance(node, queries.Join)
    return _join(context, node)


def _table(context: Context, node: queries.Table) -> Relation:
    name = node.parts[-1]
    if len(node.parts) > 1:
        raise Refusal(
            f"the table {'.'.join(node.parts)} names a database: read the node's inputs by their aliases "
            f"({listing(sorted(context.tables))})"
        )
    found, alias = context.scope.common_table(name), context.fresh("r")
    if found is not None:
        return _under(f"({found.sql}) AS {alias}", found.fields, alias, name)
    known = context.tables.get(name)
    if known is None:
        raise Refusal(
            f"there is no table {name!r} (the inputs and tables are: {listing(sorted(context.tables))})."
            f"{near_misses(name, context.tables)}"
        )
    return _under(f"{known.sql} AS {alias}", known.fields, alias, name)


def _under(sql: str, fields: tuple[Field, ...], alias: str, relation: str | None) -> Relation:
    return Relation(sql, tuple(replace(each, sql=f"{alias}.{each.sql}", relation=relation) for each in fields))


def check_names(context: Context, node: tree.Node, made: Relation, columns: tuple[str, ...]) -> None:
    """Refuses an alias with another number of columns than its relation."""
    shown = [each for each in made.fields if not each.hidden]
    if columns and len(columns) != len(shown):
        raise context.wrong(node, f"{len(columns)} names for {len(shown)} columns")


def _aliased(context: Context, node: queries.Aliased) -> Relation:
    made = relation(context, node.relation)
    check_names(context, node, made, node.columns)
    return Relation(made.sql, made.named(node.name, node.columns))


def _derived(context: Context, node: queries.Derived) -> Relation:
    from rheo_assets.platforms.local.presto.translation.selects import query

    made, alias = query(context, node.query), context.fresh("r")
    word = "LATERAL " if node.lateral else ""
    return _under(f"{word}({made.sql}) AS {alias}", made.fields, alias, None)


def _unnest(context: Context, node: queries.Unnest) -> Relation:
    """Returns a lateral query, which keeps the order of the elements."""
    alias = context.fresh("u")
    columns: list[str] = []
    fields: list[Field] = []
    lengths: list[str] = []
    for item in node.items:
        value = context.value(item)
        if value.type == kinds.UNKNOWN or value.type.name not in {"array", "map"}:
            raise context.wrong(item, f"UNNEST takes arrays and maps, {context.text(item)} is {value.type}")
        parts = _parts(context, value)
        lengths.append(
            f"len({value.sql})" if value.type.name == "array" else f"CAST(cardinality({value.sql}) AS BIGINT)"
        )
        for written, sql, kind in parts:
            name = f"c{len(columns)}"
            columns.append(f"unnest({sql}) AS {name}")
            fields.append(Field(written, kind, f"{alias}.{name}"))
    if node.ordinality:
        longest = f"greatest({', '.join(lengths)})"
        columns.append(f"unnest(generate_series(1, {longest})) AS ordinality")
        fields.append(Field(None, kinds.BIGINT, f"{alias}.ordinality"))
    return Relation(f"LATERAL (SELECT {', '.join(columns)}) AS {alias}", tuple(fields))


def _parts(context: Context, value: Value) -> list[tuple[str | None, str, kinds.Type]]:
    if value.type.name == "map":
        key, item = value.type.args
        return [(None, f"map_keys({value.sql})", key), (None, f"map_values({value.sql})", item)]
    (element,) = value.type.args
    if element.name != "row":
        return [(None, value.sql, element)]
    name = context.fresh("x")
    return [
        (written, f"list_transform({value.sql}, lambda {name}: ({name}).{quoted(key)})", kind)
        for (key, kind), (written, _) in zip(element.fields, element.args, strict=True)
    ]


def _join(context: Context, node: queries.Join) -> Relation:
    left = relation(context, node.left)
    with context.scoped(Scope(left.fields, context.scope)) if _sees_left(node.right) else context.scoped(context.scope):
        right = relation(context, node.right)
    fields = (*left.fields, *right.fields)
    if node.kind == "cross":
        return Relation(f"{left.sql} CROSS JOIN {right.sql}", fields)
    if node.using:
        return _using(context, node, left, right)
    assert node.on is not None
    if _sees_left(node.right) and not _is_true(node.on):
        raise context.not_available(
            node, "a LATERAL or UNNEST join with another condition than ON TRUE", "filter in WHERE"
        )
    if _sees_left(node.right) and node.kind != "inner":
        return _lateral(context, node, left, right)
    if node.kind != "inner" and any(isinstance(each, queries.Query) for each in node.on.walk()):
        raise context.not_available(
            node, "an outer join with a query in its condition", "compute it in a subquery first"
        )
    with context.scoped(Scope(fields, context.scope)):
        condition = comparisons.boolean(context, node.on)
    return Relation(f"{left.sql} {node.kind.upper()} JOIN {_nested(right, node.right)} ON {condition}", fields)


def _nested(right: Relation, node: tree.Node) -> str:
    return f"({right.sql})" if isinstance(node, queries.Join) else right.sql


def _lateral(context: Context, node: queries.Join, left: Relation, right: Relation) -> Relation:
    if node.kind != "left":
        raise context.not_available(
            node, f"a {node.kind.upper()} JOIN of LATERAL or UNNEST", "use LEFT JOIN or CROSS JOIN"
        )
    if not isinstance(_inner(node.right), queries.Unnest):
        raise context.not_available(node, "LEFT JOIN LATERAL", "use CROSS JOIN LATERAL, or a join of a query")
    return Relation(f"{left.sql} LEFT JOIN {right.sql} ON true", (*left.fields, *right.fields))


def _inner(node: tree.Node) -> tree.Node:
    return node.relation if isinstance(node, queries.Aliased) else node


def _sees_left(node: tree.Node) -> bool:
    inner = _inner(node)
    return isinstance(inner, queries.Unnest) or (isinstance(inner, queries.Derived) and inner.lateral)


def _is_true(node: tree.Node) -> bool:
    return isinstance(node, tree.Constant) and node.text == "true"


def _using(context: Context, node: queries.Join, left: Relation, right: Relation) -> Relation:
    """Returns a join whose shared columns come first, once, and have no qualifier."""
    shared, conditions, used = [], [], set()
    for name in node.using:
        pair = []
        for side in (left, right):
            hits = [each for each in side.fields if each.name == name]
            if len(hits) != 1:
                raise context.wrong(node, f"the column {name!r} of USING is {'missing' if not hits else 'ambiguous'}")
            pair.append(hits[0])
        kind = common(pair[0].type, pair[1].type)
        if kind is None:
            raise context.mismatch(node, "=", pair[0].type, pair[1].type)
        values = [Value(each.sql, each.type) for each in pair]
        conditions.append(comparisons.compared(context, node, "=", *values))
        a, b = (casts.coerce(context, node, value, kind).sql for value in values)
        sql = {"inner": a, "left": a, "right": b}.get(node.kind, f"coalesce({a}, {b})")
        shared.append(Field(name, kind, sql))
        used |= {each.sql for each in pair}
    rest = tuple(each for each in (*left.fields, *right.fields) if each.sql not in used)
    sql = f"{left.sql} {node.kind.upper()} JOIN {_nested(right, node.right)} ON {' AND '.join(conditions)}"
    return Relation(sql, (*shared, *rest))
