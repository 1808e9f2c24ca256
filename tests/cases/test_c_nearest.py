"""Nearest: the ready partition closest to the tip, chosen once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cases.topologies import S3, cycle, event, file, node, pending, ran, read, timer


def test_nearest_blocks_until_any_partition_of_its_range_exists(app):
    """C1."""
    t = timer(app)
    y = S3(app, "y", "day")
    h = node(app, "h", [t, y[:-4].nearest()])
    app.activate()

    event(app, t["2021-09-21"])
    assert (ran(app, h), pending(app, h)) == ([], 1)

    file(app, y["2021-09-18"])
    cycle(app)
    assert ran(app, h) == ["2021-09-21"]
    assert read(app, h, "y") == ["2021-09-18"]
    assert pending(app, h) == 0


def test_nearest_takes_the_ready_partition_closest_to_the_tip(app):
    """C1, with a choice."""
    t = timer(app)
    y = S3(app, "y", "day")
    h = node(app, "h", [t, y[:-4].latest()])
    file(app, y["2021-09-17"])
    file(app, y["2021-09-18"])
    file(app, y["2021-09-19"])
    file(app, y["2021-09-22"])
    app.activate()

    event(app, t["2021-09-21"])
    assert ran(app, h) == ["2021-09-21"]
    assert read(app, h, "y") == ["2021-09-19"]


def test_an_event_without_data_does_not_satisfy_nearest(app):
    """C2."""
    x = S3(app, "x", "region", "day")
    y = S3(app, "y", "day")
    n = node(app, "n", {"a": x, "b": y[:-7].nearest()})
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert (ran(app, n), pending(app, n)) == ([], 1)
    event(app, y["2020-03-17"])
    assert (ran(app, n), pending(app, n)) == ([], 1)

    file(app, y["2020-03-17"])
    cycle(app)
    assert ran(app, n) == ["NA/2020-03-18"]
    assert read(app, n, "b") == ["2020-03-17"]


def test_execute_refuses_while_the_whole_nearest_range_is_missing(app):
    """C3."""
    x = S3(app, "x", "region", "day")
    y = S3(app, "y", "day")
    n = node(app, "n", {"a": x, "b": y[:-7].nearest()})
    app.activate()
    now = datetime.now(UTC)

    with pytest.raises(RuntimeError, match="could not be started"):
        app.execute(n["NA"][now])
    assert ran(app, n) == []

    file(app, y[now - timedelta(days=2)])
    path = app.execute(n["NA"][now])
    assert path.endswith(f"n/NA/{now:%Y-%m-%d}")
    assert read(app, n, "b") == [f"{now - timedelta(days=2):%Y-%m-%d}"]


def test_nearest_and_a_checked_range_exclude_each_other(app):
    """C5."""
    x = S3(app, "x", "day")
    with pytest.raises(ValueError, match="both nearest and range-checked"):
        x[:-2].nearest().check_range()
    with pytest.raises(ValueError, match="both nearest and range-checked"):
        x[:-2].check_range().nearest()
