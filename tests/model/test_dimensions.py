"""Dimensions: reading, rendering, truncating and counting values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError, InvalidValue
from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionSpec, DimensionType, compared_equal
from tests import strategies as some

pytestmark = pytest.mark.fast
G = DatetimeGranularity
STRING, LONG, DATETIME = DimensionType


def dimension(**attributes):
    return DimensionSpec.of({"d": attributes})["d"]


# laws


@given(some.valued())
def test_what_is_rendered_reads_back(pair):
    d, value = pair
    assert d.read(d.render(value)) == value


@given(some.valued())
def test_reading_a_value_again_changes_nothing(pair):
    d, value = pair
    assert d.read(value) == value


@given(some.granularities, some.moments)
def test_truncating_twice_is_truncating_once(granularity, moment):
    once = granularity.truncate(moment)
    assert granularity.truncate(once) == once <= moment


@given(some.moments)
def test_a_week_starts_on_monday(moment):
    assert G.WEEK.truncate(moment).weekday() == 0


@given(some.valued(some.ordered))
def test_the_value_at_the_ordinal_of_a_value_is_that_value(pair):
    d, value = pair
    assert d.at(d.ordinal(value)) == value


@given(some.granularities, st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)))
def test_neighbours_differ_by_one_and_nothing_lies_between(granularity, moment):
    value = granularity.truncate(moment)
    after = granularity.moment(granularity.ordinal(value) + 1)
    assert value < after
    assert granularity.truncate(after - timedelta(seconds=1)) == value


@given(some.valued(some.ordered), st.integers(-500, 500))
def test_shifting_there_and_back_is_not_shifting(pair, steps):
    d, value = pair
    try:
        there = d.shift(value, steps)
    except InvalidValue:
        return
    assert d.shift(there, -steps) == value


@given(st.data())
def test_equals_is_symmetric(data):
    (one, value), (two, other) = data.draw(some.valued()), data.draw(some.valued())
    assert compared_equal(value, one, other, two) == compared_equal(other, two, value, one)


@given(st.data())
def test_a_value_equals_what_it_is_converted_to(data):
    source, value = data.draw(some.valued())
    same_kind = {STRING: some.strings(), LONG: some.longs(), DATETIME: some.datetimes()}
    target = data.draw(same_kind[source.type])
    converted = target.convert(value, source)
    assert compared_equal(converted, target, value, source)
    assert compared_equal(value, source, converted, target)


@given(st.data())
def test_a_partition_reads_back_from_its_texts(data):
    spec = data.draw(some.specs())
    partition = tuple(data.draw(some.values(d)) for d in spec)
    assert spec.read(spec.render(partition)) == partition


# examples


@pytest.mark.parametrize(
    ("form", "granularity"),
    [
        ("%Y", G.YEAR),
        ("%Y-%m", G.MONTH),
        ("%Y%m%d", G.DAY),
        ("%Y-%m-%d %H", G.HOUR),
        ("%Y-%m-%d %H-%M", G.MINUTE),
        ("%Y-%m-%dT%H:%M:%S", G.SECOND),
        ("year=%Y/month=%m", G.MONTH),
        ("%Y/%m/%d/%H", G.HOUR),
        (None, G.DAY),
    ],
)
def test_the_granularity_is_the_finest_field_of_the_format(form, granularity):
    assert Dimension("d", DATETIME, format=form).granularity is granularity


@pytest.mark.parametrize(
    ("granularity", "text"),
    [
        ("YEAR", "2021-01-01"),
        ("MONTH", "2021-11-01"),
        ("WEEK", "2021-11-22"),
        ("DAY", "2021-11-24"),
        ("HOUR", "2021-11-24 23"),
        ("MINUTE", "2021-11-24 23:58"),
        ("SECOND", "2021-11-24 23:58:59"),
    ],
)
def test_each_granularity_has_a_default_format(granularity, text):
    d = dimension(type=DATETIME, granularity=granularity)
    assert d.render(d.read(datetime(2021, 11, 24, 23, 58, 59, 7))) == text


@pytest.mark.parametrize(
    ("granularity", "text", "expected"),
    [
        ("MONTH", "2024-03", datetime(2024, 3, 1)),
        ("YEAR", "2024-03", datetime(2024, 1, 1)),
        ("YEAR", "2024", datetime(2024, 1, 1)),
    ],
)
def test_a_month_and_a_year_without_a_format_are_read_as_iso_writes_them(granularity, text, expected):
    assert dimension(type=DATETIME, granularity=granularity).read(text) == expected


@pytest.mark.parametrize(
    ("granularity", "text"), [("DAY", "2024-03"), ("WEEK", "2024-03"), ("MONTH", "2024"), ("MONTH", "2024-13")]
)
def test_a_text_that_says_less_than_the_granularity_is_refused(granularity, text):
    with pytest.raises(InvalidValue, match=f"cannot hold '{text}'"):
        dimension(type=DATETIME, granularity=granularity).read(text)


@pytest.mark.parametrize(
    "spelled",
    [
        "20210920",
        "2021-09-20",
        "2021-09-20T05:06:07",
        "2021-09-20 05:06",
        "2021-09-20T05:06:07Z",
        "2021-09-19T23:30:00-05:00",
        date(2021, 9, 20),
        datetime(2021, 9, 20, 5),
        datetime(2021, 9, 20, 5, tzinfo=UTC),
        datetime(2021, 9, 19, 23, 30, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_a_day_is_read_from_dates_in_every_form(spelled):
    assert dimension(type=DATETIME, format="%Y%m%d").read(spelled) == datetime(2021, 9, 20)


def test_an_unpadded_format_reads_what_it_shows():
    d = dimension(type=DATETIME, format="%Y-%-m-%-d")
    assert d.render(d.read("2021-3-4")) == d.render(d.read("2021-03-04")) == "2021-3-4"


@pytest.mark.parametrize("spelled", [7, "7", "07", "007", "+7"])
def test_a_long_is_one_value_however_it_is_written(spelled):
    d = dimension(type=LONG, digits=2)
    assert d.read(spelled) == 7
    assert d.render(7) == "07"


def test_months_and_years_step_by_the_calendar():
    month, year = dimension(type=DATETIME, granularity="MONTH"), dimension(type=DATETIME, granularity="YEAR")
    assert month.shift(datetime(2021, 1, 1), -1) == datetime(2020, 12, 1)
    assert month.shift(datetime(2020, 12, 1), 14) == datetime(2022, 2, 1)
    assert year.shift(datetime(2021, 1, 1), -1) == datetime(2020, 1, 1)


def test_the_type_wins_over_what_a_value_looks_like():
    assert dimension(type=STRING).read(7) == "7"
    assert dimension(type=STRING).read("2021-09-20") == "2021-09-20"
    assert dimension(type=LONG).read("20210920") == 20210920


def test_a_format_function_is_applied_to_every_value_that_enters():
    d = dimension(type=STRING, format=str.upper)
    assert d.read("se") == "SE"


def test_a_format_function_that_fails_names_the_dimension():
    for broken in (lambda _: 1 / 0, lambda _: None):
        with pytest.raises(InvalidValue, match="dimension 'd'"):
            dimension(type=STRING, format=broken).read("se")


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ({"type": DATETIME}, "yesterday"),
        ({"type": DATETIME}, 20210920),
        ({"type": DATETIME}, None),
        ({"type": DATETIME}, True),
        ({"type": DATETIME, "min": "2021-01-01"}, "2020-12-31"),
        ({"type": DATETIME}, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
        ({"type": LONG}, "seven"),
        ({"type": LONG}, 7.5),
        ({"type": LONG}, True),
        ({"type": STRING}, ""),
        ({"type": STRING}, ".."),
        ({"type": STRING}, "a/b"),
        ({"type": STRING}, "a%2Fb"),
        ({"type": STRING}, None),
        ({"type": STRING}, datetime(2021, 1, 1)),
    ],
)
def test_a_value_that_cannot_be_read_names_the_dimension_and_what_it_takes(attributes, value):
    with pytest.raises(InvalidValue, match=r"dimension 'd' cannot hold .*: it takes"):
        dimension(**attributes).read(value)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"type": DATETIME, "format": "%Y-%m-%d", "granularity": "HOUR"}, "shows no more than the DAY"),
        ({"type": DATETIME, "format": "day"}, "no date field"),
        ({"type": DATETIME, "format": "%Y/../%m"}, "would lead to another folder"),
        ({"type": DATETIME, "format": "%Y/%%2e%%2e/%m"}, "percent-encoded"),
        ({"type": DATETIME, "format": "/%Y/%m"}, "empty part"),
        ({"type": DATETIME, "format": "%Y/%m/"}, "empty part"),
        ({"type": DATETIME, "format": "%Y\\%m"}, "backslash"),
        ({"type": DATETIME, "format": "%Y\n%m"}, "cannot be printed"),
        ({"type": DATETIME, "format": "%D"}, "one of its fields has a '/'"),
        ({"type": DATETIME, "format": "%s"}, "cannot be read back"),
        ({"type": DATETIME, "format": ""}, "no date field"),
        ({"type": DATETIME, "format": 7}, "no date field"),
        ({"type": DATETIME, "granularity": "FORTNIGHT"}, "Give one of"),
        ({"type": DATETIME, "digits": 2}, "LONG"),
        ({"type": DATETIME, "format": str.upper}, "STRING only"),
        ({"type": LONG, "granularity": "DAY"}, "takes no datetime"),
        ({"type": LONG, "digits": 0}, "positive"),
        ({"type": LONG, "insensitive": True}, "STRING only"),
        ({"type": STRING, "format": "%Y"}, "str.upper"),
        ({"type": STRING, "min": "a"}, "takes no datetime"),
        ({"type": "TEXT"}, "Give one of"),
        ({"format": "%Y"}, "has no type"),
        ({"type": STRING, "typ": 1}, "unknown attributes"),
    ],
)
def test_attributes_that_contradict_each_other_are_refused(attributes, sentence):
    with pytest.raises(DeclarationError, match=sentence):
        dimension(**attributes)


def test_a_spec_has_one_dimension_a_level_and_no_name_twice():
    with pytest.raises(DeclarationError, match="Nest"):
        DimensionSpec.of({"a": {"type": LONG}, "b": {"type": LONG}})
    with pytest.raises(DeclarationError, match="twice"):
        DimensionSpec.of({"a": {"type": LONG, "a": {"type": LONG}}})
    with pytest.raises(DeclarationError, match="Python identifier"):
        DimensionSpec.of({"a-b": {"type": LONG}})


def test_a_spec_may_be_empty():
    assert len(DimensionSpec.of(None)) == len(DimensionSpec.of({})) == 0
    assert DimensionSpec().read(()) == ()


def test_equals_compares_texts_case_and_numbers_as_people_do():
    plain, lower, folded = (
        dimension(type=STRING, **more) for more in ({}, {"format": str.lower}, {"insensitive": True})
    )
    assert compared_equal("SE", plain, "se", folded)
    assert compared_equal("SE", plain, "se", lower)
    assert not compared_equal("SE", plain, "se", plain)
    assert compared_equal("007", plain, 7, dimension(type=LONG))
    assert not compared_equal("seven", plain, 7, dimension(type=LONG))
    assert compared_equal("20211122", plain, datetime(2021, 11, 22), dimension(type=DATETIME))


@given(some.texts.filter(some.is_name), st.sampled_from([None, str.lower, str.upper]), st.booleans())
def test_an_insensitive_value_has_one_spelling_whatever_its_case(text, transform, is_declared):
    folded = Dimension("org", DimensionType.STRING, transform=transform, insensitive=True)
    folded = folded.spelled_as([folded.read(text)] if is_declared else [])
    cases = [case for case in (text, text.casefold(), text.upper()) if case.casefold() == text.casefold()]
    values = {folded.read(case) for case in cases if some.is_name(case)}
    assert len(values) == 1
    (value,) = values
    assert folded.read(value) == value
    if is_declared:
        assert value == (text if transform is None else transform(text))


def test_a_format_and_no_case_together_keep_the_format():
    folded = dimension(type=STRING, format=str.upper, insensitive=True).spelled_as([])
    assert folded.read("Se") == folded.read("SE") == "SE"
    assert dimension(type=STRING, format=str.strip, insensitive=True).spelled_as([]).read(" Se ") == "se"


def test_the_first_week_of_a_month_is_the_first_that_starts_in_it():
    month, week = dimension(type=DATETIME, granularity="MONTH"), dimension(type=DATETIME, granularity="WEEK")
    assert week.convert(datetime(2021, 9, 1), month) == datetime(2021, 9, 6)
    assert week.convert(datetime(2021, 3, 1), month) == datetime(2021, 3, 1)
    assert month.convert(datetime(2021, 8, 30), week) == datetime(2021, 8, 1)


@pytest.mark.parametrize(("pattern", "granularity"), [("%H", "HOUR"), ("%m-%d", "DAY"), ("%m", "MONTH"), ("%d", "DAY")])
def test_a_format_that_does_not_say_which_value_it_shows_is_refused(pattern, granularity):
    with pytest.raises(DeclarationError, match=rf"format '{pattern}' shows .*, which is read as .*Show the whole"):
        Dimension("time", DimensionType.DATETIME, format=pattern, granularity=DatetimeGranularity(granularity))
