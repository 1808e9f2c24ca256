"""The translated query, for people."""

from __future__ import annotations

from collections.abc import Mapping

from rheo_assets.platforms.local.presto import script
from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.translation.statements import translate
from rheo_assets.platforms.local.presto.types.kinds import Type


def explain_sql(sql: str, tables: Mapping[str, tuple[tuple[str, Type], ...]]) -> str:
    """Returns what DuckDB runs for the last statement of a query, with the columns' types before it.

    Args:
        sql: The query, with its parameters filled in.
        tables: The columns of the inputs, by their aliases in lower case.

    Raises:
        Refusal: The query cannot be run.
    """
    query = Query(sql, sql)
    translated = translate(query, script.parse(query)[-1].tree, tables)
    columns = "\n".join(f"-- {name or '(unnamed)'}: {kind}" for name, kind in translated.columns)
    return f"{columns}\n{translated.stored}"
