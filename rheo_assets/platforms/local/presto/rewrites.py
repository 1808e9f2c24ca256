"""Turns the tree of a Trino query into DuckDB's SQL with the same answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from rheo_assets.platforms.local.presto import casts, unnesting
from rheo_assets.platforms.local.presto.calls import Node, call, cast, macro, shown, text
from rheo_assets.platforms.local.presto.dialect import GRAMMAR
from rheo_assets.platforms.local.presto.functions import FUNCTIONS, OF_INSTANTS
from rheo_assets.platforms.local.presto.refusals import Refusal, listing, near_misses, not_available

PATH = "$path"
_IGNORES_NULLS = frozenset({"lag", "lead", "first_value", "last_value", "nth_value"})
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
# What sqlglot reads for other dialects, and would pass on to DuckDB or drop.
_OF_OTHER_DIALECTS: Mapping[type[Node], tuple[str, ...]] = {
    exp.Group: ("all", "totals"),
    exp.Star: ("except_", "except", "replace", "rename"),
    exp.Distinct: ("on",),
    exp.Union: ("by_name", "side", "kind"),
    exp.Except: ("by_name", "side", "kind"),
    exp.Intersect: ("by_name", "side", "kind"),
    exp.LimitOptions: ("percent", "with_ties"),
    exp.Select: ("hint", "kind", "into", "sample", "pivots", "match", "prewhere", "sort", "cluster", "distribute"),
    exp.Join: ("match_condition", "global_", "hint"),
    exp.Between: ("symmetric",),
}
_EXTRACTED = {
    **{unit: unit.lower() for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "DOY")},
    **dict.fromkeys(("DOW", "DAY_OF_WEEK", "DAYOFWEEK"), "isodow"),
    **dict.fromkeys(("YOW", "YEAR_OF_WEEK"), "isoyear"),
    "DAY_OF_MONTH": "day",
    "DAY_OF_YEAR": "doy",
}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A query in DuckDB's SQL.

    Attributes:
        candidates: The spellings to try, best first: unnested may be maps or arrays of rows, which only the types
            tell.
        warnings: Where Athena might answer otherwise.
    """

    candidates: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def tables_of(tree: Node) -> set[str]:
    """Returns the names of the tables that the query reads, in lower case, without its own `WITH` names."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return {table.name.lower() for table in tree.find_all(exp.Table)} - own


def reads_path(tree: Node) -> bool:
    """Returns whether the query reads the hidden column `"$path"`."""
    return any(column.name == PATH for column in tree.find_all(exp.Column))


def to_duckdb(tree: Node, tables: Collection[str]) -> Rewritten:
    """Returns the query in DuckDB's SQL.

    Args:
        tree: The query; it is changed.
        tables: The tables there are.

    Raises:
        Refusal: The query uses what the local Athena does not have.
    """
    _check(tree, tables)
    warnings = _decimal_warnings(tree)
    hides_path = reads_path(tree)
    if isinstance(tree, exp.Values):
        columns = [f"_col{index}" for index in range(len(tree.expressions[0].expressions))]
        tree.set("alias", exp.TableAlias(this=exp.to_identifier("t"), columns=[exp.to_identifier(c) for c in columns]))
        tree = exp.select("*").from_(tree)
    _name_columns(tree)
    warnings += _zone_warnings(tree)
    zoned = {alias.alias.lower() for alias in tree.find_all(exp.Alias) if isinstance(alias.this, exp.AtTimeZone)}
    # Reversed, so that a node's own parts are done before it.
    for node in reversed(list(tree.dfs())):
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(node)
        elif isinstance(node, _COMPARISONS) and zoned:
            _check_instants(node, zoned)
        elif isinstance(node, exp.Star) and hides_path and isinstance(node.parent, (exp.Select, exp.Column)):
            _hide_path(node)
    return Rewritten(tuple(_candidates(tree)), warnings)


def _candidates(tree: Node) -> Iterator[str]:
    unnested: Node = [node for node in tree.find_all(exp.Anonymous) if node.name == "athena_entries"]
    for spelling in itertools.product(("map_entries", ""), repeat=min(len(unnested), 6)):
        for index, node in enumerate(unnested):
            node.set("this", spelling[index] if index < len(spelling) else "map_entries")
        yield _sql(tree)


def _sql(tree: Node) -> str:
    try:
        return str(tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE))
    except SqlglotError as error:
        raise not_available("a part of the query", str(error)) from None


# What is refused.


def _check(tree: Node, tables: Collection[str]) -> None:
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    known = {name.lower() for name in tables}
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            _check_function(node)
        elif type(node) not in GRAMMAR:
            what = f"the function {node.sql_name().lower()}" if isinstance(node, exp.Func) else f"the syntax {node.key}"
            raise not_available(f"{what} ({shown(node)})")
        elif isinstance(node, exp.Table):
            _check_table(node, own | known, tables)
        elif isinstance(node, exp.DataType) and not isinstance(node.parent, exp.Interval):
            casts.check_type(node)
        elif isinstance(node, exp.Column) and node.name.startswith("$") and node.name != PATH:
            raise not_available(f'the hidden column "{node.name}"', 'of these there is "$path"')
        elif any(node.args.get(name) for name in _OF_OTHER_DIALECTS.get(type(node), ())):
            raise not_available(f"this form of {node.key.upper()}: {shown(node)}")
        elif isinstance(node, exp.Join) and node.args.get("method", "") not in {"", "NATURAL"}:
            raise not_available(f"a {node.args['method']} JOIN")
        elif isinstance(node, exp.Join) and node.args.get("kind", "") not in {"", "INNER", "OUTER", "CROSS"}:
            raise not_available(f"a {node.args['kind']} JOIN")
        elif isinstance(node, exp.Lateral) and not isinstance(node.this, exp.Subquery):
            raise not_available(f"LATERAL {shown(node.this)}", "write CROSS JOIN UNNEST(…) AS t(…)")


def _check_function(node: Node) -> None:
    name = node.name.lower()
    if name not in FUNCTIONS:
        raise not_available(f"the function {name}", near_misses(name, FUNCTIONS).strip())
    count = sum(len(arg.expressions) if isinstance(arg, exp.Distinct) else 1 for arg in node.expressions)
    FUNCTIONS[name].check(name, count)


def _check_table(node: Node, known: Collection[str], tables: Collection[str]) -> None:
    if isinstance(node.this, exp.Func):
        raise not_available(f"the table function {node.this.name.lower()}")
    if node.args.get("db") or node.args.get("catalog"):
        raise Refusal(
            f"the table {shown(node)} names a database: read the node's inputs by their aliases "
            f"({listing(sorted(tables))})"
        )
    if node.name.lower() not in known:
        raise Refusal(
            f"there is no table {node.name!r} (the inputs and tables are: {listing(sorted(tables))})."
            f"{near_misses(node.name, tables)}"
        )


def _check_instants(node: Node, zoned: Collection[str]) -> None:
    for side in node.args.values():
        if isinstance(side, exp.Column) and side.name.lower() in zoned:
            raise not_available(
                f"comparing {side.name!r}, which was made AT TIME ZONE,",
                "compare the time it was made of, or CAST it AS TIMESTAMP first",
            )


def _decimal_warnings(tree: Node) -> tuple[str, ...]:
    for division in tree.find_all(exp.Div):
        for literal in division.find_all(exp.Literal):
            if not literal.is_string and "." in literal.name and "e" not in literal.name.lower():
                return (
                    (
                        f"{shown(division)} divides a decimal: Athena rounds the result to the decimal's scale, "
                        "the local Athena answers a double. CAST to DOUBLE to have the same in both"
                    ),
                )
    return ()


def _zone_warnings(tree: Node) -> tuple[str, ...]:
    columns = tree.expressions if isinstance(tree, exp.Select) else ()
    names = [column.alias for column in columns if isinstance(column.unalias(), exp.AtTimeZone)]
    return tuple(
        f"the column '{name}' was made AT TIME ZONE: Athena keeps the zone, the local Athena the zone's wall clock"
        for name in names
    )


# What is changed.


def _name_columns(tree: Node) -> None:
    """Gives the columns of the result that have no name the one Athena gives them."""
    while not isinstance(tree, exp.Select):
        tree = tree.this
    for index, column in enumerate(tree.expressions):
        if isinstance(column, exp.Dot):
            column.replace(exp.alias_(column.copy(), column.expression.name))
        elif not isinstance(column, (exp.Alias, exp.Column, exp.Star)):
            column.replace(exp.alias_(column.copy(), f"_col{index}"))


def _function(node: Node) -> None:
    name = node.name.lower()
    function = FUNCTIONS[name]
    args, order = list(node.expressions), None
    if args and isinstance(args[-1], exp.Order):
        order = args[-1]
        args[-1] = order.this
    if name in OF_INSTANTS and args and isinstance(args[0], exp.Column):
        aliases = {a.alias.lower() for a in node.root().find_all(exp.Alias) if _is_zoned(a.this)}
        if args[0].name.lower() in aliases:
            raise not_available(
                f"{name} of {args[0].name!r}, which was made AT TIME ZONE,", "use the time it was made of"
            )
    made = function.build(*args)
    outer = node
    if isinstance(node.parent, exp.WithinGroup):
        outer = node.parent
        order = outer.expression
        made = call("string_agg", *args, *([text("")] if len(args) == 1 else []))
    if order is not None:
        made.set(
            "expressions", [*made.expressions[:-1], exp.Order(this=made.expressions[-1], expressions=order.expressions)]
        )
    outer.replace(made)
    if function.around:
        whole = made
        while isinstance(whole.parent, (exp.Filter, exp.Window)) and whole.arg_key == "this":
            whole = whole.parent
        whole.replace(macro(function.around, whole.copy()))


def _is_zoned(node: Node) -> bool:
    return isinstance(node, exp.AtTimeZone) or (isinstance(node, exp.Anonymous) and node.name == "timezone")


def _ignore_nulls(node: Node) -> None:
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() not in _IGNORES_NULLS:
        raise not_available(f"IGNORE NULLS of {shown(inner)}")
    *first, last = inner.expressions
    # DuckDB writes it inside the parentheses, which sqlglot does for its own functions only.
    node.replace(call(inner.name, *first, exp.Var(this=f"{last.sql('duckdb')} IGNORE NULLS")))


def _divide(node: Node) -> None:
    # `typed` would make sqlglot guess the types; DuckDB is set to divide integers as Trino does.
    node.set("typed", False)
    node.set("safe", False)
    _no_zero(node)


def _no_zero(node: Node) -> None:
    node.set("expression", macro("nonzero", node.expression))


def _shift(node: Node) -> None:
    """A date plus an interval of days is a date in Trino, a timestamp in DuckDB."""
    left, right = node.this, node.expression
    if isinstance(left, exp.Interval) == isinstance(right, exp.Interval):
        return
    value, interval = (right, left) if isinstance(left, exp.Interval) else (left, right)
    if isinstance(node, exp.Sub):
        interval = exp.Neg(this=exp.Paren(this=interval))
    node.replace(macro("shift", value, interval))


def _at_time_zone(node: Node) -> None:
    """Trino moves an instant into a zone; DuckDB has no zoned times: the wall clock of the zone stands for it."""
    instant = cast(node.this, "TIMESTAMPTZ")
    user = node.parent
    while isinstance(user, exp.Paren):
        user = user.parent
    of_instant = isinstance(user, exp.Anonymous) and user.name.lower() in OF_INSTANTS
    if of_instant or isinstance(user, (*_COMPARISONS, exp.AtTimeZone)):
        node.replace(instant)
    else:
        node.replace(call("timezone", node.args["zone"], instant))


def _extract(node: Node) -> None:
    unit = node.this.name.upper()
    if unit not in _EXTRACTED:
        raise not_available(f"EXTRACT({unit} FROM …)")
    node.set("this", exp.Var(this=_EXTRACTED[unit]))


def _substring(node: Node) -> None:
    length = [node.args["length"]] if node.args.get("length") else []
    node.replace(macro("substr", node.this, node.args.get("start") or exp.Literal.number(1), *length))


def _subscript(node: Node) -> None:
    node.replace(macro("subscript", node.this, *node.expressions))


def _hide_path(node: Node) -> None:
    """`*` does not read the hidden column."""
    qualifier = node.parent if isinstance(node.parent, exp.Column) else None
    prefix = f'"{qualifier.table}".' if qualifier is not None else ""
    (qualifier or node).replace(exp.Var(this=f"{prefix}* NOT LIKE '{PATH}'"))


_HANDLERS: Mapping[type[Node], Callable[[Node], None]] = {
    exp.Anonymous: _function,
    exp.IgnoreNulls: _ignore_nulls,
    exp.Div: _divide,
    exp.Mod: _no_zero,
    exp.Add: _shift,
    exp.Sub: _shift,
    exp.AtTimeZone: _at_time_zone,
    exp.Extract: _extract,
    exp.Substring: _substring,
    exp.Bracket: _subscript,
    exp.Unnest: unnesting.unnest,
    exp.Cast: casts.rewrite,
    exp.TryCast: casts.rewrite,
    exp.CurrentTimestamp: lambda node: node.replace(call("now")),
    exp.Localtimestamp: lambda node: node.replace(cast(call("now"), "TIMESTAMP")),
}
