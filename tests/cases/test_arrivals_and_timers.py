"""signals.md §5.9 to §5.11: timers, arrivals, projections."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import Application, DatetimeGranularity, DimensionType, InlinedCompute, PrestoSQL
from rheo_assets.bridge.eventlog.instance import open_instance
from tests.cases.topologies import LONG, S3, cycle, event, file, node, pending, ran, read, timer


def settled(app: Application, now: datetime) -> None:
    app.tick(now=now)
    app.settle(60)


# timers -------------------------------------------------------------------------------------------------------


def test_a_rate_fires_one_period_after_activation_and_keeps_its_phase(app: Application) -> None:
    t = app.add_timer("t", "rate(1 hour)", "time", time_dimension_granularity=DatetimeGranularity.SECOND)
    n = node(app, "n", [t])
    before = datetime.now(UTC).replace(microsecond=0)
    app.activate()
    after = datetime.now(UTC)
    app.settle(60)
    assert app.history(n) == []
    settled(app, before + timedelta(minutes=59))
    assert app.history(n) == []
    settled(app, after + timedelta(hours=1, minutes=40))
    settled(app, after + timedelta(hours=3, minutes=10))
    ticks = [datetime.fromisoformat(f"{text}+00:00") for text in sorted(ran(app, n))]
    assert len(ticks) == 3
    assert before + timedelta(hours=1) <= ticks[0] <= after + timedelta(hours=1)
    assert [tick - ticks[0] for tick in ticks] == [timedelta(), timedelta(hours=1), timedelta(hours=2)]


def test_a_cron_fires_at_its_times_and_not_at_activation(app: Application) -> None:
    t = app.add_timer("t", "cron(0 3 * * ? *)", "day")
    n = node(app, "n", [t])
    app.activate()
    app.settle(60)
    assert app.history(n) == []
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    settled(app, midnight + timedelta(days=2, hours=2))
    first = ran(app, n)
    settled(app, midnight + timedelta(days=2, hours=3))
    assert ran(app, n) == [*first, f"{midnight + timedelta(days=2):%Y-%m-%d}"]


def test_after_downtime_a_timer_catches_up_each_tick_once_in_another_session(
    new_app: Callable[[str], Application],
) -> None:
    def declare() -> Application:
        app = new_app("clock")
        t = app.add_timer("t", "rate(1 day)", "day")
        node(app, "n", [t])
        return app

    app = declare()
    app.activate()
    start = datetime.now(UTC)
    settled(app, start + timedelta(days=2, minutes=1))
    assert len(app.history("n")) == 2
    later = declare()
    later.activate()
    assert len(later.history("n")) == 2
    settled(later, start + timedelta(days=6, minutes=1))
    settled(later, start + timedelta(days=6, minutes=2))
    days = ran(later, "n")
    assert len(days) == len(set(days)) == 6


def test_the_injected_tick_of_a_shifted_timer_is_shifted(app: Application) -> None:
    t = app.add_timer("t", "rate(1 day)", "day", time_dimension_shift=-1)
    n = node(app, "n", [t])
    app.activate()
    event(app, t["2021-03-05"])
    assert ran(app, n) == ["2021-03-04"]


def test_a_shifted_timer_tells_another_day(app: Application) -> None:
    t = app.add_timer("t", "rate(1 day)", "day", time_dimension_shift=-1)
    n = node(app, "n", [t])
    app.activate()
    now = datetime.now(UTC)
    settled(app, now + timedelta(days=1, seconds=5))
    assert len(ran(app, n)) == 1
    assert ran(app, n)[0] in {f"{now:%Y-%m-%d}", f"{now + timedelta(seconds=5):%Y-%m-%d}"}


# arrivals -----------------------------------------------------------------------------------------------------


def test_files_present_at_the_first_activation_are_ready_but_no_events(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x[:-2].range_check(True)])
    file(app, x["2021-03-01"])
    file(app, x["2021-03-02"])
    app.activate()
    cycle(app)
    assert app.history(n) == []
    assert pending(app, n) == 0
    event(app, x["2021-03-02"])
    assert ran(app, n) == ["2021-03-02"]


def test_arrivals_while_nothing_ran_are_events_later(new_app: Callable[[str], Application]) -> None:
    def declare() -> tuple[Application, object]:
        app = new_app("app")
        x = S3(app, "x", "day")
        node(app, "n", [x])
        return app, x

    app, x = declare()
    app.activate()
    file(app, x["2021-03-01"])
    later, x = declare()
    later.activate()
    cycle(later)
    assert ran(later, "n") == ["2021-03-01"]
    cycle(later)
    assert ran(later, "n") == ["2021-03-01"]


def test_a_rewritten_completion_file_is_a_new_event_whatever_its_age(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    folder = file(app, x["2011-03-01"])
    app.activate()
    cycle(app)
    assert app.history(n) == []
    os.utime(folder / "_SUCCESS", ns=(1, 1))
    cycle(app)
    assert ran(app, n) == ["2011-03-01"]
    file(app, x["2011-03-01"])
    cycle(app)
    assert ran(app, n) == ["2011-03-01", "2011-03-01"]


def test_a_folder_without_its_completion_file_is_no_arrival(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    app.activate()
    (path,) = app.materialize(x["2021-03-01"])
    folder = Path(path)
    folder.mkdir(parents=True)
    (folder / "part-0").write_text("half")
    cycle(app)
    assert app.history(n) == []
    (folder / "_SUCCESS").touch()
    cycle(app)
    assert ran(app, n) == ["2021-03-01"]


def test_a_completion_file_that_is_gone_makes_its_partition_unready(app: Application) -> None:
    """§5.2: until storage is seen without the completion file."""
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    n = node(app, "n", [x[:-2].range_check(True), y])
    app.activate()
    early = file(app, x["2021-03-01"])
    file(app, x["2021-03-02"])
    cycle(app)
    (early / "_SUCCESS").unlink()
    cycle(app)
    event(app, y["2021-03-02"])
    assert app.history(n) == []
    assert [group.waiting_for for group in app.pending(n) if not group.missing] == [("x[2021-03-01]",)]
    (early / "_SUCCESS").touch()
    cycle(app)
    assert ran(app, n).count("2021-03-02") == 1


def test_a_path_that_is_no_partition_is_not_routed(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    x = S3(app, "x", hour=LONG)
    n = node(app, "n", [x])
    app.activate()
    (path,) = app.materialize(x[7])
    for name in ("07", "not-a-number"):
        folder = Path(path).parent / name
        folder.mkdir(parents=True)
        (folder / "_SUCCESS").touch()
    cycle(app)
    assert app.history(n) == []
    assert "digits" in caplog.text


def test_an_arrival_is_an_event_even_where_the_partition_was_executed_by_hand(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    app.execute(n["2021-03-01"])
    file(app, x["2021-03-01"])
    cycle(app)
    assert ran(app, n) == ["2021-03-01", "2021-03-01"]


# projections --------------------------------------------------------------------------------------------------

REGION_DAY = {"region": {"type": DimensionType.STRING, "day": {"type": DimensionType.DATETIME}}}


def projected(app: Application):
    t = app.add_timer("t", "rate(1 day)", "day")
    p = app.project("p", t, REGION_DAY, {"NA": {"*": {}}, "EU": {"*": {}}})
    return t, p, node(app, "n", [p])


def test_an_event_of_a_projection_fans_out_over_its_branches(app: Application) -> None:
    t, _, n = projected(app)
    app.activate()
    event(app, t["2021-03-01"])
    assert sorted(ran(app, n)) == ["EU/2021-03-01", "NA/2021-03-01"]
    assert read(app, n, "p") == [ran(app, n)[-1]]


@pytest.mark.parametrize(
    ("view", "spelled"),
    [
        (lambda t: t[:-3], "t[_:-3]"),
        (lambda t: t[-1:], "t[_-1:-1]"),
        (lambda t: t.ref, "t.ref"),
        (lambda t: t[:-3].nearest(), "t[_:-3].nearest()"),
        (lambda t: t[:-3].range_check(True), "t[_:-3].range_check(True)"),
    ],
)
def test_a_projection_of_anything_but_single_events_is_refused(app: Application, view: Any, spelled: str) -> None:
    t = app.add_timer("t", "rate(1 day)", "day")
    told = rf"projection 'p': its input is {re.escape(spelled)}, but a projection only .* Project 't' itself"
    with pytest.raises(ValueError, match=told):
        app.project("p", view(t), REGION_DAY, {"NA": {"*": {}}})


def test_a_projection_whose_values_its_input_can_never_give_is_refused(app: Application) -> None:
    t = app.add_timer("t", "rate(1 day)", "day")
    with pytest.raises(ValueError, match=r"dimension 'day' is '\*' and a LONG, and its input's is a DATETIME. Declare"):
        app.project("p", t, {"day": {"type": DimensionType.LONG}}, {"*": {}})
    app.project("q", t, {"day": {"type": DimensionType.LONG}}, {7: {}})


def test_a_consumer_of_a_projection_is_executed_for_its_own_branch_only(app: Application) -> None:
    _, p, n = projected(app)
    app.execute(n["EU"]["2021-03-01"], recursive=True)
    app.settle(60)
    assert ran(app, n) == ["EU/2021-03-01"]
    with pytest.raises(ValueError, match="p"):
        app.execute(p["EU"]["2021-03-01"])
    with pytest.raises(ValueError, match="p"):
        app.poll(p["EU"]["2021-03-01"])
    with pytest.raises(ValueError, match="region"):
        app.execute(n["XX"]["2021-03-01"])


def inputs_seen(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
    p = inputs["p"]
    return {"seen": [list(p.partitions), list(p.partition), p.dimensions["day"], p.value, p.paths]}


@pytest.mark.parametrize(
    ("spelled", "days"),
    [
        (slice(None, -3), ["2021-03-05", "2021-03-04", "2021-03-03"]),
        (slice(None, 2), ["2021-03-05", "2021-03-06"]),
        (slice(-1, None), ["2021-03-04"]),
        (slice(-1, -2), ["2021-03-04", "2021-03-03"]),
    ],
)
def test_a_range_of_a_timer_is_read_as_that_of_data_is(app: Application, spelled: slice, days: list[str]) -> None:
    t, p, _ = projected(app)
    over_timer = node(app, "over_timer", {"p": t[spelled]})
    over_projection = node(app, "over_projection", {"p": p["NA"][spelled].range_check(True)})
    near = node(app, "near", {"t": t, "p": t[spelled].nearest()})
    app.activate()
    event(app, t["2021-03-05"])
    app.execute(over_timer["2021-03-05"], recursive=True)
    assert ran(app, over_timer) == ["2021-03-05"] * 2
    assert [e.inputs["p"] for e in app.history(over_timer)] == [[(day,) for day in days]] * 2
    assert read(app, over_projection, "p") == [f"NA/{day}" for day in days]
    assert read(app, near, "p") == days[:1]
    assert app.history(over_timer)[0].missing == {}
    app.validate(over_projection["NA"]["2021-03-05"])


def test_code_gets_the_values_of_a_timers_range(app: Application, root: Path) -> None:
    t = timer(app)
    told = node(app, "told", {"p": t[-1:-2]}, compute_targets=[InlinedCompute(inputs_seen)])
    asked = node(app, "asked", {"p": t[-1:-2]}, compute_targets=[PrestoSQL("select '{p}' as p, '{day}' as day")])
    app.activate()
    event(app, t["2021-03-05"])
    rows = app.load_data(asked["2021-03-05"]).to_dict("records")
    assert rows == [{"p": "2021-03-04", "day": "2021-03-05"}]
    with open_instance(root) as instance:
        seen = instance.get_latest_materialization_event(dg.AssetKey([told.application, told.id]))
    assert seen is not None
    assert seen.asset_materialization is not None
    assert seen.asset_materialization.metadata["seen"].value == [
        [["2021-03-04"], ["2021-03-03"]],
        ["2021-03-04"],
        "2021-03-05",
        "2021-03-04",
        [],
    ]
