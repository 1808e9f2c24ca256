"""The granularities of DATETIME dimensions: how time is truncated and counted, always naive and in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class DatetimeGranularity(StrEnum):
    """The length of one step of a DATETIME dimension; a WEEK starts on Monday."""

    YEAR = "YEAR"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"
    HOUR = "HOUR"
    MINUTE = "MINUTE"
    SECOND = "SECOND"

    @property
    def fineness(self) -> int:
        """Returns 0 for YEAR up to 6 for SECOND."""
        return _FINENESS[self]

    def truncate(self, moment: datetime) -> datetime:
        """Returns the start of the granule that contains the moment."""
        return _TRUNCATE[self](moment)

    def ordinal(self, moment: datetime) -> int:
        """Returns the number of the granule, so that neighbours differ by one."""
        return _ORDINAL[self](moment)

    def moment(self, ordinal: int) -> datetime:
        """Returns the start of the granule with this number."""
        return _MOMENT[self](ordinal)


_FINENESS = {granularity: index for index, granularity in enumerate(DatetimeGranularity)}
_MIDNIGHT = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(**_MIDNIGHT)  # type: ignore[arg-type]


def _day_number(moment: datetime) -> int:
    return moment.toordinal() - 1  # 0001-01-01 is day 0, and a Monday


_TRUNCATE: dict[DatetimeGranularity, Callable[[datetime], datetime]] = {
    DatetimeGranularity.YEAR: lambda m: _midnight(m).replace(month=1, day=1),
    DatetimeGranularity.MONTH: lambda m: _midnight(m).replace(day=1),
    DatetimeGranularity.WEEK: lambda m: _midnight(m) - timedelta(days=m.weekday()),
    DatetimeGranularity.DAY: _midnight,
    DatetimeGranularity.HOUR: lambda m: m.replace(minute=0, second=0, microsecond=0),
    DatetimeGranularity.MINUTE: lambda m: m.replace(second=0, microsecond=0),
    DatetimeGranularity.SECOND: lambda m: m.replace(microsecond=0),
}
_ORDINAL: dict[DatetimeGranularity, Callable[[datetime], int]] = {
    DatetimeGranularity.YEAR: lambda m: m.year,
    DatetimeGranularity.MONTH: lambda m: m.year * 12 + m.month - 1,
    DatetimeGranularity.WEEK: lambda m: _day_number(m) // 7,
    DatetimeGranularity.DAY: _day_number,
    DatetimeGranularity.HOUR: lambda m: _day_number(m) * 24 + m.hour,
    DatetimeGranularity.MINUTE: lambda m: (_day_number(m) * 24 + m.hour) * 60 + m.minute,
    DatetimeGranularity.SECOND: lambda m: ((_day_number(m) * 24 + m.hour) * 60 + m.minute) * 60 + m.second,
}
_FIRST = datetime(1, 1, 1)
_MOMENT: dict[DatetimeGranularity, Callable[[int], datetime]] = {
    DatetimeGranularity.YEAR: lambda n: datetime(n, 1, 1),
    DatetimeGranularity.MONTH: lambda n: datetime(n // 12, n % 12 + 1, 1),
    DatetimeGranularity.WEEK: lambda n: _FIRST + timedelta(days=7 * n),
    DatetimeGranularity.DAY: lambda n: _FIRST + timedelta(days=n),
    DatetimeGranularity.HOUR: lambda n: _FIRST + timedelta(hours=n),
    DatetimeGranularity.MINUTE: lambda n: _FIRST + timedelta(minutes=n),
    DatetimeGranularity.SECOND: lambda n: _FIRST + timedelta(seconds=n),
}


def utc_naive(moment: datetime) -> datetime:
    """Returns the moment as a naive datetime in UTC; a naive one already means UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def in_utc(moment: datetime) -> datetime | None:
    """Returns the moment in UTC; None if that is outside the years 1 to 9999."""
    try:
        return utc_naive(moment)
    except OverflowError:  # the time zone moves it outside the years 1 to 9999
        return None
