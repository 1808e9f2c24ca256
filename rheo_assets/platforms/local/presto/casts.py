"""Casts: Trino's rules where DuckDB's are laxer."""

from __future__ import annotations

import re

from sqlglot import exp

from rheo_assets.platforms.local.presto.calls import Node, call, macro
from rheo_assets.platforms.local.presto.dialect import TYPES
from rheo_assets.platforms.local.presto.refusals import Refusal

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INT", "BIGINT"})
_TEXTS = frozenset({"VARCHAR", "CHAR"})
_TIMES = frozenset({"TIME", "TIMESTAMP", "TIMESTAMPTZ"})
_ZONED = re.compile(r"\d\s*([+-]\d{1,2}:\d{2}|[A-Za-z][\w/+\-]*)\s*$")


def check_type(node: Node) -> None:
    """Refuses a type that Athena's queries do not have."""
    if node.this.name not in TYPES:
        remedy = {"TEXT": "varchar", "NVARCHAR": "varchar"}.get(node.this.name)
        name = {"TEXT": "string"}.get(node.this.name, str(node.this.name).lower())
        raise Refusal(
            f"the type {name} is not a type of Athena's queries"
            + (f": write {remedy}" if remedy else " (known: varchar, integer, bigint, double, decimal(p,s), date, …)")
        )


def rewrite(node: Node) -> None:
    """Replaces a cast that DuckDB would do otherwise than Trino."""
    for inner in node.to.find_all(exp.DataType):
        if inner.this.name in _TIMES:
            inner.set("expressions", [])  # DuckDB's timestamp(0) is another type
    kind, value = node.to.this.name, node.this
    literal = isinstance(value, exp.Literal)
    if kind == "TIMESTAMP" and literal and _ZONED.search(value.name):
        node.set("to", exp.DataType.build("TIMESTAMPTZ", dialect="duckdb"))
    elif kind == "JSON":
        node.replace(call("to_json", value))
    elif kind in _TEXTS:
        text = macro("varchar", value)
        length = node.to.expressions
        node.replace(call("left", text, exp.Literal.number(length[0].name)) if length else text)
    elif kind in _INTEGERS and not (literal and value.is_int):
        node.set("this", macro("integer_text", value))
