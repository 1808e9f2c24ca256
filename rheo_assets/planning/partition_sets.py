"""Sets of partitions stored as bits, so that ranges over millions of them take a few shifts and ORs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import Final, NamedTuple

from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import DimensionSpec, DimensionType, Partition, Value
from rheo_assets.model.filters import Window
from rheo_assets.planning.bitset import WIDTH, Blocks, Row, between, positions, put, runs, smear

_FIRST: Final = datetime(1, 1, 1)  # naive means UTC
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59)  # naive means UTC


class Stretch(NamedTuple):
    """Neighbouring partitions of one row."""

    first: Partition
    last: Partition
    length: int


def axis_of(spec: DimensionSpec) -> int | None:
    """Returns the position of the dimension whose neighbours are bits: the finest DATETIME, else the first LONG."""
    times = [(d.granularity.fineness, -i) for i, d in enumerate(spec) if d.granularity is not None]
    if times:
        return -max(times)[1]
    return next((i for i, dimension in enumerate(spec) if dimension.type is DimensionType.LONG), None)


@dataclass(frozen=True, slots=True, repr=False)
class PartitionSet:
    """An immutable set of partitions of one spec; it iterates oldest first.

    >>> spec = DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME"}}})
    >>> days = PartitionSet.of(spec, [spec.read(("NA", "2021-03-18"))])
    >>> week = days.spread((None, Window(length=7)))
    >>> len(week), spec.render(next(iter(week)))
    (7, ('NA', '2021-03-12'))

    Attributes:
        spec: The dimensions.
        blocks: The bits; no block is 0.
        axis: The position of the dimension whose neighbours are bits; None if no dimension has an order.
    """

    spec: DimensionSpec
    blocks: Mapping[tuple[Row, int], int] = field(default_factory=dict)
    axis: int | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", axis_of(self.spec))

    @classmethod
    def of(cls, spec: DimensionSpec, partitions: Iterable[Partition] = ()) -> PartitionSet:
        """Returns the set of these partitions."""
        axis = axis_of(spec)
        blocks: Blocks = {}
        if axis is None:
            return cls(spec, {(partition, 0): 1 for partition in partitions})
        ordinal = spec.dimensions[axis].ordinal
        for partition in partitions:
            number, bit = divmod(ordinal(partition[axis]), WIDTH)
            key = (partition[:axis] + partition[axis + 1 :], number)
            blocks[key] = blocks.get(key, 0) | 1 << bit
        return cls(spec, blocks)

    # a set ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self.blocks.values())

    def __bool__(self) -> bool:
        return bool(self.blocks)

    def __contains__(self, partition: object) -> bool:
        if not isinstance(partition, tuple) or len(partition) != len(self.spec):
            return False
        row, ordinal = self._split(partition)
        number, bit = divmod(ordinal, WIDTH)
        return bool(self.blocks.get((row, number), 0) >> bit & 1)

    def __iter__(self) -> Iterator[Partition]:
        by_number: dict[int, list[tuple[Row, int]]] = {}
        for (row, number), bits in self.blocks.items():
            by_number.setdefault(number, []).append((row, bits))
        for number in sorted(by_number):
            columns: dict[int, list[Row]] = {}
            for row, bits in sorted(by_number[number]):
                for bit in positions(bits):
                    columns.setdefault(bit, []).append(row)
            for bit in sorted(columns):
                yield from self._column(number * WIDTH + bit, columns[bit])

    def __or__(self, other: PartitionSet) -> PartitionSet:
        self._check(other)
        merged = dict(self.blocks)
        for key, bits in other.blocks.items():
            merged[key] = merged.get(key, 0) | bits
        return PartitionSet(self.spec, merged)

    def __and__(self, other: PartitionSet) -> PartitionSet:
        self._check(other)
        return self._kept((key, bits & other.blocks.get(key, 0)) for key, bits in self.blocks.items())

    def __sub__(self, other: PartitionSet) -> PartitionSet:
        self._check(other)
        return self._kept((key, bits & ~other.blocks.get(key, 0)) for key, bits in self.blocks.items())

    def __hash__(self) -> int:
        return hash((self.spec, frozenset(self.blocks.items())))

    def __repr__(self) -> str:
        return f"<{len(self)} partitions of {', '.join(self.spec.names) or 'no dimension'}>"

    def _check(self, other: PartitionSet) -> None:
        if self.spec is not other.spec and self.spec != other.spec:
            raise TypeError(f"partitions of {self.spec.names} and of {other.spec.names} cannot be in one set")

    def _kept(self, blocks: Iterable[tuple[tuple[Row, int], int]]) -> PartitionSet:
        return PartitionSet(self.spec, {key: bits for key, bits in blocks if bits})

    # rows -----------------------------------------------------------------------------------------------------

    def oldest(self) -> dict[Row, Partition]:
        """Returns the oldest partition of each row."""
        lowest: dict[Row, int] = {}
        for (row, number), bits in self.blocks.items():
            ordinal = number * WIDTH + (bits & -bits).bit_length() - 1
            lowest[row] = min(ordinal, lowest.get(row, ordinal))
        return {row: next(self._column(ordinal, [row])) for row, ordinal in lowest.items()}

    def where(self, admits: Callable[[Partition], bool], *, by_row: bool) -> PartitionSet:
        """Returns the partitions that are admitted.

        Args:
            admits: Returns whether a partition is admitted.
            by_row: Whether the answer for one partition of a row holds for the whole row.
        """
        if not by_row:
            return PartitionSet.of(self.spec, filter(admits, self))
        rows = {row for row, partition in self.oldest().items() if admits(partition)}
        return PartitionSet(self.spec, {key: bits for key, bits in self.blocks.items() if key[0] in rows})

    def carried(self, spec: DimensionSpec, images: Mapping[Row, Partition], *, moves: bool) -> PartitionSet:
        """Returns the corresponding partitions of another spec.

        Args:
            spec: The other spec.
            images: The partition that corresponds to the oldest partition of each row.
            moves: Whether the other axis always has the same ordinal as this one. If False, a row becomes one
                partition.
        """
        if not moves:
            return PartitionSet.of(spec, images.values())
        axis = axis_of(spec)
        assert axis is not None
        rows = {row: image[:axis] + image[axis + 1 :] for row, image in images.items()}
        blocks: Blocks = {}
        for (row, number), bits in self.blocks.items():
            key = (rows[row], number)
            blocks[key] = blocks.get(key, 0) | bits
        return PartitionSet(spec, blocks)

    def stretches(self) -> Iterator[Stretch]:
        """Yields the partitions as stretches of neighbours, row by row."""
        for row, numbers in self._sorted_rows():
            start = length = 0
            for ordinal, run in runs(numbers):
                if length and ordinal == start + length:
                    length += run
                    continue
                if length:
                    yield self._stretch(row, start, length)
                start, length = ordinal, run
            yield self._stretch(row, start, length)

    def _sorted_rows(self) -> Iterator[tuple[Row, list[tuple[int, int]]]]:
        rows: dict[Row, list[tuple[int, int]]] = {}
        for (row, number), bits in self.blocks.items():
            rows.setdefault(row, []).append((number, bits))
        for row in sorted(rows):
            yield row, sorted(rows[row])

    def _stretch(self, row: Row, start: int, length: int) -> Stretch:
        (first,), (last,) = self._column(start, [row]), self._column(start + length - 1, [row])
        return Stretch(first, last, length)

    # ranges ---------------------------------------------------------------------------------------------------

    def spread(self, windows: Sequence[Window | None]) -> PartitionSet:
        """Returns every partition that is read for these tips, except those before a dimension's `min`."""
        blocks: Blocks = {}
        own = windows[self.axis] if self.axis is not None else None
        low, length = (min(own.offsets()), own.length) if own is not None else (0, 1)
        step = _row_shifter(self, windows)
        for (row, number), bits in self.blocks.items():
            smeared = smear(bits, length)
            for shifted in step(row):
                put(blocks, shifted, number * WIDTH + low, smeared)
        return self._within_bounds(blocks) if own is not None else PartitionSet(self.spec, blocks)

    def reaching(self, windows: Sequence[Window | None], found: PartitionSet) -> PartitionSet:
        """Returns the tips whose range contains at least one of the found partitions."""
        back = [window and Window(-max(window.offsets()), window.length, 1) for window in windows]
        return self & found.spread(back)

    def _within_bounds(self, blocks: Blocks) -> PartitionSet:
        assert self.axis is not None
        dimension = self.spec.dimensions[self.axis]
        if dimension.type is not DimensionType.DATETIME:
            return PartitionSet(self.spec, blocks)
        lowest = dimension.ordinal(dimension.min or _FIRST)
        highest = dimension.ordinal(_LAST)
        return self._kept((key, bits & between(lowest, highest, key[1])) for key, bits in blocks.items())

    # partitions -----------------------------------------------------------------------------------------------

    def _split(self, partition: Partition) -> tuple[Row, int]:
        if self.axis is None:
            return partition, 0
        ordinal = self.spec.dimensions[self.axis].ordinal(partition[self.axis])
        return partition[: self.axis] + partition[self.axis + 1 :], ordinal

    def _column(self, ordinal: int, rows: Iterable[Row]) -> Iterator[Partition]:
        if self.axis is None:
            yield from rows
            return
        value = (self.spec.dimensions[self.axis].at(ordinal),)
        for row in rows:
            yield row[: self.axis] + value + row[self.axis :]


def _row_shifter(members: PartitionSet, windows: Sequence[Window | None]) -> Callable[[Row], Sequence[Row]]:
    """Returns a function from a row to the rows that the windows on its own dimensions reach."""
    others = [
        (dimension, window)
        for position, (dimension, window) in enumerate(zip(members.spec, windows, strict=True))
        if position != members.axis
    ]
    if all(window is None for _, window in others):
        return lambda row: (row,)
    known: dict[Row, Sequence[Row]] = {}

    def shifted(row: Row) -> Sequence[Row]:
        if row not in known:
            columns: list[list[Value]] = []
            for (dimension, window), value in zip(others, row, strict=True):
                column = []
                for offset in (0,) if window is None else window.offsets():
                    try:
                        column.append(dimension.read(dimension.shift(value, offset)) if window else value)
                    except InvalidValue:
                        continue
                columns.append(column)
            known[row] = tuple(product(*columns))
        return known[row]

    return shifted
