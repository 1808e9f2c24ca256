"""What a view reads around a tip, where a declared filter has several branches."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError, UnknownPartition
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.filters import ANY, Exactly, Filter, Window
from rheo_assets.model.signals import Signal, View
from rheo_assets.planning.input_sets import read_by, starved
from rheo_assets.planning.partition_sets import PartitionSet

pytestmark = pytest.mark.fast

SPEC = DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME", "hour": {"type": "LONG"}}}})
BACK = DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME"}}})
FIRST = datetime(2021, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
COLUMNS = [["NA", "EU"], DAYS, list(range(5))]

literals = [st.sampled_from(column).map(Exactly) for column in COLUMNS]
backward = st.integers(1, 4).map(lambda length: Window(length=length))
asked = st.builds(lambda shift, length: Window(shift, length, -1), st.integers(-2, 1), st.integers(1, 4))
branches = st.lists(
    st.tuples(st.just(ANY) | literals[0], st.just(ANY) | literals[1] | backward, st.just(ANY) | literals[2] | backward),
    min_size=1,
    max_size=4,
)
questions = st.tuples(st.just(ANY) | literals[0], st.just(ANY) | asked, st.just(ANY) | asked)
tips = st.tuples(*(st.sampled_from(column) for column in COLUMNS))


@st.composite
def views(draw):
    signal = Signal("x", "app", SPEC, Filter(tuple(draw(branches))))
    try:
        return View(signal, draw(questions))
    except (DeclarationError, UnknownPartition):
        assume(False)


def distance(dimension, tip, value):
    return dimension.ordinal(value) - dimension.ordinal(tip) if dimension.has_order else int(tip != value)


def lets_through(branch, view, tip, partition):
    """Returns whether one declared branch has the partition, as a part of the range."""
    return all(
        c is ANY
        or (isinstance(c, Exactly) and c.value == value)
        or (isinstance(c, Window) and (not isinstance(a, Window) or distance(d, t, value) in c.offsets()))
        for d, c, a, t, value in zip(SPEC, branch, view.constraints, tip, partition, strict=True)
    )


@given(views(), tips)
def test_a_view_reads_of_the_range_it_asks_for_what_a_branch_of_the_filter_has(view, tip):
    assume(view.admits(tip))
    columns = [
        [d.shift(value, offset) for offset in c.offsets()] if isinstance(c, Window) else [value]
        for d, c, value in zip(SPEC, view.constraints, tip, strict=True)
    ]
    wanted = [
        partition
        for partition in itertools.product(*columns)
        if any(lets_through(branch, view, tip, partition) for branch in view.node.filter.branches)
    ]
    assert list(view.partitions(tip)) == wanted


@given(views(), st.sets(tips, max_size=5), st.sets(tips, max_size=5))
def test_what_many_tips_read_is_what_each_of_them_reads(view, many, ready):
    chosen = [tip for tip in many if view.admits(tip)]
    each = {tip: view.partitions(tip) for tip in chosen}
    together = PartitionSet.of(SPEC, chosen)
    assert set(read_by(view, together)) == {partition for found in each.values() for partition in found}
    hungry = {tip for tip, found in each.items() if not ready.intersection(found)}
    assert set(starved(view, together, PartitionSet.of(SPEC, ready))) == hungry


@given(st.lists(backward | st.just(ANY), min_size=1, max_size=3), asked, st.sampled_from(DAYS))
def test_the_tip_is_told_by_the_first_partition_that_it_reads(bounds, window, day):
    try:
        view = View(Signal("x", "app", BACK, Filter(tuple((ANY, bound) for bound in bounds))), (ANY, window))
    except DeclarationError:  # they have nothing in common
        assume(False)
    read = view.partitions(("NA", day))
    assume(read)
    told = view.tip_reading(read[0])
    assert view.partitions(told)[0] == read[0]


# examples


def declared(tree, spec=BACK):
    return Signal("x", "app", spec, Filter.of(spec, tree, "x"))


def back(region, count):
    return [(region, datetime(2021, 3, 18) - timedelta(days=n)) for n in range(count)]


def test_each_branch_bounds_its_own_values():
    x = declared({"NA": {"_:-30": {}}, "EU": {"_:-7": {}}})
    assert list(x["*"][:-10].partitions(("NA", datetime(2021, 3, 18)))) == back("NA", 10)
    assert list(x["*"][:-10].partitions(("EU", datetime(2021, 3, 18)))) == back("EU", 7)
    assert list(x["EU"][:-10].partitions(("EU", datetime(2021, 3, 18)))) == back("EU", 7)


def test_two_branches_that_have_a_value_read_what_either_has():
    x = declared({"*": {"_:-2": {}}, "NA": {"_:-5": {}}})
    assert list(x["*"][:-10].partitions(("NA", datetime(2021, 3, 18)))) == back("NA", 5)
    assert list(x["*"][:-10].partitions(("JP", datetime(2021, 3, 18)))) == back("JP", 2)


def test_a_range_over_declared_values_reads_those_that_are_declared():
    hours = DimensionSpec.of({"day": {"type": "DATETIME", "hour": {"type": "LONG"}}})
    x = declared({"*": {hour: {} for hour in (0, 1, 2, 4)}}, hours)
    day = datetime(2021, 3, 18)
    assert x[:][:-4].partitions((day, 4)) == ((day, 4), (day, 2), (day, 1))
    assert x[:][:-4].partitions((day, 1)) == ((day, 1), (day, 0))


def test_the_direction_of_a_branch_that_is_not_asked_for_is_no_matter():
    x = declared({"NA": {"_:-30": {}}, "EU": {"_:7": {}}})
    assert len(x["NA"][:-7].partitions(("NA", FIRST))) == 7
    assert len(x["EU"][:40].partitions(("EU", FIRST))) == 7
    for against in (lambda: x["*"][:-7], lambda: x["NA"][:7]):
        with pytest.raises(DeclarationError, match="direction of the filter"):
            against()


def pinned(tree):
    levels = {"region": {"type": "STRING", "index": {"type": "LONG"}}}
    return external_node("app", "x", S3Dataset("1", "bucket", "x", "{}", "{}"), levels, tree)


def test_the_one_literal_of_external_data_anchors_a_range_that_reads_on_from_there():
    x = pinned({"*": {7: {}}})
    assert x["NA"][:-8].partitions(("NA", 7)) == tuple(("NA", n) for n in range(7, -1, -1))
    assert x["NA"][-1:-2].partitions(("NA", 7)) == (("NA", 6), ("NA", 5))
    assert x["NA"][:-8].tip_reading(("NA", 7)) == ("NA", 7)
    assert not x["NA"][:-8].admits(("NA", 6))
    many = PartitionSet.of(x.spec, [("NA", 7), ("EU", 7)])
    assert len(read_by(x["*"][:-8], many)) == 16


def test_each_region_may_have_an_anchor_of_its_own():
    x = pinned({"NA": {7: {}}, "EU": {2: {}}})
    assert x["*"][:-3].partitions(("NA", 7)) == (("NA", 7), ("NA", 6), ("NA", 5))
    assert x["*"][:-3].partitions(("EU", 2)) == (("EU", 2), ("EU", 1), ("EU", 0))


def test_a_data_node_has_no_partitions_beside_its_literal():
    n = data_node("app", "bucket", "n", [pinned({"*": {7: {}}})], compute_targets=NOOPCompute)
    assert n["NA"][:-8].partitions(("NA", 7)) == (("NA", 7),)
