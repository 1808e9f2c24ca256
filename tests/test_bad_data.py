"""Half-written, corrupt, empty and changed data through the application, on each engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from rheo_assets import Application, PrestoSQL, S3Dataset, Spark, SparkSQL
from tests.cases.topologies import DAY, STRING, SUCCESS, cycle, node, ran

FIRST, SECOND = "2024-01-01", "2024-01-02"
DAYS = {"region": {**STRING, "day": DAY}}
COUNT = "select count(*) as n from orders"
ENGINES = [
    pytest.param(lambda: PrestoSQL(COUNT), id="presto"),
    pytest.param(lambda: SparkSQL("select * from orders"), id="spark-sql", marks=pytest.mark.spark),
    pytest.param(lambda: Spark("output = orders"), id="pyspark", marks=pytest.mark.spark),
]


@pytest.fixture(autouse=True)
def shared_worker(spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every application use the worker of all tests."""
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))


def orders(app: Application, form: str) -> Any:
    """Declares orders by region and day in a format."""
    data = S3Dataset("111222333444", "outside", "orders", "{}", "{}", dataset_format=form)
    return app.marshal_external_data(data, "orders", DAYS, None, SUCCESS)


def land(app: Application, view: Any, name: str, content: bytes, done: bool = True) -> Path:
    """Writes one file of a partition, and its completion file last."""
    (path,) = app.materialize(view)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    if done:
        (folder / "_SUCCESS").touch()
    return folder


def test_a_half_written_partition_starts_nothing_and_a_range_waits_for_it(app: Application) -> None:
    source = orders(app, "json")
    daily = node(app, "daily", [source], compute_targets=[PrestoSQL(COUNT)])
    pair = node(app, "pair", {"orders": source["*"][:-2].range_check(True)}, compute_targets=[PrestoSQL(COUNT)])
    app.activate()
    half = land(app, source["NA"][FIRST], "a.json", b'{"x": 1}\n', done=False)
    land(app, source["NA"][SECOND], "a.json", b'{"x": 1}\n')
    cycle(app)
    assert ran(app, daily) == [f"NA/{SECOND}"]
    assert ran(app, pair) == []
    assert f"orders[NA][{FIRST}]" in str(app.why(pair["NA"][SECOND]))
    with pytest.raises(RuntimeError, match=rf"pair\[NA\]\[{SECOND}\].*not ready.*orders\[NA\]\[{FIRST}\].*Land"):
        app.execute(pair["NA"][SECOND])
    with pytest.raises(ValueError, match=r"Nothing was run. Land .*completion file last"):
        app.execute(pair["NA"][SECOND], recursive=True)
    (half / "_SUCCESS").touch()
    cycle(app)
    assert ran(app, pair)[0] == f"NA/{SECOND}"


@pytest.mark.parametrize("engine", ENGINES)
def test_corrupt_and_empty_files_are_named_and_good_days_go_on(app: Application, engine: Any) -> None:
    forms = {
        "parquet": {"nonsense": b"PAR1 nonsense", "empty": b""},
        "json": {"cut": b'{"x": 1}\n{"x": ', "empty": b""},
        "csv": {"wide": b"a,b\n1,2\n1,2,3\n", "empty": b""},
    }
    good = {"json": b'{"x": 1}\n', "csv": b"a,b\n1,2\n"}
    for form, contents in forms.items():
        data = S3Dataset("111222333444", "outside", form, "{}", "{}", dataset_format=form)
        source = app.marshal_external_data(data, form, DAYS, None, SUCCESS)
        made = node(app, f"from_{form}", {"orders": source}, compute_targets=[engine()])
        for region, content in contents.items():
            land(app, source[region][FIRST], f"a.{form}", content)
            with pytest.raises(RuntimeError) as error:
                app.execute(made[region][FIRST])
            text = str(error.value)
            for word in (f"'from_{form}'", f"from_{form}[{region}][{FIRST}]", f"outside/{form}/{region}/{FIRST}"):
                assert word in text, text
            assert "rite " in text, text  # what to do
            assert "\n  file = " not in text
            assert not app.poll(made[region][FIRST])[0]
        if form in good:
            land(app, source["NA"][FIRST], f"a.{form}", good[form])
            assert app.execute(made["NA"][FIRST])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_schema_that_changes_between_days_is_told_by_column_and_days(
    app: Application, engine: Any, tmp_path: Path
) -> None:
    source = orders(app, "parquet")
    made = node(app, "week", {"orders": source["*"][:-2]}, compute_targets=[engine()])
    for day, value in ((FIRST, "1"), (SECOND, "'one'")):
        file = tmp_path / f"{day}.parquet"
        duckdb.execute(f"copy (select {value} as amount) to '{file}' (format parquet)")
        land(app, source["NA"][day], "a.parquet", file.read_bytes())
    with pytest.raises(RuntimeError, match=rf"week\[NA\]\[{SECOND}\].*amount") as error:
        app.execute(made["NA"][SECOND])
    assert FIRST in str(error.value)
    assert "partition" in str(error.value)
    assert "again" in str(error.value)
    assert app.execute(made["NA"][FIRST])


def test_text_that_is_not_utf8_is_told_by_file(app: Application) -> None:
    source = orders(app, "csv")
    made = node(app, "made", [source], compute_targets=[PrestoSQL(COUNT)])
    land(app, source["NA"][FIRST], "a.csv", b"\xff\xfe\x00\x01")
    with pytest.raises(RuntimeError, match=rf"'made'.*s3://outside/orders/NA/{FIRST}/a\.csv .*UTF-8.*Write it again"):
        app.execute(made["NA"][FIRST])


@pytest.mark.spark
def test_spark_code_that_returns_nothing_hangs_exits_or_writes_elsewhere_fails_alone(app: Application) -> None:
    source = orders(app, "json")
    bad = {
        "nothing": ("orders.count()", {}, "output"),
        "leaves": ("import sys; sys.exit(3)", {}, "exit"),
        "vanishes": ("import os; os._exit(3)", {}, "process"),
        "hangs": ("while True: pass", {"Timeout": 0.05}, "3 s"),
        "outside": (
            "output = orders; orders.write.json('s3://outside/orders/EU')",
            {},
            "outside its own",
        ),
    }
    nodes = {
        name: node(app, name, [source], compute_targets=[Spark(code, **hints)])
        for name, (code, hints, _) in bad.items()
    }
    land(app, source["NA"][FIRST], "a.json", b'{"x": 1}\n')
    for name, (_, _, said) in bad.items():
        with pytest.raises(RuntimeError, match=rf"{name}\[NA\]\[{FIRST}\]") as error:
            app.execute(nodes[name]["NA"][FIRST])
        assert f"'{name}'" in str(error.value)
        assert said in str(error.value)
    assert not Path(app.materialize(source["EU"][FIRST])[0]).parent.exists()
