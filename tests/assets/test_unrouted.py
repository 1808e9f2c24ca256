"""Runs that nobody routed: from the UI's button, a job or a backfill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import Application, InlinedCompute
from rheo_assets.assets.assets import node_asset
from rheo_assets.assets.binding import Binding
from rheo_assets.assets.driving.driver import Driver
from rheo_assets.assets.eventlog.instance import open_instance
from rheo_assets.assets.keys import RANGE_END_TAG, RANGE_START_TAG
from rheo_assets.assets.ownership.owners import Owner
from rheo_assets.nodes import DataNode
from tests.cases.topologies import S3, event, file, node, ran

FIRST, SECOND = "2024-03-01", "2024-03-02"
SINCE = datetime(2024, 1, 1)


def from_the_ui(root: Path, app: Application, made: DataNode, days: list[str], **config: Any) -> bool:
    """Runs partitions as Dagster's UI would, in this process; returns whether the run succeeded."""
    asset = node_asset(Binding(app.topology, app.platform, SINCE), made)
    job = dg.Definitions(assets=[asset]).resolve_implicit_global_asset_job_def()
    with open_instance(root) as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=days[0] if len(days) == 1 else None,
            tags={RANGE_START_TAG: days[0], RANGE_END_TAG: days[-1]} if len(days) > 1 else {},
            run_config={"ops": {asset.op.name: {"config": config}}},
            raise_on_error=False,
        )
    return result.success


def started(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.05)


def slow(root: Path) -> Any:
    """Returns a function that says that it has begun and goes on when it may."""

    def wait(inputs: Any, output: Any, params: Any) -> None:
        (root / "begun").touch()
        while not (root / "go").exists():
            time.sleep(0.05)

    return wait


def test_an_event_for_a_partition_that_the_ui_is_running_is_skipped_and_a_later_one_is_not(
    root: Path, app: Application
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(slow(root))])
    app.activate()
    thread = started(lambda: from_the_ui(root, app, made, [FIRST]))
    until((root / "begun").exists)
    app.process(x[FIRST])
    (root / "go").touch()
    thread.join()
    app.settle(60)
    assert ran(app, made) == [FIRST]
    assert app.pending(made) == []
    event(app, x[FIRST])
    assert ran(app, made) == [FIRST, FIRST]


def test_the_ui_does_not_run_a_partition_that_is_running(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(slow(root))])
    app.execute(made[FIRST], wait=False)
    until((root / "begun").exists)
    assert not from_the_ui(root, app, made, [FIRST])
    (refused,) = [e for e in app.history(made) if e.status == "FAILED"]
    assert refused.error is not None
    assert "made[2024-03-01] is not ready to run: waiting for the end of run" in refused.error
    waiting = started(lambda: from_the_ui(root, app, made, [FIRST], wait=True))
    (root / "go").touch()
    waiting.join()
    app.settle(60)
    assert [e.status for e in app.history(made)] == ["FAILED", "COMPLETED", "COMPLETED"]


def test_a_run_that_is_gone_without_a_word_holds_nobody_up(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    with open_instance(root) as instance:
        other = Driver(Binding(app.topology, app.platform, SINCE), instance)
        partition = made.spec.read([FIRST])
        other.journal.began("made", "no-such-run", Owner.this_process().text(), {partition: "gone"})
    event(app, x[FIRST])
    assert [(e.id == "gone", e.status) for e in app.history(made)] == [(True, "FAILED"), (False, "COMPLETED")]


def test_a_waiting_run_runs_each_partition_when_it_is_ready(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x[:-1].range_check(True)])
    app.activate()
    file(app, x[SECOND])
    waiting = started(lambda: from_the_ui(root, app, made, [FIRST, SECOND], wait=True))
    until((root / "s3/rheo-app/internal_data/made" / SECOND / "_SUCCESS").exists)
    assert not (root / "s3/rheo-app/internal_data/made" / FIRST).exists()
    file(app, x[FIRST])
    waiting.join()
    assert sorted(ran(app, made)) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, r"waiting for x\[2024-03-01\]\. Land .* `wait: true`"),
        ({"wait": True, "wait_timeout_seconds": 0}, r"waiting for x\[2024-03-01\] still after 0 s\. .*`wait_timeout_s"),
    ],
)
def test_what_is_not_ready_fails_with_what_to_do(
    root: Path, app: Application, config: dict[str, Any], said: str
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x[:-1].range_check(True)])
    app.activate()
    file(app, x[SECOND])
    assert not from_the_ui(root, app, made, [FIRST, SECOND], **config)
    by_day = {e.partition[0]: e for e in app.history(made)}
    assert by_day[SECOND].status == "COMPLETED"
    with pytest.raises(RuntimeError, match=said):
        raise RuntimeError(by_day[FIRST].error)
