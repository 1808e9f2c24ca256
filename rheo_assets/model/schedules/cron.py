"""`cron(0 10 * * ? *)`: ticks at calendar times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from rheo_assets.model.schedules.days import MonthDays, WeekDays
from rheo_assets.model.schedules.instants import utc


@dataclass(frozen=True, slots=True)
class Cron:
    """Calendar times. `days` is the day field that is not `?`.

    Attributes:
        minutes: Sorted, 0 to 59.
        hours: Sorted, 0 to 23.
        days: The days of a month.
        months: Sorted, 1 to 12.
        years: Sorted, 1970 to 2199.
        expression: The expression as the user wrote it.
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
            after: The start of the interval, not included.
            until: The end of the interval, included.
            anchor: The first activation; there is no tick at or before it.
        """
        after, until = utc(after, "after"), utc(until, "until")
        if anchor is not None:
            after = max(after, utc(anchor, "anchor"))
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
