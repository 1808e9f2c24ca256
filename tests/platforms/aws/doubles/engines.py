"""The engines that keep the contract, in one table: how each is opened, and which languages it runs.

To add one, write a function that returns a `Bench`, and put it into `BENCHES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.athena.queries import AthenaQueries, AthenaSettings
from rheo_assets.platforms.aws.functions.lambdas import LambdaFunctions, LambdaSettings
from rheo_assets.platforms.aws.functions.process import ProcessFunctions
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import JobService
from rheo_assets.platforms.aws.jobs.watching import Watcher
from rheo_assets.platforms.aws.retries import Patience
from rheo_assets.platforms.aws.spark.emr import EmrJobs, EmrSettings
from rheo_assets.platforms.aws.spark.emr_serverless import ServerlessJobs, ServerlessSettings
from rheo_assets.platforms.aws.spark.glue import GlueJobs, GlueSettings
from rheo_assets.platforms.capabilities import Engine, Storage
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.spark import LANGUAGES
from tests.platforms.aws.doubles.athena import AthenaDouble
from tests.platforms.aws.doubles.emr import EmrDouble
from tests.platforms.aws.doubles.emr_serverless import ServerlessDouble
from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.functions import LambdaDouble
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import World

APPLICATION = "shop"
BUCKET = "rheo-shop"
LAKE = "lake"


@dataclass
class Setting:
    """What a bench may be built from; the world is asked for only by those that need it.

    Attributes:
        tmp_path: A folder of the test's own.
        scratch: A folder of the session, for what may be used again.
        spark: A local Spark.
        world: Returns the AWS on this machine.
        patch: Undoes what is done to moto.
    """

    tmp_path: Path
    scratch: Path
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
        keep: Keeps the pickle of a callable, and returns what a task says as its code.
        close: Ends what still runs.
    """

    storage: Storage
    fresh: Callable[..., Engine]
    double: Faults | None = None
    start: str = ""
    keep: Callable[[bytes], str] = lambda _: ""
    close: Callable[[], None] = lambda: None


def patient(service: JobService, slowest: float = 0.5) -> RemoteEngine:
    """Returns an engine that asks again quickly, and looks at its job at least every `slowest` seconds."""
    return RemoteEngine(service, Watcher(slowest=slowest), Patience(seconds=20, first=0.05, longest=0.2))


def home(application: str) -> str:
    """Returns where an application's own objects lie."""
    return f"s3://rheo-{application}"


def local_spark(setting: Setting) -> Bench:
    return local(setting, SparkEngine)


def local_presto(setting: Setting) -> Bench:
    from rheo_assets.platforms.local.presto.engine import PrestoEngine

    return local(setting, PrestoEngine)


def local_functions(setting: Setting) -> Bench:
    from rheo_assets.platforms.local.functions import FunctionEngine

    return local(setting, FunctionEngine)


def local(setting: Setting, engine: Callable[[Path], Engine]) -> Bench:
    """Returns the bench of an engine of this machine."""
    from rheo_assets.platforms.local.storage import LocalStorage

    for bucket in (BUCKET, LAKE):
        (setting.tmp_path / "s3" / bucket).mkdir(parents=True)

    def keep(content: bytes) -> str:
        (setting.tmp_path / "blob").write_bytes(content)
        return str(setting.tmp_path / "blob")

    return Bench(LocalStorage(setting.tmp_path), lambda _storage=None: engine(setting.tmp_path), keep=keep)


def kept_in(world: World) -> Callable[[bytes], str]:
    """Returns a function that keeps the pickle of a callable in S3."""

    def keep(content: bytes) -> str:
        world.storage.write(f"s3://{BUCKET}/blobs/callable", content)
        return f"s3://{BUCKET}/blobs/callable"

    return keep


def process(setting: Setting) -> Bench:
    world = setting.world()
    world.reset(BUCKET, LAKE)
    return Bench(world.storage, lambda _storage=None: ProcessFunctions(world.clients), keep=kept_in(world))


def athena(setting: Setting) -> Bench:
    world = setting.world()
    world.reset(BUCKET, LAKE)
    double = AthenaDouble(world.clients, setting.scratch / "athena")
    double.replace(setting.patch)

    def fresh(storage: Storage | None = None) -> Engine:
        return patient(
            AthenaQueries(Account(world.clients, storage or world.storage, home), AthenaSettings()), slowest=0.1
        )

    return Bench(world.storage, fresh, double, "start_query_execution")


def functions(setting: Setting) -> Bench:
    world = setting.world()
    world.reset(BUCKET, LAKE)
    double = LambdaDouble(setting.scratch / "functions", world)
    double.replace(setting.patch)
    settings = LambdaSettings(lambda_role(world))

    def fresh(storage: Storage | None = None) -> Engine:
        return patient(LambdaFunctions(Account(world.clients, storage or world.storage, home), settings), slowest=0.2)

    return Bench(world.storage, fresh, double, "invoke", kept_in(world), double.close)


def lambda_role(world: World) -> str:
    """Returns the ARN of a role that functions can run as."""
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    made = world.clients.client("iam").create_role(RoleName="functions", AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


def spark_host(setting: Setting, world: World) -> SparkHost:
    """Returns the host of a Spark double over an empty world."""
    world.reset(BUCKET, LAKE)
    return SparkHost(setting.spark, world.clients.client("s3"), setting.tmp_path / "jobs", world.environment)


def glue(setting: Setting) -> Bench:
    return remote(setting, GlueDouble, "start_job_run", GlueJobs, GlueSettings("rheo-jobs", workers=2))


def emr_serverless(setting: Setting) -> Bench:
    settings = ServerlessSettings("arn:aws:iam::123456789012:role/rheo-jobs")
    return remote(setting, ServerlessDouble, "start_job_run", ServerlessJobs, settings)


def emr(setting: Setting) -> Bench:
    return remote(setting, EmrDouble, "run_job_flow", EmrJobs, EmrSettings("rheo-jobs"))


def remote(setting: Setting, double: Any, start: str, jobs: Any, settings: Any) -> Bench:
    """Returns the bench of a service that runs Spark jobs."""
    world = setting.world()
    host = spark_host(setting, world)

    def fresh(storage: Storage | None = None) -> Engine:
        service = jobs(Account(world.clients, storage or world.storage, home), settings)
        service.takeover = 2.0  # longer than a start takes on a busy machine
        return patient(service)

    return Bench(world.storage, fresh, double(host, setting.patch), start, close=host.close)


SPARK: tuple[str, ...] = LANGUAGES
BENCHES: dict[str, tuple[Callable[[Setting], Bench], tuple[str, ...]]] = {
    "spark": (local_spark, SPARK),
    "glue": (glue, SPARK),
    "emr_serverless": (emr_serverless, SPARK),
    "emr": (emr, SPARK),
    "presto": (local_presto, ("PRESTO_SQL",)),
    "athena": (athena, ("PRESTO_SQL",)),
    "functions": (local_functions, ("INLINED",)),
    "process": (process, ("INLINED",)),
    "lambda": (functions, ("INLINED",)),
}
CLUSTERS = ("glue", "emr_serverless", "emr")
"""The services whose jobs have a log of their own."""
SERVICES = (*CLUSTERS, "athena", "lambda")
"""The engines whose jobs run elsewhere: their answers get lost, and who waits for them may die."""
