"""The schedules of timers, as EventBridge spells them: `rate(5 minutes)` and `cron(0 10 * * ? *)`, in UTC.

The rules are those of the EventBridge user guide, "Setting a schedule pattern for scheduled rules".
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

_FORMS = "rate(5 minutes) or cron(0 10 * * ? *)"
_RATE = re.compile(r"rate\(\s*(\S+)\s+(\S+?)\s*\)")
_CRON = re.compile(r"cron\(([^()]*)\)")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MONTH_NAMES = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}
_WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_SATURDAY, _SUNDAY = 7, 1


@dataclass(frozen=True, slots=True)
class Rate:
    """A fixed period, counted from the first activation.

    Attributes:
        value: How many units, at least 1.
        unit: `minute`, `hour` or `day`.
    """

    value: int
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise ValueError(f"the unit of a rate is {self.unit!r}: it must be minute, hour or day")
        if self.value < 1:
            raise ValueError(f"the value of a rate is {self.value}: it must be a whole number of at least 1")
        try:
            _ = self.period
        except OverflowError:
            raise ValueError(
                f"the value of a rate is {self.value} {self.unit}s: that is longer than time lasts"
            ) from None

    def __str__(self) -> str:
        return f"rate({self.value} {self.unit}{'' if self.value == 1 else 's'})"

    @property
    def period(self) -> timedelta:
        """The time from one tick to the next."""
        return self.value * _UNITS[self.unit]

    def ticks(self, anchor: datetime, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yields the ticks later than `after`, up to and including `until`.

        Args:
            anchor: The first activation; the first tick is one full period later, and the phase is kept.
            after: Where the last look ended.
            until: Where this one ends.
        """
        anchor, after, until = _utc(anchor, "anchor"), _utc(after, "after"), _utc(until, "until")
        period = self.period
        first = max((after - anchor) // period + 1, 1)
        for count in range(first, (until - anchor) // period + 1):
            yield anchor + count * period


@dataclass(frozen=True, slots=True)
class MonthDays:
    """The day-of-month field.

    Attributes:
        days: Days by number.
        last: Whether the last day of the month is one (`L`).
        near: Days whose nearest weekday of the same month is one (`15W`).
        last_weekday: Whether the last Monday-to-Friday of the month is one (`LW`).
    """

    days: frozenset[int] = frozenset()
    last: bool = False
    near: frozenset[int] = frozenset()
    last_weekday: bool = False

    def of(self, year: int, month: int) -> set[int]:
        """Returns the days of one month."""
        length = calendar.monthrange(year, month)[1]
        found = {day for day in self.days if day <= length}
        if self.last:
            found.add(length)
        # A month that is too short has no such day, and so no day near it.
        near = {day for day in self.near if day <= length} | ({length} if self.last_weekday else set())
        return found | {_nearest_weekday(year, month, day, length) for day in near}


@dataclass(frozen=True, slots=True)
class WeekDays:
    """The day-of-week field; Sunday is 1.

    Attributes:
        days: Days of every week.
        last: Days whose last occurrence in the month is one (`6L`).
        nth: Pairs of a day and its occurrence in the month (`3#2`).
    """

    days: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    def of(self, year: int, month: int) -> set[int]:
        """Returns the days of one month."""
        length = calendar.monthrange(year, month)[1]
        found = set()
        for day in range(1, length + 1):
            weekday = _weekday(year, month, day)
            is_last = day > length - 7 and weekday in self.last
            if weekday in self.days or is_last or (weekday, (day + 6) // 7) in self.nth:
                found.add(day)
        return found


@dataclass(frozen=True, slots=True)
class Cron:
    """Calendar times. `days` is the one of the two day fields that is not `?`.

    Attributes:
        minutes: Sorted, 0 to 59.
        hours: Sorted, 0 to 23.
        days: Which days of a month.
        months: Sorted, 1 to 12.
        years: Sorted, 1970 to 2199.
        expression: As the user wrote it.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: MonthDays | WeekDays
    months: tuple[int, ...]
    years: tuple[int, ...]
    expression: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.expression

    def ticks(self, after: datetime, until: datetime, anchor: datetime | None = None) -> Iterator[datetime]:
        """Yields the ticks later than `after`, up to and including `until`.

        Args:
            after: Where the last look ended.
            until: Where this one ends.
            anchor: The first activation; no tick is at or before it.
        """
        after, until = _utc(after, "after"), _utc(until, "until")
        if anchor is not None:
            after = max(after, _utc(anchor, "anchor"))
        for day in self._dates(after.date(), until.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    tick = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                    if tick > until:
                        return
                    if tick > after:
                        yield tick

    def _dates(self, first: date, last: date) -> Iterator[date]:
        start, end = (first.year, first.month), (last.year, last.month)
        for year in self.years:
            if not first.year <= year <= last.year:
                continue
            for month in self.months:
                if start <= (year, month) <= end:
                    days = (date(year, month, day) for day in sorted(self.days.of(year, month)))
                    yield from (day for day in days if first <= day <= last)


Schedule = Rate | Cron


def parse_schedule(expression: str) -> Schedule:
    """Returns the schedule that an EventBridge expression stands for.

    >>> parse_schedule("rate(1 day)")
    Rate(value=1, unit='day')
    >>> cron = parse_schedule("cron(15 10 ? * 6L 2022-2023)")
    >>> next(cron.ticks(datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC))).isoformat()
    '2022-01-28T10:15:00+00:00'

    Raises:
        ValueError: The expression, or a field of it, is not of the accepted form; the message says how to write it.
    """
    if not isinstance(expression, str):
        raise ValueError(f"the schedule {expression!r} is no text: write rate(5 minutes) or cron(0 10 * * ? *)")  # noqa: TRY004
    text = expression.strip()
    if text.startswith("rate("):
        return _rate(text)
    if text.startswith("cron("):
        return _cron(text)
    count = len(text.split())
    if count in {5, 6} and "(" not in text:
        raise ValueError(f"the schedule {text!r} is no EventBridge expression: write {_six_fields(text.split())}")
    raise ValueError(f"the schedule {text!r} is neither rate(…) nor cron(…): write {_FORMS}")


def _rate(text: str) -> Rate:
    hit = _RATE.fullmatch(text)
    if hit is None:
        raise ValueError(f"the schedule {text!r} is not of the form rate(value unit): write rate(5 minutes)")
    value, unit = hit.groups()
    if not re.fullmatch(r"[0-9]+", value) or int(value[:30]) < 1:
        raise ValueError(
            f"the value of {text!r} is {value!r}: it must be a whole number of at least 1, as in rate(5 minutes)"
        )
    singular = unit.lower().removesuffix("s")
    if singular not in _UNITS:
        raise ValueError(
            f"the unit of {text!r} is {unit!r}: it must be minute(s), hour(s) or day(s), as in rate(5 minutes)"
        )
    rate = Rate(int(value), singular)
    expected = singular if rate.value == 1 else f"{singular}s"
    if unit != expected:
        raise ValueError(f"the unit of {text!r} is {unit!r}: AWS wants {expected!r} after {rate.value}. Write {rate}")
    return rate


def _cron(text: str) -> Cron:
    hit = _CRON.fullmatch(text)
    if hit is None:
        raise ValueError(f"the schedule {text!r} is not of the form cron(fields): write cron(0 10 * * ? *)")
    fields = hit.group(1).upper().split()
    if len(fields) != 6:
        raise ValueError(
            f"the schedule {text!r} has {len(fields)} fields, not the six minutes hours day-of-month month day-of-week "
            f"year: write {_six_fields(fields)}"
        )
    minutes, hours, month_days, months, week_days, years = fields
    if (month_days == "?") == (week_days == "?"):
        has = "'?' in both" if month_days == "?" else "no '?' in either"
        remedy = _with_question_mark(fields)
        raise ValueError(
            f"the schedule {text!r} has {has} of day-of-month and day-of-week: exactly one of them must be '?'. "
            f"Write {remedy}"
        )
    return Cron(
        minutes=_MINUTES.values(minutes, text),
        hours=_HOURS.values(hours, text),
        days=_month_days(month_days, text) if week_days == "?" else _week_days(week_days, text),
        months=_MONTH.values(months, text),
        years=_YEAR.values(years, text),
        expression=text,
    )


def _six_fields(fields: list[str]) -> str:
    """Returns the nearest EventBridge expression to fields of another cron."""
    if len(fields) == 5:
        minutes, hours, month_day, month, week_day = fields
        if week_day not in {"*", "?"}:
            # In Unix Sunday is 0; in EventBridge it is 1.
            week_day = re.sub(r"(?<![#/\w])\d", lambda hit: str(int(hit.group()) % 7 + 1), week_day)
        return _with_question_mark([minutes, hours, month_day, month, week_day, "*"])
    return _with_question_mark(fields) if len(fields) == 6 else "cron(0 10 * * ? *)"


def _with_question_mark(fields: list[str]) -> str:
    minutes, hours, month_day, month, week_day, year = fields
    if (month_day == "?") == (week_day == "?"):
        if week_day in {"*", "?"}:
            month_day, week_day = "*" if month_day == "?" else month_day, "?"
        else:
            month_day = "?"
    return f"cron({' '.join((minutes, hours, month_day, month, week_day, year))})"


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a cron: its name, its smallest and largest number, its names, and whether a range may wrap."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    wraps: bool = True

    @property
    def form(self) -> str:
        names = f" or {next(iter(self.names))}-{list(self.names)[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names} with , - * /"

    def values(self, spec: str, text: str) -> tuple[int, ...]:
        """Returns the numbers of a list of values, ranges and steps."""
        return tuple(sorted({value for part in spec.split(",") for value in self.part(part, text)}))

    def part(self, part: str, text: str) -> set[int]:
        """Returns the numbers of one value, range or step."""
        base, slash, step = part.partition("/")
        if slash and (not step.isdigit() or int(step) < 1):
            raise self.wrong(part, text, "the step after / must be a whole number of at least 1")
        start, dash, end = base.partition("-")
        if base == "*":
            low, high = self.low, self.high
        else:
            low = self.number(start, part, text)
            high = self.number(end, part, text) if dash else self.high if slash else low
        if low > high and not self.wraps:
            raise self.wrong(part, text, f"the range ends before it starts: write {end}-{start}")
        span = self.high - self.low + 1
        # AWS's own example 20-2 in the hours is 20 to 23 and 0 to 2 of the same days.
        reached = range(low, high + 1 if low <= high else high + span + 1, int(step) if slash else 1)
        return {(value - self.low) % span + self.low for value in reached}

    def number(self, word: str, part: str, text: str) -> int:
        """Returns one value, by number or by name."""
        if word in self.names:
            return self.names[word]
        if not re.fullmatch(r"[0-9]{1,4}", word):
            raise self.wrong(part, text, f"{word!r} is no value")
        if not self.low <= int(word) <= self.high:
            hint = "; Sunday is 1" if self.name == "day-of-week" else ""
            raise self.wrong(part, text, f"{word} is not between {self.low} and {self.high}{hint}")
        return int(word)

    def wrong(self, part: str, text: str, why: str) -> ValueError:
        """Returns the error for a part that is not of the accepted form."""
        return ValueError(f"the {self.name} field of {text!r} has {part!r}: {why}. It takes {self.form}")


_MINUTES = _Field("minutes", 0, 59)
_HOURS = _Field("hours", 0, 23)
_MONTH_DAY = _Field("day-of-month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEK_DAY = _Field("day-of-week", 1, 7, _WEEKDAYS)
_YEAR = _Field("year", 1970, 2199, wraps=False)


def _month_days(spec: str, text: str) -> MonthDays:
    days: set[int] = set()
    near: set[int] = set()
    parts = spec.split(",")
    for part in parts:
        if part in {"L", "LW"}:
            continue
        if part.endswith("W"):
            near.add(_MONTH_DAY.number(part[:-1], part, text))
        else:
            days.update(_MONTH_DAY.part(part, text))
    return MonthDays(frozenset(days), "L" in parts, frozenset(near), "LW" in parts)


def _week_days(spec: str, text: str) -> WeekDays:
    days: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    parts = spec.split(",")
    for part in parts:
        day, hash_, count = part.partition("#")
        if hash_:
            if len(parts) > 1:
                raise _WEEK_DAY.wrong(spec, text, "with # there is one expression only")
            if count not in {"1", "2", "3", "4", "5"}:
                raise _WEEK_DAY.wrong(part, text, "the number after # must be 1 to 5")
            nth.add((_WEEK_DAY.number(day, part, text), int(count)))
        elif part == "L":
            days.add(_SATURDAY)
        elif part.endswith("L"):
            last.add(_WEEK_DAY.number(part[:-1], part, text))
        else:
            days.update(_WEEK_DAY.part(part, text))
    return WeekDays(frozenset(days), frozenset(last), frozenset(nth))


def _weekday(year: int, month: int, day: int) -> int:
    """Returns the day of the week, Sunday as 1."""
    return date(year, month, day).isoweekday() % 7 + 1


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """Returns the Monday-to-Friday nearest to a day, in the same month."""
    weekday = _weekday(year, month, day)
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _utc(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {moment.isoformat()}, without a time zone: give an aware datetime")
    return moment.astimezone(UTC)
