"""Covering inputs: all partitions within a coarser one, and the period that they find by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionSpec, DimensionType
from rheo_assets.model.links import EQUALS
from rheo_assets.model.recording.nodes import dump_topology, load_topology
from rheo_assets.model.topology import Topology
from tests.model.test_links import DAY, HOUR, MONTH, STRING, day, ext, node

pytestmark = pytest.mark.fast

WEEK, YEAR = {"type": "DATETIME", "granularity": "WEEK"}, {"type": "DATETIME", "granularity": "YEAR"}
G = DatetimeGranularity
PAIRS = [(fine, coarse) for fine in G for coarse in G if coarse.fineness < fine.fineness and fine is not G.SECOND]
JANUARY = [(day("2024-01-31") - timedelta(days=n),) for n in range(31)]


# laws


@given(st.sampled_from(PAIRS), st.datetimes(datetime(2, 1, 1), datetime(9990, 1, 1)))
def test_what_is_covered_is_every_granule_that_begins_in_the_period_and_no_other(pair, moment):
    fine, coarse = pair
    assume((fine, coarse) not in {(G.MINUTE, G.YEAR), (G.MINUTE, G.MONTH)})  # many, and no other case
    dimension = Dimension("at", DimensionType.DATETIME, granularity=fine)
    x = ext("x", spec=DimensionSpec((dimension,)))
    read = [value for (value,) in x.covering(coarse).partitions((dimension.read(moment),))]
    start = coarse.truncate(dimension.read(moment))
    assert read == sorted(read, reverse=True)
    assert {coarse.truncate(value) for value in read} == {start}
    before, after = dimension.shift(read[-1], -1), dimension.shift(read[0], 1)
    assert coarse.truncate(before) < start < coarse.truncate(after)
    assert [fine.ordinal(value) for value in read] == list(range(fine.ordinal(read[0]), fine.ordinal(read[-1]) - 1, -1))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.sampled_from(["MONTH", "WEEK", "YEAR"]))
def test_every_day_of_a_period_is_the_same_tip_and_leads_to_the_same_output_and_back(moment, period):
    x = ext("x", day=DAY)
    linkage = node({"x": x.covering()}, out={"period": {"type": "DATETIME", "granularity": period}}).linkage
    view = linkage.inputs["x"]
    one = x.spec.read((moment,))
    solutions = [linkage.solve({"x": other}) for other in view.partitions(one)]
    assert len({(s.output, s.tips["x"]) for s in solutions}) == 1
    output, tip = solutions[0].output, solutions[0].tips["x"]
    assert output == (DatetimeGranularity(period).truncate(one[0]),)
    assert linkage.resolve_output(output) == {"x": tip}
    assert tip == view.partitions(one)[-1] == view.tip_reading(view.partitions(one)[0])


# the period


def test_the_output_says_the_period_whatever_its_name():
    n = node({"x": ext("x", region=STRING, day=DAY).covering()}, out={"region": STRING, "m": MONTH})
    assert str(n.inputs["x"]) == "x.covering('MONTH')"
    solution = n.linkage.solve({"x": ("NA", day("2024-01-17"))})
    assert solution.output == ("NA", day("2024-01-01"))
    assert n.inputs["x"].partitions(solution.tips["x"]) == tuple(("NA", value) for (value,) in JANUARY)


def test_another_input_says_the_period_where_the_output_has_none():
    t, x = ext("t", at=MONTH), ext("x", day=DAY)
    n = node({"t": t, "x": x.ref.covering().range_check(True)})
    tips = n.linkage.solve({"t": (day("2024-01-01"),)}).tips
    assert list(n.inputs["x"].partitions(tips["x"])) == JANUARY


def test_of_several_periods_the_one_of_the_same_name_is_taken_else_the_user_says_which():
    x = ext("x", day=DAY)
    both = {"week": WEEK, "month": MONTH}
    with pytest.raises(DeclarationError, match=r"may cover the period of any of output.week, output.month. Say which"):
        node({"x": x.covering()}, out=both)
    chosen = node({"x": x.covering("MONTH"), "w": ext("w", week=WEEK)}, out=both)
    assert chosen.inputs["x"].period is G.MONTH
    same = node(
        {"x": ext("x", month=DAY).covering()}, out={"month": MONTH, "year": YEAR}, out_links=[("year", EQUALS, "2024")]
    )
    assert same.inputs["x"].period is G.MONTH


def test_a_link_of_the_user_says_the_period_and_stands_alone():
    x = ext("x", day=DAY)
    next_month = lambda start: start + timedelta(days=31)  # noqa: E731
    n = node({"x": x.covering()}, out={"month": MONTH}, out_links=[("month", next_month, x("day"))])
    assert n.linkage.solve({"x": (day("2024-01-17"),)}).output == (day("2024-02-01"),)


def test_covering_inputs_of_one_node_meet_by_their_period_and_not_by_their_days():
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    n = node({"x": x.covering(), "y": y.covering()}, out={"month": MONTH})
    assert n.linkage.solve({"x": (day("2024-01-17"),), "y": (day("2024-01-02"),)}).output == (day("2024-01-01"),)
    with pytest.raises(ValueError, match="breaks its link"):
        n.linkage.solve({"x": (day("2024-01-17"),), "y": (day("2024-02-02"),)})


def test_the_hours_of_a_day_are_covered_beside_a_dimension_of_the_day():
    x = ext("x", day=DAY, hour=HOUR)
    n = node({"x": x.covering()}, out={"day": DAY})
    tip = (day("2024-01-17"), datetime(2024, 1, 17, 5))
    assert len(n.inputs["x"].partitions(tip)) == 24
    assert {value for value, _ in n.inputs["x"].partitions(tip)} == {day("2024-01-17")}
    with pytest.raises(DeclarationError, match="'day' would vary within a MONTH, too"):
        node({"x": x.covering()}, out={"month": MONTH})


def test_days_before_the_min_are_not_covered():
    x = ext("x", day={**DAY, "min": day("2024-01-30")})
    n = node({"x": x.covering().range_check(True)}, out={"month": MONTH})
    assert n.inputs["x"].partitions((day("2024-01-31"),)) == tuple(JANUARY[:2])
    assert n.linkage.resolve_output((day("2024-01-01"),)) == {"x": JANUARY[1]}


# what is refused


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda x: node({"x": x.covering()}), "neither the output nor another input has anything coarser than a DAY"),
        (lambda x: node({"x": x.covering("YEAR")}, out={"month": MONTH}), "has a YEAR"),
        (lambda x: x.covering().nearest(), "is both nearest and covering"),
        (lambda x: x.covering()[:-7], "no time dimension is open"),
        (lambda x: x.covering("HOUR"), "'day' is no finer than a HOUR"),
        (lambda x: x.covering("FORTNIGHT"), "is not a period"),
        (lambda x: ext("y", region=STRING).covering(), "no time dimension is open"),
        (lambda x: node({"x": x.covering(), "t": ext("t", m=MONTH)}), "the output's 'day' is finer"),
    ],
)
def test_what_cannot_be_covered_is_refused(declare, said):
    with pytest.raises(DeclarationError, match=said):
        declare(ext("x", day=DAY))


# records


def test_a_recorded_covering_input_covers_the_same():
    x, t = ext("x", day=DAY), ext("t", at=MONTH)
    nodes = {"x": x, "t": t, "n": node({"t": t, "x": x.ref.covering().range_check(True)})}
    written = dump_topology(Topology("app", nodes), lambda *_: "")
    again = load_topology(written, lambda _: None)
    assert str(again["n"].inputs["x"]) == "x.ref.covering('MONTH').range_check(True)"
    assert dump_topology(again, lambda *_: "") == written
    assert again["n"].linkage.solve({"t": (day("2024-01-01"),)}).tips["x"] == (day("2024-01-01"),)
