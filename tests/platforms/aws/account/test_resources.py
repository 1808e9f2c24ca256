"""`resources/aws.py` binds a code location to the account of the environment."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from rheo_assets import AwsPlatform
from tests.platforms.aws.account.conftest import ACCOUNT, REGION


@pytest.fixture
def deployment(aws: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("RHEO_ROLE", f"arn:aws:iam::{ACCOUNT}:role/jobs")
    monkeypatch.delitem(sys.modules, "resources.aws", raising=False)
    return importlib.import_module("resources.aws")


def test_a_team_s_own_assets_reach_the_same_objects(deployment: ModuleType) -> None:
    platform = deployment.platform
    assert isinstance(platform, AwsPlatform)
    assert (platform.region, platform.role) == (REGION, f"arn:aws:iam::{ACCOUNT}:role/jobs")
    platform.prepare("shop")
    platform.storage.write(f"s3://{platform.bucket('shop')}/a", b"1")
    s3 = deployment.resources["s3"].get_client()
    assert s3.get_object(Bucket=f"rheo-shop-{ACCOUNT}-{REGION}", Key="a")["Body"].read() == b"1"
