"""Outputs without rows keep their columns, whichever engine wrote them and whichever reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

EVERY_TYPE = """
    select true as t, cast(1 as tinyint) as i1, cast(1 as smallint) as i2, 1 as i4, cast(1 as bigint) as i8,
           cast(1 as real) as f4, cast(1 as double) as f8, cast(1.5 as decimal(10,2)) as d, 'x' as s,
           date '2024-01-01' as day, timestamp '2024-01-01 00:00:00' as at, array[1] as a,
           map(array['k'], array[1.5e0]) as m, cast(row(1, 'x') as row(p integer, q varchar)) as r
"""
ATHENA = {
    "t": "boolean", "i1": "tinyint", "i2": "smallint", "i4": "integer", "i8": "bigint", "f4": "real", "f8": "double",
    "d": "decimal(10,2)", "s": "varchar", "day": "date", "at": "timestamp(3)", "a": "array(integer)",
    "m": "map(varchar, double)", "r": "row(p integer, q varchar)",
}  # fmt: skip
SPARK = {
    **ATHENA, "i4": "int", "f4": "float", "s": "string", "at": "timestamp", "a": "array<int>",
    "m": "map<string,double>", "r": "struct<p:int,q:string>",
}  # fmt: skip


def presto(root: Path, sql: str, *inputs: TaskInput, output: TaskOutput | None = None) -> TaskResult:
    task = Task("made", "PRESTO_SQL", sql, inputs, output or TaskOutput("s3://lake/out/x"))
    return PrestoEngine(root).run(task, print, lambda: False)


def spark(engine: SparkEngine, sql: str, *inputs: TaskInput, output: TaskOutput | None = None) -> TaskResult:
    task = Task("made", "SPARK_SQL", sql, inputs, output or TaskOutput("s3://lake/out/y"))
    return engine.run(task, print, lambda: False)


def given(form: str, *days: str) -> TaskInput:
    options = {"header": False} if form == "csv" else {}
    paths = tuple(f"s3://lake/mid/{day}" for day in days)
    return TaskInput("mid", paths, format=form, options=options, partitions=tuple((day,) for day in days))


def middle(form: str, day: str) -> TaskOutput:
    return TaskOutput(f"s3://lake/mid/{day}", form, {"header": False} if form == "csv" else {})


def named(form: str, kinds: dict[str, str]) -> dict[str, str]:
    """The columns as they are read: those of a csv without a header have numbers."""
    return kinds if form == "json" else {f"_c{place}": kind for place, kind in enumerate(kinds.values())}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_presto_reads_its_own_empty_outputs_with_every_type(tmp_path: Path, form: str) -> None:
    presto(tmp_path, f"{EVERY_TYPE} where false", output=middle(form, "1"))
    result = presto(tmp_path, "select * from mid where \"$path\" like 's3%'", given(form, "1"))
    assert (result.rows, dict(result.schema), result.warnings) == (0, named(form, ATHENA), ())
    column = "i8" if form == "json" else "_c4"
    assert presto(tmp_path, f"select count(*) as n, sum({column}) as s from mid", given(form, "1")).preview == (
        {"n": 0, "s": None},
    )


@pytest.mark.spark
@pytest.mark.parametrize("form", ["json", "csv"])
def test_spark_reads_presto_s_empty_outputs_with_every_type(engine: SparkEngine, form: str) -> None:
    presto(engine.root, f"{EVERY_TYPE} where false", output=middle(form, "1"))
    result = spark(engine, "select * from mid", given(form, "1"))
    assert (result.rows, dict(result.schema)) == (0, named(form, SPARK))


@pytest.mark.spark
@pytest.mark.parametrize("form", ["json", "csv"])
def test_presto_reads_spark_s_empty_outputs_with_every_type(engine: SparkEngine, form: str) -> None:
    names = ("i8", "s", "day", "d") if form == "csv" else tuple(SPARK)
    columns = ", ".join(f"cast(null as {SPARK[name]}) as {name}" for name in names)
    spark(engine, f"select {columns} from range(0)", output=middle(form, "1"))
    result = presto(engine.root, "select * from mid", given(form, "1"))
    assert result.rows == 0
    assert dict(result.schema) == named(form, {name: ATHENA[name] for name in names})


def test_an_empty_partition_among_filled_ones_adds_nothing_and_is_not_called_absent(tmp_path: Path) -> None:
    presto(tmp_path, "select 1 as a where false", output=middle("json", "1"))
    presto(tmp_path, "select 1 as a", output=middle("json", "2"))
    result = presto(tmp_path, "select * from mid", given("json", "1", "2"))
    assert (result.rows, result.warnings) == (1, ())


def test_rows_that_replace_an_empty_output_leave_no_columns_behind(tmp_path: Path) -> None:
    presto(tmp_path, "select 1 as a where false", output=middle("json", "1"))
    presto(tmp_path, "select 'x' as b", output=middle("json", "1"))
    assert presto(tmp_path, "select * from mid", given("json", "1")).preview == ({"b": "x"},)
    assert [path.name for path in (tmp_path / "s3/lake/mid/1").iterdir()] == ["part-00000.json"]


def test_a_damaged_note_of_the_columns_is_told_by_partition(tmp_path: Path) -> None:
    presto(tmp_path, "select 1 as a where false", output=middle("json", "1"))
    note = tmp_path / "s3/lake/mid/1/.schema"
    for damage in (b"{", b"[]", b'{"fields": 1}', b"\xff"):
        note.write_bytes(damage)
        with pytest.raises(TaskFailure, match=r"'made': the partition 1 of the input 'mid'.*\.schema.*Write it again"):
            presto(tmp_path, "select * from mid", given("json", "1"))
    shutil.rmtree(note.parent)
    with pytest.raises(TaskFailure, match="has no data"):
        presto(tmp_path, "select * from mid", given("json", "1"))
