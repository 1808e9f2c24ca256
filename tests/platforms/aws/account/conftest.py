"""Fixtures: an AWS account as moto answers for it, with a key that opens nothing, and what stands on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.platform import AwsPlatform
from rheo_assets.platforms.aws.storage import S3Storage

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine that knows no credentials of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    empty = tmp_path_factory.mktemp("no-aws")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws(no_credentials: None) -> Iterator[None]:
    """An empty account."""
    with mock_aws():  # it sets a key in the environment
        yield


@pytest.fixture
def clients(aws: None) -> Clients:
    """Clients of the account."""
    return Clients(REGION)


@pytest.fixture
def platform(aws: None) -> AwsPlatform:
    """The platform of the account."""
    return AwsPlatform(region=REGION)


@pytest.fixture
def storage(clients: Clients) -> S3Storage:
    """A storage with the bucket `lake`."""
    clients.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3Storage(clients)


@pytest.fixture
def calls(clients: Clients) -> Counter[str]:
    """The number of calls of S3 from now on, by name."""
    counts: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counts[model.name] += 1

    clients.client("s3").meta.events.register("before-call.s3", count)
    return counts
