"""The driver's policy under moto's own enforcement, which decides about S3 and STS."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from moto.core import set_initial_no_auth_action_count

import rheo_assets as flow
from rheo_assets import AwsPlatform, NOOPCompute
from tests.platforms.aws.account.conftest import REGION

DAY = "2024-01-01"


def driven(without: str = "") -> list[str]:
    """Drives an application as a user who has its policy, less a statement; returns how its executions ended."""
    mine = AwsPlatform(region=REGION)
    mine.clients.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
    user = mine.clients.client("iam")
    user.create_user(UserName="driver")
    key = user.create_access_key(UserName="driver")["AccessKey"]
    theirs = AwsPlatform(region=REGION, access_id=key["AccessKeyId"], access_key=key["SecretAccessKey"])
    app = flow.Application("shop", platform=theirs)
    where = flow.S3Dataset("123456789012", "lake", "orders", "{}")
    success = flow.SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})
    spec = {"day": {"type": "DATETIME"}}
    orders = app.marshal_external_data(where, id="orders", dimension_spec=spec, protocol=success)
    daily = app.create_data("daily", [orders], compute_targets=[NOOPCompute])
    policy = app.policies()["driver"]
    left = [each for each in policy["Statement"] if each["Sid"] != without]
    left.append({"Effect": "Allow", "Action": ["s3:HeadBucket"], "Resource": ["*"]})  # AWS asks for s3:ListBucket
    document = json.dumps({**policy, "Statement": left})
    user.put_user_policy(UserName="driver", PolicyName="driver", PolicyDocument=document)

    @set_initial_no_auth_action_count(0)
    def drive() -> Any:
        app.activate()
        app.process(orders[DAY])
        return app.history(daily)

    mine.storage.write(f"s3://lake/orders/{DAY}/_SUCCESS", b"")
    return [execution.status for execution in drive()]


@pytest.fixture
def instance(root: Path, aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RHEO_PLATFORM")


def test_with_the_policy_an_application_is_activated_and_runs(instance: None) -> None:
    assert driven() == ["COMPLETED"]


@pytest.mark.parametrize(
    ("statement", "says"),
    [("BucketSettings", "s3:CreateBucket"), ("Objects", "s3:"), ("Inputs", "s3:GetObject")],
)
def test_without_a_statement_it_says_what_is_denied(instance: None, statement: str, says: str) -> None:
    with pytest.raises(Exception, match=re.escape(says)):
        assert driven(statement) == ["COMPLETED"], "s3: nothing was denied"
