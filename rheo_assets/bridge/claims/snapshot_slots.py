"""Snapshot slots: each driver of an application saves its routing state in a place of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from rheo_assets.bridge.claims.claims import Attempts
from rheo_assets.bridge.claims.heartbeats import HEARTBEAT_EVERY, Heartbeats
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.routing.snapshot import SNAPSHOT_SLOTS

SLOT_CHECKED_EVERY: Final = HEARTBEAT_EVERY


@dataclass(eq=False)
class SnapshotSlot:
    """A driver's own place for its routing state, for as long as this object lives and is kept.

    Attributes:
        number: Which one.
        attempt: The number of the object that says so.
        looked: When the driver last saw that it is its own, epoch seconds.
    """

    number: int
    attempt: int = 0
    looked: float = 0.0


_slots_here: WeakValueDictionary[str, SnapshotSlot] = WeakValueDictionary()


class SnapshotSlots(Attempts):
    """The slots of one application's drivers.

    A slot is free when its owner is dead.

    Args:
        storage: Where they lie.
        prefix: Their URI prefix.
        heartbeats: Who takes, and who is dead.
        clock: Tells the time, epoch seconds. It goes on while the machine sleeps.
    """

    def __init__(
        self, storage: Storage, prefix: str, heartbeats: Heartbeats, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(storage, prefix, heartbeats)
        self._clock = clock

    def take(self) -> SnapshotSlot | None:
        """Returns a free slot, None when all are taken."""
        for number in range(SNAPSHOT_SLOTS):
            here = f"{self._storage.location(self._prefix)}/{number}/{self.owner.text()}"
            slot = SnapshotSlot(number)
            if _slots_here.setdefault(here, slot) is not slot:
                continue  # of another driver of this process
            if self._claim(slot):
                return slot
            del _slots_here[here]
        return None

    def keeps(self, slot: SnapshotSlot) -> bool:
        """Returns whether a slot is still the driver's own; looks once a minute.

        Another driver sits there when this process was silent for so long that it was taken for dead.
        """
        now = self._clock()
        if abs(now - slot.looked) < SLOT_CHECKED_EVERY:
            return True
        if max(self._numbers(slot), default=-1) != slot.attempt:
            return False
        slot.looked = now
        return True

    def _folder(self, slot: SnapshotSlot) -> str:
        return f"{self._prefix}/{slot.number}"

    def _numbers(self, slot: SnapshotSlot) -> list[int]:
        return [int(name) for name in self._storage.children(self._folder(slot)) if name.isdigit()]

    def _claim(self, slot: SnapshotSlot) -> bool:
        attempts = self._numbers(slot)
        newest = max(attempts, default=-1)
        if attempts and not self._is_free(f"{self._folder(slot)}/{newest}", newest):
            return False
        slot.attempt = newest + 1
        if not self._storage.create(f"{self._folder(slot)}/{slot.attempt}", self._text()):
            return False
        slot.looked = self._clock()
        for attempt in attempts:
            self._storage.delete(f"{self._folder(slot)}/{attempt}")
        return True

    def _is_free(self, uri: str, attempt: int) -> bool:
        try:
            held = self._read(uri, attempt)
        except StateError:
            return True  # nobody can say that it is theirs
        if held is None:
            return False  # somebody is just taking it
        # of a dead driver, or of one of this process that is gone
        return held.owner == self.owner or self._heartbeats.is_dead(held.owner)
