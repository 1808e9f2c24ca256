"""The same nasty files through Spark, Presto SQL and `load_data`: the same rows, or each refuses by name."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rheo_assets import Application, S3Dataset
from rheo_assets.errors import UnreadableData
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput
from tests.cases.topologies import SUCCESS, spec
from tests.platforms.local.nasty_files import CASES, STRANGE, Case, Row, q

READERS = ["presto", "load_data", pytest.param("spark", marks=pytest.mark.spark)]
_NUMBER = itertools.count()


class Lab:
    """One dataset and its readers."""

    def __init__(self, app: Application, root: Path, base: Path) -> None:
        self.app, self.root, self.base = app, root, base

    def land(self, files: dict[str, bytes | str], form: str, dataset: str = "files") -> None:
        for name, content in files.items():
            path = self.base / dataset / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if form == "parquet" and isinstance(content, str) and content:
                made = self.root / "made.parquet"
                duckdb.execute(f"copy ({content}) to '{made}' (format parquet)")
                made.rename(path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, reader: str, case: Case, dataset: str = "files") -> list[Row]:
        if reader == "load_data":
            return self._loaded(case, dataset)
        data = S3Dataset("1", "lake", dataset, "{}", dataset_format=case.form, columns=case.columns)
        paths = tuple(f"s3://lake/{dataset}/{day}" for day in case.days)
        given = TaskInput(
            "files", paths, format=case.form, options=case.options, partitions=tuple((d,) for d in case.days),
            columns=data.columns,
        )  # fmt: skip
        engine: Any = (SparkEngine if reader == "spark" else PrestoEngine)(self.root)
        lang = "SPARK_SQL" if reader == "spark" else "PRESTO_SQL"
        select = case.select.replace("{first}", "0" if reader == "spark" else "1")
        select = select.replace("as varchar(23)", "as string") if reader == "spark" else select
        task = Task("made", lang, f"select {select} from files", (given,), TaskOutput("s3://lake/out/1"))
        engine.run(task, print, lambda: False)
        rows = duckdb.read_parquet(str(self.root / "s3/lake/out/1/*.parquet")).fetchall()
        return [tuple(_plain(value) for value in row) for row in rows]

    def _loaded(self, case: Case, dataset: str) -> list[Row]:
        data = S3Dataset("1", "lake", dataset, "{}", dataset_format=case.form, columns=case.columns, **case.options)
        ordinal = {"n": {"type": "LONG"}}
        if all(day.isdigit() for day in case.days):
            source = self.app.marshal_external_data(data, f"files{next(_NUMBER)}", ordinal, None, SUCCESS)
            view = source[: len(case.days)] if len(case.days) > 1 else source[case.days[0]]
            values = [case.days[0]] if len(case.days) > 1 else None
        else:
            view, values = (
                self.app.marshal_external_data(data, f"files{next(_NUMBER)}", spec("region"), None, SUCCESS)[
                    case.days[0]
                ],
                None,
            )
        for day in case.days:
            (self.base / dataset / day / "_SUCCESS").touch()
        table = self.app.load_data(view, values, as_="arrow")
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.register("files", table)
            select = case.select.replace("{first}", "1")
            return [
                tuple(_plain(v) for v in row) for row in connection.execute(f"select {select} from files").fetchall()
            ]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if isinstance(value, str) and value[:4] == "1969":
        return value[:23]
    return value


@pytest.fixture
def lab(engine: SparkEngine, app: Application, root: Path) -> Lab:
    return Lab(app, root, root / "s3/lake")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CASES)
def test_every_reader_gives_the_same_rows_or_refuses_by_name(lab: Lab, reader: str, name: str) -> None:
    case = CASES[name]
    lab.land(case.files, case.form)
    if case.rows is not None:
        assert sorted(lab.read(reader, case), key=str) == sorted(case.rows, key=str)
        return
    with pytest.raises((TaskFailure, UnreadableData)) as refused:
        lab.read(reader, case)
    text = str(refused.value)
    assert [word for word in case.words if word not in text] == [], text
    assert getattr(refused.value, "kind", "user") == "user"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_path_is_a_name_and_never_a_pattern(lab: Lab, reader: str, form: str) -> None:
    contents: dict[str, Callable[[int], str]] = {
        "csv": lambda n: f"v\n{n}\n",
        "json": lambda n: f'{{"v": {n}}}\n',
        "parquet": lambda n: q(f"{n} v"),
    }
    for n, name in enumerate([*STRANGE, "a", "ab", "aa", "b", "x"]):
        lab.land({f"{name}/{name}": contents[form](n)}, form)
    for n, name in enumerate(STRANGE):
        assert lab.read(reader, Case(form, {}, "v", days=(name,))) == [(n,)], name
