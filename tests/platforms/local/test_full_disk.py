"""A disk that is really full: each engine says so by node, keeps the previous data and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, InlinedCompute, LocalPlatform, PrestoSQL, Spark, SparkSQL, scala_script
from rheo_assets.bridge.execution.execution import Outcome, Request, Surroundings, run_execution
from rheo_assets.model.compute.targets import Inlined
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from tests.cases.topologies import node, timer

DAY = (datetime(2024, 1, 1),)
BIG = 1_000_000  # rows of random numbers: twice the disk


class Lab:
    """Executes nodes whose data lies on a small disk."""

    def __init__(self, root: Path, spare: Path) -> None:
        self.root, self.spare = root, spare
        self.platform = LocalPlatform(root)
        self.app = Application("lab", platform=self.platform)
        self.clock = timer(self.app)

    def node(self, target: Any) -> DataNode:
        return node(self.app, "made", [self.clock], compute_targets=[target])

    def folder(self, made: DataNode) -> Path:
        return self.platform.storage.path(made.layout.uri(made.spec, DAY))

    def files(self) -> dict[str, bytes]:
        """Everything on the disk."""
        return {str(path): path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file()}

    def run(self, made: DataNode) -> Outcome:
        around = Surroundings(self.platform, lambda line: None, lambda: False, self.blob, pause=lambda seconds: None)
        return run_execution(made, Request("execution", DAY, {"t": DAY}), around)

    def blob(self, made: DataNode, position: int) -> str:
        target = made.targets[position]
        assert isinstance(target, Inlined)
        path = self.spare / f"{made.id}-{position}"
        path.write_bytes(dump_callable(target.callable))
        return str(path)


@pytest.fixture
def lab(tmp_path: Path, small_disk: Callable[[Path], Path], spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    return Lab(small_disk(tmp_path / "disk"), tmp_path)


def fills(inputs: Any, output: Any, params: Any) -> None:
    import os

    for number in range(100):
        Path(output.local_paths[0], f"{number}.bin").write_bytes(os.urandom(100_000))


def fills_by_duckdb(inputs: Any, output: Any, params: Any) -> None:
    import duckdb

    duckdb.execute(f"copy (select random() as r from range(1000000)) to '{output.local_paths[0]}/a.parquet'")


SMALL_AND_BIG = [
    pytest.param(
        InlinedCompute(lambda i, o, p: Path(o.local_paths[0], "a").write_text("a") and None),
        InlinedCompute(fills),
        id="inlined",
    ),
    pytest.param(PrestoSQL("select 1 as n"), InlinedCompute(fills_by_duckdb), id="duckdb in inlined"),
    pytest.param(
        PrestoSQL("select 1 as n"),
        PrestoSQL(
            f"select rand() as r from unnest(sequence(1, {BIG // 1000})) t(a) cross join unnest(sequence(1, 1000)) u(b)"
        ),
        id="presto",
    ),
    pytest.param(
        SparkSQL("select 1 as n"), SparkSQL(f"select rand() as r from range({BIG})"), id="sql", marks=pytest.mark.spark
    ),
    pytest.param(
        Spark("output = spark.range(1)"),
        Spark(f"from pyspark.sql.functions import rand\noutput = spark.range({BIG}).select(rand())"),
        id="pyspark",
        marks=pytest.mark.spark,
    ),
    pytest.param(
        Spark(scala_script("spark.range(1).toDF")),
        Spark(scala_script(f"spark.range({BIG}).select(rand())")),
        id="scala",
        marks=pytest.mark.spark,
    ),
]


@pytest.mark.parametrize(("small", "big"), SMALL_AND_BIG)
def test_a_full_disk_fails_the_node_by_name_and_keeps_what_was_there(lab: Lab, small: Any, big: Any) -> None:
    made = lab.node(small)
    assert lab.run(made).execution.error is None
    before = lab.files()
    success = str(lab.folder(made) / "_SUCCESS")
    assert success in before
    execution = lab.run(lab.app.patch_data("made", compute_targets=[big])).execution
    assert execution.status == "FAILED"
    for words in ("'made'", "disk is full", "previous data", "free some space and run again"):
        assert words in str(execution.error)
    assert execution.records[0].attempts == 5, "it is the machine's fault: tried again by itself"
    after = lab.files()
    assert {path: data for path, data in before.items() if path != success and "/cache/" not in path} == {
        path: data for path, data in after.items() if "/cache/" not in path
    }
    assert lab.run(lab.app.patch_data("made", compute_targets=[small])).execution.status == "COMPLETED"
    assert lab.folder(made).joinpath("_SUCCESS").exists()


def test_a_completion_file_that_has_no_room_keeps_the_previous_data(lab: Lab) -> None:
    def write(inputs: Any, output: Any, params: Any) -> None:
        Path(output.local_paths[0], "a").write_text("new")
        room = Path(output.local_paths[0], "rest")
        with room.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    made = lab.node(InlinedCompute(lambda i, o, p: Path(o.local_paths[0], "a").write_text("old") and None))
    lab.run(made)
    with pytest.raises(OSError, match=r"disk .* is full; 's3://.*/made/2024-01-01' keeps .* free some space"):
        lab.run(lab.app.patch_data("made", compute_targets=[InlinedCompute(write)]))
    assert [path.name for path in lab.folder(made).iterdir()] == ["a"]
    assert (lab.folder(made) / "a").read_text() == "old"
    assert [path.name for path in lab.folder(made).parent.iterdir()] == ["2024-01-01"]


def test_a_query_that_has_no_room_to_put_rows_aside_says_so(lab: Lab) -> None:
    engine = PrestoEngine(lab.root, memory_limit="30MB")
    query = (
        "select md5(to_utf8(cast(a * 3000 + b as varchar))) as m, rand() as r "
        "from unnest(sequence(1, 1000)) t(a) cross join unnest(sequence(1, 3000)) u(b) order by m"
    )
    task = Task("sorted", "PRESTO_SQL", query, (), TaskOutput("s3://lake/sorted/1"))
    with pytest.raises(TaskFailure, match=r"'sorted': the disk is full.*free some space") as caught:
        engine.run(task, print, lambda: False)
    assert caught.value.kind == "platform"
    assert "PRAGMA" not in caught.value.message
    assert [path.name for path in lab.root.iterdir()] == ["s3"]


def test_a_full_temporary_folder_is_told_apart_from_a_crash(
    lab: Lab, tmp_path: Path, small_disk: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    spare = small_disk(tmp_path / "tmp")
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    monkeypatch.setenv("TMPDIR", str(spare))
    where = str(spare)

    def fill(inputs: Any, output: Any, params: Any) -> None:
        with Path(where, "rest").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    execution = lab.run(lab.node(InlinedCompute(fill))).execution
    for words in ("'made'", "disk is full", "free some space"):
        assert words in str(execution.error)
