"""The driver: its slot, and what becomes of it."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path

from rheo_assets import Application
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.heartbeats import Heartbeats
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.claims.snapshot_slots import SLOT_CHECKED_EVERY
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.routing.snapshot import SNAPSHOT_SLOTS
from tests.cases.topologies import S3, node

ELSEWHERE = Owner("elsewhere", 1, "1")


def test_a_driver_that_lost_its_slot_takes_another_and_knows_what_waits(root: Path, app: Application) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    node(app, "made", [x, y])
    app.activate()
    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2024, 1, 1)), instance)
        driver.journal.inject("x", x.spec.read(["2024-03-01"]), "one", None)
        driver.turn()
        slot = driver.slot
        assert slot is not None
        stranger = json.dumps(
            {"owner": Heartbeats(app.platform.storage, "s3://rheo-app/heartbeats", ELSEWHERE).live_owner().text()}
        )
        folder = root / "s3/rheo-app/snapshot_slots"
        (folder / str(slot.number) / str(slot.attempt + 1)).write_text(stranger)
        slot.checked -= SLOT_CHECKED_EVERY
        driver.turn()
        assert driver.slot is not None
        assert driver.slot.number != slot.number
        assert len(driver.router.groups("made").groups) == 1
        driver.journal.inject("y", x.spec.read(["2024-03-01"]), "two", None)
        assert [trigger.node for trigger in driver.turn()] == ["made"]


def test_a_driver_that_found_no_slot_takes_the_first_that_is_free(root: Path, app: Application) -> None:
    node(app, "made", [S3(app, "x", "day")])
    app.activate()
    folder = root / "s3/rheo-app/snapshot_slots"
    stranger = json.dumps(
        {"owner": Heartbeats(app.platform.storage, "s3://rheo-app/heartbeats", ELSEWHERE).live_owner().text()}
    )
    for number in range(SNAPSHOT_SLOTS):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        (folder / str(number) / "99").write_text(stranger)
    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2024, 1, 1)), instance)
        assert driver.slot is None
        (folder / "5" / "99").unlink()
        driver.turn()
        assert driver.slot is None  # it does not look all the time
        driver._slot_checked -= SLOT_CHECKED_EVERY
        driver.turn()
        assert driver.slot is not None
        assert driver.slot.number == 5


def test_turns_and_runs_draw_nothing_from_the_generator_that_the_user_may_have_seeded(app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x])
    app.activate()
    random.seed(7)
    state = random.getstate()
    app.process(x["2024-03-01"])
    app.settle(60)
    assert random.getstate() == state
