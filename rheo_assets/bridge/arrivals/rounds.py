"""What an idle look at a dataset passes over: folders that hardly change are looked at rarely, and in turn.

A look at S3 costs money: ten thousand partitions that are all asked for twice a minute are thirty million requests a
day. What has just come or changed is looked at every time, and recent days often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final
from zlib import crc32

from rheo_assets.model.datasets import PLACEHOLDER, Layout
from rheo_assets.model.dimensions import DimensionSpec, DimensionType

OFTEN: Final = 120.0
"""Seconds between two looks at a recent folder, and at the folders above partitions."""
RARELY: Final = 3600.0
"""Seconds between two looks at any other folder."""

_NEW: Final = 3600.0  # seconds for which what came or changed is looked at every time
_MOVED: Final = 86_400.0  # seconds for which it counts as recent
_TAIL: Final = 3  # so many days of each month are recent: the last ones that are there
_FEW: Final = 10  # folders above partitions that are listed every time

Folder = tuple[str, ...]


class Rounds:
    """Decides for each folder of a dataset whether the present look passes it over.

    Args:
        layout: Where the partitions lie.
        spec: The dimensions; later values of a date are recent ones.
        clock: Seconds.
    """

    def __init__(self, layout: Layout, spec: DimensionSpec, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_time = _levels_of_time(layout, spec)
        self._clock = clock
        self._now = 0.0
        self._looked: dict[Folder, float] = {}
        self._moved: dict[Folder, float] = {}
        self._names: dict[Folder, list[str]] = {}
        self._tails: dict[Folder, frozenset[str]] = {}
        self._above = 0
        self._passed: set[Folder] = set()
        self._new: set[Folder] = set()
        self._many: list[Folder] = []
        self._is_whole = self._is_first = True
        self._is_open = False

    def begin(self, is_whole: bool = False) -> None:
        """Begins a look.

        Args:
            is_whole: Whether it passes over nothing.
        """
        self._is_whole = self._is_whole or is_whole or self._is_open  # what ended by an error is done again
        self._is_open = True
        self._now = self._clock()
        self._above = sum(len(folder) < len(self._is_time) for folder in self._looked)
        self._names = {}
        self._passed = set()
        self._new = set()
        self._many = []

    def end(self, complete: Iterable[Folder], changed: Iterable[Folder], is_done: bool) -> None:
        """Ends a look: what has come or changed is looked at every time for a while.

        At the first look of a process all is new, and only what is not complete yet counts as that.

        Args:
            complete: The partitions that were found.
            changed: Those of them that are new, or have changed.
            is_done: Whether everything was dealt with; else the next look is at everything.
        """
        self._tails |= {parent: frozenset(sorted(names)[-_TAIL:]) for parent, names in self._names.items()}
        came = self._new
        if self._is_first:
            came = {folder for folder in came - set(complete) if len(folder) == len(self._is_time)}
        for folder in (*came, *changed):  # and those above, or it would not be reached
            self._moved |= {folder[:length]: self._now for length in range(1, len(folder) + 1)}
        for folder in self._many:  # from now on they take their turns one by one, and not together again
            self._looked[folder] = self._now - crc32("/".join(folder).encode()) % 1000 / 1000 * self._pause(folder)
        self._is_first = self._is_first and not self._looked
        self._is_whole, self._is_open = not is_done, False

    def passes(self, folder: Folder) -> bool:
        """Returns whether the look passes over a folder that is there: nothing is asked about what is in it."""
        self._names.setdefault(folder[:-1], []).append(folder[-1])
        looked = self._looked.get(folder)
        if not self._is_whole and looked is not None and self._now - looked < self._pause(folder):
            self._passed.add(folder)
            return True
        if looked is None:
            self._new.add(folder)
        if self._is_whole or looked is None:
            self._many.append(folder)
        self._looked[folder] = self._now
        return False

    def passed(self, folder: Folder) -> bool:
        """Returns whether the look passed over a folder, or one above it."""
        return any(folder[:length] in self._passed for length in range(1, len(folder) + 1))

    @property
    def has_passed(self) -> bool:
        """Whether the look passed over anything."""
        return bool(self._passed)

    def _pause(self, folder: Folder) -> float:
        since = self._now - self._moved.get(folder, float("-inf"))
        is_above = len(folder) < len(self._is_time)
        if since < _NEW or (is_above and self._above <= _FEW):
            return 0.0
        return OFTEN if since < _MOVED or self._is_recent(folder, is_above) else RARELY

    def _is_recent(self, folder: Folder, is_above: bool) -> bool:
        dates = [level for level in range(len(folder)) if self._is_time[level]]
        if not dates:
            return is_above
        return all(folder[level] in self._tails.get(folder[:level], frozenset({folder[level]})) for level in dates)


def _levels_of_time(layout: Layout, spec: DimensionSpec) -> list[bool]:
    """Returns for each folder below the root of a dataset whether its name is, or is part of, a date."""
    dimensions = iter(spec)
    levels: list[bool] = []
    for segment in layout.segments:
        held = [next(dimensions) for _ in range(segment.count(PLACEHOLDER))]
        is_time = any(dimension.type is DimensionType.DATETIME for dimension in held)
        levels += [is_time] * (1 + sum(dimension.segments - 1 for dimension in held))
    return levels
