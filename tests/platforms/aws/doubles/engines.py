"""The engines that keep the contract, in one table: how each is opened, and which languages it runs.

To add one, write a function that returns a `Bench`, and put it into `BENCHES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rheo_assets.platforms.aws.emr import EmrJobs, EmrSettings
from rheo_assets.platforms.aws.emr_serverless import ServerlessJobs, ServerlessSettings
from rheo_assets.platforms.aws.glue import GlueJobs, GlueSettings
from rheo_assets.platforms.aws.jobs import JobService, RemoteEngine
from rheo_assets.platforms.aws.patience import Patience
from rheo_assets.platforms.aws.spark_jobs import unrepeated_client
from rheo_assets.platforms.aws.watching import Watcher
from rheo_assets.platforms.capabilities import Engine, Storage
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.spark import LANGUAGES
from tests.platforms.aws.doubles.emr import EmrDouble
from tests.platforms.aws.doubles.emr_serverless import ServerlessDouble
from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import REGION, World

APPLICATION = "shop"
BUCKET = "rheo-shop"
LAKE = "lake"


@dataclass
class Setting:
    """What a bench may be built from; the world is asked for only by those that need it."""

    tmp_path: Path
    spark: SparkEngine
    world: Callable[[], World]
    patch: pytest.MonkeyPatch


@dataclass
class Bench:
    """An engine under test.

    Attributes:
        storage: Where it reads and writes.
        fresh: Opens another engine object on the same service, as another process would; over another storage if one
            is given.
        double: The service; None for an engine of this machine.
        start: The service's operation that starts a job, in moto's words.
        close: Ends what still runs.
    """

    storage: Storage
    fresh: Callable[..., Engine]
    double: Faults | None = None
    start: str = ""
    close: Callable[[], None] = lambda: None


def patient(service: JobService) -> RemoteEngine:
    """Returns an engine that asks again quickly."""
    return RemoteEngine(service, Watcher(slowest=0.5), Patience(seconds=20, first=0.05, longest=0.2))


def home(application: str) -> str:
    """Returns where an application's own objects lie."""
    return f"s3://rheo-{application}"


def local_spark(setting: Setting) -> Bench:
    from rheo_assets.platforms.local.storage import LocalStorage

    for bucket in (BUCKET, LAKE):
        (setting.tmp_path / "s3" / bucket).mkdir(parents=True)
    return Bench(LocalStorage(setting.tmp_path), lambda _storage=None: SparkEngine(setting.tmp_path))


def spark_host(setting: Setting, world: World) -> SparkHost:
    """Returns the host of a Spark double over an empty world."""
    world.reset(BUCKET, LAKE)
    return SparkHost(setting.spark, world.clients.client("s3"), setting.tmp_path / "jobs", world.environment)


def glue(setting: Setting) -> Bench:
    return remote(setting, GlueDouble, "start_job_run", "glue", GlueJobs, GlueSettings("rheo-jobs", workers=2))


def emr_serverless(setting: Setting) -> Bench:
    settings = ServerlessSettings("arn:aws:iam::123456789012:role/rheo-jobs")
    return remote(setting, ServerlessDouble, "start_job_run", "emr-serverless", ServerlessJobs, settings)


def emr(setting: Setting) -> Bench:
    return remote(setting, EmrDouble, "run_job_flow", "emr", EmrJobs, EmrSettings("rheo-jobs"))


def remote(setting: Setting, double: Any, start: str, client: str, jobs: Any, settings: Any) -> Bench:
    """Returns the bench of a service that runs Spark jobs."""
    world = setting.world()
    host = spark_host(setting, world)

    def fresh(storage: Storage | None = None) -> Engine:
        service = jobs(unrepeated_client(world.clients, client), storage or world.storage, home, settings, REGION)
        service.takeover = 0.5
        return patient(service)

    return Bench(world.storage, fresh, double(host, setting.patch), start, host.close)


SPARK: tuple[str, ...] = LANGUAGES
BENCHES: dict[str, tuple[Callable[[Setting], Bench], tuple[str, ...]]] = {
    "spark": (local_spark, SPARK),
    "glue": (glue, SPARK),
    "emr_serverless": (emr_serverless, SPARK),
    "emr": (emr, SPARK),
}
