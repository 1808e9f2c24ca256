"""Signals and views: immutable values that are subscripted, flagged, and resolved around a tip."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError, InvalidValue, NotConcrete, UnknownPartition
from rheo_assets.model.datasets import SUCCESS, Layout, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType
from rheo_assets.model.filters import Window
from rheo_assets.model.signals import View, as_view
from tests import strategies as some

pytestmark = pytest.mark.fast

LEVELS = {"region": {"type": "STRING", "day": {"type": "DATETIME", "hour": {"type": "LONG", "digits": 2}}}}


def dataset(spec=LEVELS, only=None, name="x"):
    read = DimensionSpec.of(spec)
    return external_node("app", name, S3Dataset("1", "bucket", name, *["{}"] * len(read)), read, only, SUCCESS)


X = dataset()
FLAGS = [
    lambda s: s.ref,
    lambda s: s.reference(),
    lambda s: s.as_reference(),
    lambda s: s.no_event,
    lambda s: s.range_check(True),
    lambda s: s.check_range(),
    lambda s: s.nearest(),
    lambda s: s.latest(),
]


# laws


@given(st.data())
def test_the_tip_of_a_view_is_among_what_it_reads_unless_it_is_shifted_away(data):
    d, tip = data.draw(some.valued(some.ordered))
    window = data.draw(some.windows)
    view = View(dataset(DimensionSpec((d,))), (window,))
    read = view.partitions((tip,))
    assert view.admits((tip,))
    if 0 in window.offsets():
        assert (tip,) in read
    if window.shift == 0:
        assert read[0] == (tip,)


@given(st.data())
def test_a_view_reads_the_partitions_that_its_window_names_nearest_first(data):
    d = data.draw(some.datetimes())
    tip = d.read(data.draw(st.datetimes(datetime(1000, 1, 1), datetime(3000, 1, 1))))
    window = data.draw(some.windows)
    read = View(dataset(DimensionSpec((d,))), (window,)).partitions((tip,))
    assert [d.ordinal(value) - d.ordinal(tip) for (value,) in read] == list(window.offsets())


@given(st.data())
def test_a_path_renders_back_from_the_partition_it_is_parsed_to(data):
    spec = data.draw(some.specs())
    partition = tuple(data.draw(some.values(d)) for d in spec)
    patterns = data.draw(st.tuples(*[st.sampled_from(["{}", "part={}", "a{}b"]) for _ in spec]))
    layout = Layout("s3://bucket/x", patterns)
    texts = spec.render(partition)
    filled = [pattern.replace("{}", text) for pattern, text in zip(patterns, texts, strict=True)]
    relative = tuple(segment for part in filled for segment in part.split("/"))
    assert layout.uri(spec, partition) == "/".join(["s3://bucket/x", *relative])
    assert layout.depth(spec) == len(relative)
    assert layout.parse(spec, relative) == partition


@given(st.data(), st.text("abcdefxyz-._", max_size=5))
def test_a_star_swallows_what_comes_after_a_value_in_a_path(data, swallowed):
    d = data.draw(some.longs() | some.datetimes())
    value = data.draw(some.values(d))
    layout = Layout("s3://bucket/x", ("{}*", "p*_{}"))
    spec = DimensionSpec((d, Dimension("text", DimensionType.STRING)))
    relative = (*f"{d.render(value)}{swallowed}".split("/"), "pqr_NA")
    assert layout.parse(spec, relative) == (value, "NA")


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("signal", [X, X["NA"], X["NA"][:-7]])
def test_a_flag_makes_a_new_view_and_leaves_the_old_one_alone(signal, flag):
    before = str(as_view(signal))
    flagged = flag(signal)
    assert isinstance(flagged, View)
    assert str(as_view(signal)) == before
    assert str(flagged) != before
    assert flag(flagged) == flagged


@pytest.mark.parametrize("attribute", ["constraints", "is_ref", "checks_range", "is_nearest", "node"])
def test_a_view_cannot_be_changed(attribute):
    with pytest.raises(AttributeError):
        setattr(X["NA"], attribute, None)


# examples


def test_a_subscript_makes_a_new_view():
    region = X["NA"]
    day = region["2021-09-20"]
    assert (str(X["NA"]), str(region), str(day)) == ("x[NA]", "x[NA]", "x[NA][2021-09-20]")
    assert X["NA"] == region != X["EU"]


def test_flags_may_come_before_subscripts():
    assert X.ref["NA"] == X["NA"].ref
    assert X.range_check(True)["NA"][:-7] == X["NA"][:-7].range_check(True)
    assert X["NA"].range_check(True).range_check(False) == X["NA"]


def test_ref_keeps_the_conditions_of_range_check_and_nearest_in_either_order():
    assert X["NA"][:-7].ref.range_check(True) == X["NA"][:-7].range_check(True).ref
    assert X["NA"][:-7].ref.nearest() == X["NA"][:-7].nearest().ref


def test_nearest_and_range_check_exclude_each_other():
    for both in (lambda: X.nearest().range_check(True), lambda: X.range_check(True).nearest()):
        with pytest.raises(DeclarationError, match="choose"):
            both()


@pytest.mark.parametrize(
    ("spell", "right"),
    [
        (lambda x: x["NA"][:0], r"\[:-1\] or \[:\]"),
        (lambda x: x["NA"][::2], r"\[:-7\]"),
        (lambda x: x["NA"]["2020-01-01":"2020-01-05"], "not dates"),
        (lambda x: x["NA"][["2020-01-01", "2020-01-02"]], "once per dimension"),
        (lambda x: x["NA", "2020-01-01"], "once per dimension"),
        (lambda x: x[:-2], "Name the value"),
        (lambda x: x["NA"]["2020-01-01"][7]["more"], r"has only \['region', 'day', 'hour'\]"),
        (lambda x: x["NA"]["2020-13-01"], "'%Y-%m-%d'"),
    ],
)
def test_a_wrong_subscript_is_answered_with_the_right_one(spell, right):
    with pytest.raises(ValueError, match=right):
        spell(X)


def test_a_value_that_the_declaration_does_not_have_is_refused_with_those_it_has():
    declared = dataset(only={"NA": {}, "EU": {}})
    with pytest.raises(UnknownPartition, match=r"no region 'eu' \(it declares NA, EU\)\. Did you mean 'EU'\?"):
        declared["eu"]
    assert declared["EU"].admits(("EU", datetime(2021, 1, 1), 7))


def test_branches_are_met_as_a_whole():
    declared = dataset(only={"NA": {"2021-01-01": {}}, "EU": {"2021-01-02": {}}})
    with pytest.raises(DeclarationError, match="no partition passes both"):
        declared["NA"]["2021-01-02"]


def test_a_view_is_concrete_when_every_dimension_has_its_value():
    assert X["NA"]["2021-09-20"]["07"].tip("poll") == ("NA", datetime(2021, 9, 20), 7)
    for open_view, name in [(X, "region"), (X["NA"], "day"), (X["NA"]["*"][7], "day"), (X["NA"][:-2][7], "day")]:
        with pytest.raises(NotConcrete, match=f"'{name}'"):
            as_view(open_view).tip("poll")
    assert X["NA"]["2021-09-20"][7].is_material
    assert not X["NA"]["2021-09-20"].is_material


def test_two_ranges_read_every_combination_tip_first():
    day = datetime(2021, 3, 18)
    read = X["NA"][:-2][:-2].partitions(("NA", day, 7))
    yesterday = day - timedelta(days=1)
    assert read == (("NA", day, 7), ("NA", day, 6), ("NA", yesterday, 7), ("NA", yesterday, 6))


def test_a_range_of_the_declaration_counts_only_once_a_range_is_asked_for():
    declared = dataset({"day": {"type": "DATETIME"}}, only={"_:-30": {}})
    assert not as_view(declared).is_range
    assert not declared["*"].is_range
    assert declared[:-40].windows() == (Window(length=30),)


def test_a_signal_is_no_sequence():
    with pytest.raises(TypeError, match="not a sequence"):
        list(X)


@pytest.mark.parametrize("wrong", [X.spec, "x", None, 7, View])
def test_what_is_no_signal_is_refused_by_name(wrong):
    with pytest.raises(DeclarationError, match="not a node or a view"):
        as_view(wrong)


def test_naming_a_dimension_that_is_not_there_is_refused():
    with pytest.raises(DeclarationError, match="no dimension 'dya'"):
        X("dya")


@pytest.mark.parametrize(
    ("level", "text", "remedy"),
    [
        ({"type": "LONG"}, "07", "Declare 'digits': 2"),
        ({"type": "LONG", "digits": 3}, "07", "Declare 'digits': 2"),
        ({"type": "LONG"}, "+7", "Name the folders by the number alone"),
        ({"type": "DATETIME"}, "20240301", "Declare 'format': '%Y%m%d'"),
        ({"type": "DATETIME", "format": "%Y%m%d"}, "2024-03-01", "Declare 'format': '%Y-%m-%d'"),
        ({"type": "DATETIME"}, "2024-3-1", "Declare 'format': '%Y-%-m-%-d'"),
        ({"type": "DATETIME"}, "2024-03-01T05:00", "Declare its 'format', and a 'granularity' that fits"),
    ],
)
def test_a_folder_that_does_not_render_back_is_refused_with_what_to_declare(level, text, remedy):
    with pytest.raises(InvalidValue) as error:
        Layout("s3://bucket/x", ("{}",)).parse(DimensionSpec.of({"d": level}), (text,))
    assert str(error.value).endswith(remedy)
