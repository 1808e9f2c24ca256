"""Nodes of an application on AWS whose code runs as jobs of Glue: from the declaration to the completion file."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

import rheo_assets as flow
from rheo_assets import AwsPlatform, S3Dataset
from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.model.compute.targets import Batch, Inlined
from rheo_assets.platforms.local.spark import SparkEngine
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import KEY, REGION, World, land, rows

ROLE = "arn:aws:iam::123456789012:role/rheo-jobs"
DAY = datetime(2024, 3, 1)


def platform(world: World, **more: object) -> AwsPlatform:
    return AwsPlatform(region=REGION, access_id=KEY, access_key=KEY, endpoint_url=world.url, **more)  # type: ignore[arg-type]


@pytest.mark.spark
def test_two_targets_of_a_node_run_on_glue_and_complete_its_partition(
    root: Path, world: World, engine: SparkEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.reset("outside")
    host = SparkHost(engine, world.clients.client("s3"), tmp_path / "jobs", world.environment)
    double = GlueDouble(host, monkeypatch)
    aws = platform(world, role=ROLE, engine_options={"glue": {"workers": 2}})
    app = flow.Application("shop", platform=aws)
    spec = {"day": {"type": "DATETIME", "format": "%Y-%m-%d"}}
    orders = app.marshal_external_data(
        S3Dataset("123456789012", "outside", "orders", "{}", dataset_format="json"), "orders", spec
    )
    totals = app.create_data(
        "totals",
        [orders],
        compute_targets=[
            flow.Glue("print('counting', orders.count())\noutput = orders", GlueVersion="2.0"),
            flow.SparkSQL("select '{day}' as day, sum(amount) as amount from orders"),
        ],
    )
    app.activate()
    land(aws.storage, "s3://outside/orders/2024-03-01", {"amount": 3}, {"amount": 4})
    path = app.execute(totals[DAY])
    assert rows(aws.storage, path) == [{"day": "2024-03-01", "amount": 7}]
    done = json.loads(aws.storage.read(f"{path}/_SUCCESS"))
    assert done["status"] == "COMPLETED"
    assert [run.given["job_name"] for run in double.started] == ["rheo-shop-totals-0", "rheo-shop-totals-1"]
    app.execute(totals[DAY])
    assert len(double.started) == 4, "an execution of its own starts jobs of its own"
    assert len(set(double.tokens)) == 4
    host.close()


def test_activation_tells_what_a_role_must_allow(
    root: Path, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = flow.Permission("arn:aws:s3:::models/*", ["s3:GetObject", "s3:ListBucket"])
    told = []
    for here in (platform(world, role=ROLE), flow.LocalPlatform(tmp_path)):
        app = flow.Application("asking", platform=here)
        app.add_timer("daily", "rate(1 day)", time_dimension_id="day")
        target = flow.Glue("output = 1", extra_permissions=[reads])
        app.create_data("scored", [app["daily"]], compute_targets=[target])
        app.activate()
        told.append(capsys.readouterr().err)
    assert (
        "asking: the role of 'scored' must allow s3:GetObject, s3:ListBucket on arn:aws:s3:::models/*. Add this to the "
        "role: rheo-assets does not" in told[0]
    )
    assert "role" not in told[1], "nobody is asked on a laptop"


def test_jobs_without_a_role_are_refused_with_what_to_do(world: World) -> None:
    for engine in ("glue", "emr", "emr_serverless"):
        with pytest.raises(
            CapabilityMissing, match=r"need an IAM role: set RHEO_ROLE to its ARN, or say AwsPlatform\(role="
        ):
            platform(world).engine(Batch("output = 1", "PYTHON", engine=engine))


def test_an_option_that_an_engine_does_not_have_is_refused_with_a_near_one(world: World) -> None:
    aws = platform(world, role=ROLE, engine_options={"glue": {"worker": 3}})
    with pytest.raises(DeclarationError, match="Did you mean 'workers'"):
        aws.engine(Batch("output = 1", "PYTHON", engine="glue"))


def test_each_engine_opens_with_its_options(world: World) -> None:
    options = {"emr": {"subnet": "subnet-1"}, "emr_serverless": {"application_id": "00f"}, "glue": {"workers": 3}}
    aws = platform(world, role=ROLE, engine_options=options)
    titles = [aws.engine(Batch("output = 1", "PYTHON", engine=name)).service.title for name in options]  # type: ignore[attr-defined]
    assert titles == ["EMR", "EMR Serverless", "Glue"]


def test_an_engine_with_a_region_of_its_own_links_there(world: World) -> None:
    names = ("glue", "emr", "emr_serverless", "athena", "lambda")
    aws = platform(world, role=ROLE, engine_options={name: {"region_name": "us-west-2"} for name in names})
    for name in names:
        target = Inlined(print, engine=name) if name == "lambda" else Batch("output = 1", "PYTHON", engine=name)
        link = aws.engine(target).service.link("job/run")  # type: ignore[attr-defined]
        assert link.startswith("https://us-west-2.console.aws.amazon.com/")


def test_options_of_queries_and_functions_are_checked_as_those_of_spark(world: World) -> None:
    aws = platform(world, role=ROLE, engine_options={"athena": {"work_group": "team"}, "lambda": {"memori": 1}})
    with pytest.raises(DeclarationError, match="Did you mean 'workgroup'"):
        aws.engine(Batch("select 1", "PRESTO_SQL", engine="athena"))
    with pytest.raises(DeclarationError, match="Did you mean 'memory'"):
        aws.engine(Inlined(print, engine="lambda"))
