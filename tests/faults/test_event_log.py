"""What the Dagster instance keeps for drivers, against a real one on SQLite."""

from __future__ import annotations

import time

import dagster as dg
import pytest

from rheo_assets.bridge.claims.heartbeats import Heartbeats
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.claims.snapshot_slots import SnapshotSlots
from rheo_assets.bridge.eventlog.instance import EventLog
from tests.faults.world import PacedHeartbeatThread, Storage


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def test_new_rows_beside_existing_ones_are_written(instance):
    log = EventLog(instance)
    log.put_rows({"header": "1"})
    log.put_rows({"header": "2", "node": "new"})
    assert EventLog(instance).rows(["header", "node"]) == {"header": "2", "node": "new"}
    EventLog(instance).put_rows({"header": "3", "node": "newer", "other": "newest"})
    assert log.rows(["header", "node", "other"]) == {"header": "3", "node": "newer", "other": "newest"}


class LateLog(EventLog):
    """Stores a materialisation and an observation between the two queries of a page."""

    stores_between = True

    def _page(self, kind, cursor, limit):
        found = super()._page(kind, cursor, limit)
        if self.stores_between:
            self.stores_between = False
            self.report(dg.AssetMaterialization("late"))
            self.report(dg.AssetObservation("later"))
        return found


def test_a_page_never_passes_over_what_is_stored_while_it_is_read(instance):
    log = LateLog(instance)
    log.report(dg.AssetMaterialization("early"))
    names, cursor = [], 0
    while page := log.after(cursor, limit=2):
        names += [record.asset_key.path[0] for record in page]
        cursor = page[-1].storage_id
    assert names == ["early", "late", "later"]


def test_two_drivers_of_one_process_and_another_process_sit_apart():
    storage = Storage({}, lambda: None)
    dead: list[Owner] = []

    class OfOneMachine(Heartbeats):
        def is_dead(self, owner: Owner) -> bool:
            return owner in dead

    def slots(owner: Owner) -> SnapshotSlots:
        return SnapshotSlots(
            storage, "s3://slots/app", OfOneMachine(storage, "s3://slots/heartbeats", owner, PacedHeartbeatThread())
        )

    here, there = Owner("sim", 1, "1"), Owner("sim", 2, "1")
    first, second, third = slots(here).take(), slots(here).take(), slots(there).take()
    assert [slot.number for slot in (first, second, third) if slot] == [0, 1, 2]
    dead.append(there)
    newcomer = slots(Owner("sim", 3, "1")).take()
    assert newcomer is not None
    assert newcomer.number == 2
    del second
    again = slots(here).take()
    assert again is not None
    assert again.number == 1


class LateCommits(EventLog):
    """A log whose database gave an id before it committed: the event shows up when the log is read again."""

    looks = 0

    def _merged(self, cursor, limit):
        self.looks += 1
        return [r for r in super()._merged(cursor, limit) if self.looks > 1 or r.asset_key.path[0] != "first"]


@pytest.mark.parametrize(("settle", "seen"), [(0.0, ["second"]), (0.1, ["first", "second"])])
def test_an_event_that_is_committed_behind_a_later_one_is_taken_in_before_it_once_events_settle(instance, settle, seen):
    log = LateCommits(instance, settle)
    log.report(dg.AssetMaterialization("first"))
    log.report(dg.AssetObservation("second"))
    found, cursor = [], 0
    while page := log.after(cursor):
        found += [record.asset_key.path[0] for record in page]
        cursor = page[-1].storage_id
    assert found == seen  # whoever passes an event over never sees it


def test_sqlite_needs_no_settling_and_old_events_wait_for_nobody(instance):
    assert EventLog(instance)._settle == 0.0
    log = EventLog(instance, settle=30.0)
    log.report(dg.AssetMaterialization("now"))
    started = time.monotonic()
    (record,) = EventLog(instance, settle=0.1).after(0)
    assert time.monotonic() - started >= 0.1
    old = record._replace(event_log_entry=record.event_log_entry._replace(timestamp=record.timestamp - 3600))
    log._page = lambda kind, cursor, limit: [old] if kind is dg.DagsterEventType.ASSET_MATERIALIZATION else []
    started = time.monotonic()
    assert log.after(0) == [old]
    assert time.monotonic() - started < 10
