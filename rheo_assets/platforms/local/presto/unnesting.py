"""`CROSS JOIN UNNEST(…) WITH ORDINALITY AS t(…)` as a lateral subquery, which keeps the order of the elements."""

from __future__ import annotations

from sqlglot import exp

from rheo_assets.platforms.local.presto.calls import Node, call, macro, shown
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available


def unnest(node: Node) -> None:
    """Replaces one UNNEST of a FROM clause."""
    if not isinstance(node.parent, (exp.Join, exp.From)):
        raise not_available("UNNEST outside FROM", "write CROSS JOIN UNNEST(…) AS t(…)")
    alias = node.args.get("alias")
    names = list(alias.columns) if alias else []
    ordinality = node.args.get("offset")
    if isinstance(ordinality, exp.Identifier):  # sqlglot takes its name out of the alias
        names.append(ordinality)
        alias.set("columns", names)
    if not names or not alias.this:
        raise Refusal(f"{shown(node)} needs names for its columns here: UNNEST(…) AS t(a, b)")
    arrays = node.expressions
    width = len(names) - bool(ordinality)
    if width == len(arrays):
        columns = [call("unnest", array) for array in arrays]
    elif len(arrays) == 1 and width > 1:
        # A map's keys and values, or the fields of an array of rows.
        columns = [
            call("unnest", macro("entries", arrays[0]) if width == 2 else arrays[0], exp.Var(this="max_depth := 2"))
        ]
    else:
        raise not_available(f"UNNEST of {len(arrays)} values into {width} columns", "unnest the maps one by one")
    if ordinality:
        longest = call("greatest", *(call("len", column.expressions[0].copy()) for column in columns))
        columns.append(call("unnest", call("generate_series", exp.Literal.number(1), longest)))
    rows = exp.Subquery(this=exp.Select(expressions=columns))
    if isinstance(node.parent, exp.From):
        rows.set("alias", alias)
        node.replace(rows)
    else:
        node.replace(exp.Lateral(this=rows, alias=alias))
