from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.filters import Filter, Window
from rheo_assets.model.signals import Signal, View
from rheo_assets.planning.partition_sets import PartitionSet
from tests.strategies import examples

pytestmark = pytest.mark.fast

START = datetime(2022, 3, 1)
SPECS = {
    "none": DimensionSpec.of(None),
    "region": DimensionSpec.of({"region": {"type": "STRING"}}),
    "day": DimensionSpec.of({"day": {"type": "DATETIME"}}),
    "region_day": DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME"}}}),
    "day_n": DimensionSpec.of({"day": {"type": "DATETIME", "min": START, "n": {"type": "LONG"}}}),
    "month_hour": DimensionSpec.of(
        {"m": {"type": "DATETIME", "granularity": "MONTH", "h": {"type": "DATETIME", "granularity": "HOUR"}}}
    ),
    "n_m": DimensionSpec.of({"n": {"type": "LONG", "m": {"type": "LONG"}}}),
}
# Neighbours on both sides of the block borders, and far apart.
NUMBERS = st.one_of(st.integers(-6, 6), st.integers(4090, 4102), st.sampled_from([10**15, -(10**15)]))


def values(dimension):
    if dimension.granularity is not None:
        moments = st.one_of(st.integers(0, 6), st.integers(1390, 1400)).map(lambda n: START + timedelta(days=n))
        return moments.map(dimension.read)
    return st.sampled_from(["NA", "EU"]) if not dimension.has_order else NUMBERS


def partitions(spec):
    return st.tuples(*[values(dimension) for dimension in spec])


def windows(dimension):
    if not dimension.has_order:
        return st.none()
    return st.none() | st.builds(Window, st.integers(-5, 5), st.integers(1, 9), st.sampled_from([-1, 1]))


named_specs = st.sampled_from(sorted(SPECS)).map(SPECS.__getitem__)
pairs = named_specs.flatmap(
    lambda spec: st.tuples(
        st.just(spec), st.sets(partitions(spec), max_size=12), st.sets(partitions(spec), max_size=12)
    )
)


@given(pairs)
@examples(60)
def test_it_is_the_set_that_python_makes(drawn):
    spec, one, other = drawn
    a, b = PartitionSet.of(spec, one), PartitionSet.of(spec, other)
    assert set(a | b) == one | other
    assert set(a & b) == one & other
    assert set(a - b) == one - other
    assert (a == b) == (one == other)
    assert len(a) == len(one)
    assert bool(a) == bool(one)
    assert all(partition in a for partition in one)
    assert not any(partition in a for partition in other - one)
    assert hash(a | b) == hash(b | a)


@given(pairs)
@examples(60)
def test_it_iterates_oldest_first(drawn):
    spec, one, _ = drawn
    found = PartitionSet.of(spec, one)
    axis = found.axis
    ordered = [partition[axis] if axis is not None else partition for partition in found]
    assert ordered == sorted(ordered)
    assert len(ordered) == len(one)


@given(pairs)
@examples(60)
def test_its_stretches_are_its_partitions(drawn):
    spec, one, _ = drawn
    found = PartitionSet.of(spec, one)
    stretches = list(found.stretches())
    assert sum(stretch.length for stretch in stretches) == len(one)
    assert {end for stretch in stretches for end in stretch[:2]} <= one
    if found.axis is not None:
        dimension = spec.dimensions[found.axis]
        for first, last, length in stretches:
            assert dimension.ordinal(last[found.axis]) - dimension.ordinal(first[found.axis]) == length - 1


def view(spec, chosen):
    built = View(Signal("x", "app", spec, Filter.open(spec)))
    for window in chosen:
        built = built.subscripted("*" if window is None else window)
    return built


ranged = pairs.flatmap(lambda drawn: st.tuples(st.just(drawn), st.tuples(*[windows(d) for d in drawn[0]])))


@given(ranged)
@examples(60)
def test_spreading_reads_what_the_view_reads_and_can_exist(drawn):
    (spec, tips, _), chosen = drawn
    reading = view(spec, chosen)
    read = {partition for tip in tips for partition in reading.partitions(tip) if spec.can_exist(partition)}
    assert set(PartitionSet.of(spec, tips).spread(chosen)) == read


@given(ranged)
@examples(60)
def test_reaching_finds_the_tips_whose_range_holds_something(drawn):
    (spec, tips, ready), chosen = drawn
    reading = view(spec, chosen)
    expected = {tip for tip in tips if ready.intersection(reading.partitions(tip))}
    assert set(PartitionSet.of(spec, tips).reaching(chosen, PartitionSet.of(spec, ready))) == expected


def test_a_range_stops_at_the_first_and_last_year():
    spec = SPECS["day"]
    ends = PartitionSet.of(spec, [(datetime(1, 1, 2),), (datetime(9999, 12, 31),)])
    assert list(ends.spread((Window(length=3),))) == [
        (datetime(1, 1, 1),),
        (datetime(1, 1, 2),),
        *[(datetime(9999, 12, day),) for day in (29, 30, 31)],
    ]


def test_sets_of_different_specs_do_not_mix():
    with pytest.raises(TypeError, match="region"):
        PartitionSet.of(SPECS["day"]) | PartitionSet.of(SPECS["region"])
