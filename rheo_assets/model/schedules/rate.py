"""`rate(5 minutes)`: ticks a fixed period apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rheo_assets.model.schedules.instants import utc

UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Rate:
    """A fixed period, counted from the first activation.

    Attributes:
        value: The number of units, at least 1.
        unit: `minute`, `hour` or `day`.
    """

    value: int
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"the unit of a rate is {self.unit!r}: it must be minute, hour or day")
        if self.value < 1:
            raise ValueError(f"the value of a rate is {self.value}: it must be a whole number of at least 1")
        try:
            _ = self.period
        except OverflowError:
            raise ValueError(f"the value of a rate is {self.value} {self.unit}s: that is too long") from None

    def __str__(self) -> str:
        return f"rate({self.value} {self.unit}{'' if self.value == 1 else 's'})"

    @property
    def period(self) -> timedelta:
        """The time from one tick to the next."""
        return self.value * UNITS[self.unit]

    def ticks(self, anchor: datetime, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yields the ticks later than `after`, up to and including `until`.

        Args:
            anchor: The first activation; the first tick is one full period later, and the phase is kept.
            after: The start of the interval, not included.
            until: The end of the interval, included.
        """
        anchor, after, until = utc(anchor, "anchor"), utc(after, "after"), utc(until, "until")
        period = self.period
        first = max((after - anchor) // period + 1, 1)
        for count in range(first, (until - anchor) // period + 1):
            yield anchor + count * period
