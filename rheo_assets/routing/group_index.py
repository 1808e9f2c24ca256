"""The trigger groups of one node, indexed by join key, awaited partition and age, so that nothing scans them all."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

from rheo_assets.model.dimensions import Partition
from rheo_assets.routing.bucketed_dict import BucketedDict
from rheo_assets.routing.join_keys import JoinKeys
from rheo_assets.routing.trigger_group import Key, TriggerGroup


class GroupIndex:
    """Finds trigger groups.

    Args:
        joins: The node's join keys.

    Attributes:
        groups: The groups by number.
        held: The numbers of groups that are held back because a link's function failed, in order of arrival.
        next_number: The number of the next group.
    """

    def __init__(self, joins: JoinKeys) -> None:
        self.groups: BucketedDict[int, TriggerGroup] = BucketedDict()
        self.held: dict[int, None] = {}
        self.next_number = 0
        self._joins = joins
        self._by_key: dict[tuple[object, ...], dict[int, None]] = {}
        self._waiting: dict[Key, dict[int, None]] = {}
        self._ages: list[tuple[float, int]] = []

    def insert(self, group: TriggerGroup) -> None:
        """Adds a group."""
        self.groups[group.number] = group
        self._note(group)

    def restore(self, bucket: int, groups: list[TriggerGroup]) -> None:
        """Restores the recorded groups of one bucket."""
        self.groups.restore(bucket, [(group.number, group) for group in groups])
        for group in groups:
            self._note(group)

    def _note(self, group: TriggerGroup) -> None:
        self.next_number = max(self.next_number, group.number + 1)
        heapq.heappush(self._ages, (group.created, group.number))
        for key in self._join_keys(group):
            self._by_key.setdefault(key, {})[group.number] = None
        if group.failure:
            self.held[group.number] = None

    def remove(self, group: TriggerGroup, awaited: Iterable[Key]) -> None:
        """Removes a group and the partitions that it waits for."""
        self.groups.pop(group.number)
        self.held.pop(group.number, None)
        for join_key in self._join_keys(group):
            _forget(self._by_key, join_key, group.number)
        for key in awaited:
            _forget(self._waiting, key, group.number)

    def _join_keys(self, group: TriggerGroup) -> set[tuple[object, ...]]:
        return {self._joins.key(alias, partition) for alias, partition in group.received.items()}

    def joining(self, alias: str, partition: Partition) -> list[TriggerGroup]:
        """Returns the groups that may accept an event of an input, oldest first."""
        return [self.groups[number] for number in self._by_key.get(self._joins.key(alias, partition), ())]

    def await_partitions(self, group: TriggerGroup, keys: Iterable[Key]) -> None:
        """Indexes a complete group by the partitions that it waits for."""
        for key in keys:
            self._waiting.setdefault(key, {})[group.number] = None

    def awaiting(self, key: Key) -> list[TriggerGroup]:
        """Returns the groups that wait for a partition."""
        return [self.groups[number] for number in self._waiting.get(key, ())]

    def is_awaited(self, key: Key) -> bool:
        """Returns whether a group waits for a partition."""
        return key in self._waiting

    def oldest(self) -> TriggerGroup | None:
        """Returns the oldest group; None if there is none."""
        while self._ages and self._ages[0][1] not in self.groups:
            heapq.heappop(self._ages)
        return self.groups[self._ages[0][1]] if self._ages else None


def _forget(index: dict[Any, dict[int, None]], key: object, number: int) -> None:
    numbers = index.get(key)
    if numbers is not None:
        numbers.pop(number, None)
        if not numbers:
            del index[key]
