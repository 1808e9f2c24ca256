"""Filters: what constraints spell, and what two of them let through together."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.filters import ANY, Exactly, Filter, Window, meet, read_constraint
from tests import strategies as some

pytestmark = pytest.mark.fast

SPEC = DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME"}}})
REGION, DAY = SPEC.dimensions
LAST_30 = Window(length=30)


def both(dimension, one, other):
    try:
        return meet(dimension, one, other, "x")
    except DeclarationError:
        return "against"


# laws


@given(st.data())
def test_a_constraint_meets_itself_and_anything_as_itself(data):
    dimension = data.draw(some.dimensions)
    one = data.draw(some.constraints(dimension))
    assert both(dimension, one, one) == one
    assert both(dimension, one, ANY) == both(dimension, ANY, one) == one


@given(some.windows, some.windows)
def test_windows_meet_in_exactly_the_offsets_that_both_have_in_the_order_that_is_asked_for(declared, asked):
    met = both(DAY, declared, asked)
    assume(met != "against")
    common = [offset for offset in asked.offsets() if offset in set(declared.offsets())]
    assert (list(met.offsets()) if met is not None else []) == common


@given(some.windows, some.windows)
def test_windows_meet_in_the_same_offsets_in_either_order(one, other):
    met, turned = both(DAY, one, other), both(DAY, other, one)
    assert (met == "against") == (turned == "against")
    assume(met != "against")
    assert (met is None) == (turned is None)
    assert met is None or sorted(met.offsets()) == sorted(turned.offsets())


@given(some.windows, some.windows)
def test_windows_are_against_each_other_only_when_both_walk_and_apart(one, other):
    walks = one.length > 1 and other.length > 1
    assert (both(DAY, one, other) == "against") == (walks and one.step != other.step)


@given(some.windows)
def test_a_window_reads_as_many_partitions_as_it_is_long_beginning_at_its_shift(window):
    offsets = window.offsets()
    assert offsets[0] == window.shift
    assert len(set(offsets)) == window.length
    assert all(later - earlier == window.step for earlier, later in itertools.pairwise(offsets))


@given(st.data())
def test_literals_meet_when_they_compare_equal(data):
    dimension = data.draw(some.strings())
    one, other = data.draw(some.values(dimension)), data.draw(some.values(dimension))
    same = dimension.comparable(one) == dimension.comparable(other)
    assert (both(dimension, Exactly(one), Exactly(other)) is not None) == same


# examples


@pytest.mark.parametrize(
    ("spelled", "offsets"),
    [
        (slice(None, -2), (0, -1)),
        (slice(None, 2), (0, 1)),
        (slice(None, None), (0,)),
        (slice(None, -1), (0,)),
        (slice(None, 1), (0,)),
        (slice(-1, -3), (-1, -2, -3)),
        (slice(-1, None), (-1,)),
        (slice(2, 2), (2, 3)),
        (slice(0, -2), (0, -1)),
        ("_:-3", (0, -1, -2)),
        ("_:3", (0, 1, 2)),
    ],
)
def test_a_range_spells_distances_from_the_tip(spelled, offsets):
    assert tuple(read_constraint(DAY, spelled, "x").offsets()) == offsets


@pytest.mark.parametrize(
    ("spelled", "right"),
    [
        (slice(None, 0), r"\[:-1\] or \[:\]"),
        (slice(3, 0), r"\[:-1\] or \[:\]"),
        (slice(None, None, 2), r"\[:-7\]"),
        (slice(None, -7, -1), r"\[-1:-7\]"),
        (slice("2020-01-01", "2020-01-05"), r"\[:-7\]"),
        (slice(datetime(2020, 1, 1), None), r"\[:-7\]"),
        (slice(None, True), r"\[:-7\]"),
        (slice(None, 1.5), r"\[:-7\]"),
        (slice(None, -(10**12)), "Read at most 1,000,000"),
        ("_:-1000001", "Read at most 1,000,000"),
        (["2020-01-01", "2020-01-02"], r"node\['NA'\]\['2021-09-20'\]"),
        (("NA", "2020-01-01"), r"node\['NA'\]\['2021-09-20'\]"),
        ({"2020-01-01"}, r"node\['NA'\]\['2021-09-20'\]"),
        ("_:all", "'_:-30'"),
        ("_:", "'_:-30'"),
        ("yesterday", "'2021-09-20'"),
        (None, "'2021-09-20'"),
    ],
)
def test_a_wrong_spelling_is_answered_with_the_right_one(spelled, right):
    with pytest.raises(ValueError, match=right):
        read_constraint(DAY, spelled, "x")


@pytest.mark.parametrize("spelled", [slice(None, -2), slice(None), "_:-3"])
def test_a_text_dimension_has_no_ranges(spelled):
    with pytest.raises(ValueError, match="a STRING has no order"):
        read_constraint(REGION, spelled, "x")


def test_the_declared_last_30_bound_what_may_be_asked_for():
    assert both(DAY, LAST_30, Window(length=7)) == Window(length=7)
    assert both(DAY, LAST_30, Window(length=40)) == LAST_30
    assert both(DAY, LAST_30, Window(-28, 5)) == Window(-28, 2)
    assert both(DAY, LAST_30, Window(-30, 5)) is None
    assert both(DAY, LAST_30, Window()) == Window()
    assert both(DAY, LAST_30, Window(length=5, step=1)) == "against"


def test_a_filter_is_read_from_its_tree():
    read = Filter.of(SPEC, {"NA": {"*": {}}, "EU": {}}, "x")
    assert read.branches == ((Exactly("NA"), ANY), (Exactly("EU"), ANY))
    assert read.literals(SPEC, "region") == ("NA", "EU")
    assert read.literals(SPEC, "day") is None


def test_a_filter_admits_what_one_of_its_branches_admits():
    day = datetime(2021, 9, 20)
    read = Filter.of(SPEC, {"NA": {"2021-09-20": {}}, "EU": {"_:-30": {}}}, "x")
    assert read.admits(SPEC, ("NA", day))
    assert not read.admits(SPEC, ("NA", datetime(2021, 9, 21)))
    assert read.admits(SPEC, ("EU", datetime(1999, 1, 1)))
    assert not read.admits(SPEC, ("JP", day))


@pytest.mark.parametrize("tree", [{"NA": ["2021-09-20"]}, {"NA": {"2021-09-20": {"deeper": {}}}}, {"NA": {"soon": {}}}])
def test_a_filter_that_is_no_tree_of_values_is_refused(tree):
    with pytest.raises(DeclarationError, match="x"):
        Filter.of(SPEC, tree, "x")


def test_a_value_that_compares_without_case_is_spelled_as_it_is_declared():
    spec = DimensionSpec.of({"org": {"type": "STRING", "insensitive": True, "region": {"type": "STRING"}}})
    among = {"Se": {"NA": {}}, "SE": {"EU": {}}, "Amzl": {}}
    named, read = Filter.of(spec, among, "x").settled(spec)
    assert named.read(("SE", "NA")) == named.read(("se", "NA")) == ("Se", "NA")
    assert named.read(("AMZL", "EU")) == ("Amzl", "EU")
    assert named.read(("NOBODY", "EU")) == ("nobody", "EU")
    assert read == Filter((named_branch("Se", "NA"), named_branch("Se", "EU"), (Exactly("Amzl"), ANY)))
    assert named == spec  # whose dimensions are the same, however values are spelled
    assert named.as_declared.read(("SE", "NA")) == ("SE", "NA")


def named_branch(*values):
    return tuple(map(Exactly, values))
