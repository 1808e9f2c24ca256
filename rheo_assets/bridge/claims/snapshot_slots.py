"""Snapshot slots: each driver of an application saves its routing state in its own slot."""

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
    """A slot for the routing state of one driver, as long as this object lives and the slot is kept.

    Attributes:
        number: The number of the slot.
        attempt: The number of the object that names the driver as owner.
        checked: When the driver last checked that it still owns the slot, epoch seconds.
    """

    number: int
    attempt: int = 0
    checked: float = 0.0


_slots_here: WeakValueDictionary[str, SnapshotSlot] = WeakValueDictionary()


class SnapshotSlots(Attempts):
    """The slots of one application's drivers.

    A slot is free when its owner is dead.

    Args:
        storage: Where the slots are stored.
        prefix: Their URI prefix.
        heartbeats: The process that takes slots, and which other processes are dead.
        clock: Returns the time, epoch seconds. It must not stop while the machine sleeps.
    """

    def __init__(
        self, storage: Storage, prefix: str, heartbeats: Heartbeats, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(storage, prefix, heartbeats)
        self._clock = clock

    def take(self) -> SnapshotSlot | None:
        """Takes a free slot and returns it; None if all are taken."""
        for number in range(SNAPSHOT_SLOTS):
            here = f"{self._storage.location(self._prefix)}/{number}/{self.owner.text()}"
            slot = SnapshotSlot(number)
            if _slots_here.setdefault(here, slot) is not slot:
                continue  # another driver of this process has it
            if self._claim(slot):
                return slot
            del _slots_here[here]
        return None

    def keeps(self, slot: SnapshotSlot) -> bool:
        """Returns whether the driver still owns a slot; checks the storage once a minute.

        Another driver owns it if this process was silent for so long that it counted as dead.
        """
        now = self._clock()
        if abs(now - slot.checked) < SLOT_CHECKED_EVERY:
            return True
        if max(self._numbers(slot), default=-1) != slot.attempt:
            return False
        slot.checked = now
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
        slot.checked = self._clock()
        for attempt in attempts:
            self._storage.delete(f"{self._folder(slot)}/{attempt}")
        return True

    def _is_free(self, uri: str, attempt: int) -> bool:
        try:
            held = self._read(uri, attempt)
        except StateError:
            return True  # it is damaged, so that it names no owner
        if held is None:
            return False  # another driver is taking it now
        # Its owner is dead, or was an earlier driver of this process.
        return held.owner == self.owner or self._heartbeats.is_dead(held.owner)
