"""The user's Examples 1 and 3 on AWS's code paths: the very modules of `definitions/`, on Glue jobs that execute."""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import rheo_assets as flow
from rheo_assets import AwsPlatform
from rheo_assets.model.glue.tables import GlueTable
from rheo_assets.platforms.local.spark import SparkEngine
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import World, rows

pytestmark = pytest.mark.spark


@pytest.fixture
def glue(
    root: Path, world: World, engine: SparkEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GlueDouble]:
    world.reset("dxg-dev-external-data-poc", "dex-ml", "dex-ml-jars")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RHEO_PLATFORM", "aws")
    monkeypatch.setenv("RHEO_ROLE", "arn:aws:iam::123456789012:role/rheo-jobs")
    host = SparkHost(engine, world.clients.client("s3"), tmp_path / "jobs", world.environment)
    yield GlueDouble(host, monkeypatch)
    host.close()


@pytest.fixture
def located(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a code location anew, as a process that starts now would."""

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_example_1_waits_for_its_file_and_runs_its_scala_on_glue(
    glue: GlueDouble, world: World, located: Callable[[str], ModuleType]
) -> None:
    session, landing = located("definitions.dxg_proto"), located("examples.dxg_proto.landing")
    app, tpdex = session.app, session.tpdex
    assert isinstance(app.platform, AwsPlatform)
    app.activate()
    app.process(session.timer_signal_daily["2021-09-20"], target_route_id=tpdex)
    assert app.poll(tpdex["NA"]["2021-09-20"]) == (None, None)
    assert not glue.started

    text = "".join(json.dumps(row) + "\n" for row in landing.rows("NA", "2021-09-20"))
    folder = "s3://dxg-dev-external-data-poc/pdex/NA/2021-09-20"
    world.storage.write(f"{folder}/part-0.json", text.encode())
    world.storage.write(f"{folder}/_SUCCESS", b"")
    app.settle()
    path, records = app.poll(tpdex["NA"]["2021-09-20"])
    assert path, records
    assert 0 < len(rows(world.storage, path)) < landing.ROWS
    (started,) = glue.started
    assert started.given["job_name"] == "rheo-dxg-proto-tpdex-0"

    again = flow.AWSApplication("dxg-proto", "us-east-1")
    assert again.poll(again["tpdex"]["NA"]["2021-09-20"])[0] == path


def table() -> dict[str, Any]:
    columns = [("order_id", "bigint"), ("asin", "string"), ("quantity", "int")]
    described = GlueTable("s3://dex-ml/d_ad_orders_na", columns, [("order_day", "date")])
    known = ("Name", "TableType", "Parameters", "StorageDescriptor", "PartitionKeys")
    return {
        name: value for name, value in described.describe("dex_ml_catalog", "d_ad_orders_na").items() if name in known
    }


def test_example_3_reads_the_glue_catalog_and_its_twins_give_the_same_rows(
    glue: GlueDouble, world: World, located: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    catalog = world.clients.client("glue")
    catalog.create_database(DatabaseInput={"Name": "dex_ml_catalog"})
    catalog.create_table(DatabaseName="dex_ml_catalog", TableInput=table())
    landing = located("examples.scala_python.landing")
    jar = landing.build_jar(flow.LocalPlatform(tmp_path / "jar"))
    world.storage.write("s3://dex-ml-jars/trend-features.jar", jar.read_bytes())

    columns = {
        "order_id": pyarrow.array(range(150), pyarrow.int64()),
        "asin": [f"B{number % 12}" for number in range(150)],
        "quantity": pyarrow.array([number % 5 + 1 for number in range(150)], pyarrow.int32()),
    }
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), content)
    world.storage.write("s3://dex-ml/d_ad_orders_na/order_day=2021-01-14/part-0.parquet", content.getvalue())
    session = located("definitions.scala_python")
    app = session.app
    app.activate(allow_concurrent_executions=False)
    app.process(session.d_ad_orders_na["2021-01-14"])
    made = {}
    for name in ("scala", "python", "scala_complex"):
        node = getattr(session, f"repeat_d_ad_orders_na_{name}")
        path, records = app.poll(node["2021-01-14"])
        assert path, records
        made[name] = rows(world.storage, path)
    assert len(made["scala"]) == 100
    key = lambda row: row["order_id"]  # noqa: E731
    assert sorted(made["scala"], key=key) == sorted(made["python"], key=key)
    assert sum(row["orders"] for row in made["scala_complex"]) == 150
    assert {row["my_param"] for row in made["scala_complex"]} == {"PARAM1"}
    assert len(glue.started) == 3
