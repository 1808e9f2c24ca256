"""Parses the schedule expressions that users write."""

from __future__ import annotations

import re
from typing import Final

from rheo_assets.model.schedules.cron import Cron
from rheo_assets.model.schedules.days import MonthDays, WeekDays
from rheo_assets.model.schedules.fields import HOURS, MINUTES, MONTH, YEAR
from rheo_assets.model.schedules.rate import UNITS, Rate

_FORMS: Final = "rate(5 minutes) or cron(0 10 * * ? *)"
_RATE: Final = re.compile(r"rate\(\s*(\S+)\s+(\S+?)\s*\)")
_CRON: Final = re.compile(r"cron\(([^()]*)\)")

Schedule = Rate | Cron


def parse_schedule(expression: str) -> Schedule:
    """Returns the schedule of an EventBridge expression.

    >>> parse_schedule("rate(1 day)")
    Rate(value=1, unit='day')
    >>> from datetime import UTC, datetime
    >>> cron = parse_schedule("cron(15 10 ? * 6L 2022-2023)")
    >>> next(cron.ticks(datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC))).isoformat()
    '2022-01-28T10:15:00+00:00'

    Raises:
        ValueError: The expression or one of its fields is not valid; the message says how to write it.
    """
    if not isinstance(expression, str):
        raise ValueError(f"the schedule {expression!r} is not a string: write rate(5 minutes) or cron(0 10 * * ? *)")  # noqa: TRY004
    text = expression.strip()
    if text.startswith("rate("):
        return _rate(text)
    if text.startswith("cron("):
        return _cron(text)
    count = len(text.split())
    if count in {5, 6} and "(" not in text:
        raise ValueError(f"the schedule {text!r} is not an EventBridge expression: write {_six_fields(text.split())}")
    raise ValueError(f"the schedule {text!r} is neither rate(…) nor cron(…): write {_FORMS}")


def _rate(text: str) -> Rate:
    hit = _RATE.fullmatch(text)
    if hit is None:
        raise ValueError(f"the schedule {text!r} does not have the form rate(value unit): write rate(5 minutes)")
    value, unit = hit.groups()
    if not re.fullmatch(r"[0-9]+", value) or int(value[:30]) < 1:
        raise ValueError(
            f"the value of {text!r} is {value!r}: it must be a whole number of at least 1, as in rate(5 minutes)"
        )
    singular = unit.lower().removesuffix("s")
    if singular not in UNITS:
        raise ValueError(
            f"the unit of {text!r} is {unit!r}: it must be minute(s), hour(s) or day(s), as in rate(5 minutes)"
        )
    rate = Rate(int(value), singular)
    expected = singular if rate.value == 1 else f"{singular}s"
    if unit != expected:
        raise ValueError(f"the unit of {text!r} is {unit!r}: AWS expects {expected!r} after {rate.value}. Write {rate}")
    return rate


def _cron(text: str) -> Cron:
    hit = _CRON.fullmatch(text)
    if hit is None:
        raise ValueError(f"the schedule {text!r} does not have the form cron(fields): write cron(0 10 * * ? *)")
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
        minutes=MINUTES.values(minutes, text),
        hours=HOURS.values(hours, text),
        days=MonthDays.read(month_days, text) if week_days == "?" else WeekDays.read(week_days, text),
        months=MONTH.values(months, text),
        years=YEAR.values(years, text),
        expression=text,
    )


def _six_fields(fields: list[str]) -> str:
    """Returns the EventBridge expression closest to the fields of another cron dialect."""
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
