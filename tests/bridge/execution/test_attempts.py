"""Attempts: failures of the user's code are counted, those of the platform are waited for, the lasting ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, LocalPlatform, NOOPCompute, SparkSQL
from rheo_assets.bridge.execution.attempts import Attempts, Backoff
from rheo_assets.bridge.execution.execution import Outcome, Request, Surroundings, run_execution
from rheo_assets.runner.task import TaskFailure, TaskResult, lasting_failure
from tests.cases.topologies import S3, node

DAY = ("2024-01-02",)
NO_ROOM = "'daily': Glue has no room: Exceeded maximum concurrent compute capacity"


class Flaky:
    """An engine whose first attempts fail."""

    def __init__(self, *failures: TaskFailure) -> None:
        self.failures = list(failures)
        self.tokens: list[str] = []

    def run(self, task: Any, log: Any, cancelled: Any) -> TaskResult:
        self.tokens.append(task.token)
        if self.failures:
            raise self.failures.pop(0)
        return TaskResult(engine="flaky")


class FlakyPlatform(LocalPlatform):
    """A platform whose only engine is flaky."""

    def __init__(self, root: Path, engine: Flaky, **options: Any) -> None:
        super().__init__(root, **options)
        self.flaky = engine

    def engine(self, target: Any) -> Any:
        return self.flaky


class Waits:
    """A clock that runs as fast as somebody waits."""

    def __init__(self, lasts: float = float("inf")) -> None:
        self.pauses: list[float] = []
        self.log: list[str] = []
        self._left = lasts

    def __call__(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self._left -= seconds
        return self._left >= 0

    def attempts(self, retry_count: int = 0, **backoff: float) -> Attempts:
        return Attempts(retry_count, Backoff(**backoff), self.log.append, self)


def no_room(_ended: int) -> TaskResult:
    raise TaskFailure("platform", NO_ROOM)


def test_a_platform_without_room_is_waited_for_with_pauses_up_to_an_hour_for_a_day() -> None:
    waits = Waits()
    with pytest.raises(TaskFailure, match="no room"):
        waits.attempts().run(no_room)
    assert waits.pauses[:4] == [1, 2, 4, 8]
    assert max(waits.pauses) == waits.pauses[-1] == 3600
    assert 86_400 - 3600 < sum(waits.pauses) <= 86_400
    assert all(NO_ROOM in line for line in waits.log), "the log says what it waits for"
    assert waits.log[0] == f"retries in 1 s. Reason: {NO_ROOM}"
    assert ", for up to 23" in waits.log[8]


def test_how_long_the_platform_is_waited_for_is_an_option() -> None:
    waits = Waits()
    with pytest.raises(TaskFailure):
        waits.attempts(retry_for=10).run(no_room)
    assert waits.pauses == [1, 2, 4]


def test_what_waiting_does_not_lift_is_tried_a_few_times_at_once() -> None:
    def full(_ended: int) -> TaskResult:
        raise lasting_failure("the disk is full")

    waits = Waits()
    with pytest.raises(TaskFailure, match="the disk is full"):
        waits.attempts().run(full)
    assert waits.pauses == [1, 2, 4, 8]


def test_only_failures_of_the_user_s_code_count_towards_retry_count() -> None:
    kinds = iter(["platform", "user", "platform", "timeout", "platform", "user"])

    def attempt(_ended: int) -> TaskResult:
        raise TaskFailure(next(kinds), "failed")

    attempts = Waits().attempts(retry_count=2)
    with pytest.raises(TaskFailure) as told:
        attempts.run(attempt)
    assert (told.value.kind, attempts.count) == ("user", 6)


def executed(root: Path, engine: Flaky, cancelled: Callable[[], bool] = lambda: False) -> tuple[Outcome, list[str]]:
    platform = FlakyPlatform(root, engine)
    app = Application("app", platform=platform)
    made = node(app, "daily", [S3(app, "orders", "day")], compute_targets=[SparkSQL("select 1 as one")])
    log: list[str] = []
    partition = made.spec.read(DAY)
    around = Surroundings(platform, log.append, cancelled, lambda *_: "", pause=lambda seconds: None)
    return run_execution(made, Request("e", partition, {"orders": partition}), around), log


def test_an_execution_outlives_a_platform_that_is_down_for_longer_than_some_seconds(tmp_path: Path) -> None:
    engine = Flaky(*[TaskFailure("platform", NO_ROOM)] * 12)
    outcome, log = executed(tmp_path, engine)
    assert (outcome.execution.status, outcome.execution.records[0].attempts) == ("COMPLETED", 13)
    assert len(set(engine.tokens)) == 13, "each attempt that ended is followed by one of its own"
    assert any("target 0" in line and "retries in 1024 s" in line and NO_ROOM in line for line in log)


def test_an_execution_that_waits_can_be_killed(tmp_path: Path) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 100

    outcome, _ = executed(tmp_path, Flaky(*[TaskFailure("platform", NO_ROOM)] * 50), cancelled)
    assert outcome.execution.status == "KILLED"
    assert f"cancelled while waiting for a retry: {NO_ROOM}" in str(outcome.execution.error)


def test_an_application_gives_up_when_its_platform_says_so(root: Path) -> None:
    platform = FlakyPlatform(root, Flaky(*[TaskFailure("platform", NO_ROOM)] * 2), retry_for=2)
    app = Application("app", platform=platform)
    orders = S3(app, "orders", "day")
    daily = node(app, "daily", [orders], compute_targets=[SparkSQL("select 1 as one")])
    node(app, "other", [orders], compute_targets=[NOOPCompute])
    app.activate()
    app.process(orders[DAY[0]])
    assert [execution.status for execution in app.history(daily)] == ["FAILED"]
