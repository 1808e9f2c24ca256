"""Athena's SQL as sqlglot reads it here: functions keep the name the user wrote, so that none is guessed."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.tokens import TokenType

_WITH_GRAMMAR = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")
_WITHOUT_PARENTHESES = (
    TokenType.CURRENT_DATE,
    TokenType.CURRENT_TIMESTAMP,
    TokenType.LOCALTIMESTAMP,
)


class LocalAthena(Trino):  # type: ignore[misc]  # sqlglot is not followed by mypy
    """Reads Trino's SQL; only what has a grammar of its own (`CAST(x AS t)`) becomes a typed function."""

    INDEX_OFFSET = 0  # subscripts stay as the user wrote them

    class Parser(Trino.Parser):  # type: ignore[misc]
        """Trino's parser without its table of functions."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: Trino.Parser.FUNCTION_PARSERS[name] for name in _WITH_GRAMMAR
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {
            token: Trino.Parser.NO_PAREN_FUNCTIONS[token] for token in _WITHOUT_PARENTHESES
        }


# What a statement may be made of. Anything else that sqlglot understands belongs to other dialects.
GRAMMAR: frozenset[type[Any]] = frozenset(
    {
        # queries
        exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join,
        exp.Where, exp.Group, exp.GroupingSets, exp.Rollup, exp.Cube, exp.Having, exp.Order, exp.Ordered, exp.Limit,
        exp.Offset, exp.Fetch, exp.LimitOptions, exp.Distinct, exp.Values, exp.Tuple, exp.Table, exp.TableAlias,
        exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Unnest, exp.Lateral, exp.Paren,
        # values
        exp.Literal, exp.Null, exp.Boolean, exp.Array, exp.Bracket, exp.Interval, exp.Var, exp.DataType,
        exp.DataTypeParam, exp.ColumnDef, exp.Dot, exp.Lambda,
        # operators
        exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ,
        exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.Escape, exp.NullSafeEQ,
        exp.NullSafeNEQ, exp.Exists, exp.Any, exp.All, exp.Case, exp.If, exp.AtTimeZone,
        # functions with a grammar of their own
        exp.Cast, exp.TryCast, exp.Extract, exp.Trim, exp.StrPosition, exp.Substring, exp.CurrentDate,
        exp.CurrentTimestamp, exp.Localtimestamp, exp.Anonymous, exp.Filter, exp.WithinGroup, exp.Window,
        exp.WindowSpec, exp.IgnoreNulls, exp.RespectNulls,
    }
)  # fmt: skip

# The types of Athena's DML. `string`, `int[]` and the like belong to its DDL or to other engines.
TYPES: frozenset[str] = frozenset(
    {
        "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "CHAR", "VARBINARY",
        "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "ARRAY", "MAP", "STRUCT", "JSON", "UUID", "INTERVAL",
    }
)  # fmt: skip
