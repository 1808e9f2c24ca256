"""A csv has one dialect, RFC 4180: whatever one engine writes, each engine and `load_data` reads as it was."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from rheo_assets import Application, DataFormat, S3Dataset
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskInput, TaskOutput, TaskResult
from tests.cases.topologies import SUCCESS, spec

NASTY = [
    "x", '"', '""', 'a"b', '"ab"', 'a""b', 'a "b" c', '"a', 'b"', '","', '"\n"', '",', "'a'",
    "\\", "a\\", '\\"', 'a\\"b', "\\\\", "a\\nb", "\\N", ",", "a,b", "|", "a|b", ";",
    "a\nb", "\n", "a\n", "\na", "\n\n", "a\rb", "a\r\nb", "\r", "\r\n",
    " ", "  ", " a", "a ", " a ", ' "a"', '"a" ', "\t", "a\t", "\ta", "\u00a0", "\u2028", "\x01", "\x7f", "\x85",
    "\x00", 'a\x00"', "", None, "é", "日本", "🎉", "\ufeffa", "#", "#a", "_c0", "a", "b", "NA", "null", "NULL", "NaN",
    "007", "1.50", "0", "-", "true", "2021-01-01",
]  # fmt: skip
ONE = [(text,) for text in NASTY]
TWO = [("first", "row"), *zip(NASTY, NASTY[1:] + NASTY[:1], strict=True)]
EMPTY = [(None,), ("x",), (None,), ("",)]
SHAPES = [
    pytest.param(rows, {"header": header, "delimiter": delimiter}, id=f"{name}-{header}-{delimiter}")
    for (name, rows), (header, delimiter) in itertools.product(
        (("one", ONE), ("two", TWO), ("empty", EMPTY)), ((True, ","), (False, "|"))
    )
]
INPUT, CSV, READ = "s3://lake/texts/1", "s3://lake/made/1", "s3://lake/read/1"
Row = tuple[str | None, ...]


class Lab:
    """The engines over one folder: `texts` is their input, `made` the csv."""

    def __init__(self, app: Application, root: Path, rows: list[Row], options: dict[str, Any]) -> None:
        self.app, self.root, self.rows, self.options = app, root, rows, options
        folder = self.root / "s3/lake/texts/1"
        folder.mkdir(parents=True)
        numbered = [{"n": n, **dict(zip("ab", row, strict=False))} for n, row in enumerate(rows)]
        (folder / "0.json").write_text("".join(json.dumps(row) + "\n" for row in numbered))

    def run(self, engine: str, sql: str, given: TaskInput, output: TaskOutput) -> TaskResult:
        runner: Any = (SparkEngine if engine == "spark" else PrestoEngine)(self.root)
        lang = "SPARK_SQL" if engine == "spark" else "PRESTO_SQL"
        return runner.run(Task("made", lang, sql, (given,), output), print, lambda: False)

    def write(self, engine: str) -> TaskResult:
        sql = f"select {', '.join('ab'[: len(self.rows[0])])} from texts order by n"
        texts = TaskInput("texts", (INPUT,), format="json", partitions=(("1",),))
        return self.run(engine, sql, texts, TaskOutput(CSV, "csv", self.options))

    def read(self, engine: str) -> list[Row]:
        made = TaskInput("made", (CSV,), format="csv", options=self.options, partitions=(("1",),))
        counted = self.run(engine, "select count(*) as n from made", made, TaskOutput(READ))
        read = self.run(engine, "select * from made", made, TaskOutput(READ))
        files = str(self.root / "s3/lake/read/1/*.parquet")
        assert counted.preview == ({"n": read.rows},)
        return duckdb.read_parquet(files).fetchall()

    def load(self) -> list[Row]:
        dataset = S3Dataset("1", "lake", "made", "{}", dataset_format=DataFormat.CSV, **self.options)
        made = self.app.marshal_external_data(dataset, "made", spec("region"), None, SUCCESS)
        (self.root / "s3/lake/made/1/_SUCCESS").touch()
        frame = self.app.load_data(made["1"]).astype(object)
        return list(frame.where(pd.notna(frame), None).itertuples(index=False, name=None))


def same(rows: list[Row]) -> list[Row]:
    """The rows as a csv keeps them: an empty text and none are the same."""
    return [tuple(text or None for text in row) for row in rows]


@pytest.fixture
def lab(engine: SparkEngine, app: Application, root: Path, rows: list[Row], options: dict[str, Any]) -> Lab:
    return Lab(app, root, rows, options)


@pytest.mark.spark
@pytest.mark.parametrize(("rows", "options"), SHAPES)
@pytest.mark.parametrize("writer", ["spark", "presto"])
def test_what_one_engine_writes_every_reader_reads_as_it_was(lab: Lab, writer: str) -> None:
    written = lab.write(writer)
    assert written.rows == len(lab.rows)
    assert same([tuple(row.values()) for row in written.preview]) == same(lab.rows[:10])
    for read in (lab.load(), lab.read("presto"), lab.read("spark")):
        assert same(read) == same(lab.rows)
