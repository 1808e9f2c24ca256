"""A failed run that is run again: by a person in the UI, or by Dagster's run retries."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from rheo_assets import Application, InlinedCompute
from rheo_assets.bridge.assets.assets import node_asset
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import Owner
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.names import OWNER_TAG, RANGE_END_TAG, RANGE_START_TAG
from rheo_assets.model.nodes import DataNode
from tests.cases.topologies import S3, cycle, file, node

DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"]
FROM_FAILURE = {"dagster/is_resume_retry": "true"}


def careful(root: Path) -> Any:
    """Returns a function that fails for the second day until there is a file `ok`, and counts its calls."""

    def make(inputs: Any, output: Any, params: Any) -> None:
        day = params["dimensions"]["day"]
        with (root / "calls").open("a") as calls:
            calls.write(f"{day}\n")
        if day == "2024-03-02" and not (root / "ok").exists():
            raise ValueError("not yet")

    return make


def calls(root: Path) -> list[str]:
    """Returns the days that have been made since the last call."""
    found = sorted((root / "calls").read_text().split())
    (root / "calls").write_text("")
    return found


def job_of(app: Application, made: DataNode) -> dg.JobDefinition:
    """Returns a job of one node, as a code location has it."""
    asset = node_asset(Binding(app.topology, app.platform, datetime(2024, 1, 1)), made)
    found = dg.Definitions(assets=[asset], executor=dg.in_process_executor)
    return found.resolve_implicit_global_asset_job_def()


def again(root: Path, app: Application, made: DataNode, run_id: str | None = None, **tags: str) -> str:
    """Runs a run again as Dagster does: with its config and its tags; the last one unless said otherwise."""
    job = job_of(app, made)
    with open_instance(root) as instance:
        parent = instance.get_run_by_id(run_id) if run_id is not None else instance.get_runs(limit=1)[0]
        assert parent is not None
        run = instance.create_run_for_job(
            job,
            run_config=parent.run_config,
            tags={**parent.tags, **tags},
            parent_run_id=parent.run_id,
            root_run_id=parent.root_run_id or parent.run_id,
        )
        execute_run(InMemoryJob(job), run, instance)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.is_finished
    return run.run_id


@pytest.fixture
def made(root: Path, app: Application) -> DataNode:
    """A node whose second day has failed in a run of three."""
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(careful(root))])
    app.activate()
    for day in DAYS:
        file(app, x[day])
    cycle(app)
    assert calls(root) == DAYS
    assert app.poll(made[DAYS[1]])[0] is None
    (root / "ok").touch()
    return made


def test_a_retry_from_failure_makes_what_failed_and_nothing_else(root: Path, app: Application, made: DataNode) -> None:
    run_id = again(root, app, made, **FROM_FAILURE)
    assert calls(root) == DAYS[1:2]
    assert app.poll(made[DAYS[1]])[0]
    (last,) = [e for e in app.history(made) if e.run_id == run_id]
    assert (last.partition, last.status) == ((DAYS[1],), "COMPLETED")
    again(root, app, made, **FROM_FAILURE)
    assert calls(root) == []


def test_a_retry_of_all_steps_makes_everything_once_more(root: Path, app: Application, made: DataNode) -> None:
    run_id = again(root, app, made)
    assert calls(root) == DAYS
    assert [e.status for e in app.history(made) if e.run_id == run_id] == ["COMPLETED"] * 3


def test_a_retry_of_a_retry_that_failed_makes_what_still_fails(root: Path, app: Application, made: DataNode) -> None:
    (root / "ok").unlink()
    again(root, app, made, **FROM_FAILURE)
    assert calls(root) == DAYS[1:2]
    assert app.poll(made[DAYS[1]])[0] is None
    (root / "ok").touch()
    again(root, app, made, **FROM_FAILURE)
    assert calls(root) == DAYS[1:2]
    assert app.poll(made[DAYS[1]])[0]


def test_a_retry_of_a_backfill_s_run_makes_what_failed(root: Path, app: Application, made: DataNode) -> None:
    (root / "ok").unlink()
    job = job_of(app, made)
    with open_instance(root) as instance:
        tags = {RANGE_START_TAG: DAYS[0], RANGE_END_TAG: DAYS[-1]}
        assert not job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success
    assert calls(root) == DAYS
    (root / "ok").touch()
    again(root, app, made, **FROM_FAILURE)
    assert calls(root) == DAYS[1:2]
    assert app.poll(made[DAYS[1]])[0]


def test_a_retry_keeps_the_events_that_came_without_data(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x[:-1].range_check(True)], compute_targets=[InlinedCompute(careful(root))])
    app.activate()
    app.process(x[DAYS[1]])  # an injected event counts as ready, although there is no file
    assert app.poll(made[DAYS[1]])[0] is None
    (root / "ok").touch()
    again(root, app, made, **FROM_FAILURE)
    assert app.poll(made[DAYS[1]])[0]


def test_a_retry_of_a_dead_script_s_run_is_not_buried_by_the_next_session(
    root: Path, app: Application, made: DataNode
) -> None:
    with open_instance(root) as instance:
        parent = instance.get_runs(limit=1)[0]
        here = Owner.this_process()
        run = instance.create_run_for_job(
            job_of(app, made),
            tags={**parent.tags, OWNER_TAG: Owner(here.host, here.pid, "0").text()},
            parent_run_id=parent.run_id,
            root_run_id=parent.run_id,
            status=dg.DagsterRunStatus.STARTED,
        )
        Application("app", platform=app.platform).tick()
        found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.STARTED
