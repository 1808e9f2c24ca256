"""The partitions that a view reads around a tip: its range, limited by the declared filter."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import DimensionSpec, Partition, Value
from rheo_assets.model.filters import ANY, Branch, Exactly, Filter, Window
from rheo_assets.model.periods import Cover

Windows = tuple[Window | None, ...]
"""The range on each dimension, or None for the tip's own value."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What some branches of a declared filter pass: their ranges, for partitions with the literals of one branch."""

    windows: Windows
    among: Filter

    def holds(self, spec: DimensionSpec, offsets: Sequence[int], partition: Partition) -> bool:
        """Returns whether a partition at these distances from the tip passes."""
        pairs = zip(self.windows, offsets, strict=True)
        return all(w is None or o in w.offsets() for w, o in pairs) and self.among.admits(spec, partition)


@dataclass(frozen=True, slots=True)
class Range:
    """The partitions that are read around a tip.

    >>> spec = DimensionSpec.of({"region": {"type": "STRING", "n": {"type": "LONG"}}})
    >>> declared = Filter.of(spec, {"NA": {"_:-30": {}}, "EU": {"_:-2": {}}}, "x")
    >>> last_3 = Range.of(spec, declared, (Exactly("EU"), Window(length=3)), "x")
    >>> last_3.partitions(("EU", 7))
    (('EU', 7), ('EU', 6))

    Attributes:
        spec: The dimensions.
        windows: The range on each dimension, as wide as any branch allows.
        bounds: What the branches pass, if that is not everything within `windows`; else empty.
        cover: The period that is read of one dimension instead of the tip's own value, or None.
    """

    spec: DimensionSpec
    windows: Windows
    bounds: tuple[Bound, ...] = ()
    cover: Cover | None = None

    @classmethod
    def of(
        cls,
        spec: DimensionSpec,
        declared: Filter,
        wanted: Branch,
        where: str,
        cover: Cover | None = None,
        *,
        reads_past_literals: bool = False,
    ) -> Range:
        """Returns the range of a view on a signal with a declared filter.

        Args:
            spec: The signal's dimensions.
            declared: The signal's filter.
            wanted: The view's constraints.
            where: Names the signal in messages.
            cover: The dimension of which a whole period is read, or None.
            reads_past_literals: Whether a range on a dimension that the filter pins to one literal starts there and
                continues to other values. If False, it reads only the values of the filter.

        Raises:
            DeclarationError: A range runs in the opposite direction of a declared one.
        """
        ranged = [position for position, constraint in enumerate(wanted) if isinstance(constraint, Window)]
        if not ranged:
            return cls(spec, (None,) * len(spec), cover=cover)
        if reads_past_literals:
            declared = _unpinned(declared, ranged)
        alike: dict[Windows, list[Branch]] = {}
        has_literals = False
        for branch in declared.branches:
            met = Filter((branch,)).narrowed(spec, wanted, where)
            if met is None:
                continue
            windows: list[Window | None] = [None] * len(spec)
            for position in ranged:
                found = met.branches[0][position]
                has_literals = has_literals or isinstance(found, Exactly)
                windows[position] = found if isinstance(found, Window) else wanted[position]  # type: ignore[assignment]
            alike.setdefault(tuple(windows), []).append(branch)
        hull = tuple(_hull([one for one in column if one is not None]) for column in zip(*alike, strict=True))
        if len(alike) == 1 and not has_literals:
            return cls(spec, hull, cover=cover)
        return cls(spec, hull, tuple(Bound(windows, Filter(tuple(own))) for windows, own in alike.items()), cover)

    def partitions(self, tip: Partition) -> tuple[Partition, ...]:
        """Returns the partitions that are read for a tip, tip first."""
        columns = [self._column(position, value) for position, value in enumerate(tip)]
        if not self.bounds:
            return tuple(itertools.product(*(column.values() for column in columns)))
        return tuple(
            partition
            for pairs in itertools.product(*(column.items() for column in columns))
            for offsets, partition in [(tuple(o for o, _ in pairs), tuple(value for _, value in pairs))]
            if any(bound.holds(self.spec, offsets, partition) for bound in self.bounds)
        )

    def tip_reading(self, first: Partition) -> Partition:
        """Returns the tip for which `first` is the first partition that is read.

        Raises:
            InvalidValue: The date does not exist.
        """
        if self.cover is not None:
            return self.cover.anchored(self._shifted_back(first, self.windows))
        for bound in self.bounds:
            tip = self._shifted_back(first, bound.windows)
            if self.partitions(tip)[:1] == (first,):
                return tip
        return self._shifted_back(first, self.windows)

    def _column(self, position: int, value: Value) -> Mapping[int, Value]:
        dimension, window = self.spec.dimensions[position], self.windows[position]
        if self.cover is not None and position == self.cover.position:
            return dict(enumerate(self.cover.values(value)))
        if window is None:
            return {0: value}
        column = {}
        for offset in window.offsets():
            try:
                column[offset] = dimension.shift(value, offset)
            except InvalidValue:  # before the year 1 or after 9999
                continue
        return column

    def _shifted_back(self, first: Partition, windows: Windows) -> Partition:
        return tuple(
            value if window is None else dimension.shift(value, -window.shift)
            for dimension, window, value in zip(self.spec, windows, first, strict=True)
        )


def _unpinned(declared: Filter, ranged: Sequence[int]) -> Filter:
    """Returns a filter without the literals that anchor a range: those that are the only value of their dimension."""
    for position in ranged:
        beside: dict[Branch, list[Branch]] = {}
        for branch in declared.branches:
            beside.setdefault(branch[:position] + branch[position + 1 :], []).append(branch)
        opened = {
            same[0]: (*same[0][:position], ANY, *same[0][position + 1 :])
            for same in beside.values()
            if len(same) == 1 and isinstance(same[0][position], Exactly)
        }
        declared = Filter(tuple(opened.get(branch, branch) for branch in declared.branches))
    return declared


def _hull(windows: Sequence[Window]) -> Window | None:
    """Returns the range that contains all of them: they are parts of the view's range, in the same direction."""
    if not windows:
        return None
    offsets = [offset for window in windows for offset in (window.offsets()[0], window.offsets()[-1])]
    longest = max(windows, key=lambda window: window.length)
    low, high = min(offsets), max(offsets)
    return Window(high if longest.step < 0 else low, high - low + 1, longest.step)
