"""Runs that nobody routed: from the UI's button, a job or a backfill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from rheo_assets import Application, InlinedCompute
from rheo_assets.bridge.assets.assets import node_asset
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.history import manual_execution_id
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.execution.backfills import BACKFILL_TAG
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import run_config, run_tags
from rheo_assets.bridge.names import RANGE_END_TAG, RANGE_START_TAG
from rheo_assets.model.executions import Status
from rheo_assets.model.nodes import DataNode
from tests.cases.topologies import S3, event, file, node, ran

FIRST, SECOND = "2024-03-01", "2024-03-02"
SINCE = datetime(2024, 1, 1)


def from_the_ui(
    root: Path, app: Application, made: DataNode, days: list[str], backfill: str | None = None, **config: Any
) -> bool:
    """Runs partitions as Dagster's UI would, in this process; returns whether the run succeeded."""
    asset = node_asset(Binding(app.topology, app.platform, SINCE), made)
    job = dg.Definitions(assets=[asset]).resolve_implicit_global_asset_job_def()
    tags = {RANGE_START_TAG: days[0], RANGE_END_TAG: days[-1]} if len(days) > 1 else {}
    with open_instance(root) as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=days[0] if len(days) == 1 else None,
            tags={**tags, BACKFILL_TAG: backfill} if backfill is not None else tags,
            run_config={"ops": {asset.op.name: {"config": config}}},
            asset_selection=[asset.key],
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


@pytest.fixture(autouse=True)
def go(root: Path) -> Iterator[None]:
    """Lets everything that still waits go on when a test has failed."""
    yield
    (root / "go").touch()


def says_that_it_waits(root: Path) -> bool:
    """Whether the newest run has looked, and waits for another one."""
    with open_instance(root) as instance:
        said = [entry.user_message for entry in instance.all_logs(instance.get_runs(limit=1)[0].run_id)]
    return any("waits for run " in text for text in said)


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


def while_it_waits_in_the_ui(root: Path, app: Application, made: DataNode) -> list[bool]:
    """Executes FIRST, runs it from the UI meanwhile, lets both go on; returns whether the UI's run succeeded."""
    app.execute(made[FIRST], wait=False)
    until((root / "begun").exists)
    results: list[bool] = []
    waiting = started(lambda: results.append(from_the_ui(root, app, made, [FIRST])))
    until(lambda: says_that_it_waits(root))
    (root / "go").touch()
    waiting.join()
    return results


def test_the_ui_waits_for_the_run_that_was_asked_for_a_partition_and_makes_it_no_second_time(
    root: Path, app: Application
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(slow(root))])
    results = while_it_waits_in_the_ui(root, app, made)
    app.settle(60)
    assert results == [True]
    assert [(e.status, e.error) for e in app.history(made)] == [("COMPLETED", None)]


def test_the_ui_makes_a_partition_itself_when_the_run_that_it_waited_for_has_failed(
    root: Path, app: Application
) -> None:
    def fails_first(inputs: Any, output: Any, params: Any) -> None:
        is_first = not (root / "begun").exists()
        (root / "begun").touch()
        while is_first and not (root / "go").exists():
            time.sleep(0.05)
        if is_first:
            raise ValueError("no luck")

    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(fails_first)])
    results = while_it_waits_in_the_ui(root, app, made)
    assert results == [True]
    assert [e.status for e in app.history(made)] == ["FAILED", "COMPLETED"]


def test_the_ui_takes_over_what_stands_in_a_queue(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    app.pause()
    app.process(x[FIRST])
    binding = Binding(app.topology, app.platform, SINCE)
    with open_instance(root) as instance:
        driver = Driver(binding, instance)
        (trigger,) = driver.turn()
        asked = Request(trigger.execution_id("app"), trigger.partition, trigger.tips)
        job = dg.Definitions(assets=[node_asset(binding, made)]).resolve_implicit_global_asset_job_def()
        config = run_config(made, [asked])
        queued = instance.create_run_for_job(
            job,
            run_config=config,
            tags={**run_tags(binding.codecs["made"], [asked.partition]), "dagster/partition": FIRST},
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
        assert from_the_ui(root, app, made, [FIRST])
        assert [e.id for e in app.history(made) if e.status == "COMPLETED"] == [asked.id]
        instance.delete_run(queued.run_id)
        result = job.execute_in_process(instance=instance, partition_key=FIRST, run_config=config)
        assert result.success
    app.resume()
    app.settle(60)
    assert [(e.id, e.status) for e in app.history(made)] == [(asked.id, "COMPLETED")]


def test_a_run_from_the_ui_that_is_refused_ends_as_that_is_recorded(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")[:-2].range_check(True)])
    app.activate()
    before = datetime.now(UTC)
    assert not from_the_ui(root, app, made, [FIRST])
    (refused,) = app.history(made)
    assert refused.ended is not None
    assert before <= refused.ended <= datetime.now(UTC)
    when = refused.ended.strftime("%Y-%m-%d %H:%M:%S UTC")
    assert f"its last execution ended {when} as FAILED in run {refused.run_id}: " in str(app.why(made[FIRST]))


def test_of_two_runs_from_the_ui_the_later_one_fails_at_once_or_waits(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(slow(root))])
    app.activate()
    first = started(lambda: from_the_ui(root, app, made, [FIRST]))
    until((root / "begun").exists)
    assert not from_the_ui(root, app, made, [FIRST])
    (refused,) = [e for e in app.history(made) if e.status == "FAILED"]
    assert refused.error is not None
    assert "made[2024-03-01] is not ready to run: waiting for run " in refused.error
    assert "Terminate that run if it is dead, or set `wait: true` in the run config" in refused.error
    waiting = started(lambda: from_the_ui(root, app, made, [FIRST], wait=True))
    until(lambda: says_that_it_waits(root))
    (root / "go").touch()
    first.join()
    waiting.join()
    assert [e.status for e in app.history(made)] == ["FAILED", "COMPLETED", "COMPLETED"]


def test_what_a_backfill_makes_of_its_own_output_is_not_made_again_by_the_router(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    next_ = node(app, "next", [made])
    app.activate()
    assert from_the_ui(root, app, made, [FIRST])
    assert from_the_ui(root, app, next_, [FIRST])  # before the router has taken a turn
    app.settle(60)
    assert len(app.history(next_)) == 1
    assert app.pending() == []
    event(app, made[FIRST])  # another event is another execution
    assert len(app.history(next_)) == 2


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
        ({}, r"waiting for x\[2024-03-01\]\. Write or .* `wait: true`"),
        (
            {"wait": True, "wait_timeout_seconds": 0},
            r"waiting for x\[2024-03-01\]; gave up after 0 s\. .*`wait_timeout_s",
        ),
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


def test_a_run_that_was_killed_after_its_last_word_holds_nobody_up(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    binding, partition = Binding(app.topology, app.platform, SINCE), made.spec.read([FIRST])
    with open_instance(root) as instance:
        job = dg.Definitions(assets=[node_asset(binding, made)]).resolve_implicit_global_asset_job_def()
        tags, asked = {"dagster/partition": FIRST}, frozenset({dg.AssetKey(["app", "made"])})
        run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED, asset_selection=asked)
        assert app.has_active_record(made[FIRST])
        identity = manual_execution_id(run.run_id, made, partition)
        Driver(binding, instance).recovery.end(made, partition, identity, Status.FAILED, "bad luck", run.run_id)
        assert not app.has_active_record(made[FIRST])
        assert app.execute(made[FIRST])
        assert [e.status for e in app.history(made)] == ["FAILED", "COMPLETED"]


def asked_for(root: Path, made: DataNode, days: list[str]) -> str:
    """Asks for a backfill as the UI does, of which Dagster launches no run yet; returns its id."""
    with open_instance(root) as instance:
        backfill = PartitionBackfill(
            backfill_id="abcdefgh",
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=time.time(),
            asset_selection=[dg.AssetKey(["app", made.id])],
            partition_names=days,
        )
        instance.add_backfill(backfill)
        return backfill.backfill_id


def test_a_backfill_takes_over_what_the_router_made_since_it_was_asked_for(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    last = node(app, "last", [made])
    app.activate()
    event(app, x[FIRST])
    backfill = asked_for(root, made, [FIRST])
    assert from_the_ui(root, app, made, [FIRST], backfill)
    app.settle(60)  # the router makes what follows before Dagster launches the backfill's next run
    assert from_the_ui(root, app, last, [FIRST], backfill)
    app.settle(60)
    assert len(app.history(made)) == 2, "before the backfill, and by it"
    assert len({execution.id for execution in app.history(last)}) == 2
    with open_instance(root) as instance:
        (run,) = instance.get_runs(limit=1)
        (reported,) = instance.fetch_materializations(dg.AssetKey(["app", "last"]), limit=1).records
        assert reported.run_id == run.run_id, "the backfill counts the partition as its own"
        assert "was built by run" in "".join(entry.user_message for entry in instance.all_logs(run.run_id))


def test_a_backfill_makes_again_what_was_made_before_it_or_from_older_inputs(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    last = node(app, "last", [made[:-2]])
    app.activate()
    for day in (FIRST, SECOND):
        event(app, x[day])
    assert len(app.history(last)) == 2
    backfill = asked_for(root, made, [FIRST, SECOND])
    assert from_the_ui(root, app, made, [SECOND], backfill)
    app.settle(60)
    assert len(app.history(last)) == 3
    assert from_the_ui(root, app, made, [FIRST], backfill)  # an input of the range, and not its tip
    assert from_the_ui(root, app, last, [SECOND], backfill)
    assert len({e.id for e in app.history(last) if e.partition == (SECOND,)}) == 3


def test_a_run_from_the_ui_without_a_backfill_makes_its_partition_again(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    event(app, x[FIRST])
    assert from_the_ui(root, app, made, [FIRST])
    assert len({execution.id for execution in app.history(made)}) == 2


def test_the_ui_takes_over_what_the_router_has_emitted_and_not_launched(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    binding = Binding(app.topology, app.platform, SINCE)
    with open_instance(root) as instance:
        driver = Driver(binding, instance)
        driver.journal.inject("x", x.spec.read([FIRST]), "one", None)
        (trigger,) = driver.turn()
        assert from_the_ui(root, app, made, [FIRST])
        assert driver.turn() == []
    app.settle(60)
    assert [e.id for e in app.history(made)] == [trigger.execution_id("app")]
