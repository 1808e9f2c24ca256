"""References: inputs that need no event of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rheo_assets import EQUALS
from tests.cases.topologies import DAY, LONG, S3, cycle, event, file, node, pending, ran, read, spec, timer


def test_a_reference_needs_no_event_and_no_data(app):
    """B1."""
    t = timer(app)
    z = S3(app, "z", "other")
    k = node(app, "k", [t, z[:-2].ref], input_dim_links=[(z("other"), EQUALS, t("day"))])
    app.activate()

    event(app, t["2021-09-20"])
    assert ran(app, k) == ["2021-09-20"]
    assert read(app, k, "z") == ["2021-09-20", "2021-09-19"]
    assert app.history(k)[0].missing["z"] == [("2021-09-20",), ("2021-09-19",)]


def test_a_checked_reference_blocks_on_its_tip(app):
    """B2."""
    t = timer(app)
    ext = S3(app, "ext", "region", "day")
    n = node(app, "n", [ext["NA"]["*"].ref.range_check(True), t], output_dimension_spec=spec("region", "day"))
    app.activate()

    event(app, t["2021-09-20"])
    assert (ran(app, n), pending(app, n)) == ([], 1)
    assert app.pending(n)[0].waiting_for == ("ext[NA][2021-09-20]",)

    file(app, ext["NA"]["2021-09-20"])
    cycle(app)
    assert ran(app, n) == ["NA/2021-09-20"]
    path, _ = app.poll(n["NA"]["2021-09-20"])
    assert path.endswith("n/NA/2021-09-20")


def test_a_node_of_references_alone_is_refused(app):
    """B4."""
    x = S3(app, "x", "day")
    with pytest.raises(ValueError, match="every input is a ref or nearest"):
        node(app, "n", [x[:-7].ref])
    with pytest.raises(ValueError, match="every input is a ref or nearest"):
        node(app, "n", [x["2021-10-01"].ref])


def test_a_reference_that_nothing_determines_is_refused(app):
    """B5."""
    x = S3(app, "x", "region", "day")
    y = S3(app, "y", "day")
    with pytest.raises(ValueError, match="nothing determines dimension 'region' of input 'x'"):
        node(app, "n", [y[:-2], x["*"][:-2].ref])
    n = node(app, "n", [y[:-2], x["NA"][:-2].ref])
    app.activate()

    event(app, y["2021-03-18"])
    assert ran(app, n) == ["2021-03-18"]
    assert read(app, n, "x") == ["NA/2021-03-18", "NA/2021-03-17"]


def test_a_concrete_reference_reads_always_the_same_partition(app):
    """B7."""
    x = S3(app, "x", "region", "day")
    o = S3(app, "o", "order_day")
    a = node(app, "a", [x])
    m = node(app, "m", [a, o["2021-01-13"].ref])
    app.activate()

    for day in ("2021-01-12", "2021-03-01"):
        event(app, x["NA"][day])
        assert ran(app, m)[-1] == f"NA/{day}"
        assert read(app, m, "o") == ["2021-01-13"]
    assert len(ran(app, m)) == 2


def test_links_do_not_apply_to_a_concrete_reference_of_the_same_dimension(app):
    """B7, with the same dimension name on both sides."""
    x = S3(app, "x", "day")
    y = S3(app, "y", "day")
    n = node(app, "n", [x, y["2021-01-13"].ref])
    app.activate()

    event(app, x["2021-03-01"])
    assert ran(app, n) == ["2021-03-01"]
    assert read(app, n, "y") == ["2021-01-13"]


def test_a_reference_is_inferred_from_two_dimensions_of_another_input(app):
    """B9."""
    e1 = S3(app, "e1", day={**DAY, "format": "%Y%m%d"}, hour=LONG)
    e2 = S3(app, "e2", timestamp={**DAY, "format": "%Y-%m-%d %H:%M:%S", "granularity": "HOUR"})
    links = [(e2("timestamp"), lambda day, hour: day + timedelta(hours=hour % 100), e1("day", "hour"))]
    n = node(app, "n", [e1, e2.ref], input_dim_links=links)
    app.activate()

    event(app, e1["20211122"][2021112223])
    assert ran(app, n) == ["20211122/2021112223"]
    assert read(app, n, "e2") == ["2021-11-22 23:00:00"]


def test_the_output_follows_the_other_inputs_and_not_a_concrete_reference(app):
    """B7, with the reference first."""
    x = S3(app, "x", "day")
    y = S3(app, "y", "day")
    n = node(app, "n", [y["2021-01-13"].ref, x])
    app.activate()

    event(app, x["2021-03-01"])
    assert ran(app, n) == ["2021-03-01"]
    assert read(app, n, "y") == ["2021-01-13"]
