"""Policies of roles: with them everything runs, and each of their statements is needed for something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets import AwsPlatform, InlinedCompute, Permission
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput
from tests.platforms.aws.doubles.athena import AthenaDouble
from tests.platforms.aws.doubles.emr import EmrDouble
from tests.platforms.aws.doubles.emr_serverless import ServerlessDouble
from tests.platforms.aws.doubles.engines import lambda_role
from tests.platforms.aws.doubles.functions import LambdaDouble
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.iam import ACCOUNT, REGION, Guard, allows
from tests.platforms.aws.doubles.world import KEY, World

BUCKET = "rheo-shop"
KMS = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "aws.md"
SERVICES = ("s3", "sts", "glue", "athena", "lambda", "emr", "emr-serverless")


@dataclass
class Account:
    """An account with all its services, and an application that uses them all."""

    world: World
    platform: AwsPlatform
    app: flow.Application

    def policy(self) -> dict[str, Any]:
        return self.app.policies()["driver"]

    def guarded(self, policy: dict[str, Any]) -> Guard:
        guard = Guard(policy, KMS)
        guard.watch(self.platform.clients, *SERVICES)
        return guard

    def task(self, lang: str, code: str = "output = 1", token: str = "t-0", **more: Any) -> Task:
        output = TaskOutput(f"s3://{BUCKET}/out/{lang}")
        return Task(more.pop("node", "daily"), lang, code, (), output, application="shop", token=token, **more)


@pytest.fixture
def account(world: World, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    world.reset("lake")
    host: Any = SparkHost(None, world.clients.client("s3"), tmp_path, {})  # type: ignore[arg-type]  # nothing runs
    for double, outcome in (
        (GlueDouble, ("RUNNING", "")),
        (EmrDouble, ("FAILED", "")),
        (ServerlessDouble, ("SUCCESS", "")),
    ):
        opened = double(host, monkeypatch)
        opened.outcome, opened.looks = outcome, 0
    AthenaDouble(world.clients, scratch / "athena").replace(monkeypatch)
    functions = LambdaDouble(scratch / "functions", world)
    functions.replace(monkeypatch)
    role = lambda_role(world)
    for name in ("RHEO_ROLE", "RHEO_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    platform = AwsPlatform(
        region=REGION, bucket="rheo-{application}", role=role, kms_key=KMS,
        access_id=KEY, access_key=KEY, endpoint_url=world.url,
        engine_options={"emr_serverless": {"tags": {"team": "shop"}}},
    )  # fmt: skip
    catalog = world.clients.client("glue")
    catalog.create_database(DatabaseInput={"Name": "sales"})
    catalog.create_table(DatabaseName="sales", TableInput=TABLE)
    app = flow.Application("shop", platform=platform)
    app.glue_table("sales", "orders")
    where = flow.S3Dataset(ACCOUNT, "lake", "clicks", "{}")
    clicks = app.marshal_external_data(where, id="clicks", dimension_spec={"day": {"type": "DATETIME"}})
    asked = [Permission(["arn:aws:s3:::models/*"], ["s3:GetObject"])]
    targets = {
        "daily": flow.PrestoSQL("select 1 as one"),
        "glue": flow.Glue("output = clicks"),
        "emr": flow.EMR("output = clicks"),
        "serverless": flow.BatchCompute("output = clicks", engine="emr_serverless"),
        "function": InlinedCompute(lambda i, o, p: None, permissions=asked),
        "here": InlinedCompute(lambda i, o, p: None, engine="process", permissions=asked),
    }
    for name, target in targets.items():
        app.create_data(name, [clicks], compute_targets=[target])
    yield Account(world, platform, app)
    functions.close()


TABLE = {
    "Name": "orders",
    "StorageDescriptor": {
        "Columns": [{"Name": "id", "Type": "bigint"}],
        "Location": "s3://lake/orders",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    },
    "PartitionKeys": [{"Name": "day", "Type": "date"}],
    "Parameters": {"classification": "parquet"},
}


def everything(account: Account) -> None:
    """Does what the driver of an application does, on each service."""
    account.platform.prepare("shop")
    account.platform.catalog.table("sales", "orders")
    storage = account.platform.storage
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Storage, "large", 5 * 1024**2)
        with storage.replacement(f"s3://{BUCKET}/internal_data/daily/d", "writer") as fresh:
            storage.write(f"{fresh.uri}/part-0", bytes(6 * 1024**2))
            fresh.publish("_SUCCESS", b"")
    assert list(storage.find("s3://lake/clicks", 1, ["_SUCCESS"])) == []
    assert storage.version("s3://lake/clicks/d/_SUCCESS") is None
    account.world.storage.write("s3://lake/clicks/d/part-0.json", b'{"id": 1}\n')
    engine = {each.engine: each for node in account.app.topology.data_nodes.values() for each in node.targets}
    inputs = (TaskInput("clicks", ("s3://lake/clicks/d",), format="json", partitions=(("d",),)),)
    query = Task(
        "daily", "PRESTO_SQL", "select id from clicks", inputs, TaskOutput(f"s3://{BUCKET}/out/q"),
        application="shop", token="q-0",
    )  # fmt: skip
    assert account.platform.engine(engine["athena"]).run(query, print, lambda: False).rows == 1
    for name, lang in (("glue", "PYTHON"), ("emr", "PYTHON"), ("emr_serverless", "PYTHON")):
        service = account.platform.engine(engine[name]).service
        job = service.submit(account.task(lang, token=name, node=name))
        service.states([job])
        service.stop(job)
    blob = f"s3://{BUCKET}/blobs/f"
    storage.write(blob, dump_callable(lambda i, o, p: None, "f"))
    account.platform.engine(engine["lambda"]).service.submit(account.task("INLINED", blob, token="f"))
    account.platform.forget_gone("shop", {("glue", 0)})


def test_with_the_driver_s_policy_everything_runs_and_each_statement_is_needed(account: Account) -> None:
    policy = account.policy()
    guard = account.guarded(policy)
    everything(account)
    assert len(guard.needs) > 60
    unused = []
    for statement in policy["Statement"]:
        others = [each for each in policy["Statement"] if each is not statement]
        if all(allows(others, need) for need in guard.needs) and not statement["Sid"].startswith("Node"):
            unused.append(statement["Sid"])
    assert unused == []


@pytest.mark.parametrize(
    ("without", "says"),
    [
        ("QueryTables", "glue:CreateDatabase"),
        ("Inputs", "s3:GetObject on resource: arn:aws:s3:::lake/clicks/"),
        ("Jobs", "glue:GetJob"),
        ("PassRoleToGlue", "iam:PassRole"),
        ("Key", "kms:GenerateDataKey"),
    ],
)
def test_without_a_statement_the_call_that_needs_it_is_named(account: Account, without: str, says: str) -> None:
    policy = account.policy()
    left = [each for each in policy["Statement"] if each["Sid"] != without]
    assert len(left) == len(policy["Statement"]) - 1
    account.guarded({**policy, "Statement": left})
    with pytest.raises((TaskFailure, OSError, Exception), match=re.escape(says)):
        everything(account)


def test_a_role_gets_what_its_jobs_need_and_is_assumed_by_their_services_only(account: Account) -> None:
    found = account.app.policies()
    role = account.platform.role
    assert set(found) == {"driver", role, f"trust of {role}"}
    actions = {action for each in found[role]["Statement"] for action in each["Action"]}
    assert {"s3:PutObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey", "logs:PutLogEvents"} <= actions
    asked = [each for each in found[role]["Statement"] if each["Resource"] == ["arn:aws:s3:::models/*"]]
    assert [each["Sid"] for each in asked] == ["Nodefunction00"], "what runs in the driver is the driver's"
    services = found[f"trust of {role}"]["Statement"][0]["Principal"]["Service"]
    assert set(services) == {f"{name}.amazonaws.com" for name in ("ec2", "emr-serverless", "glue", "lambda")}


def test_an_application_asks_for_nothing_that_it_does_not_use(no_aws: None) -> None:
    app = flow.Application("shop", platform=AwsPlatform("111222333444", "cn-north-1"))
    app.create_data("daily", compute_targets=[flow.NOOPCompute])
    (document,) = app.policies().values()
    assert [each["Sid"] for each in document["Statement"]] == ["Account", "BucketSettings", "Bucket", "Objects"]
    assert document["Statement"][2]["Resource"] == ["arn:aws-cn:s3:::rheo-shop-111222333444-cn-north-1"]
    assert all(re.fullmatch(r"[A-Za-z0-9]+", each["Sid"]) for each in document["Statement"])


def test_a_laptop_asks_nobody(new_app: Callable[[], flow.Application]) -> None:
    assert new_app().policies() == {}


def test_the_guide_shows_the_policies_as_they_are_generated(no_aws: None) -> None:
    app = flow.Application("shop", platform=AwsPlatform("111222333444", "eu-west-1", role="rheo-jobs"))
    where = flow.S3Dataset("111222333444", "lake", "orders", "{}")
    orders = app.marshal_external_data(where, id="orders", dimension_spec={"day": {"type": "DATETIME"}})
    app.create_data("daily", [orders], compute_targets=[flow.PrestoSQL("select * from orders")])
    app.create_data("scores", [orders], compute_targets=[flow.Glue("output = orders")])
    shown = re.search(r"<!-- app.policies\(\) -->\n```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert json.loads(shown[1]) == app.policies(), "write json.dumps(app.policies(), indent=1) into the guide"


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RHEO_ROLE", "RHEO_PLATFORM", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
