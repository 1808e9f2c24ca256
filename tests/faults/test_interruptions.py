"""A database that is locked, a disk that fails, Ctrl-C: whatever interrupts a driver, its next turn loses nothing."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from rheo_assets import Application
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import EventLog, open_instance
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.platforms.local.storage import LocalStorage
from tests.cases.topologies import S3, event, node

FIRST = "2024-03-01"


class LockedLog(EventLog):
    """Is locked once, when it is asked for the earlier events of an asset."""

    is_locked = True

    def of_asset(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_locked:
            self.is_locked = False
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return super().of_asset(*args, **kwargs)


@pytest.fixture
def instance(root: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(root) as found:
        yield found


def test_a_repeat_is_known_as_one_also_when_the_database_was_locked_while_it_was_looked_for(
    app: Application, instance: dg.DagsterInstance
) -> None:
    x = S3(app, "x", "day")
    since = datetime(2024, 1, 1)
    day = x.spec.read([FIRST])
    log = EventLog(instance)
    Journal(log, app.topology, since).inject("x", day, "one", None)
    position = log.last_position()
    Journal(log, app.topology, since).inject("x", day, "one", None)
    journal = Journal(LockedLog(instance), app.topology, since)
    with pytest.raises(OperationalError):
        journal.read(position)
    assert journal.read(position) == []


@contextmanager
def interrupted(call: int) -> Iterator[None]:
    """Is Ctrl-C at one call among all those that a turn makes of our own functions."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        if event == "call" and "/rheo_assets/" in frame.f_code.co_filename:
            calls += 1
            if calls == call:
                raise KeyboardInterrupt

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator was closed just then
def test_a_turn_that_was_cut_at_any_of_its_calls_loses_no_event(app: Application, instance: dg.DagsterInstance) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    node(app, "made", [x, y])
    app.activate()
    driver = Driver(Binding(app.topology, app.platform, datetime(2024, 1, 1)), instance)
    days = [x.spec.read([str(date(2024, 1, 1) + timedelta(days=n))]) for n in range(2000)]
    for number, day in enumerate(days):
        driver.journal.inject("x", day, "one", None)
        driver.journal.inject("y", day, "two", None)
        try:
            with interrupted(number * 7 + 1):
                driver.turn()
            break
        except KeyboardInterrupt:
            assert day in {trigger.partition for trigger in driver.turn()}, f"cut at call {number * 7 + 1}"
        for trigger in driver.router.outbox():
            driver.journal.arrived("made", trigger.partition, trigger.execution_id("app"), {})
    assert 20 < number < len(days) - 1


class FailingStorage(LocalStorage):
    """A disk that does not answer one question, once."""

    failing = ""

    def version(self, uri: str) -> str | None:
        if self.failing and uri.endswith(self.failing):
            self.failing = ""
            raise OSError(errno.EIO, "Input/output error", uri)
        return super().version(uri)


def test_a_plan_in_the_background_goes_on_after_an_error_of_the_disk(root: Path, app: Application) -> None:
    first = node(app, "first", [S3(app, "x", "day")])
    second = node(app, "second", [first])
    storage = FailingStorage(root)
    app.platform.storage = storage  # type: ignore[misc]
    app.activate()
    event(app, app["x"][FIRST])
    storage.failing = f"/second/{FIRST}/_SUCCESS"
    app.execute(first[FIRST], wait=False, update_dependency_tree=True)
    app.settle(60)
    assert storage.failing == ""
    assert [e.status for e in app.history(first)] == ["COMPLETED"] * 2
    assert [e.status for e in app.history(second)] == ["COMPLETED"] * 2
    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2024, 1, 1)), instance)
        driver.fold()
        assert driver.router.plans == {}
