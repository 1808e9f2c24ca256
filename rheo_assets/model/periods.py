"""What a covering view reads: every partition within a coarser period, such as the days of a month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionSpec, DimensionType, Partition, Value
from rheo_assets.model.filters import Anything, Branch

_LAST: Final = datetime(9999, 12, 31, 23, 59, 59)  # naive means UTC


@dataclass(frozen=True, slots=True)
class Cover:
    """The time dimension that a view covers, and the period of which it reads everything.

    A week belongs to the month of its Monday.

    >>> day = Dimension("day", DimensionType.DATETIME)
    >>> month = Cover(0, day, DatetimeGranularity.MONTH)
    >>> [day.render(value) for value in month.values(datetime(2024, 2, 17))[:2]]
    ['2024-02-29', '2024-02-28']

    Attributes:
        position: The dimension's place in its spec.
        dimension: The dimension.
        period: The coarser granularity.
    """

    position: int
    dimension: Dimension
    period: DatetimeGranularity

    @classmethod
    def of(cls, spec: DimensionSpec, asked: Branch, period: DatetimeGranularity | None, where: str) -> Cover:
        """Returns the cover of a view: its finest open time dimension, and YEAR until the period is known.

        Raises:
            DeclarationError: No time dimension is open, or a second one would vary within the period.
        """
        times = [
            (dimension.granularity.fineness, position)
            for position, (dimension, constraint) in enumerate(zip(spec, asked, strict=True))
            if dimension.granularity is not None and isinstance(constraint, Anything)
        ]
        if not times:
            raise DeclarationError(where, "covers nothing: no time dimension is open", "Write '*' for the one to cover")
        _, position = max(times)
        dimension = spec.dimensions[position]
        if period is None:
            return cls(position, dimension, DatetimeGranularity.YEAR)
        assert dimension.granularity is not None
        if period.fineness >= dimension.granularity.fineness:
            problem = f"'{dimension.name}' is no finer than a {period}"
            raise DeclarationError(where, problem, "The period is coarser than the dimension that is covered")
        if dimension.granularity is DatetimeGranularity.SECOND and period.fineness < DatetimeGranularity.WEEK.fineness:
            raise DeclarationError(where, f"the seconds of a {period} are too many to read at once", "Cover a DAY")
        for fineness, other in times:
            if other != position and fineness > period.fineness:
                problem = f"'{spec.dimensions[other].name}' would vary within a {period}, too"
                raise DeclarationError(where, problem, "One dimension is covered: pin the other one, or cover less")
        return cls(position, dimension, period)

    def coarsened_spec(self, spec: DimensionSpec) -> DimensionSpec:
        """Returns the dimensions as links see them: the covered one is as coarse as the period."""
        coarse = Dimension(self.dimension.name, DimensionType.DATETIME, granularity=self.period)
        return DimensionSpec((*spec.dimensions[: self.position], coarse, *spec.dimensions[self.position + 1 :]))

    def values(self, value: Value) -> Sequence[Value]:
        """Returns the values in the period of a value, newest first, without those before the dimension's `min`."""
        assert isinstance(value, datetime)
        granularity, start = self.dimension.granularity, self.period.truncate(value)
        assert granularity is not None
        first = granularity.ordinal(max(start, self.dimension.min or start))
        try:
            last = granularity.ordinal(self.period.moment(self.period.ordinal(start) + 1))
        except (ValueError, OverflowError):  # the last period of the calendar
            last = granularity.ordinal(_LAST)
        moments = (granularity.moment(ordinal) for ordinal in range(last, first - 1, -1))
        return [moment for moment in moments if self.period.truncate(moment) == start]

    def anchored(self, partition: Partition) -> Partition:
        """Returns the first partition of the period: the tip that all partitions of the period share."""
        value = partition[self.position]
        first = next(reversed(self.values(value)), value)
        return (*partition[: self.position], first, *partition[self.position + 1 :])

    def coarsened(self, partition: Partition) -> Partition:
        """Returns a partition with the start of its period as the covered value."""
        value = partition[self.position]
        assert isinstance(value, datetime)
        return (*partition[: self.position], self.period.truncate(value), *partition[self.position + 1 :])
