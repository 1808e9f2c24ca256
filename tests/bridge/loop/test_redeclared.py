"""A declaration that changes while things are under way, and entries of the journal that nobody can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import EQUALS, Application, DatetimeGranularity, DimensionType, LocalPlatform
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.local_runs import LocalRuns
from rheo_assets.bridge.names import EVENT_ENTRY, asset_key, router_key
from rheo_assets.model.nodes import DataNode
from tests.cases.test_f_poll_and_process import Gate
from tests.cases.topologies import S3, SETTLE_SECONDS, file, node, ran

DAY, NEXT = "2024-01-01", "2024-01-02"


def redeclared(root: Path) -> Application:
    """Returns the application as another version of its source begins it."""
    return Application("app", platform=LocalPlatform(root))


def test_a_node_that_is_taken_away_stops_nothing_and_is_told(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    x, y = S3(app, "x", "region", "day"), S3(app, "y", "region", "day")
    gone = node(app, "gone", [x, y])
    node(app, "down", [gone])
    node(app, "stays", [x])
    app.activate()
    app.pause()
    for day in (DAY, NEXT):
        app.process(x["NA"][day])
    app.process(y["NA"][DAY])
    assert len(app.pending("gone")) == 1
    later = redeclared(root)
    stays = node(later, "stays", [S3(later, "x", "region", "day")])
    later.activate()
    assert "no longer declared: down, gone, y. Their data stays" in caplog.text
    later.resume()
    later.settle(SETTLE_SECONDS)
    assert sorted(ran(later, stays)) == [f"NA/{DAY}", f"NA/{NEXT}"]
    assert later.pending() == []
    with pytest.raises(ValueError, match=r"no node 'gone' \(it has stays, x\)"):
        later.why(gone["NA"][NEXT])


def test_what_a_redeclaration_drops_is_told_once(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    node(app, "made", [S3(app, "x", "day"), S3(app, "y", "day")])
    app.activate()
    for number in range(1, 12):  # more than one bucket of them
        app.process(app["x"][f"2024-01-{number:02}"])
    later = redeclared(root)
    node(later, "made", [S3(later, "z", "day")])
    later.activate()
    later.settle(SETTLE_SECONDS)
    assert "dropped 11 trigger groups and 0 unfinished executions that no longer fit" in caplog.text
    caplog.clear()
    for session in (redeclared(root), redeclared(root)):
        assert session.pending() == []
        session.settle(SETTLE_SECONDS)
    assert caplog.text == ""


def test_a_node_with_other_dimensions_goes_on_and_says_what_is_dropped(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    x = S3(app, "x", "region", "day")
    made = node(app, "made", [x])
    node(app, "pairs", [made["*"][:-2].range_check(True)])
    app.activate()
    file(app, x["NA"][DAY])
    app.settle(SETTLE_SECONDS)
    app.pause()
    app.process(x["NA"][NEXT])
    later = redeclared(root)
    new = node(later, "made", [S3(later, "x", "day")])
    pairs = node(later, "pairs", [new[:-2].range_check(True)])
    later.activate()
    later.resume()
    assert "the dimensions of 'made' changed from region, day to day" in caplog.text
    for day in (DAY, NEXT):
        later.process(later["x"][day])
    later.settle(SETTLE_SECONDS)
    assert (
        "the declaration of 'made' has changed since its state was saved: dropped 0 trigger groups and 1 "
        in caplog.text
    )
    assert "the declaration of 'pairs' has changed since its state was saved: dropped 1 trigger groups" in caplog.text
    assert ran(later, pairs) == [NEXT]
    assert later.why(new[NEXT]).status == "COMPLETED"
    assert later.execute(new[DAY], update_dependency_tree=True)


def test_what_was_about_to_run_runs_with_an_input_that_the_node_got_since(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x])
    app.activate()
    app.pause()
    app.process(x[DAY])
    later = redeclared(root)
    made = node(later, "made", {"x": S3(later, "x", "day"), "also": S3(later, "also", "day").ref})
    later.activate()
    later.resume()
    later.settle(SETTLE_SECONDS)
    (execution,) = later.history(made)
    assert execution.status == "COMPLETED"
    assert execution.inputs == {"x": [(DAY,)], "also": [(DAY,)]}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def by_month(root: Path, form: str) -> tuple[Application, DataNode]:
    """Returns the application after `made` was declared by month, and that node."""
    later = redeclared(root)
    x = S3(later, "x", "day")
    month = {"month": {"type": DimensionType.DATETIME, "granularity": DatetimeGranularity.MONTH, "format": form}}
    links = [("month", EQUALS, x("day"))]
    made = node(
        later,
        "made",
        [x],
        output_dimension_spec=month,
        output_dim_links=links,
    )
    node(later, "down", [made])
    later.activate()
    return later, made


@pytest.mark.parametrize(("day", "form"), [(DAY, "%Y-%m"), (DAY, "%Y-%m-%d"), (NEXT, "%Y-%m-%d")])
def test_what_ran_before_its_node_had_other_dimensions_is_history_alone(
    root: Path, app: Application, day: str, form: str
) -> None:
    """The key of the first day of a month is that of the month, and with one of these formats its folder, too."""
    made = node(app, "made", [S3(app, "x", "day")])
    node(app, "down", [made])
    app.activate()
    app.process(app["x"][day])
    app.settle(SETTLE_SECONDS)
    later, month = by_month(root, form)
    january = month["2024-01"]
    assert later.poll(january) == (None, None)
    reason = later.why(january)
    assert reason.status == "NOT_TRIGGERED"
    assert not reason.executions
    assert ("its folder holds a complete partition" in str(reason)) == (day == DAY and form == "%Y-%m-%d")
    assert ran(later, month) == [day]
    later.execute(month, inputs=[later["x"][day]], update_dependency_tree=True)
    assert [(e.partition, e.dimensions) for e in later.history(month)] == [
        ((day,), ("day DAY",)),
        (("2024-01-01" if form == "%Y-%m-%d" else "2024-01",), ("month MONTH",)),
    ]
    path, records = later.poll(january)
    assert path == later.materialize(january)[0]
    assert records is not None
    assert later.why(january).executions == (later.history(month)[-1],)


def test_a_partition_whose_folder_another_one_has_taken_meanwhile_was_not_made(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    node(app, "down", [made])
    app.activate()
    app.process(app["x"][DAY])
    app.settle(SETTLE_SECONDS)
    later, month = by_month(root, "%Y-%m-%d")
    later.execute(month, inputs=[later["x"]["2024-01-15"]])
    app.activate()
    assert app.poll(made[DAY]) == (None, None)
    assert "its folder holds a complete partition, but no execution is recorded" in str(app.why(made[DAY]))
    app.execute(made[DAY])
    assert app.poll(made[DAY])[0] is not None


def test_a_run_of_before_its_node_had_other_dimensions_makes_none_of_its_partitions(
    root: Path, app: Application, gate: Gate
) -> None:
    made = node(app, "made", [S3(app, "x", "day")], compute_targets=gate.target())
    node(app, "down", [made])
    app.activate()
    for day in (DAY, NEXT):
        app.execute(made[day], inputs=[app["x"][day]], wait=False)
        gate.await_start(day)
    later, month = by_month(root, "%Y-%m")
    before, now = app._sessions.recorded(), later._sessions.recorded()
    assert before is not None
    assert now is not None
    running = [len(before.history.active(made)), len(now.history.active(month))]
    for day in (DAY, NEXT):
        gate.open(day)
    app.settle(SETTLE_SECONDS)
    later.settle(SETTLE_SECONDS)
    assert running == [2, 0]
    assert sorted(ran(later, month)) == [DAY, NEXT]
    assert ran(later, "down") == []
    assert later.poll(month["2024-01"]) == (None, None)


def _longer(app: Application) -> dict[str, Any]:
    return {"x": S3(app, "x", "day"), "y": S3(app, "y", "day")[:-4].ref.range_check(True)}


def _checked(app: Application) -> dict[str, Any]:
    other = S3(app, "z", "day")[:-2].ref.range_check(True)
    return {"x": S3(app, "x", "day"), "y": S3(app, "y", "day")[:-2].ref.range_check(True), "z": other}


def _without_z(app: Application) -> dict[str, Any]:
    return {"x": S3(app, "x", "day"), "y": S3(app, "y", "day")[:-2].ref.range_check(True)}


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        pytest.param(_without_z, _longer, {"y": ["2023-12-30", "2023-12-29"]}, id="a longer range"),
        pytest.param(_without_z, _checked, {"z": [DAY, "2023-12-31"]}, id="one more range"),
        pytest.param(
            lambda app: {**_without_z(app), "z": S3(app, "z", "day")}, _without_z, {}, id="one event less to wait for"
        ),
    ],
)
def test_a_group_that_waits_looks_for_all_that_its_node_needs_now(
    root: Path, app: Application, before: Any, after: Any, missing: dict[str, list[str]]
) -> None:
    node(app, "made", before(app))
    app.activate()
    app.process(app["x"][DAY])
    assert len(app.pending("made")) == 1
    later = redeclared(root)
    made = node(later, "made", after(later))
    later.activate()
    later.settle(SETTLE_SECONDS)
    assert later.history(made) == [], "nothing of y is there"
    for day in (DAY, "2023-12-31"):
        file(later, later["y"][day])
    later.settle(SETTLE_SECONDS)
    for name, days in missing.items():
        assert later.history(made) == []
        for day in days:
            file(later, later[name][day])
        later.settle(SETTLE_SECONDS)
    (execution,) = later.history(made)
    assert execution.status == "COMPLETED"
    assert set(execution.missing) <= {"x"}, "its event brought no data"


def test_a_run_that_was_asked_for_under_another_declaration_says_so(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    later = redeclared(root)
    new = node(later, "made", {"y": S3(later, "y", "day")})
    with open_instance(root) as instance:
        before = Binding(app.topology, app.platform, app._space.since)
        after = Binding(later.topology, later.platform, app._space.since)
        partition = made.spec.read([DAY])
        runs = LocalRuns(after, instance, lambda: None, lambda *_: None)
        job = runs._job(after, new, [partition])
        asked = LocalRuns(before, instance, lambda: None, lambda *_: None)
        assert asked._run_now(before, made, [Request("one", partition, {"x": partition})]) is None
        run = instance.get_runs(limit=1)[0]
        result = job.execute_in_process(
            instance=instance, partition_key=DAY, run_config=run.run_config, raise_on_error=False
        )
    said = str(result.get_step_failure_events()[0].step_failure_data.error)
    assert f"made[{DAY}]: this run was requested for an earlier version of 'made', whose inputs are now ['y']" in said


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "turn"},
        {"kind": "turn", "at": "soon", "ready": [], "gone": []},
        {"kind": "turn", "at": 1, "ready": 3, "gone": []},
        {"kind": "began", "node": "made", "run": "r", "owner": "?", "executions": [[f"{DAY}|NA", "e"]]},
        {"kind": "plan_opened", "plan": "p"},
        {"kind": "plan_closed"},
    ],
)
def test_an_entry_of_the_router_that_cannot_be_read_stops_no_other(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    x = S3(app, "x", "region", "day")
    made = node(app, "made", [x])
    app.activate()
    entry = {EVENT_ENTRY: dg.MetadataValue.json(fields)}
    with open_instance(root) as instance:
        instance.report_runless_asset_event(dg.AssetObservation(router_key("app"), metadata=entry))
    app.process(x["NA"][DAY])
    assert ran(app, made) == [f"NA/{DAY}"]
    assert "skipped event 1 of asset app/rheo/router" in caplog.text


def test_events_of_others_that_cannot_be_read_stop_no_other(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    x = S3(app, "x", "region", "day")
    made = node(app, "made", [x])
    app.activate()
    entry = {EVENT_ENTRY: dg.MetadataValue.json({"kind": "injected"})}
    with open_instance(root) as instance:
        for key in (asset_key("app", "x"), asset_key("app", "made")):
            instance.report_runless_asset_event(dg.AssetObservation(key, partition=f"{DAY}|NA", metadata=entry))
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="rubbish"))
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
    app.process(x["NA"][DAY])
    assert ran(app, made) == [f"NA/{DAY}"]
    assert "skipped event 1 of asset app/x" in caplog.text
    assert "an event of 'x' is not routed: 'rubbish' is not a partition key of 'x'" in caplog.text
