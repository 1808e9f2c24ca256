"""The two day fields of a cron expression, and the days of a month that they name."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Final

from rheo_assets.model.schedules.fields import MONTH_DAY, WEEK_DAY

_SATURDAY: Final = 7
_SUNDAY: Final = 1


@dataclass(frozen=True, slots=True)
class MonthDays:
    """The day-of-month field.

    Attributes:
        days: Days by number.
        last: Whether it includes the last day of the month (`L`).
        near: Days whose nearest weekday in the same month is included (`15W`).
        last_weekday: Whether it includes the last Monday-to-Friday of the month (`LW`).
    """

    days: frozenset[int] = frozenset()
    last: bool = False
    near: frozenset[int] = frozenset()
    last_weekday: bool = False

    @classmethod
    def read(cls, spec: str, text: str) -> MonthDays:
        """Parses the field; the whole expression is for messages."""
        days: set[int] = set()
        near: set[int] = set()
        parts = spec.split(",")
        for part in parts:
            if part in {"L", "LW"}:
                continue
            if part.endswith("W"):
                near.add(MONTH_DAY.number(part[:-1], part, text))
            else:
                days.update(MONTH_DAY.part(part, text))
        return cls(frozenset(days), "L" in parts, frozenset(near), "LW" in parts)

    def of(self, year: int, month: int) -> set[int]:
        """Returns the days of one month."""
        length = calendar.monthrange(year, month)[1]
        found = {day for day in self.days if day <= length}
        if self.last:
            found.add(length)
        # If the month is too short for the day, it has no day near it either.
        near = {day for day in self.near if day <= length} | ({length} if self.last_weekday else set())
        return found | {_nearest_weekday(year, month, day, length) for day in near}


@dataclass(frozen=True, slots=True)
class WeekDays:
    """The day-of-week field; Sunday is 1.

    Attributes:
        days: Days of every week.
        last: Days whose last occurrence in the month is included (`6L`).
        nth: Pairs of a day and its occurrence in the month (`3#2`).
    """

    days: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    @classmethod
    def read(cls, spec: str, text: str) -> WeekDays:
        """Parses the field; the whole expression is for messages."""
        days: set[int] = set()
        last: set[int] = set()
        nth: set[tuple[int, int]] = set()
        parts = spec.split(",")
        for part in parts:
            day, hash_, count = part.partition("#")
            if hash_:
                if len(parts) > 1:
                    raise WEEK_DAY.wrong(spec, text, "with #, only one expression is allowed")
                if count not in {"1", "2", "3", "4", "5"}:
                    raise WEEK_DAY.wrong(part, text, "the number after # must be 1 to 5")
                nth.add((WEEK_DAY.number(day, part, text), int(count)))
            elif part == "L":
                days.add(_SATURDAY)
            elif part.endswith("L"):
                last.add(WEEK_DAY.number(part[:-1], part, text))
            else:
                days.update(WEEK_DAY.part(part, text))
        return cls(frozenset(days), frozenset(last), frozenset(nth))

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


def _weekday(year: int, month: int, day: int) -> int:
    """Returns the day of the week; Sunday is 1."""
    return date(year, month, day).isoweekday() % 7 + 1


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """Returns the Monday-to-Friday nearest to a day, in the same month."""
    weekday = _weekday(year, month, day)
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day
