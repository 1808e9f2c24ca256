"""What the Dagster instance keeps for drivers, against a real one on SQLite."""

from __future__ import annotations

import dagster as dg
import pytest

from rheo_assets.assets.claims import Owner, Seats
from rheo_assets.assets.instance import EventLog
from tests.faults.world import Storage


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
    objects: dict[str, tuple[bytes, int]] = {}
    storage = Storage(objects, lambda: None)
    here, there = Owner("sim", 1, "1"), Owner("sim", 2, "1")
    dead: list[Owner] = []

    def seats(owner: Owner) -> Seats:
        return Seats(storage, "s3://seats/app", owner, lambda found: found in dead)

    first, second, third = seats(here).take(), seats(here).take(), seats(there).take()
    assert [seat.number for seat in (first, second, third) if seat] == [0, 1, 2]
    dead.append(there)
    newcomer = seats(Owner("sim", 3, "1")).take()
    assert newcomer is not None
    assert newcomer.number == 2
    del second
    again = seats(here).take()
    assert again is not None
    assert again.number == 1
