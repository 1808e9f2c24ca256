"""Much at once: each look and each turn ends in time, the next one goes on, nothing is lost and nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rheo_assets import Application
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.names import asset_key
from rheo_assets.bridge.sensors import run_requests
from rheo_assets.model.nodes import ExternalData
from rheo_assets.routing.entries import Trigger
from tests.cases.topologies import S3, node

SINCE = datetime(2024, 1, 1)
Drivers = Callable[[], Driver]


def at_once() -> bool:
    """Ends whatever may end as soon as it asks."""
    return True


@pytest.fixture
def instance(root: Path) -> dg.DagsterInstance:
    return open_instance(root)


@pytest.fixture
def drivers(app: Application, instance: dg.DagsterInstance) -> Drivers:
    """Makes drivers that know nothing of each other, as those of processes that follow on each other."""
    return lambda: Driver(Binding(app.topology, app.platform, SINCE), instance)


def arrive(root: Path, dataset: ExternalData, number: int) -> list[str]:
    """Announces partitions; returns their keys."""
    days = [f"{SINCE + timedelta(days=n):%Y-%m-%d}" for n in range(number)]
    for day in days:
        folder = root / "s3/outside" / dataset.id / day
        folder.mkdir(parents=True)
        (folder / "_SUCCESS").touch()
    return days


def events(driver: Driver, node_id: str) -> list[str | None]:
    """Returns the partitions of a node's events, oldest first."""
    found = driver.log.of_asset(asset_key("app", node_id), ascending=True)
    return [record.partition_key for record in found]


def test_a_backlog_of_files_is_taken_in_page_by_page_by_whoever_comes_next(
    root: Path, app: Application, drivers: Drivers
) -> None:
    x = S3(app, "x", "day")
    app.activate()
    days = arrive(root, x, 250)
    first = drivers()
    assert first.scan_sources(datetime.now(UTC), is_enough=at_once) == ["x"]
    assert events(first, "x") == days[:100]
    assert drivers().scan_sources(datetime.now(UTC), is_enough=at_once) == ["x"]
    assert first.scan_sources(datetime.now(UTC), is_enough=at_once) == []
    assert events(first, "x") == days


def test_a_source_with_a_backlog_lets_the_others_go_first(root: Path, app: Application, drivers: Drivers) -> None:
    busy, quiet = S3(app, "busy", "day"), S3(app, "quiet", "day")
    app.activate()
    driver = drivers()
    arrive(root, busy, 350)
    assert driver.scan_sources(datetime.now(UTC), ["busy", "quiet"], at_once) == ["busy"]
    arrive(root, quiet, 1)
    assert driver.scan_sources(datetime.now(UTC), ["busy", "quiet"], at_once) == ["busy"]
    newest = driver.log.after(driver.log.last_position() - 101)
    assert [record.asset_key.path[1] for record in newest if record.asset_key] == ["quiet", *["busy"] * 100]


def test_a_week_of_minutes_is_caught_up_with_bit_by_bit(app: Application, drivers: Drivers) -> None:
    app.add_timer("t", "rate(1 minute)", "minute", time_dimension_granularity="MINUTE")
    app.activate()
    now = datetime.now(UTC) + timedelta(days=7)
    for _ in range(2):
        assert drivers().scan_sources(now, ["t"], at_once) == ["t"]
    last = drivers()
    soon = now - timedelta(days=7) + timedelta(minutes=10, seconds=30)
    assert last.scan_sources(soon, ["t"]) == []
    found = events(last, "t")
    assert len(found) == len(set(found)) == 10


def test_what_a_turn_has_no_time_to_look_for_is_due_at_the_next(root: Path, app: Application, drivers: Drivers) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x[:-2].range_check(True)])
    app.activate()
    arrive(root, x, 2)
    driver = drivers()
    driver.journal.inject("x", x.spec.read(["2024-01-02"]), "one", None)
    driver.fold()
    now = datetime.now(UTC)
    assert driver.turn(now, at_once) == []
    assert [trigger.node for trigger in driver.turn(now)] == ["made"]


def test_runs_are_asked_for_page_by_page_and_first_for_what_was_never_asked_for(
    app: Application, drivers: Drivers
) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    app.activate()
    driver = drivers()
    partitions = [made.spec.read([SINCE + timedelta(days=n)]) for n in range(1010)]
    outbox = [Trigger("made", partition, {"x": partition}, {}, ("one",), 1) for partition in partitions]
    asked: list[int] = []
    for _ in range(4):
        wanted = emitted(driver.binding, outbox)
        for request in run_requests.run_requests(driver.binding, driver, wanted, at_once):
            executions = request.run_config["ops"]["app__made"]["config"]["executions"]
            assert executions[0]["partition"] == [f"{SINCE + timedelta(days=sum(asked)):%Y-%m-%d}"]
            asked.append(len(executions))
    assert asked == [500, 500, 10]
