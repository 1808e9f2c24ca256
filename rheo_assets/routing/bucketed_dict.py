"""A dict that is saved in buckets, so that a change rewrites one bucket and not every waiting group."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

BUCKET = 8


class BucketedDict(MutableMapping[K, V]):
    """Values by key. Each keeps its place. Neighbours share a bucket, which is dirty if one of them has changed."""

    def __init__(self) -> None:
        self.dirty: set[int] = set()
        self._items: dict[K, V] = {}
        self._texts: dict[K, str] = {}
        self._places: dict[K, int] = {}
        self._buckets: list[dict[K, None]] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __setitem__(self, key: K, value: V) -> None:
        place = self._places.get(key)
        if place is None:
            if not self._free:
                self._add_bucket()
            place = heapq.heappop(self._free)
            self._places[key] = place
            self._buckets[place // BUCKET][key] = None
        self._items[key] = value
        self._texts.pop(key, None)
        self.dirty.add(place // BUCKET)

    def touch(self, key: K) -> None:
        """Marks a value as changed in place."""
        place = self._places.get(key)
        if place is not None:
            self._texts.pop(key, None)
            self.dirty.add(place // BUCKET)

    def __delitem__(self, key: K) -> None:
        del self._items[key]
        self._texts.pop(key, None)
        place = self._places.pop(key)
        bucket = place // BUCKET
        del self._buckets[bucket][key]
        heapq.heappush(self._free, place)
        self.dirty.add(bucket)

    def _add_bucket(self) -> None:
        start = len(self._buckets) * BUCKET
        self._buckets.append({})
        for place in range(start, start + BUCKET):
            heapq.heappush(self._free, place)

    @property
    def buckets(self) -> int:
        """The number of buckets."""
        return len(self._buckets)

    def texts(self, number: int, dump: Callable[[V], str]) -> list[str]:
        """Returns the contents of one bucket as text; values that have not changed are not dumped again."""
        if number >= len(self._buckets):
            return []
        for key in self._buckets[number]:
            if key not in self._texts:
                self._texts[key] = dump(self._items[key])
        return [self._texts[key] for key in self._buckets[number]]

    def restore(self, number: int, items: Iterable[tuple[K, V]]) -> None:
        """Restores the recorded values of one bucket."""
        while len(self._buckets) <= number:
            self._add_bucket()
        for place, (key, value) in enumerate(items, start=number * BUCKET):
            self._free.remove(place)
            self._places[key] = place
            self._buckets[number][key] = None
            self._items[key] = value
        heapq.heapify(self._free)
