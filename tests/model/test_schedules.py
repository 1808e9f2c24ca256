"""Schedules against the tables of the EventBridge user guide, and against a scan of every minute."""

from __future__ import annotations

import calendar
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheo_assets.model.schedules import Cron, Rate, parse_schedule
from tests.strategies import examples

pytestmark = pytest.mark.fast
UNTIMED = settings(deadline=None)
START = datetime(2022, 1, 1, tzinfo=UTC)  # a Saturday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(expression: str, count: int = 3, after: datetime = START) -> list[str]:
    ticks = parse_schedule(expression).ticks(anchor=START, after=after, until=after + timedelta(days=3660))
    return [tick.strftime("%Y-%m-%d %H:%M") for _, tick in zip(range(count), ticks, strict=False)]


# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
@pytest.mark.parametrize(
    ("expression", "ticks"),
    [
        ("cron(0 10 * * ? *)", ["2022-01-01 10:00", "2022-01-02 10:00", "2022-01-03 10:00"]),
        ("cron(15 12 * * ? *)", ["2022-01-01 12:15", "2022-01-02 12:15", "2022-01-03 12:15"]),
        ("cron(0 18 ? * MON-FRI *)", ["2022-01-03 18:00", "2022-01-04 18:00", "2022-01-05 18:00"]),
        ("cron(0 8 1 * ? *)", ["2022-01-01 08:00", "2022-02-01 08:00", "2022-03-01 08:00"]),
        ("cron(0/15 * * * ? *)", ["2022-01-01 00:15", "2022-01-01 00:30", "2022-01-01 00:45"]),
        ("cron(0/10 * ? * MON-FRI *)", ["2022-01-03 00:00", "2022-01-03 00:10", "2022-01-03 00:20"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2022-01-03 08:00", "2022-01-03 08:05", "2022-01-03 08:10"]),
        ("cron(0 9 ? * 2#1 *)", ["2022-01-03 09:00", "2022-02-07 09:00", "2022-03-07 09:00"]),
        ("cron(0/30 20-2 ? * MON-FRI *)", ["2022-01-03 00:00", "2022-01-03 00:30", "2022-01-03 01:00"]),
        ("cron(0 22-2/2 3 * ? *)", ["2022-01-03 00:00", "2022-01-03 02:00", "2022-01-03 22:00"]),
        ("cron(0 0 ? * FRI-MON *)", ["2022-01-02 00:00", "2022-01-03 00:00", "2022-01-07 00:00"]),
        ("cron(15 10 ? * 6L 2022-2023)", ["2022-01-28 10:15", "2022-02-25 10:15", "2022-03-25 10:15"]),
        ("cron(1/10 0 1 1 ? *)", ["2022-01-01 00:01", "2022-01-01 00:11", "2022-01-01 00:21"]),
        ("cron(0 0 ? * 3#2 *)", ["2022-01-11 00:00", "2022-02-08 00:00", "2022-03-08 00:00"]),
        ("cron(0 0 L * ? *)", ["2022-01-31 00:00", "2022-02-28 00:00", "2022-03-31 00:00"]),
        ("cron(0 0 LW * ? *)", ["2022-01-31 00:00", "2022-02-28 00:00", "2022-03-31 00:00"]),
        ("cron(0 0 ? * L *)", ["2022-01-08 00:00", "2022-01-15 00:00", "2022-01-22 00:00"]),
        ("cron(0 0 3W * ? *)", ["2022-01-03 00:00", "2022-02-03 00:00", "2022-03-03 00:00"]),
        ("cron(0 0 1W * ? *)", ["2022-01-03 00:00", "2022-02-01 00:00", "2022-03-01 00:00"]),
        ("cron(0 0 31W * ? *)", ["2022-01-31 00:00", "2022-03-31 00:00", "2022-05-31 00:00"]),
        ("cron(0 0 29 feb ? *)", ["2024-02-29 00:00", "2028-02-29 00:00"]),
        ("cron(0 12 1,15 JAN-MAR/2 ? *)", ["2022-01-01 12:00", "2022-01-15 12:00", "2022-03-01 12:00"]),
        ("cron(0 0 30 2 ? *)", []),
        ("cron(0 0 1 1 ? 1970-2021)", []),
        ("rate(5 minutes)", ["2022-01-01 00:05", "2022-01-01 00:10", "2022-01-01 00:15"]),
        ("rate(1 hour)", ["2022-01-01 01:00", "2022-01-01 02:00", "2022-01-01 03:00"]),
        ("rate(7 days)", ["2022-01-08 00:00", "2022-01-15 00:00", "2022-01-22 00:00"]),
    ],
)
def test_an_expression_ticks_when_the_guide_says(expression, ticks):
    assert first(expression) == ticks


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("rate(1 days)", "AWS expects 'day' after 1. Write rate(1 day)"),
        ("rate(5 minute)", "AWS expects 'minutes' after 5. Write rate(5 minutes)"),
        ("rate(0 minutes)", "the value of 'rate(0 minutes)' is '0': it must be a whole number of at least 1"),
        ("rate(1.5 hours)", "the value of 'rate(1.5 hours)' is '1.5'"),
        ("rate(-1 hours)", "is '-1'"),
        ("rate(2 weeks)", "the unit of 'rate(2 weeks)' is 'weeks': it must be minute(s), hour(s) or day(s)"),
        ("rate(5)", "write rate(5 minutes)"),
        ("rate(99999999999999 days)", "that is too long"),
        ("every day", "write rate(5 minutes) or cron(0 10 * * ? *)"),
        ("", "write rate(5 minutes) or cron(0 10 * * ? *)"),
        ("0 10 * * *", "write cron(0 10 * * ? *)"),
        ("0 10 * * 1-5", "write cron(0 10 ? * 2-6 *)"),
        ("cron(0 10 * * 0)", "has 5 fields, not the six"),
        ("cron(0 10 * * 0)", "write cron(0 10 ? * 1 *)"),
        ("cron(0 10 1 * MON)", "write cron(0 10 ? * MON *)"),
        ("0 10 * * ? *", "write cron(0 10 * * ? *)"),
        ("cron(0 10 * * * *)", "no '?' in either of day-of-month and day-of-week: exactly one of them must be '?'"),
        ("cron(0 10 * * * *)", "Write cron(0 10 * * ? *)"),
        ("cron(0 10 ? * ? *)", "'?' in both"),
        ("cron(60 10 * * ? *)", "the minutes field of 'cron(60 10 * * ? *)' has '60': 60 is not between 0 and 59"),
        ("cron(0 24 * * ? *)", "the hours field"),
        ("cron(0 0 0 * ? *)", "the day-of-month field"),
        ("cron(0 0 1 13 ? *)", "It takes 1-12 or JAN-DEC with , - * /"),
        ("cron(0 0 ? * 0 *)", "0 is not between 1 and 7; Sunday is 1"),
        ("cron(0 0 1 * ? 1969)", "the year field"),
        ("cron(0 0 1 * ? 2200)", "2200 is not between 1970 and 2199"),
        ("cron(0 0 1 * ? 2023-2022)", "the range ends before it starts: write 2022-2023"),
        ("cron(0/0 0 1 * ? *)", "the step after / must be a whole number of at least 1"),
        ("cron(a 0 1 * ? *)", "'A' is not a value"),
        ("cron(? 0 1 * ? *)", "the minutes field"),
        ("cron(0 0 ? * 3#6 *)", "the number after # must be 1 to 5"),
        ("cron(0 0 ? * 3#1,6#3 *)", "with #, only one expression is allowed"),
        ("cron(0 0 1-5W * ? *)", "'1-5' is not a value"),
        ("cron(0 0 1,,2 * ? *)", "'' is not a value"),
        ("cron(0 10 * * ? *", "write cron(0 10 * * ? *)"),
    ],
)
def test_a_wrong_expression_says_what_to_write(expression, message):
    with pytest.raises(ValueError) as error:
        parse_schedule(expression)
    assert message in str(error.value)


def test_a_rate_keeps_the_phase_of_its_activation():
    anchor = at("2022-01-01 10:07:30")
    rate = parse_schedule("rate(1 hour)")
    assert next(rate.ticks(anchor, anchor, anchor + timedelta(days=1))) == at("2022-01-01 11:07:30")
    assert list(rate.ticks(anchor, at("2022-03-05 00:00"), at("2022-03-05 01:07:30"))) == [
        at("2022-03-05 00:07:30"),
        at("2022-03-05 01:07:30"),
    ]
    assert list(rate.ticks(anchor, at("2021-01-01"), anchor + timedelta(minutes=59))) == []


def test_no_cron_ticks_before_or_at_its_activation():
    cron = parse_schedule("cron(0 * * * ? *)")
    ticks = cron.ticks(anchor=at("2022-01-01 02:00"), after=START, until=at("2022-01-01 04:00"))
    assert list(ticks) == [at("2022-01-01 03:00"), at("2022-01-01 04:00")]


def test_a_schedule_that_never_fires_ends():
    cron = parse_schedule("cron(0 0 30 2 ? *)")
    assert list(cron.ticks(at("1970-01-01"), at("2199-12-31"))) == []


def test_times_must_be_aware_and_are_read_as_utc():
    with pytest.raises(ValueError, match="after is 2022-01-01T00:00:00, without a time zone"):
        next(parse_schedule("cron(0 0 1 * ? *)").ticks(datetime(2022, 1, 1), START))


minutes = st.integers(0, 59)
fields = st.one_of(
    st.just("*"),
    st.integers(1, 12).map(str),
    st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda p: f"{p[0]}-{p[1]}"),
    st.tuples(st.integers(1, 12), st.integers(1, 9)).map(lambda p: f"{p[0]}/{p[1]}"),
    st.lists(st.integers(1, 12).map(str), min_size=1, max_size=3).map(",".join),
)
month_days = st.one_of(fields, st.sampled_from(["L", "LW", "15W", "1W", "30W", "1,L", "28-31"]))
week_days = st.sampled_from(["*", "1", "MON-FRI", "6L", "L", "2#1", "7#5", "1,7", "2L,3", "1/2", "6-2"])
days = st.one_of(st.tuples(month_days, st.just("?")), st.tuples(st.just("?"), week_days))
expressions = st.builds(
    lambda m, h, d, month, y: f"cron({m} {h} {d[0]} {month} {d[1]} {y})",
    fields, fields, days, fields, st.sampled_from(["*", "2022", "2022-2030/2", "2023"]),
)  # fmt: skip
moments = st.datetimes(datetime(2021, 12, 25), datetime(2024, 3, 5)).map(lambda d: d.replace(tzinfo=UTC))


def in_field(spec: str, value: int, low: int, high: int) -> bool:
    """Reads a plain field as the guide's table does, by trying the value."""
    for part in spec.split(","):
        base, _, step = part.partition("/")
        start, _, end = base.partition("-")
        begin = low if base == "*" else int(start)
        stop = int(end) if end else high if base == "*" or step else begin
        span = high - low + 1
        if (value - begin) % span <= (stop - begin) % span and (value - begin) % span % int(step or 1) == 0:
            return True
    return False


def day_matches(month_day: str, week_day: str, moment: datetime) -> bool:
    length = calendar.monthrange(moment.year, moment.month)[1]
    weekday = moment.isoweekday() % 7 + 1
    for part in month_day.split(",") if week_day == "?" else ():
        if part in {"L", "LW"} or part.endswith("W"):
            wanted = length if part[0] == "L" else int(part[:-1])
            if part == "L":
                hit = moment.day == length
            else:
                candidates = [d for d in range(1, length + 1) if moment.replace(day=d).isoweekday() <= 5]
                hit = wanted <= length and moment.day == min(candidates, key=lambda d: abs(d - wanted))
        else:
            hit = in_field(part, moment.day, 1, 31)
        if hit:
            return True
    for part in week_day.replace("MON-FRI", "2-6").split(",") if month_day == "?" else ():
        if part == "L":
            hit = weekday == 7
        elif part.endswith("L"):
            hit = weekday == int(part[:-1]) and moment.day + 7 > length
        elif "#" in part:
            hit = weekday == int(part[0]) and 7 * (int(part[2]) - 1) < moment.day <= 7 * int(part[2])
        else:
            hit = in_field(part, weekday, 1, 7)
        if hit:
            return True
    return False


def matches(expression: str, moment: datetime) -> bool:
    minute, hour, month_day, month, week_day, year = expression[5:-1].split()
    return (
        in_field(year, moment.year, 1970, 2199)
        and in_field(month, moment.month, 1, 12)
        and in_field(hour, moment.hour, 0, 23)
        and in_field(minute, moment.minute, 0, 59)
        and day_matches(month_day, week_day, moment)
    )


@UNTIMED
@given(expressions, moments)
def test_every_tick_matches_all_fields_and_the_window(expression, after):
    until = after + timedelta(days=40)
    ticks = list(parse_schedule(expression).ticks(after, until))
    assert ticks == sorted(set(ticks))
    for tick in ticks[:50] + ticks[-50:]:
        assert after < tick <= until
        assert (tick.second, tick.microsecond) == (0, 0)
        assert matches(expression, tick)


@examples(60)
@given(expressions, moments)
def test_no_tick_is_lost_against_a_scan_of_every_minute(expression, after):
    start = after.replace(second=0, microsecond=0)
    until = start + timedelta(days=2)
    scan = (start + timedelta(minutes=count) for count in range(2 * 24 * 60 + 1))
    expected = [moment for moment in scan if after < moment <= until and matches(expression, moment)]
    assert list(parse_schedule(expression).ticks(after, until)) == expected


@UNTIMED
@given(expressions, moments, st.integers(0, 40 * 24 * 60))
def test_a_window_may_be_cut_anywhere(expression, after, cut):
    schedule, until = parse_schedule(expression), after + timedelta(days=40)
    middle = after + timedelta(minutes=cut)
    whole = list(schedule.ticks(after, until))
    assert [*schedule.ticks(after, middle), *schedule.ticks(middle, until)] == whole


@UNTIMED
@given(st.integers(1, 10_000), st.sampled_from(["minute", "hour", "day"]), moments, moments)
def test_the_ticks_of_a_rate_are_whole_periods_from_its_anchor(value, unit, anchor, after):
    rate = Rate(value, unit)
    ticks = [tick for _, tick in zip(range(20), rate.ticks(anchor, after, after + 20 * rate.period), strict=False)]
    assert all((tick - anchor) % rate.period == timedelta(0) and tick > max(anchor, after) for tick in ticks)
    assert all(later - earlier == rate.period for earlier, later in itertools.pairwise(ticks))
    if ticks:
        assert ticks[0] - rate.period <= max(anchor, after)


@UNTIMED
@given(
    st.one_of(
        expressions, st.builds(lambda v, u: str(Rate(v, u)), st.integers(1, 99), st.sampled_from(["day", "hour"]))
    )
)
def test_a_schedule_reads_back_from_its_text(expression):
    schedule = parse_schedule(expression)
    assert isinstance(schedule, Rate | Cron)
    assert parse_schedule(str(schedule)) == schedule
