"""The few ways in which a DuckDB expression is built."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from rheo_assets.platforms.local.presto.macros import PREFIX
from rheo_assets.platforms.local.presto.refusals import not_available

Node = Any  # sqlglot is not followed by mypy


def call(name: str, *args: Node) -> Node:
    """Returns a call that is written to DuckDB as it stands."""
    return exp.Anonymous(this=name, expressions=list(args))


def macro(name: str, *args: Node) -> Node:
    """Returns a call of one of our macros."""
    return call(PREFIX + name, *args)


def cast(value: Node, kind: str) -> Node:
    """Returns a plain cast."""
    return exp.Cast(this=value, to=exp.DataType.build(kind, dialect="duckdb"))


def text(value: str) -> Node:
    """Returns a string literal."""
    return exp.Literal.string(value)


def record(**fields: Node) -> Node:
    """Returns a DuckDB struct."""
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(name), expression=value) for name, value in fields.items()]
    )


def shown(node: Node) -> str:
    """Returns a piece of SQL for a message, shortened."""
    sql = str(node.sql("trino", unsupported_level=ErrorLevel.IGNORE))
    return sql if len(sql) <= 80 else sql[:79] + "…"


def text_of(node: Node, what: str) -> str:
    """Returns the text of a literal.

    Raises:
        Refusal: The node is computed.
    """
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise not_available(f"a computed {what}", "write it as a 'literal'")
