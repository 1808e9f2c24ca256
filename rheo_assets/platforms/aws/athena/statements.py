"""The statements of a task as Athena gets them: the last one unloads its result into the output."""

from __future__ import annotations

import re
from typing import Final

from rheo_assets.model.compute.statements import split_statements
from rheo_assets.platforms.local.presto.execution import parameters
from rheo_assets.platforms.local.presto.parameters import Query, fill
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.script import parse
from rheo_assets.runner.task import Task, TaskOutput

_FORMATS: Final = {"parquet": "PARQUET", "json": "JSON", "csv": "TEXTFILE", "orc": "ORC"}


def statements_of(task: Task) -> list[str]:
    """Returns the statements of a task as Athena gets them: the last one unloads its result into the output.

    Raises:
        Refusal: There is none, the last one answers nothing, or the output's format is one that Athena cannot write.
    """
    *before, last = _filled(task)
    return [*before, f"UNLOAD (\n{last}\n) TO '{task.output.path}/' WITH ({_unload_options(task.output)})"]


def query_of(task: Task) -> str:
    """Returns the query whose result is the output, as the user wrote it but for its parameters.

    Of CREATE TABLE … AS and of UNLOAD it is the query in them, as in the local engine.

    Raises:
        Refusal: There is none.
    """
    return _filled(task)[-1]


def _filled(task: Task) -> list[str]:
    statements = split_statements(fill(task.code, parameters(task)).text)
    if not statements:
        raise Refusal("the query is empty: write a SELECT")
    *before, last = (statement.strip().rstrip(";") for statement in statements)
    return [*before, _query(last, task.output)]


def _query(last: str, output: TaskOutput) -> str:
    hit = re.match(r"\s*(?:--[^\n]*\n\s*)*\(*\s*(\w+)", last)
    word = hit[1].upper() if hit is not None else ""
    if word in {"SELECT", "WITH", "VALUES", "TABLE"}:
        return last
    statement = parse(Query(last, last))[0] if word in {"CREATE", "UNLOAD"} else None
    if statement is None or statement.kind == "view":
        raise Refusal("the last statement has no result for the node's output: end with a SELECT")
    location = statement.location or str(statement.properties.get("external_location", ""))
    if location and location.rstrip("/") != output.final.rstrip("/"):
        raise Refusal(f"the last statement writes to {location}, not to the node's output: end with a SELECT")
    return statement.text


def _unload_options(output: TaskOutput) -> str:
    options = [f"format = '{_FORMATS[output.format]}'"]
    if output.format in {"parquet", "orc"}:
        options.append(f"compression = '{str(output.options.get('compression') or 'SNAPPY').upper()}'")
    if output.format == "csv":
        delimiter = str(output.options.get("delimiter") or ",").replace("'", "''")
        options.append(f"field_delimiter = '{delimiter}'")
    return ", ".join(options)
