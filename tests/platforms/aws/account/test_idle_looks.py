"""Idle looks at S3: what they cost, and how late a change is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from rheo_assets.bridge.arrivals.rounds import OFTEN, RARELY
from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.binding import Binding
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.aws.platform import AwsPlatform
from rheo_assets.platforms.aws.storage import S3Storage

TICK = 30.0
REGIONS = [f"r{number:02}" for number in range(12)]
DAYS = [f"{datetime(2024, 1, 1) + timedelta(days=number):%Y-%m-%d}" for number in range(8)]
DAY = {"type": "DATETIME", "format": "%Y-%m-%d"}
REGION = {"type": "STRING"}


class Journal:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def arrived(self, _node: str, _partition: Any, identity: str, _metadata: object) -> None:
        self.seen.append(identity.partition("@")[0].removeprefix("s3://lake/orders/").removesuffix("/_SUCCESS"))


class Lake:
    """A watched dataset on S3, and a daemon that looks at it twice a minute."""

    def __init__(self, platform: AwsPlatform, storage: S3Storage, spec: dict[str, Any], layout: list[str]) -> None:
        node = external_node("shop", "orders", S3Dataset("1", "lake", "orders", *layout), spec, None, SUCCESS)
        self.now, self.journal, self._storage = 0.0, Journal(), storage
        self._node, self._binding = node, Binding(Topology("shop", {node.id: node}), platform, datetime(2024, 1, 1))
        self.restart()

    def restart(self) -> None:
        """Ends the daemon, and starts another one."""
        self.watcher = Watcher(self._binding, self._node, lambda: self.now)

    def land(self, *partitions: str) -> None:
        for partition in partitions:
            self._storage.write(f"s3://lake/orders/{partition}/_SUCCESS", b"again")

    def look(self, times: int = 1, until: Callable[[], bool] = lambda: False) -> float:
        """Looks so many times, and returns how many seconds went by until something was so."""
        began = self.now
        for _ in range(times):
            self.now += TICK
            self.watcher.look(self.journal, is_idle=True)  # type: ignore[arg-type]
            if until():
                break
        return self.now - began


@pytest.fixture
def make(platform: AwsPlatform, storage: S3Storage) -> Callable[..., Lake]:
    platform.prepare("shop")
    return lambda spec, *layout: Lake(platform, storage, spec, list(layout))


@pytest.fixture
def calls(platform: AwsPlatform) -> Counter[str]:
    """The number of calls of S3 from now on, by name."""
    counts: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counts[model.name] += 1

    platform.clients.client("s3").meta.events.register("before-call.s3", count)
    return counts


@pytest.fixture
def nested(make: Callable[..., Lake]) -> Lake:
    """Days below regions, all there."""
    lake = make({"region": {**REGION, "day": DAY}}, "{}", "{}")
    lake.land(*(f"{region}/{day}" for region in REGIONS for day in DAYS))
    lake.watcher.remember()
    lake.look()
    return lake


def test_an_idle_hour_costs_one_look_at_what_is_old_and_more_at_what_is_recent(
    nested: Lake, calls: Counter[str]
) -> None:
    calls.clear()
    nested.watcher.look(nested.journal)  # type: ignore[arg-type]
    whole = sum(calls.values())
    assert (calls["HeadObject"], calls["ListObjectsV2"]) == (97, 13), "a look at everything, as scripts make it"
    calls.clear()
    nested.look(int(RARELY / TICK))
    looks, old, recent = RARELY / TICK, 12 * 5, 12 * 3
    assert calls["HeadObject"] <= looks + old * 1.1 + recent * RARELY / OFTEN + 1
    assert calls["ListObjectsV2"] <= looks + 12 * RARELY / OFTEN + 12
    assert sum(calls.values()) < whole * looks / 6
    assert nested.journal.seen == []


def test_the_rest_takes_turns_and_is_not_asked_for_all_at_once(nested: Lake, calls: Counter[str]) -> None:
    most = 0
    for _ in range(int(RARELY / TICK)):
        calls.clear()
        nested.look()
        most = max(most, calls["HeadObject"])
    assert most <= 12 * 3 + 1 + 12, "the recent ones may come together, and some of sixty old ones"


@pytest.mark.parametrize(
    ("partition", "late"),
    [("r03/2024-01-09", OFTEN), ("r03/2024-01-08", OFTEN), ("r07/2024-01-02", RARELY), ("r99/2023-01-01", TICK)],
)
def test_a_change_is_noticed_in_time(nested: Lake, partition: str, late: float) -> None:
    nested.look(4)
    nested.land(partition)
    took = nested.look(200, until=lambda: bool(nested.journal.seen))
    assert (nested.journal.seen, took <= late + TICK) == ([partition], True)


def test_a_partition_that_is_being_written_is_looked_at_every_time(nested: Lake, storage: S3Storage) -> None:
    storage.write("s3://lake/orders/r00/2023-06-01/part-0", b"")  # an old day, that comes late
    nested.look(10)
    nested.land("r00/2023-06-01")
    assert nested.look(10, until=lambda: bool(nested.journal.seen)) == TICK
    nested.land("r00/2023-06-01")  # and again
    nested.journal.seen.clear()


def test_after_a_restart_only_what_is_not_complete_is_looked_at_every_time(
    nested: Lake, storage: S3Storage, calls: Counter[str]
) -> None:
    storage.write("s3://lake/orders/r00/2023-06-01/part-0", b"")
    nested.restart()
    nested.look()
    calls.clear()
    nested.look(2)
    assert calls["HeadObject"] <= 2 * (1 + 1) + 12
    assert calls["ListObjectsV2"] <= 2 * (1 + 1) + 12
    nested.land("r00/2023-06-01")
    assert nested.look(10, until=lambda: bool(nested.journal.seen)) == TICK


def test_days_that_lie_right_below_the_dataset_are_found_with_one_list(
    make: Callable[..., Lake], calls: Counter[str]
) -> None:
    lake = make({"day": DAY}, "day={}")
    lake.land(*(f"day={day}" for day in DAYS))
    lake.watcher.remember()
    lake.look(2)
    calls.clear()
    lake.look()
    assert calls["ListObjectsV2"] == 1
    lake.land("day=2024-02-01")
    assert lake.look(5, until=lambda: bool(lake.journal.seen)) == TICK


def test_what_is_gone_is_told_once_it_is_looked_at_and_not_before(nested: Lake, storage: S3Storage) -> None:
    storage.delete("s3://lake/orders/r05/2024-01-08")
    took = nested.look(200, until=lambda: bool(nested.watcher.gone()))
    assert took <= OFTEN + TICK
    assert [partition[0] for _, partition in nested.watcher.gone()] == ["r05"]


def test_a_look_that_fails_is_made_again(nested: Lake) -> None:
    nested.look(4)
    nested.land("r07/2024-01-02")
    record = nested.journal.arrived

    def fails(*_: Any) -> None:
        raise OSError("the event log is away")

    nested.journal.arrived = fails  # type: ignore[method-assign]
    with pytest.raises(OSError, match="away"):
        nested.look(200)
    nested.journal.arrived = record  # type: ignore[method-assign]
    nested.look()
    assert nested.journal.seen == ["r07/2024-01-02"]


def test_a_script_notices_everything_at_once(nested: Lake) -> None:
    nested.look(4)
    nested.land("r07/2024-01-02", "r08/2024-01-03")
    nested.watcher.look(nested.journal)  # type: ignore[arg-type]
    assert nested.journal.seen == ["r07/2024-01-02", "r08/2024-01-03"]
