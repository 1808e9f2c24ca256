"""An application on AWS: everything of its driver runs over S3."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets import AwsPlatform, InlinedCompute, LocalPlatform, NOOPCompute, S3Dataset
from rheo_assets.errors import CapabilityMissing, DeclarationError
from tests.cases.topologies import S3, node, spec
from tests.platforms.aws.account.conftest import ACCOUNT, REGION

DAYS = [datetime(2024, 3, day) for day in (1, 2, 3)]
BUCKET = f"rheo-shop-{ACCOUNT}-{REGION}"
KEY, SECRET = "AKIDGIVENINCODE", "wJalrXUtnFEMIgiven"


@pytest.fixture
def new_app(root: Path, aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], flow.Application]:
    """Makes sessions of one application on an account that has the bucket of the external data."""
    monkeypatch.setenv("RHEO_PLATFORM", "aws")
    s3 = AwsPlatform(region=REGION).clients.client("s3")
    s3.create_bucket(Bucket="outside", CreateBucketConfiguration={"LocationConstraint": REGION})
    return lambda: flow.Application("shop", REGION)


def declare(app: flow.Application) -> tuple[Any, Any]:
    orders = S3(app, "orders", "region", "day")
    return orders, node(app, "totals", [orders], compute_targets=[NOOPCompute])


def land(app: flow.Application, orders: Any, region: str, day: datetime) -> None:
    folder = orders.layout.uri(orders.spec, (region, day))
    app.platform.storage.write(f"{folder}/part-0.json", b"{}")
    app.platform.storage.write(f"{folder}/_SUCCESS", b"")


def test_events_of_s3_run_executions_once_and_other_sessions_see_them(new_app: Callable[[], flow.Application]) -> None:
    app = new_app()
    orders, totals = declare(app)
    assert isinstance(app.platform, AwsPlatform)
    app.activate()
    land(app, orders, "NA", DAYS[0])
    app.settle()
    app.process(orders["EU"][DAYS[1]])
    app.settle()
    app.settle()
    ran = app.history(totals)
    assert [(execution.partition, execution.status) for execution in ran] == [
        (("NA", "2024-03-01"), "COMPLETED"),
        (("EU", "2024-03-02"), "COMPLETED"),
    ]
    path, records = app.poll(totals["NA"][DAYS[0]])
    assert path == f"s3://{BUCKET}/internal_data/totals/NA/2024-03-01"
    assert [record.status for record in records or ()] == ["COMPLETED"]
    storage = app.platform.storage
    assert json.loads(storage.read(f"{path}/_SUCCESS"))["id"] == ran[0].id
    claimed = {
        name
        for folder in storage.children(f"s3://{BUCKET}/claims")
        for name in storage.children(f"s3://{BUCKET}/claims/{folder}")
    }
    assert claimed == {f"{execution.id}.0" for execution in ran}

    again = new_app()
    assert again["totals"].spec == totals.spec
    assert [execution.id for execution in again.history("totals")] == [execution.id for execution in ran]
    assert again.why(again["totals"]["NA"][DAYS[0]]).status == "COMPLETED"


def test_execute_runs_what_is_missing_first(new_app: Callable[[], flow.Application]) -> None:
    app = new_app()
    orders, totals = declare(app)
    report = node(app, "report", [totals], compute_targets=[NOOPCompute])
    app.activate()
    land(app, orders, "NA", DAYS[0])
    path = app.execute(report["NA"][DAYS[0]], recursive=True)
    assert app.platform.storage.version(f"{path}/_SUCCESS") is not None
    assert [execution.node for execution in app.history()] == ["totals", "report"]


def test_a_rewritten_completion_file_runs_it_again(new_app: Callable[[], flow.Application]) -> None:
    app = new_app()
    orders, totals = declare(app)
    land(app, orders, "NA", DAYS[0])
    app.activate()
    app.settle()
    assert app.history(totals) == []  # what lay there before is ready, but no event
    app.platform.storage.write(f"{orders.layout.uri(orders.spec, ('NA', DAYS[0]))}/_SUCCESS", b"again")
    app.settle()
    assert len(app.history(totals)) == 1


def test_what_arrives_in_folders_of_dates_runs_the_node_that_writes_such_folders(
    new_app: Callable[[], flow.Application],
) -> None:
    app = new_app()
    orders = S3(app, "orders", "region", day={"type": "DATETIME", "format": "%Y/%m/%d"})
    totals = node(app, "totals", [orders], compute_targets=[NOOPCompute])
    app.activate()
    land(app, orders, "NA", DAYS[0])
    app.platform.storage.write("s3://outside/orders/NA/2024/3/2/_SUCCESS", b"")
    app.settle()
    assert [execution.partition for execution in app.history(totals)] == [("NA", "2024/03/01")]
    path, _ = app.poll(totals["NA"][DAYS[0]])
    assert path == f"s3://{BUCKET}/internal_data/totals/NA/2024/03/01"
    assert app.platform.storage.version(f"{path}/_SUCCESS") is not None


def test_data_is_loaded_from_s3(new_app: Callable[[], flow.Application]) -> None:
    app = new_app()
    lines = S3Dataset("111222333444", "outside", "orders", "{}", "{}", dataset_format="json")
    orders = app.marshal_external_data(lines, dimension_spec=spec("region", "day"))
    for day, rows in ((DAYS[0], b'{"id": 1}\n{"id": 2}\n'), (DAYS[1], b'{"id": 3}\n')):
        app.platform.storage.write(f"{orders.layout.uri(orders.spec, ('NA', day))}/part-0.json", rows)
    assert sorted(app.load_data(orders["NA"][DAYS[0]])["id"]) == [1, 2]
    assert sorted(app.load_data(orders["NA"][:-2], ["NA", DAYS[1]])["id"]) == [1, 2, 3]
    with pytest.raises(FileNotFoundError, match="has no data at s3://outside/orders/EU"):
        app.load_data(orders["EU"][DAYS[0]])


def test_activation_deletes_the_jobs_of_nodes_that_are_gone(new_app: Callable[[], flow.Application]) -> None:
    app = new_app()
    declare(app)
    glue = app.platform.clients.client("glue")
    for name, application in (("rheo-shop-gone-0", "shop"), ("rheo-other-gone-0", "other")):
        command = {"Name": "glueetl", "ScriptLocation": "s3://b/s.py"}
        glue.create_job(Name=name, Role="role", Command=command, Tags={"rheo:application": application})
    app.activate()
    assert glue.list_jobs()["JobNames"] == ["rheo-other-gone-0"]


# who chooses the platform -------------------------------------------------------------------------------------


def test_the_variable_chooses_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RHEO_HOME", str(tmp_path))
    monkeypatch.setenv("RHEO_PLATFORM", "aws")
    assert repr(flow.Application("shop", REGION).platform) == "AwsPlatform(region='eu-west-1')"
    monkeypatch.setenv("RHEO_PLATFORM", "azure")
    with pytest.raises(CapabilityMissing, match="RHEO_PLATFORM is 'azure': set it to 'local' or 'aws'"):
        _ = flow.Application("shop").platform
    monkeypatch.delenv("RHEO_PLATFORM")
    assert isinstance(flow.Application("shop").platform, LocalPlatform)


def test_an_application_for_aws_runs_on_a_laptop_where_the_variable_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RHEO_HOME", str(tmp_path))
    monkeypatch.delenv("RHEO_PLATFORM", raising=False)
    made = flow.AWSApplication("shop", REGION, dev_role_account_id="111222333444")
    assert made.platform.bucket("shop") == "rheo-shop-111222333444-eu-west-1"
    role = "arn:aws:iam::111222333444:role/rheo-jobs"
    told = flow.AWSApplication(
        "shop", REGION, dev_role_account_id="111222333444", role=role, bucket="rheo-{application}"
    )
    assert (told.platform.role, told.platform.bucket("shop")) == (role, "rheo-shop")
    with pytest.raises(DeclarationError, match="has a platform and role"):
        flow.AWSApplication("shop", REGION, role=role, platform=LocalPlatform(tmp_path))
    monkeypatch.setenv("RHEO_PLATFORM", "local")
    assert isinstance(flow.AWSApplication("shop", REGION, KEY, SECRET, role=role).platform, LocalPlatform)


def test_what_can_never_be_an_account_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RHEO_PLATFORM", raising=False)
    with pytest.raises(DeclarationError, match="twelve digits"):
        flow.AWSApplication("shop", REGION, dev_role_account_id="mine")
    with pytest.raises(DeclarationError, match="one half of an access key"):
        flow.AWSApplication("shop", REGION, access_id=KEY)


# credentials --------------------------------------------------------------------------------------------------


def test_without_credentials_it_is_declared_and_drawn_but_not_activated(
    root: Path, no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RHEO_PLATFORM")
    app = flow.AWSApplication("shop", REGION)
    _, totals = declare(app)
    assert app.definitions().resolve_all_asset_specs()
    with pytest.raises(CapabilityMissing, match=r"application 'shop' asks for AWS.*RHEO_PLATFORM=local"):
        app.activate()
    with pytest.raises(CapabilityMissing, match=r"no usable credentials"):
        app.execute(totals["NA"][DAYS[0]])


def test_credentials_that_come_later_do_not_write_into_a_bucket_of_nobody(
    root: Path, no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto import mock_aws

    monkeypatch.delenv("RHEO_PLATFORM")
    app = flow.AWSApplication("shop", REGION)
    declare(app)
    with mock_aws():
        app.platform.clients._clients.clear()
        app.platform.clients._session = None
        with pytest.raises(CapabilityMissing, match="declare it again, in a new process"):
            app.activate()
        assert app.platform.clients.client("s3").list_buckets()["Buckets"] == []


def test_given_credentials_are_in_no_file_no_log_and_no_message(
    root: Path, aws: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("RHEO_PLATFORM")
    app = flow.AWSApplication("shop", REGION, KEY, SECRET)
    s3 = app.platform.clients.client("s3")
    s3.create_bucket(Bucket="outside", CreateBucketConfiguration={"LocationConstraint": REGION})
    orders, totals = declare(app)
    app.activate()
    land(app, orders, "NA", DAYS[0])
    app.settle()
    assert [execution.status for execution in app.history(totals)] == ["COMPLETED"]
    stored = [
        s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read()
        for found in app.platform.storage.objects(BUCKET, "")
    ]
    stored += [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    assert len(stored) > 5
    for secret in (KEY, SECRET):
        assert not any(secret.encode() in content for content in stored)
        assert secret not in caplog.text
        assert secret not in repr(vars(app)) + repr(app.definitions())


def test_a_callable_that_holds_the_application_is_refused_without_a_word_of_its_key(
    root: Path, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RHEO_PLATFORM")
    app = flow.AWSApplication("shop", REGION, KEY, SECRET)
    clients = app.platform.clients
    node(app, "made", compute_targets=[InlinedCompute(lambda *_: clients.client("s3"), engine="process")])
    with pytest.raises(ValueError, match="cannot be recorded") as caught:
        app.activate()
    assert SECRET not in str(caught.value) + str(caught.value.__cause__)
