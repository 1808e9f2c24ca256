"""signals.md §3: `.covering()`: days of a month, hours of a day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, PrestoSQL
from tests.cases.topologies import DAY, S3, cycle, event, file, node, pending, ran, read, spec, timer

WEEK = {"type": "DATETIME", "granularity": "WEEK"}
HOUR = {"type": "DATETIME", "format": "%Y-%m-%d-%H", "granularity": "HOUR"}
DAYS = [f"2024-01-{day:02d}" for day in range(7, 0, -1)]
WEEKLY: dict[str, Any] = {"output_dimension_spec": spec("region", week=WEEK)}


def test_a_checked_cover_runs_once_when_the_last_of_its_days_is_ready(app: Application) -> None:
    x = S3(app, "x", "region", "day")
    weekly = node(app, "weekly", {"x": x["NA"].covering().range_check(True)}, **WEEKLY)
    app.activate()

    for day in DAYS[:-1]:
        file(app, x["NA"][day])
        file(app, x["EU"][day])
        cycle(app)
    assert (ran(app, weekly), pending(app, weekly)) == ([], 1)
    assert app.pending(weekly)[0].waiting_for == ("x[NA][2024-01-01]",)
    file(app, x["NA"]["2024-01-01"])
    cycle(app)
    assert ran(app, weekly) == ["NA/2024-01-01"]
    assert read(app, weekly, "x") == [f"NA/{day}" for day in DAYS]
    assert app.pending() == []

    cycle(app)
    file(app, x["NA"]["2024-01-03"], b"again")
    cycle(app)
    assert ran(app, weekly) == ["NA/2024-01-01"] * 2


def test_without_a_check_each_arrival_runs_it_with_the_days_that_are_there(app: Application) -> None:
    x = S3(app, "x", "region", "day")
    weekly = node(app, "weekly", {"x": x.covering()}, **WEEKLY)
    app.activate()

    for count, day in enumerate(("2024-01-03", "2024-01-01"), 1):
        file(app, x["NA"][day])
        cycle(app)
        assert ran(app, weekly) == ["NA/2024-01-01"] * count
        missing = app.history(weekly)[-1].missing["x"]
        assert len(missing) == 7 - count
        assert ("NA", day) not in missing


def test_a_timer_reads_the_whole_month_once_its_days_are_ready(app: Application) -> None:
    monthly = app.add_timer("monthly", "cron(0 6 1 * ? *)", "month", time_dimension_granularity="MONTH")
    x = S3(app, "x", "day")
    report = node(app, "report", {"monthly": monthly, "x": x.ref.covering().range_check(True)})
    app.activate()

    event(app, monthly["2024-02"])
    assert len(app.pending(report)[0].waiting_for) == 29
    for day in range(1, 30):
        file(app, x[f"2024-02-{day:02d}"])
    cycle(app)
    assert ran(app, report) == ["2024-02-01"]
    assert len(read(app, report, "x")) == 29


def test_the_days_of_a_week_are_built_first_and_its_hours_before_them(app: Application) -> None:
    x = S3(app, "x", hour=HOUR)
    daily = node(app, "daily", {"x": x.covering().range_check(True)}, output_dimension_spec=spec("day"))
    weekly = node(app, "weekly", {"daily": daily.covering()}, output_dimension_spec=spec(week=WEEK))
    app.activate()
    with pytest.raises(ValueError, match=r"x\[2024-01-01-00\]"):
        app.execute(weekly["2024-01-01"], recursive=True)
    assert app.history() == []

    for hour in range(24):
        file(app, x[f"2024-01-03-{hour:02d}"])
    cycle(app)
    assert ran(app, daily) == ["2024-01-03"]
    assert read(app, daily, "x") == [f"2024-01-03-{hour:02d}" for hour in range(23, -1, -1)]
    assert ran(app, weekly) == ["2024-01-01"]


def test_execute_waits_for_every_day_of_a_checked_cover_the_first_too(app: Application) -> None:
    x = S3(app, "x", "day")
    weekly = node(app, "weekly", {"x": x.covering().range_check(True)}, output_dimension_spec=spec(week=WEEK))
    for day in DAYS[:-1]:
        file(app, x[day])
    with pytest.raises(RuntimeError, match=r"not ready: x\[2024-01-01\]"):
        app.execute(weekly["2024-01-01"])
    file(app, x["2024-01-01"])
    app.execute(weekly["2024-01-01"])
    app.execute(weekly, inputs=[x["2024-01-05"]])
    assert ran(app, weekly) == ["2024-01-01"] * 2


def test_what_was_made_of_a_day_is_made_again_after_it(app: Application) -> None:
    t = timer(app)
    daily = node(app, "daily", [t])
    weekly = node(app, "weekly", {"daily": daily.covering()}, output_dimension_spec=spec(week=WEEK))
    app.activate()
    app.execute(daily["2024-01-03"], update_dependency_tree=True)
    assert (ran(app, daily), ran(app, weekly)) == (["2024-01-03"], ["2024-01-01"])
    assert app.why(weekly["2024-01-01"]).status == "COMPLETED"


def test_code_and_load_data_get_the_union_of_the_days_that_are_there(app: Application, root: Path) -> None:
    x = S3(app, "x", day=DAY)
    daily = node(app, "daily", [x], compute_targets=[PrestoSQL("select '{day}' as day")])
    union = PrestoSQL("select count(*) as days from daily")
    weekly = node(
        app, "weekly", {"daily": daily.covering()}, output_dimension_spec=spec(week=WEEK), compute_targets=[union]
    )
    app.activate()
    for day in DAYS[2:5]:
        app.execute(daily[day])
    app.execute(weekly["2024-01-01"])
    assert app.load_data(weekly["2024-01-01"]).to_dict("records") == [{"days": 3}]
    assert sorted(app.load_data(daily.covering("WEEK"))["day"]) == sorted(DAYS[2:5])
    assert len(app.load_data(daily.covering("WEEK"), ["2024-01-06"])) == 3
    assert [path[-10:] for path in app.materialize(daily["*"].covering("WEEK"), ["2024-01-06"])] == DAYS
    with pytest.raises(ValueError, match=r'does not name the period that it covers. Write .covering\("MONTH"\)'):
        app.load_data(daily.covering(), ["2024-01-06"])
