"""AWS's engines as Dagster resources: an application's queries run as they are set, from a script and from a job."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet
import pytest

import rheo_assets as flow
from rheo_assets.bridge.resources import AthenaResource, GlueResource
from rheo_assets.platforms.aws.platform import AwsPlatform
from tests.platforms.aws.doubles.athena import AthenaDouble

DAY = {"day": {"type": flow.DimensionType.DATETIME}}


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHEO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture
def athena(platform: AwsPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AthenaDouble:
    platform.clients.client("s3").create_bucket(
        Bucket="lake", CreateBucketConfiguration={"LocationConstraint": platform.region}
    )
    double = AthenaDouble(platform.clients, tmp_path / "athena")
    double.replace(monkeypatch)
    return double


def declared(platform: AwsPlatform) -> tuple[flow.Application, Any, Any]:
    app = flow.Application("shop", platform=platform)
    protocol = flow.SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})
    described = flow.S3Dataset("123456789012", "lake", "orders", "{}", dataset_format=flow.DataFormat.JSON)
    orders = app.marshal_external_data(described, id="orders", dimension_spec=DAY, protocol=protocol)
    sql = "SELECT name, count(*) AS n FROM orders GROUP BY name"
    daily = app.create_data("daily", [orders], compute_targets=[flow.PrestoSQL(sql)])
    return app, orders, daily


def land(platform: AwsPlatform, day: str) -> None:
    platform.storage.write(f"s3://lake/orders/{day}/part-0.json", b'{"name": "a"}\n{"name": "b"}\n{"name": "a"}\n')
    platform.storage.write(f"s3://lake/orders/{day}/_SUCCESS", b"")


def rows(platform: AwsPlatform, uri: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name in platform.storage.children(uri):
        if name.endswith(".parquet"):
            table = pyarrow.parquet.read_table(io.BytesIO(platform.storage.read(f"{uri}/{name}")))
            found += [tuple(row.values()) for row in table.to_pylist()]
    return sorted(found)


def test_an_application_runs_its_queries_on_athena(platform: AwsPlatform, athena: AthenaDouble, instance: None) -> None:
    app, orders, daily = declared(platform)
    app.activate()
    land(platform, "2024-01-01")
    app.process(orders["2024-01-01"])
    path, records = app.poll(daily["2024-01-01"])
    assert path == f"s3://{platform.bucket('shop')}/internal_data/daily/2024-01-01", records
    assert rows(platform, path) == [("a", 2), ("b", 1)]
    assert platform.storage.version(f"{path}/_SUCCESS")
    assert [record.engine for record in records or ()] == ["Athena (primary)"]


def test_definitions_have_a_resource_for_each_engine_that_is_used(platform: AwsPlatform) -> None:
    app, _, daily = declared(platform)
    app.create_data("code", [daily], compute_targets=[flow.Spark("output = daily")])
    app.create_data("python", [daily], compute_targets=[flow.InlinedCompute(lambda i, o, p: None)])
    found = app.definitions().resources or {}
    assert set(found) == {"rheo_athena", "rheo_glue", "rheo_lambda"}
    assert isinstance(found["rheo_glue"], GlueResource)
    repository = app.definitions().get_repository_def()
    assert "rheo_athena" in repository.get_top_level_resources()
    asset = repository.assets_defs_by_key[dg.AssetKey(["shop", "daily"])]
    assert "rheo_athena" in asset.required_resource_keys


def test_a_resource_sets_how_the_engine_runs(platform: AwsPlatform, athena: AthenaDouble, instance: None) -> None:
    platform.clients.client("athena").create_work_group(Name="team", Configuration={})
    app, _, _ = declared(platform)
    app.activate()
    land(platform, "2024-01-01")
    defs = app.definitions(resources={"athena": AthenaResource(workgroup="team")})
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(partition_key="2024-01-01", asset_selection=[dg.AssetKey(["shop", "daily"])])
    assert result.success
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["engine"].value == "Athena (team)"
    assert metadata["bytes scanned"].value == 1234
    assert "athena/home" in metadata["job page"].value


def test_a_resource_may_name_another_region(platform: AwsPlatform) -> None:
    other = platform.configured({"athena": AthenaResource(region_name="us-west-2").options()})
    assert other.clients_of("athena").region == "us-west-2"
    assert other.clients_of("athena").client("athena").meta.region_name == "us-west-2"
    assert other.clients is platform.clients
    assert platform.configured({}) is platform
    assert platform.configured({"athena": {"region_name": "us-west-2"}}) is other


def test_settings_come_from_the_platform_where_a_resource_says_nothing(platform: AwsPlatform) -> None:
    made = AwsPlatform(region="eu-west-1", engine_options={"glue": {"workers": 4, "role": "jobs"}})
    app = flow.Application("shop", platform=made)
    app.create_data("code", compute_targets=[flow.Spark("output = 1")])
    ((key, glue),) = (app.definitions().resources or {}).items()
    assert re.fullmatch(r"rheo_glue_[0-9a-f]{8}", key)
    assert (glue.workers, glue.role, glue.worker_type) == (4, "jobs", "G.1X")
    assert glue.options() == {"workers": 4, "role": "jobs"}


def test_applications_with_the_same_settings_merge_and_a_teams_own_resource_keeps_its_name(
    platform: AwsPlatform,
) -> None:
    one, _, _ = declared(platform)
    two = flow.Application("other", platform=AwsPlatform(region=platform.region))
    two.create_data("sums", compute_targets=[flow.PrestoSQL("select 1 as n")])
    slow = flow.Application("slow", platform=AwsPlatform(engine_options={"athena": {"workgroup": "slow"}}))
    slow.create_data("sums", compute_targets=[flow.PrestoSQL("select 1 as n")])
    team = dg.Definitions(resources={"athena": "a team's own"}, executor=dg.multiprocess_executor)
    merged = dg.Definitions.merge(one.definitions(), two.definitions(), slow.definitions(), team)
    workgroups = [r.workgroup for r in (merged.resources or {}).values() if isinstance(r, AthenaResource)]
    assert sorted(workgroups) == ["primary", "slow"]
    assert (merged.resources or {})["athena"] == "a team's own"
    assert merged.executor is dg.multiprocess_executor
    merged.get_repository_def()
