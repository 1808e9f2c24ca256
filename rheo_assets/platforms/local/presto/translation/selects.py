"""Queries: each as a relation with named, typed columns."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.analysis.scope import Field, Relation, Scope, Value
from rheo_assets.platforms.local.presto.syntax import queries, tree
from rheo_assets.platforms.local.presto.translation import casts, comparisons, grouping, relations
from rheo_assets.platforms.local.presto.translation.calls import is_aggregate
from rheo_assets.platforms.local.presto.translation.context import Context
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import common
from rheo_assets.platforms.local.presto.types.kinds import ZONED, Type
from rheo_assets.platforms.local.presto.types.storage import quoted, stored


def query(context: Context, node: tree.Node) -> Relation:
    """Returns a query or a body of one; its columns are named by their place in the SQL of the fields."""
    if isinstance(node, queries.Query):
        return _query(context, node)
    if isinstance(node, queries.Select):
        return _select(context, node, None)
    if isinstance(node, queries.SetOperation):
        return _set_operation(context, node)
    if isinstance(node, queries.Values):
        return _values(context, node)
    assert isinstance(node, queries.TableRows)
    inner = relations.relation(context, node.table)
    columns = [(each.name, Value(each.sql, each.type)) for each in inner.fields if not each.hidden]
    return _projected(columns, f" FROM {inner.sql}")


def _query(context: Context, node: queries.Query) -> Relation:
    scope = Scope(parent=context.scope, relations={})
    with context.scoped(scope):
        for each in node.tables:
            if each.name in scope.relations:
                raise context.wrong(each, f"the WITH query {each.name!r} is given twice")
            made = query(context, each.query)
            relations.check_names(context, each, made, each.columns)
            fields = tuple(
                Field(name, field.type, field.sql)
                for field, name in zip(made.fields, each.columns or [f.name for f in made.fields], strict=True)
            )
            assert isinstance(scope.relations, dict)
            scope.relations[each.name] = Relation(made.sql, fields)
        made = _ordered(context, node)
    context.scope.outer = context.scope.outer or scope.outer
    return made


def _ordered(context: Context, node: queries.Query) -> Relation:
    if isinstance(node.body, queries.Select) and node.order:
        made = _select(context, node.body, node)
    else:
        made = query(context, node.body)
        if node.order:
            fields = tuple(Field(each.name, each.type, each.sql) for each in made.fields)
            with context.scoped(Scope(fields, context.scope)):
                order = ", ".join(_sort_key(context, item, made.fields, ()) for item in node.order)
            made = Relation(f"SELECT * FROM ({made.sql}) ORDER BY {order}", made.fields)
    limit = _limit(context, node)
    if not limit:
        return made
    return Relation(f"SELECT * FROM ({made.sql}){limit}" if not node.order else made.sql + limit, made.fields)


def _limit(context: Context, node: queries.Query) -> str:
    if node.ties:
        raise context.not_available(node, "FETCH … WITH TIES", "use rank() in a subquery")
    found = ""
    for word, value in (("LIMIT", node.limit), ("OFFSET", node.offset)):
        if value is None:
            continue
        if not (isinstance(value, tree.Constant) and value.kind == "integer"):
            raise context.wrong(value, f"{word} takes a whole number")
        found += f" {word} {int(value.text)}"
    return found


def _projected(columns: list[tuple[str | None, Value]], rest: str, distinct: bool = False) -> Relation:
    """Returns a SELECT of columns, each with a name that is its own."""
    used: set[str] = set()
    parts, fields = [], []
    for index, (name, value) in enumerate(columns):
        key = name or f"_col{index}"
        while key in used:
            key += f"_{index}"
        used.add(key)
        sql = f"CAST(NULL AS {stored(value.type)})" if value.type == kinds.UNKNOWN else value.sql
        parts.append(f"{sql} AS {quoted(key)}")
        fields.append(Field(name, value.type, quoted(key)))
    word = "SELECT DISTINCT" if distinct else "SELECT"
    return Relation(f"{word} {', '.join(parts)}{rest}", tuple(fields))


def _values(context: Context, node: queries.Values) -> Relation:
    rows = []
    for item in node.rows:
        if isinstance(item, tree.Row):
            rows.append([context.value(each) for each in item.items])
            continue
        value = context.value(item)
        if value.type.name == "row":
            rows.append([Value(f"({value.sql}).{quoted(key)}", kind) for key, kind in value.type.fields])
        else:
            rows.append([value])
    if len({len(row) for row in rows}) != 1:
        raise context.wrong(node, "the rows of VALUES have different numbers of columns")
    types = []
    for column in zip(*rows, strict=True):
        kind: Type | None = kinds.UNKNOWN
        for value in column:
            kind = None if kind is None else common(kind, value.type)
        if kind is None:
            shown = ", ".join(dict.fromkeys(str(value.type) for value in column))
            raise context.wrong(node, f"a column of VALUES has values of different types: {shown}")
        types.append(kind)
    listed = ", ".join(
        "(" + ", ".join(_exactly(context, node, value, kind) for value, kind in zip(row, types, strict=True)) + ")"
        for row in rows
    )
    names = [f"_col{index}" for index in range(len(types))]
    fields = tuple(Field(None, kind, quoted(name)) for name, kind in zip(names, types, strict=True))
    columns = ", ".join(map(quoted, names))
    return Relation(f"SELECT * FROM (VALUES {listed}) AS {context.fresh('v')}({columns})", fields)


def _exactly(context: Context, node: tree.Node, value: Value, kind: Type) -> str:
    sql = casts.coerce(context, node, value, kind).sql
    return f"CAST({sql} AS {stored(kind)})"


def _set_operation(context: Context, node: queries.SetOperation) -> Relation:
    left, right = query(context, node.left), query(context, node.right)
    if len(left.fields) != len(right.fields):
        raise context.wrong(
            node,
            f"the queries of {node.kind} have different numbers of columns: {len(left.fields)}, {len(right.fields)}",
        )
    types = []
    for a, b in zip(left.fields, right.fields, strict=True):
        kind = common(a.type, b.type)
        if kind is None:
            raise context.wrong(node, f"the column {a.name!r} of {node.kind} is {a.type} and {b.type}")
        if kind.name in {"map", ZONED} and not node.all:
            raise context.not_available(node, f"{node.kind} of {kind}", "CAST it to varchar first")
        types.append(kind)
    sides = [_as_types(context, node, side, types, left.fields) for side in (left, right)]
    word = f"{node.kind}{' ALL' if node.all else ''}"
    fields = tuple(Field(a.name, kind, a.sql) for a, kind in zip(left.fields, types, strict=True))
    return Relation(f"SELECT * FROM (({sides[0]}) {word} ({sides[1]}))", fields)


def _as_types(context: Context, node: tree.Node, side: Relation, types: list[Type], names: tuple[Field, ...]) -> str:
    parts = (
        f"{_exactly(context, node, Value(each.sql, each.type), kind)} AS {target.sql}"
        for each, kind, target in zip(side.fields, types, names, strict=True)
    )
    return f"SELECT {', '.join(parts)} FROM ({side.sql})"


# SELECT.


def _select(context: Context, node: queries.Select, outer: queries.Query | None) -> Relation:
    source = relations.relation(context, node.source) if node.source is not None else Relation("", ())
    scope = Scope(source.fields, context.scope, windows=dict(node.windows))
    with context.scoped(scope):
        rest = f" FROM {source.sql}" if node.source is not None else ""
        if node.where is not None:
            _no_aggregates(context, node.where, "WHERE")
            rest += f" WHERE {comparisons.boolean(context, node.where)}"
        columns = node.columns
        sorts = outer.order if outer is not None else ()
        if _is_grouped(node, sorts):
            rest += grouping.group_by(context, node, scope)
        if node.having is not None:
            rest += f" HAVING {comparisons.boolean(context, node.having)}"
        listed = _columns(context, columns)
        made = _projected(listed, rest, node.distinct)
        if node.distinct:
            _check_distinct(context, node, made)
        if not sorts:
            return _finished(context, scope, made)
        order = _order(context, scope, node, sorts, listed, made)
        return _finished(context, scope, Relation(f"{made.sql} ORDER BY {order}", made.fields))


def _finished(context: Context, scope: Scope, made: Relation) -> Relation:
    if scope.outer and scope.parent is not None:
        scope.parent.outer = scope.parent.outer or False
    return made


def _check_distinct(context: Context, node: queries.Select, made: Relation) -> None:
    for each in made.fields:
        if each.type.name in {"map"}:
            raise context.not_available(node, f"SELECT DISTINCT of {each.type}", "CAST it to varchar or json first")


def _is_grouped(node: queries.Select, sorts: tuple[tree.SortItem, ...]) -> bool:
    if node.groups is not None or node.having is not None:
        return True
    parts: list[tree.Node] = [*node.columns, *sorts]
    return any(grouping.aggregates_in(part, is_aggregate) for part in parts)


def _no_aggregates(context: Context, node: tree.Node, clause: str) -> None:
    if grouping.aggregates_in(node, is_aggregate):
        raise context.wrong(node, f"{clause} has no aggregates: {context.text(node)}")
    if any(isinstance(each, tree.Call) and each.over is not None for each in grouping.walk(node)):
        raise context.wrong(node, f"{clause} has no window functions: {context.text(node)}")


def _columns(context: Context, columns: tuple[tree.Node, ...]) -> list[tuple[str | None, Value]]:
    found: list[tuple[str | None, Value]] = []
    for column in columns:
        if isinstance(column, queries.AllColumns):
            found += _all_columns(context, column)
            continue
        assert isinstance(column, queries.Column)
        found.append((column.alias or _own_name(column.value), context.value(column.value)))
    return found


def _own_name(node: tree.Node) -> str | None:
    return node.name if isinstance(node, (tree.Name, tree.Field)) else None


def _all_columns(context: Context, node: queries.AllColumns) -> list[tuple[str | None, Value]]:
    scope = context.scope
    if node.base is None:
        if not scope.fields:
            raise context.wrong(node, "SELECT * needs a FROM")
        chosen = [each for each in scope.fields if not each.hidden]
    elif isinstance(node.base, tree.Name) and scope.knows_relation(node.base.name):
        alias = node.base.name
        chosen = [each for each in _fields_of(scope, alias) if not each.hidden]
    else:
        return _row_columns(context, node)
    names: tuple[str | None, ...] = node.aliases or tuple(each.name for each in chosen)
    if len(names) != len(chosen):
        raise context.wrong(node, f"{len(names)} names for {len(chosen)} columns")
    found: list[tuple[str | None, Value]] = []
    for each, name in zip(chosen, names, strict=True):
        if scope.keys is not None and each.sql not in scope.keys:
            raise context.wrong(node, f"{each.name} must be an aggregate expression or appear in GROUP BY")
        found.append((name, Value(each.sql, each.type)))
    return found


def _fields_of(scope: Scope | None, alias: str) -> list[Field]:
    while scope is not None:
        found = [each for each in scope.fields if each.relation == alias]
        if found:
            return found
        scope = scope.parent
    return []


def _row_columns(context: Context, node: queries.AllColumns) -> list[tuple[str | None, Value]]:
    assert node.base is not None
    value = context.value(node.base)
    if value.type.name != "row":
        raise context.wrong(node, f"{context.text(node.base)} is {value.type}, which has no fields")
    names = node.aliases or tuple(name for name, _ in value.type.args)
    if len(names) != len(value.type.args):
        raise context.wrong(node, f"{len(names)} names for {len(value.type.args)} fields")
    pairs = zip(names, value.type.fields, strict=True)
    return [(name, Value(f"({value.sql}).{quoted(key)}", kind)) for name, (key, kind) in pairs]


# ORDER BY.


def _order(
    context: Context,
    scope: Scope,
    node: queries.Select,
    sorts: tuple[tree.SortItem, ...],
    listed: list[tuple[str | None, Value]],
    made: Relation,
) -> str:
    output = {name: value for name, value in listed if name is not None}
    twice = {name for name in output if len({v.sql for n, v in listed if n == name}) > 1}
    written = [column.value for column in node.columns if isinstance(column, queries.Column)]
    scope.names = {**scope.names, **{name: value for name, value in output.items() if name not in twice}}
    found = []
    for item in sorts:
        if isinstance(item.value, tree.Name) and item.value.name in twice:
            raise context.wrong(item, f"the column {item.value.name!r} is ambiguous in ORDER BY")
        if node.distinct and not _is_listed(item, written, output, listed):
            if not isinstance(item.value, tree.Field):
                raise context.wrong(
                    item, f"{context.text(item)} is not in the list of SELECT DISTINCT, which ORDER BY needs"
                )
            value = context.value(item.value)
            if value.sql not in {each.sql for _, each in listed}:
                raise context.wrong(
                    item, f"{context.text(item)} is not in the list of SELECT DISTINCT, which ORDER BY needs"
                )
        found.append(_sort_key(context, item, made.fields, tuple(value for _, value in listed)))
    return ", ".join(found)


def _is_listed(
    item: tree.SortItem, written: list[tree.Node], output: dict[str, Value], listed: list[tuple[str | None, Value]]
) -> bool:
    if isinstance(item.value, tree.Constant) and item.value.kind == "integer":
        return True
    if isinstance(item.value, tree.Name):
        return item.value in written or item.value.name in output
    # Inside an expression, a name of the SELECT list stands for that column, not for the one in FROM.
    if any(isinstance(each, tree.Name) and each.name in output for each in item.value.walk()):
        return False
    return item.value in written


def _sort_key(context: Context, item: tree.SortItem, fields: tuple[Field, ...], values: tuple[Value, ...]) -> str:
    direction = f"{' DESC' if item.descending else ' ASC'} NULLS {'FIRST' if item.nulls_first else 'LAST'}"
    if isinstance(item.value, tree.Constant) and item.value.kind == "integer":
        position = int(item.value.text)
        if not 1 <= position <= len(fields):
            raise context.wrong(item, f"ORDER BY {position}: there are {len(fields)} columns")
        kind = fields[position - 1].type
        sql = str(position)
    else:
        value = context.value(item.value)
        kind, sql = value.type, value.sql
        places = [index for index, each in enumerate(values) if each.sql == sql]
        sql = str(places[0] + 1) if places else sql
        if kind == kinds.UNKNOWN or (sql.isdigit() and not places):
            sql = "CAST(NULL AS INTEGER)" if kind == kinds.UNKNOWN else f"({sql} + 0)"
    if kind.name in {"map", "json"}:
        raise context.wrong(item, f"{context.text(item)} is {kind}, which has no order")
    return f"{sql}{direction}"
