"""Links: which events join, and which output partition they make."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest

from rheo_assets import EQUALS
from tests.cases.topologies import DAY, LONG, S3, STRING, cycle, event, file, node, pending, ran, read, spec


def test_inputs_join_by_equal_dimension_names(app):
    """D1."""
    a = S3(app, "a", dim=LONG)
    b = S3(app, "b", dim=LONG)
    n = node(app, "n", [a, b])
    app.activate()

    event(app, a[1])
    assert pending(app, n) == 1
    event(app, a[2])
    assert pending(app, n) == 2
    event(app, a[2])
    event(app, a[1])
    assert (pending(app, n), ran(app, n)) == (2, [])
    event(app, b[3])
    assert (pending(app, n), ran(app, n)) == (3, [])
    event(app, a[3])
    assert (pending(app, n), ran(app, n)) == (2, ["3"])
    event(app, b[1])
    assert ran(app, n) == ["3", "1"]
    event(app, b[2])
    assert (pending(app, n), ran(app, n)) == (0, ["3", "1", "2"])


def test_inputs_of_different_dimension_names_are_not_joined(app):
    """D3."""
    x = S3(app, "x", "day")
    z = S3(app, "z", "other")
    c = node(app, "c", [x, z])
    app.activate()

    event(app, x["2021-03-01"])
    assert (ran(app, c), pending(app, c)) == ([], 1)
    event(app, z["2019-01-01"])
    assert ran(app, c) == ["2021-03-01"]
    assert read(app, c, "z") == ["2019-01-01"]


def test_a_computed_link_holds_in_both_arrival_orders(app):
    """D5."""
    x = S3(app, "x", "day")
    y = S3(app, "y", "day")
    b = node(app, "b", [x, y], input_dim_links=[(y("day"), lambda day: day - timedelta(days=5), x("day"))])
    app.activate()

    event(app, y["2021-01-10"])
    event(app, x["2021-03-01"])
    assert (ran(app, b), pending(app, b)) == ([], 2)
    event(app, x["2021-01-15"])
    assert ran(app, b) == ["2021-01-15"]
    assert read(app, b, "y") == ["2021-01-10"]

    event(app, y["2021-02-24"])
    assert ran(app, b) == ["2021-01-15", "2021-03-01"]
    assert read(app, b, "y") == ["2021-02-24"]
    assert pending(app, b) == 0


def test_one_event_fills_every_alias_that_it_satisfies(app):
    """D6."""
    x = S3(app, "x", "region", "day")
    n = node(app, "n", {"alias1": x["NA"][:-3], "alias2": x["NA"]["*"]})
    with pytest.raises(ValueError, match="'x' is listed twice"):
        node(app, "twice", [x["NA"][:-3], x["NA"]["*"]])
    app.activate()

    event(app, x["NA"]["2020-03-18"])
    assert ran(app, n) == ["NA/2020-03-18"]
    assert read(app, n, "alias1") == ["NA/2020-03-18", "NA/2020-03-17", "NA/2020-03-16"]
    assert read(app, n, "alias2") == ["NA/2020-03-18"]
    assert pending(app, n) == 0


@pytest.mark.parametrize("hour", [5, 7, 0, 23])
@pytest.mark.parametrize("timer_first", [True, False])
def test_a_daily_timer_joins_an_hourly_dataset_in_either_order(app, timer_first, hour):
    """D8."""
    t = app.add_timer("t", "rate(1 day)", "day", "%Y-%m-%d")
    hr = S3(app, "hr", day={**DAY, "format": "%Y%m%d%H", "granularity": "HOUR"})
    a = node(app, "a", [t, hr])
    app.activate()

    events = [t["2021-09-20"], hr[datetime(2021, 9, 20, hour)]]
    first, second = events if timer_first else reversed(events)
    event(app, first)
    assert (ran(app, a), pending(app, a)) == ([], 1)
    event(app, second)
    assert ran(app, a) == ["2021-09-20"]
    assert read(app, a, "hr") == [f"20210920{hour:02d}"]
    assert pending(app, a) == 0


def test_a_link_compares_dates_and_not_their_formats(app):
    """D9."""
    p = S3(app, "p", partition_date={**DAY, "format": "%Y%m%d"})
    q = S3(app, "q", "day")
    r = node(
        app,
        "r",
        [p, q],
        input_dim_links=[(p("partition_date"), EQUALS, q("day"))],
        output_dimension_spec=spec(date={**DAY, "format": "%d.%m.%Y"}),
        output_dim_links=[("date", EQUALS, p("partition_date"))],
    )
    app.activate()

    event(app, p["20211122"])
    event(app, q["2021-11-21"])
    assert (ran(app, r), pending(app, r)) == ([], 2)
    event(app, q["2021-11-22"])
    assert ran(app, r) == ["22.11.2021"]
    assert (read(app, r, "p"), read(app, r, "q")) == (["20211122"], ["2021-11-22"])


def test_values_are_folded_and_padded_as_their_dimension_says(app, root):
    """D12."""
    ext = S3(
        app,
        "ext",
        only={"Se": {"*": {"*": {}}}},
        org={**STRING, "format": str.lower, "insensitive": True},
        day={**DAY, "format": "%Y%m%d"},
        hour={**DAY, "format": "%Y%m%d%H"},
    )
    levels = spec("org", "day", hour={**LONG, "digits": 2})
    out = node(
        app,
        "out",
        [ext],
        output_dimension_spec=levels,
        output_dim_links=[("hour", lambda hour: hour.hour, ext("hour"))],
    )
    out2 = node(app, "out2", [out])
    app.activate()

    for hour in ("2021030817", "2021030803"):
        folder = root / "s3" / "outside" / "ext" / "SE" / "20210308" / hour
        folder.mkdir(parents=True)
        (folder / "_SUCCESS").touch()
        cycle(app)
    assert ran(app, out) == ran(app, out2) == ["se/2021-03-08/17", "se/2021-03-08/03"]
    assert read(app, out, "ext") == ["se/20210308/2021030803"]

    with pytest.raises(ValueError, match="Did you mean 'se'"):
        app.materialize(out2["Se"]["2021-03-08"][3])
    (path,) = app.materialize(out2["se"]["2021-03-08"][3])
    assert path.endswith("out2/se/2021-03-08/03")


@pytest.mark.parametrize(
    "spelled", ["2021-05-06 23-00", "2021-05-06 23:00", "2021-05-06 23:00:00", datetime(2021, 5, 6, 23)]
)
def test_a_date_is_accepted_in_its_own_format_and_as_iso_text(app, spelled):
    """D13."""
    x = S3(app, "x", "org", day={**DAY, "format": "%Y-%m-%d %H-%M"})
    out = node(app, "out", [x])
    (path,) = app.materialize(out["se"][spelled])
    assert path.endswith("se/2021-05-06 23-00")


def test_nothing_lies_before_the_min_of_a_dimension(app):
    """D14."""
    x = S3(app, "x", day={**DAY, "min": "2021-01-01"})
    v = S3(app, "v", "day")
    n = node(app, "n", [x, v])
    m = node(app, "m", [v, x], input_dim_links=[(x("day"), lambda day: day - timedelta(days=5), v("day"))])
    app.activate()

    (path,) = app.materialize(n["2021-01-01"])
    assert path.endswith("n/2021-01-01")
    with pytest.raises(ValueError, match="nothing before its min 2021-01-01"):
        app.materialize(n["2020-12-01"])

    with pytest.raises(ValueError, match="nothing before its min 2021-01-01"):
        app.process(x["2020-12-28"])
    event(app, x["2021-01-02"])
    event(app, v["2021-01-02"])
    assert ran(app, n) == ["2021-01-02"]

    with pytest.raises(ValueError, match="2020-12-29"):
        app.execute(m["2021-01-03"])
    app.execute(m["2021-01-06"])
    assert read(app, m, "x") == ["2021-01-01"]


def test_an_arrival_before_the_min_is_not_routed(app, root, caplog):
    """D14, from the outside."""
    x = S3(app, "x", day={**DAY, "min": "2021-01-01"})
    n = node(app, "n", [x])
    app.activate()

    folder = root / "s3" / "outside" / "x" / "2020-12-28"
    folder.mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    with caplog.at_level(logging.WARNING, logger="rheo_assets"):
        cycle(app)
    assert "is not routed" in caplog.text
    file(app, x["2021-01-01"])
    cycle(app)
    assert ran(app, n) == ["2021-01-01"]
