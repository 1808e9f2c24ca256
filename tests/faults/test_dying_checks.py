"""A process dies between a materialisation and its blocking check: the data is kept, and checked by the next run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from tests.faults.dying_check import DAY, declare, die, launch


@pytest.mark.parametrize("passes", [True, False])
def test_what_a_dead_run_wrote_is_checked_by_the_next_one_and_not_made_again(root: Path, passes: bool) -> None:
    app = declare(root)
    app.activate()
    made, reader = app["made"], app["reader"]
    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2021, 1, 1)), instance)
        driver.journal.inject("x", app.topology["x"].spec.read([DAY]), "one", None)
        die(root)
        folder = root / "s3/rheo-checked/internal_data/made" / DAY
        assert not (folder / "_SUCCESS").exists()
        assert launch(app, instance, driver, lambda: passes) == 1, "the router asks for it again"
        asked = driver.turn()
        assert [trigger.node for trigger in asked] == (["reader"] if passes else [])
        assert (folder / "_SUCCESS").exists() is passes
    app.settle(60)
    assert (root / "counted").read_text() == "once\n"
    assert [e.status for e in app.history(made.node)] == ["COMPLETED" if passes else "FAILED"]
    assert len(app.history(reader.node)) == passes
