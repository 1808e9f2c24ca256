"""An AWS on this machine: moto's server for the shapes of calls and for S3, and doubles that execute."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pyarrow.parquet
import pytest
from moto import backends
from moto.server import ThreadedMotoServer

from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.storage import S3Storage

REGION = "us-east-1"
KEY = "testing"


class World:
    """The calls go to `url`; everything is gone after `reset`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients = Clients(REGION, access_id=KEY, access_key=KEY, endpoint_url=url)
        self.storage = S3Storage(self.clients)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
        }

    def reset(self, *buckets: str) -> None:
        """Begins anew with empty buckets."""
        with urlopen(Request(f"{self.url}/moto-api/reset", method="POST")):
            pass
        for bucket in buckets:
            self.clients.client("s3").create_bucket(Bucket=bucket)


@contextmanager
def running_world() -> Iterator[World]:
    """Serves an empty world."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for every call
    modules = list(backends.list_of_moto_modules())  # which moto would look for on the disk at every call
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "list_of_moto_modules", lambda: modules)
        try:
            yield World("http://{}:{}".format(*server.get_host_and_port()))
        finally:
            server.stop()


def land(storage: Any, uri: str, *rows: Mapping[str, Any]) -> None:
    """Writes rows as JSON lines below a folder."""
    storage.write(f"{uri}/part-0.json", "".join(json.dumps(row) + "\n" for row in rows).encode())


def rows(storage: Any, uri: str) -> list[dict[str, Any]]:
    """Returns the rows of the parquet and json files below a folder."""
    found = []
    for name in storage.children(uri):
        if name.endswith(".parquet"):
            found += pyarrow.parquet.read_table(io.BytesIO(storage.read(f"{uri}/{name}"))).to_pylist()
        elif name.endswith(".json"):
            found += [json.loads(line) for line in storage.read(f"{uri}/{name}").splitlines()]
    return found
