"""A process that dies between its completion file and Dagster's record: the success is reported, nothing runs again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.eventlog.instance import open_instance
from tests.faults.dying import DAY, declare, die
from tests.faults.test_kill_nine import OPEN

WRITTEN = f"/first/{DAY}/_SUCCESS"


@pytest.mark.parametrize("verb", ["event", "plan", "ui"])
def test_a_success_that_a_killed_process_did_not_report_is_reported_and_has_its_readers(root: Path, verb: str) -> None:
    app, _, nodes = declare(root)
    die(root, verb, WRITTEN)
    written = (root / "s3/rheo-dying/internal_data/first" / DAY / "_SUCCESS").read_text()
    app.activate()
    app.settle(60)
    (first,) = app.history(nodes["first"])
    assert first.status == "COMPLETED"
    assert f'"id": "{first.id}"' in written  # the very execution that wrote it
    assert (root / "s3/rheo-dying/internal_data/first" / DAY / "_SUCCESS").read_text() == written
    assert [e.status for e in app.history(nodes["second"])] == ["COMPLETED"]
    assert [e.status for e in app.history(nodes["beside"])] == ["COMPLETED"]
    with open_instance(root) as instance:
        assert instance.get_run_records(dg.RunsFilter(statuses=OPEN)) == []


def test_an_execution_that_is_given_up_has_succeeded_if_the_last_process_wrote_its_completion_file(root: Path) -> None:
    app, _, nodes = declare(root)
    die(root, "event", WRITTEN)
    (claim,) = (path for path in (root / "s3/rheo-dying/claims").rglob("*.0") if path.is_file())
    for attempt in range(1, MAX_ATTEMPTS):
        claim.with_suffix(f".{attempt}").write_text(claim.read_text())
    app.activate()
    app.settle(60)
    assert [e.status for e in app.history(nodes["first"])] == ["COMPLETED"]
    assert [e.status for e in app.history(nodes["second"])] == ["COMPLETED"]
