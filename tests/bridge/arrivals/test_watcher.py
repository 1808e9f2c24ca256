"""Arrivals between looks and processes: rewritten files, damaged records, and a process that dies in between."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import PrestoSQL
from rheo_assets.bridge.arrivals import known
from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.errors import StateError
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.local.platform import LocalPlatform
from rheo_assets.routing.entries import Turn
from tests.cases.topologies import node, spec

SPEC = {"region": {"type": "STRING", "day": {"type": "DATETIME", "format": "%Y-%m-%d"}}}
SINCE = datetime(2024, 1, 1)


class Journal:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def arrived(self, _node: str, partition: tuple[Any, ...], identity: str, _metadata: object) -> None:
        self.seen.append((f"{partition[0]}/{partition[1]:%Y-%m-%d}", identity))

    def partitions(self) -> list[str]:
        found = [partition for partition, _ in self.seen]
        self.seen.clear()
        return found


class Lake:
    """A watched dataset below a folder, and drivers that look at it."""

    def __init__(self, root: Path) -> None:
        platform = LocalPlatform(root)
        node = external_node("bench", "lake", S3Dataset("1", "lake", "data", "{}", "{}"), SPEC, None, SUCCESS)
        self.node = node
        self.binding = Binding(Topology("bench", {node.id: node}), platform, SINCE)
        self.folder = Path(platform.storage.location("s3://lake/data"))
        self.state = Path(platform.storage.location(f"{self.binding.home}/state/arrivals"))
        self.journal = Journal()

    def watcher(self) -> Watcher:
        return Watcher(self.binding, self.node)

    def land(self, *partitions: str) -> None:
        for partition in partitions:
            folder = self.folder / partition
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "_SUCCESS").write_text("done")

    def seen_by(self, watcher: Watcher) -> list[str]:
        watcher.look(self.journal)  # type: ignore[arg-type]
        return self.journal.partitions()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_each_arrival_is_told_once_by_whoever_looks_first(lake):
    first, second = lake.watcher(), lake.watcher()
    first.remember()
    lake.land("NA/2024-01-02", "NA/2024-01-01")
    assert lake.seen_by(first) == ["NA/2024-01-01", "NA/2024-01-02"]
    assert lake.seen_by(second) == []
    lake.land("EU/2024-01-01")
    assert lake.seen_by(second) == ["EU/2024-01-01"]
    assert lake.seen_by(first) == lake.seen_by(second) == lake.seen_by(lake.watcher()) == []


@pytest.mark.parametrize("is_known", [True, False])
def test_a_completion_file_deleted_and_rewritten_between_two_looks_has_arrived(lake, is_known):
    watcher = lake.watcher()
    if is_known:
        lake.land("NA/2024-01-01")
    watcher.remember()
    if not is_known:
        lake.land("NA/2024-01-01")
        lake.seen_by(watcher)
    done = lake.folder / "NA/2024-01-01/_SUCCESS"
    before = done.stat()
    done.unlink()
    done.write_text("done")
    os.utime(done, ns=(before.st_mtime_ns, before.st_mtime_ns + 1))
    assert lake.seen_by(watcher) == ["NA/2024-01-01"]
    assert watcher.gone() == []
    assert lake.seen_by(watcher) == []


def test_a_file_that_is_gone_is_told_until_a_turn_has_recorded_it(lake):
    lake.land("NA/2024-01-01", "NA/2024-01-02", "EU/2024-01-01")
    watcher = lake.watcher()
    watcher.remember()
    lake.seen_by(watcher)
    (lake.folder / "NA/2024-01-02/_SUCCESS").unlink()
    lake.seen_by(watcher)
    lake.land("EU/2024-01-03")
    lake.seen_by(watcher)
    gone = [("lake", ("NA", datetime(2024, 1, 2)))]
    assert watcher.gone() == gone
    heir = lake.watcher()  # the process died before its turn
    lake.seen_by(heir)
    assert heir.gone() == gone
    heir.forget_gone()
    assert heir.gone() == []
    for other in (watcher, lake.watcher()):
        lake.seen_by(other)
        assert other.gone() == []
    lake.land("NA/2024-01-02")
    assert lake.seen_by(watcher) == ["NA/2024-01-02"]


def test_a_file_that_is_back_before_the_turn_is_not_told_as_gone(lake):
    lake.land("NA/2024-01-01")
    watcher = lake.watcher()
    watcher.remember()
    done = lake.folder / "NA/2024-01-01/_SUCCESS"
    done.rename(done.with_name("aside"))
    lake.seen_by(watcher)
    done.with_name("aside").rename(done)
    assert watcher.gone() == []
    lake.seen_by(watcher)
    watcher.forget_gone()
    assert lake.seen_by(watcher) == []  # the very same file: it never left


def test_a_crash_between_the_look_and_the_turn_loses_no_gone_partition(root):
    lake = Lake(root)
    lake.land("NA/2024-01-01")

    def turns(driver: Driver) -> list[Turn]:
        return [entry for entry in driver.journal.read(0) if isinstance(entry, Turn) and entry.gone]

    with open_instance(root) as instance:
        dying = Driver(lake.binding, instance)
        dying.activate(datetime.now(UTC))
        (lake.folder / "NA/2024-01-01/_SUCCESS").unlink()
        dying.scan_sources(datetime.now(UTC))
        assert turns(dying) == []
        heir = Driver(lake.binding, instance)
        heir.scan_sources(datetime.now(UTC))
        heir.turn()
        heir.turn()
        (turn,) = turns(heir)
        assert turn.gone == (("lake", ("NA", datetime(2024, 1, 1))),)


def test_changes_are_written_together_now_and_then_and_lose_nothing(lake):
    watcher = lake.watcher()
    watcher.remember()
    days = [f"NA/2024-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 29)]
    for number, day in enumerate(days):
        lake.land(day)
        assert lake.seen_by(watcher) == [day]
        assert len(list((lake.state / "lake").iterdir())) == (number + 1) % known._CHANGES
    assert lake.seen_by(lake.watcher()) == []
    whole = json.loads((lake.state / "lake.json").read_bytes())
    assert len(whole["known"]) == whole["changes"] == known._CHANGES


def test_a_damaged_change_is_looked_for_again(lake, caplog):
    watcher = lake.watcher()
    watcher.remember()
    lake.land("NA/2024-01-01")
    lake.seen_by(watcher)
    lake.land("NA/2024-01-02")
    lake.seen_by(watcher)
    change = lake.state / "lake/1.json"
    change.write_bytes(change.read_bytes()[:20])
    heir = lake.watcher()
    assert lake.seen_by(heir) == ["NA/2024-01-01"]  # the journal knows this version, so it is no new event
    assert "lake/1.json is damaged" in caplog.text
    assert lake.seen_by(heir) == lake.seen_by(lake.watcher()) == []


def test_a_truncated_record_stops_each_look_and_loses_nothing_once_it_is_back(lake):
    watcher = lake.watcher()
    watcher.remember()
    lake.land("NA/2024-01-01")
    whole = lake.state / "lake.json"
    content = whole.read_bytes()
    whole.write_bytes(content[:-5])
    for looking in (watcher, watcher, lake.watcher()):
        with pytest.raises(StateError, match=r"lake\.json is damaged.*'lake'.*delete it"):
            lake.seen_by(looking)
    whole.write_bytes(content)
    assert lake.seen_by(watcher) == ["NA/2024-01-01"]


def test_deleting_the_record_makes_what_lies_there_known(lake):
    watcher = lake.watcher()
    watcher.remember()
    lake.land("NA/2024-01-01")
    lake.seen_by(watcher)
    lake.land("NA/2024-01-02")
    (lake.state / "lake.json").unlink()
    assert lake.seen_by(watcher) == lake.seen_by(lake.watcher()) == []
    lake.land("NA/2024-01-03")
    assert lake.seen_by(lake.watcher()) == ["NA/2024-01-03"]


def test_an_arrival_that_another_driver_recorded_first_is_not_recorded_over_it(lake):
    slow, fast = lake.watcher(), lake.watcher()
    slow.remember()
    lake.land("NA/2024-01-01")

    class Late(Journal):
        def arrived(self, *said: Any) -> None:
            super().arrived(*said)
            lake.land("NA/2024-01-02")
            fast.look(lake.journal)  # type: ignore[arg-type]

    late = Late()
    slow.look(late)  # type: ignore[arg-type]
    assert late.partitions() == ["NA/2024-01-01"]
    assert lake.journal.partitions() == ["NA/2024-01-01", "NA/2024-01-02"]
    assert lake.seen_by(slow) == lake.seen_by(lake.watcher()) == []


def test_bookkeeping_before_the_data_is_no_arrival_of_a_dataset_without_protocol(app, caplog):
    data = S3Dataset("1", "outside", "orders", "{}", dataset_format="json")
    orders = app.marshal_external_data(data, "orders", spec("day"), None, None)
    made = node(app, "made", [orders], compute_targets=[PrestoSQL("select * from orders")])
    app.activate()
    (path,) = app.materialize(orders["2024-01-01"])
    Path(path).mkdir(parents=True)
    for name in ("_started_123", "x.tmp", "_SUCCESS", "a.json._COPYING_"):
        (Path(path) / name).write_text("nothing yet")
    app.settle()
    assert app.history(made) == []
    assert "not routed" not in caplog.text
    with pytest.raises(FileNotFoundError):
        app.load_data(orders["2024-01-01"])
    (Path(path) / "a.json").write_text('{"x": 1}\n')
    app.settle()
    assert [execution.status for execution in app.history(made)] == ["COMPLETED"]


@pytest.mark.parametrize(
    "name", ["ts=2024-03-01 05%3A00%3A00", "ts=2024-03-01%2005%3A00%3A00", "ts=2024-03-01 05:00:00"]
)
def test_a_folder_that_hive_escaped_is_its_partition(app, name):
    level = {"type": "DATETIME", "format": "%Y-%m-%d %H:%M:%S"}
    data = S3Dataset("1", "outside", "logs", "ts={}", dataset_format="json")
    logs = app.marshal_external_data(data, "logs", {"ts": level}, None, SUCCESS)
    made = node(app, "made", [logs], compute_targets=[PrestoSQL("select * from logs")])
    app.activate()
    folder = app.platform.root / "s3/outside/logs" / name
    folder.mkdir(parents=True)
    (folder / "a.json").write_text('{"x": 1}\n')
    (folder / "_SUCCESS").touch()
    app.settle()
    assert [execution.status for execution in app.history(made)] == ["COMPLETED"]
    assert app.load_data(logs["2024-03-01 05:00:00"]).to_dict("records") == [{"x": 1}]
    assert app.materialize(logs["2024-03-01 05:00:00"]) == [str(folder)]
