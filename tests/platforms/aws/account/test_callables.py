"""A callable of an application on AWS, in a child process that talks to S3 itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

import rheo_assets as flow
from rheo_assets import AwsPlatform, InlinedCompute
from tests.cases.topologies import S3, node
from tests.platforms.aws.account.conftest import ACCOUNT, REGION

KEY, SECRET = "AKIDGIVENINCODE", "wJalrXUtnFEMIgiven"
DAY = datetime(2024, 3, 1)


@pytest.fixture
def endpoint(no_credentials: None) -> Iterator[str]:
    """An account that other processes reach, too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_a_callable_gets_a_session_of_its_own_and_its_output_lands_in_the_partition(root: Path, endpoint: str) -> None:
    platform = AwsPlatform(region=REGION, access_id=KEY, access_key=SECRET, endpoint_url=endpoint)
    s3 = platform.clients.client("s3")
    s3.create_bucket(Bucket="outside", CreateBucketConfiguration={"LocationConstraint": REGION})

    def count(inputs, output, params):
        session = params["AWS_BOTO_SESSION"]
        bucket, _, prefix = inputs["orders"].paths[0].removeprefix("s3://").partition("/")
        found = session.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        Path(output.local_paths[0], "count.txt").write_text(str(len(found)))
        return {"account": session.client("sts").get_caller_identity()["Account"], "told": params["AWS_ACCOUNT_ID"]}

    app = flow.Application("shop", REGION, platform=platform)
    orders = S3(app, "orders", "day")
    counted = node(app, "counted", [orders], compute_targets=[InlinedCompute(count, engine="process")])
    app.activate()
    folder = orders.layout.uri(orders.spec, (DAY,))
    platform.storage.write(f"{folder}/part-0", b"1")
    platform.storage.write(f"{folder}/_SUCCESS", b"")
    path = app.execute(counted[DAY])
    assert path == f"s3://rheo-shop-{ACCOUNT}-{REGION}/internal_data/counted/2024-03-01"
    assert platform.storage.read(f"{path}/count.txt") == b"2"
    bucket = platform.bucket("shop")
    keys = [found["Key"] for found in platform.storage.objects(bucket, "")]
    assert not [key for key in keys if key.startswith(".writing/")]
    stored = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    stored += [file.read_bytes() for file in root.rglob("*") if file.is_file()]
    assert not any(secret.encode() in content for content in stored for secret in (KEY, SECRET))
