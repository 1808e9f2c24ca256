"""A process that dies between its completion file and Dagster's record: the success is reported, nothing runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.dying import DAY, declare, die

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
