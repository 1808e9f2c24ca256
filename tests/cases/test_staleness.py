"""signals.md §6: what an execution read, what is newer since, and how that is built again."""

from __future__ import annotations

import pytest

from rheo_assets import Application, InlinedCompute
from tests.cases.topologies import S3, cycle, event, file, node, ran, timer

DAYS = ("2024-01-03", "2024-01-02", "2024-01-01")


def test_data_that_is_written_again_makes_the_readers_of_its_range_stale_and_runs_only_those_whose_tip_it_is(
    app: Application,
) -> None:
    x = S3(app, "x", "day")
    window = node(app, "window", [x[:-3]])
    app.activate()
    for day in reversed(DAYS):
        file(app, x[day])
    cycle(app)
    assert app.stale() == app.stale(window) == []
    assert app.why(window["2024-01-03"]).newer == ()

    file(app, x["2024-01-01"], b"corrected")
    cycle(app)
    assert ran(app, window).count("2024-01-01") == 2
    assert [str(each) for each in app.stale("window")] == [
        "window[2024-01-02] was built before x[2024-01-01]",
        "window[2024-01-03] was built before x[2024-01-01]",
    ]
    reason = app.why(window["2024-01-03"])
    assert (reason.status, reason.newer) == ("COMPLETED", ("x[2024-01-01]",))
    assert "these inputs are newer than it: x[2024-01-01]" in str(reason)

    app.execute(window["2024-01-03"])
    assert [each.partition for each in app.stale(window)] == [("2024-01-02",)]


def test_a_partition_that_was_absent_is_newer_once_it_is_there(app: Application) -> None:
    t = timer(app)
    x = S3(app, "x", "day")
    made = node(app, "made", [t, x[:-2].ref])
    app.activate()
    event(app, t["2024-01-02"])
    (execution,) = app.history(made)
    assert execution.versions == {"x": ["", ""]}
    assert app.stale() == []
    file(app, x["2024-01-01"])
    assert [each.newer for each in app.stale(made)] == [("x[2024-01-01]",)]


def test_an_execution_of_a_node_makes_what_was_built_of_it_before_stale(app: Application) -> None:
    t = timer(app)
    daily = node(app, "daily", [t])
    node(app, "window", [daily[:-2]])
    app.activate()
    for day in ("2024-01-01", "2024-01-02"):
        event(app, t[day])
    assert app.stale() == []
    event(app, t["2024-01-01"])
    assert [str(each) for each in app.stale()] == ["window[2024-01-02] was built before daily[2024-01-01]"]


def test_execute_may_start_at_external_data_and_builds_what_was_made_of_it_again(app: Application) -> None:
    x = S3(app, "x", "day")
    daily = node(app, "daily", [x])
    window = node(app, "window", [daily[:-2]])
    other = node(app, "other", [x[:-2]])
    app.activate()
    for day in reversed(DAYS):
        file(app, x[day])
    cycle(app)
    before = len(app.history())

    path = app.execute(x["2024-01-02"], update_dependency_tree=True)
    assert path.endswith("/x/2024-01-02")
    assert len(app.history()) == before + 5
    assert [ran(app, n).count("2024-01-02") for n in (daily, window, other)] == [2, 2, 2]
    assert [ran(app, n).count("2024-01-03") for n in (daily, window, other)] == [1, 2, 2]
    assert app.stale() == []
    assert app.get_active_routes() == []

    with pytest.raises(ValueError, match="'x' is external data"):
        app.execute(x["2024-01-02"])
    with pytest.raises(ValueError, match="has no inputs"):
        app.execute(x["2024-01-02"], inputs=[x["2024-01-02"]], update_dependency_tree=True)
    with pytest.raises(ValueError, match="needs one concrete partition"):
        app.execute(x["*"], update_dependency_tree=True)


def test_a_failure_below_external_data_is_raised(app: Application) -> None:
    def fails(inputs, output, params):  # type: ignore[no-untyped-def]
        raise LookupError("no such rate")

    x = S3(app, "x", "day")
    node(app, "made", [x], compute_targets=[InlinedCompute(fails)])
    with pytest.raises(RuntimeError, match="no such rate"):
        app.execute(x["2024-01-02"], update_dependency_tree=True)


def test_external_data_of_which_nothing_is_made_leaves_nothing_to_execute(app: Application, caplog) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x["2024-01-01"]])
    app.execute(x["2024-01-02"], update_dependency_tree=True)
    assert "nothing was built from x[2024-01-02]" in caplog.text
    assert app.history() == []
