"""A driver dies while the job of its execution goes on; another driver finishes the execution on S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from rheo_assets import Application, AwsPlatform, Spark
from rheo_assets.bridge.execution.execution import Outcome, Request, Surroundings, run_execution
from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.runner.task import Task, TaskFailure, TaskResult
from tests.cases.topologies import S3, node
from tests.platforms.aws.account.conftest import REGION

DAY = (datetime(2024, 3, 1),)


class Killed(BaseException):
    """The end of a driver's process."""


class Service:
    """Runs a job once a token and remembers how it ended, as Glue does; drivers die after it at will."""

    def __init__(self, storage: S3Storage) -> None:
        self.storage = storage
        self.runs: Counter[str] = Counter()
        self.dies_after: int | None = None
        self.fails: set[int] = set()

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        if task.token not in self.runs:
            self.runs[task.token] += 1
            self.storage.write(f"{task.output.path}/part-{task.position}", task.code.encode())
        if self.dies_after == task.position:
            raise Killed
        if task.position in self.fails:
            raise TaskFailure("user", "no")
        return TaskResult(rows=1, engine="service")


class Platform(AwsPlatform):
    """The account with one service for everything."""

    service: Service

    def engine(self, target: Target) -> Service:
        return self.service


@pytest.fixture
def platform(aws: None) -> Platform:
    made = Platform(region=REGION)
    made.service = Service(made.storage)
    made.prepare("shop")
    made.clients.client("s3").create_bucket(Bucket="outside", CreateBucketConfiguration={"LocationConstraint": REGION})
    return made


def drive(platform: Platform, execution_id: str = "execution") -> Outcome:
    """Runs the execution as a driver in a new process would."""
    app = Application("shop", REGION, platform=platform)
    made = node(app, "made", [S3(app, "orders", "day")], compute_targets=[Spark("first"), Spark("second")])
    around = Surroundings(platform, lambda line: None, lambda: False, lambda made, position: "", pause=lambda s: None)
    return run_execution(made, Request(execution_id, DAY, {"orders": DAY}), around)


def folder(platform: Platform) -> str:
    return f"s3://{platform.bucket('shop')}/internal_data/made/2024-03-01"


@pytest.mark.parametrize("dies_after", [0, 1])
def test_what_the_jobs_of_a_dead_driver_wrote_is_published_by_the_next(platform: Platform, dies_after: int) -> None:
    platform.service.dies_after = dies_after
    with pytest.raises(Killed):
        drive(platform)
    assert list(platform.storage.children(folder(platform))) == []
    platform.service.dies_after = None
    assert drive(platform).execution.status == "COMPLETED"
    assert list(platform.storage.children(folder(platform))) == ["_SUCCESS", "part-0", "part-1"]
    assert set(platform.service.runs.values()) == {1}
    assert not list(platform.storage.objects(platform.bucket("shop"), ".writing/"))


def test_a_failed_execution_keeps_the_old_files_and_the_next_one_starts_clean(platform: Platform) -> None:
    drive(platform, "first")
    platform.service.fails = {1}
    assert drive(platform, "second").execution.status == "FAILED"
    assert list(platform.storage.children(folder(platform))) == ["part-0", "part-1"]
    platform.service.fails = set()
    assert drive(platform, "third").execution.status == "COMPLETED"
    assert list(platform.storage.children(folder(platform))) == ["_SUCCESS", "part-0", "part-1"]
