"""The same nasty files through Spark, Presto SQL and `load_data`: the same rows, or each refuses by name."""

from __future__ import annotations

import bz2
import datetime as dt
import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rheo_assets import Application, LocalPlatform, S3Dataset
from rheo_assets.errors import UnreadableData
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.presto.session import file_list
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult
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
                made = self.root.parent / "made.parquet"
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
        written = file_list((self.root / "s3/lake/out/1").glob("*.parquet"))
        rows = duckdb.sql(f"from read_parquet({written}, hive_partitioning = false)").fetchall()
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


@pytest.mark.parametrize("writer", ["presto", pytest.param("spark", marks=pytest.mark.spark)])
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_partition_with_a_strange_name_is_written_where_it_is_read(lab: Lab, writer: str, form: str) -> None:
    engine: Any = (SparkEngine if writer == "spark" else PrestoEngine)(lab.root)
    lang = "SPARK_SQL" if writer == "spark" else "PRESTO_SQL"
    names = [*STRANGE[:6], "é", "100%", "a'b"] if writer == "spark" else STRANGE
    for n, name in enumerate(names):
        written = TaskOutput(f"s3://lake/made/{name}", form, {"header": False} if form == "csv" else {})
        result = engine.run(Task("made", lang, f"select {n} as v", (), written), print, lambda: False)
        assert list(result.preview[0].values()) == [n]
    for n, name in enumerate(names):
        case = Case(form, {}, "*", days=(name,), options={"header": False} if form == "csv" else {})
        assert lab.read("presto", case, "made") == lab.read("load_data", case, "made") == [(n,)], name


@pytest.mark.parametrize("reader", READERS)
def test_the_path_of_the_root_is_a_name_too(
    reader: str, tmp_path: Path, spark_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    root = tmp_path / "r?o*[t] {x,y} 'é' 100% #1"
    for other in (root, tmp_path / "rxo*t {x,y} 'é' 100% #1"):
        lab = Lab(Application("app", platform=LocalPlatform(other)), other, other / "s3/lake")
        lab.land({"a?/part": q(f"'{other.name[1]}' v"), "ab/part": q("'other' v")}, "parquet")
    lab = Lab(Application("app", platform=LocalPlatform(root)), root, root / "s3/lake")
    assert lab.read(reader, Case("parquet", {}, "v", days=("a?",))) == [("?",)]


@pytest.mark.parametrize("writer", ["presto", pytest.param("spark", marks=pytest.mark.spark)])
def test_an_output_has_the_columns_that_its_node_declares_or_is_refused(lab: Lab, writer: str) -> None:
    engine: Any = (SparkEngine if writer == "spark" else PrestoEngine)(lab.root)
    lang = "SPARK_SQL" if writer == "spark" else "PRESTO_SQL"
    declared = (("id", "string"), ("n", "bigint"), ("amount", "decimal(10,2)"))
    out = TaskOutput("s3://lake/made/1", "csv", {"header": False}, columns=declared)

    def run(sql: str) -> TaskResult:
        return engine.run(Task("made", lang, sql, (), out), print, lambda: False)

    made = run("select cast(1.5 as decimal(4,1)) as amount, '007' as id, cast(7 as int) as N")
    assert made.preview == ({"id": "007", "n": 7, "amount": "1.50"},)
    case = Case("csv", {}, "id, n, amount", columns=dict(declared), options={"header": False})
    for reader in ("presto", "load_data"):
        assert lab.read(reader, case, "made") == [("007", 7, Decimal("1.50"))]
    for sql, words in (
        ("select '007' as id, 7 as n", "has no column 'amount', which the node declares"),
        ("select '007' as id, 7 as n, cast(1 as double) as amount", "CAST it"),
        ("select '007' as id, 7 as n, cast(1 as decimal(4,1)) as amount, 1 as more", "'more', which the node does not"),
    ):
        with pytest.raises(TaskFailure, match=words):
            run(sql)


@pytest.mark.parametrize("reader", READERS)
def test_bzip2_is_read_or_refused_by_name(lab: Lab, reader: str) -> None:
    lab.land({"1/a.csv.bz2": bz2.compress(b"v\n1\n")}, "csv")
    case = Case("csv", {}, "v")
    if reader == "spark":
        assert lab.read(reader, case) == [(1,)]
        return
    with pytest.raises((TaskFailure, UnreadableData), match=r"1/a\.csv\.bz2.*bzip2 is not available.*Write it as \.gz"):
        lab.read(reader, case)


def test_no_number_is_rounded_on_the_way_to_a_person(lab: Lab) -> None:
    big, small = 2**53 + 1, Decimal("12345678901234567.89")
    lab.land({"1/a": q(f"{big}::bigint n, {small}::decimal(20,2) d", "null n, null d")}, "parquet")
    data = S3Dataset("1", "lake", "files", "{}", dataset_format="parquet")
    source = lab.app.marshal_external_data(data, "files", {"n": {"type": "LONG"}}, None, None)
    assert lab.app.load_data(source["1"])["n"].tolist()[0] == big
    assert lab.app.load_data(source["1"])["d"].tolist() == [small, None]
    assert lab.app.load_data(source["1"], as_="arrow").to_pylist() == [{"n": big, "d": small}, {"n": None, "d": None}]
    assert lab.app.load_data(source["1"], as_="polars").rows() == [(big, small), (None, None)]
    with pytest.raises(ValueError, match="as_ is 'spark'"):
        lab.app.load_data(source["1"], as_="spark")
