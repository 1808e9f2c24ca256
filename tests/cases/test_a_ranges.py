"""Ranges: what an input reads around its tip, and what a checked range waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.topologies import LONG, S3, cycle, event, file, node, pending, ran, read, spec


def test_a_backward_range_is_inclusive_and_newest_first(app):
    """A1."""
    x = S3(app, "x", "region", "day")
    g = node(app, "g", [x["NA"][:-2]])
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert ran(app, g) == ["NA/2020-03-18"]
    assert read(app, g, "x") == ["NA/2020-03-18", "NA/2020-03-17"]

    event(app, x["EU"]["2020-03-18"])
    assert ran(app, g) == ["NA/2020-03-18"]
    assert pending(app, g) == 0


def test_a_forward_range_starts_at_the_tip(app):
    """A2."""
    x = S3(app, "x", "region", "day")
    g = node(app, "g", [x["NA"][:2]])
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert ran(app, g) == ["NA/2020-03-18"]
    assert read(app, g, "x") == ["NA/2020-03-18", "NA/2020-03-19"]


def test_an_open_slice_is_the_tip_and_degenerate_ones_are_refused(app):
    """A4."""
    x = S3(app, "x", "region", "day")
    g = node(app, "g", [x["NA"][:]])
    with pytest.raises(ValueError, match=r"\[:-1\]"):
        x["NA"][:0]
    with pytest.raises(ValueError, match=r"\[:-7\]"):
        x["NA"][::2]
    with pytest.raises(ValueError, match=r"\[:-7\]"):
        x["NA"]["2020-01-01":"2020-01-05"]
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert read(app, g, "x") == ["NA/2020-03-18"]


def test_a_range_that_is_not_checked_ignores_gaps(app):
    """A5."""
    x = S3(app, "x", "day")
    g = node(app, "g", [x[:-3]])
    app.activate()

    event(app, x["2021-03-01"])
    assert ran(app, g) == ["2021-03-01"]
    assert read(app, g, "x") == ["2021-03-01", "2021-02-28", "2021-02-27"]
    (execution,) = app.history(g)
    assert set(execution.missing["x"]) >= {("2021-02-28",), ("2021-02-27",)}


def test_a_range_meets_the_range_of_the_declared_filter(app):
    """A7."""
    x = S3(app, "x", "day", only={"_:-30": {}})
    week = node(app, "week", [x[:-7]])
    forty = node(app, "forty", [x[:-40]])
    with pytest.raises(ValueError, match="direction"):
        node(app, "ahead", [x[:5]])
    app.activate()

    event(app, x["2021-03-31"])
    assert read(app, week, "x") == [f"2021-03-{day}" for day in range(31, 24, -1)]
    assert read(app, forty, "x") == [f"2021-03-{day:02d}" for day in range(31, 1, -1)]


def test_each_branch_of_the_declared_filter_bounds_the_ranges_of_its_own_values(app):
    x = S3(app, "x", "region", "day", only={"NA": {"_:-30": {}}, "EU": {"_:-7": {}}})
    ten = node(app, "ten", [x["*"][:-10]])
    app.activate()

    event(app, x["EU"]["2021-03-31"])
    assert read(app, ten, "x") == [f"EU/2021-03-{day}" for day in range(31, 24, -1)]
    event(app, x["NA"]["2021-03-31"])
    assert read(app, ten, "x") == [f"NA/2021-03-{day}" for day in range(31, 21, -1)]
    assert len(app.materialize(x["*"][:-10], ["EU", "2021-03-31"])) == 7


def test_a_checked_range_over_declared_values_waits_for_those_and_no_others(app):
    quarters = {"*": {hour: {} for hour in (0, 6, 12, 18)}}
    x = S3(app, "x", "day", "hour", only=quarters)
    whole = node(
        app, "whole", {"gate": x["*"][18], "all": x["*"][:-24].ref.range_check(True)}, output_dimension_spec=spec("day")
    )
    app.activate()

    for hour in (0, 6):
        file(app, x["2021-03-31"][hour])
    file(app, x["2021-03-31"][18])
    cycle(app)
    assert ran(app, whole) == []
    file(app, x["2021-03-31"][12])
    cycle(app)
    assert ran(app, whole) == ["2021-03-31"]
    assert read(app, whole, "all") == [f"2021-03-31/{hour}" for hour in (18, 12, 6, 0)]


def test_a_range_on_a_pinned_value_starts_there_and_reads_on(app):
    x = S3(app, "x", "day", index=LONG, only={"*": {7: {}}})
    whole = node(app, "whole", {"all": x["*"][:-8].range_check(True)})
    app.activate()

    for index in range(7):
        path = app.materialize(x["2021-03-31"][7])[0].replace("/7", f"/{index}")
        Path(path).mkdir(parents=True)
        (Path(path) / "_SUCCESS").write_bytes(b"")
    cycle(app)
    assert app.history() == []

    file(app, x["2021-03-31"][7])
    cycle(app)
    assert ran(app, whole) == ["2021-03-31/7"]
    assert app.history(whole)[0].missing == {}
    assert read(app, whole, "all") == [f"2021-03-31/{index}" for index in range(7, -1, -1)]


def test_an_arrival_that_the_filter_does_not_route_completes_a_range_with_the_next_tick(app):
    x = S3(app, "x", "day", index=LONG, only={"*": {1: {}}})
    pair = node(app, "pair", {"all": x["*"][:-2].range_check(True)})
    app.activate()

    folder = file(app, x["2021-03-31"][1])
    cycle(app)
    assert (ran(app, pair), pending(app, pair)) == ([], 1)
    other = folder.parent / "0"
    other.mkdir()
    (other / "_SUCCESS").touch()
    cycle(app)
    assert ran(app, pair) == ["2021-03-31/1"]


def test_events_complete_a_checked_range_one_after_the_other(app):
    """A8."""
    x = S3(app, "x", "region", "day", only={"NA": {"*": {}}})
    a = node(app, "a", [x["NA"][:-3].range_check(True)])
    b = node(app, "b", [a["NA"][:-2].range_check(True)])
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert ran(app, a) == []
    assert pending(app, a) == 1
    (blocked,) = app.pending(a)
    assert blocked.waiting_for == ("x[NA][2020-03-16]", "x[NA][2020-03-17]")

    event(app, x["NA"]["2020-03-17"])
    assert ran(app, a) == []
    event(app, x["NA"]["2020-03-16"])
    assert ran(app, a) == ["NA/2020-03-18"]
    assert ran(app, b) == []

    event(app, x["NA"]["2020-03-19"])
    assert ran(app, a) == ["NA/2020-03-18", "NA/2020-03-19"]
    assert ran(app, b) == ["NA/2020-03-19"]
    assert read(app, b, "a") == ["NA/2020-03-19", "NA/2020-03-18"]


def test_files_that_arrive_complete_a_checked_range(app):
    """A10."""
    x = S3(app, "x", "region", "day")
    a = node(app, "a", [x["NA"][:-3].check_range()])
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert (ran(app, a), pending(app, a)) == ([], 1)
    file(app, x["NA"]["2020-03-17"])
    cycle(app)
    assert ran(app, a) == []
    file(app, x["NA"]["2020-03-16"])
    cycle(app)
    assert ran(app, a) == ["NA/2020-03-18"]
    assert read(app, a, "x") == ["NA/2020-03-18", "NA/2020-03-17", "NA/2020-03-16"]


def test_a_string_has_no_range(app):
    """A11."""
    x = S3(app, "x", "region", "day")
    with pytest.raises(ValueError, match="STRING has no order"):
        node(app, "g", [x[:-2]["*"]])


def test_the_last_hour_gates_the_24_hours_of_a_day(app):
    """A12."""
    hourly = {"hour": {**LONG, "digits": 2}}
    source = S3(app, "source", "org", "day", **hourly)
    h = node(app, "h", [source])
    daily = {"output_dimension_spec": spec("org", "day")}
    whole = h["*"]["*"][:-24].range_check(True)
    d = node(app, "d", {"gate": h["*"]["*"][23], "all": whole.ref}, **daily)
    unreferenced = node(app, "unreferenced", {"gate": h["*"]["*"][23], "all": whole}, **daily)
    app.activate()

    for hour in range(23):
        app.process(source["acme"]["2021-03-08"][hour])
    app.settle(120)
    assert len(ran(app, h)) == 23
    assert ran(app, d) == ran(app, unreferenced) == []
    assert app.pending() == []

    event(app, source["acme"]["2021-03-08"][23])
    for gated in (d, unreferenced):
        assert ran(app, gated) == ["acme/2021-03-08"]
        assert read(app, gated, "gate") == ["acme/2021-03-08/23"]
        assert read(app, gated, "all") == [f"acme/2021-03-08/{hour:02d}" for hour in range(23, -1, -1)]
    assert app.pending() == []
