"""Seats: each driver of an application saves its routing state in a place of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from rheo_assets.bridge.claims.claims import Attempts
from rheo_assets.bridge.claims.heartbeats import BEAT_EVERY, Beats
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.routing.snapshot import SEATS

SEAT_LOOKED_AT_EVERY: Final = BEAT_EVERY


@dataclass(eq=False)
class Seat:
    """A driver's own place for its routing state, for as long as this object lives and is kept.

    Attributes:
        number: Which one.
        attempt: The number of the object that says so.
        looked: When the driver last saw that it is its own, epoch seconds.
    """

    number: int
    attempt: int = 0
    looked: float = 0.0


_seats_here: WeakValueDictionary[str, Seat] = WeakValueDictionary()


class Seats(Attempts):
    """The seats of one application's drivers.

    A seat is free when its owner is dead.

    Args:
        storage: Where they lie.
        prefix: Their URI prefix.
        beats: Who takes, and who is dead.
        clock: Tells the time, epoch seconds. It goes on while the machine sleeps.
    """

    def __init__(self, storage: Storage, prefix: str, beats: Beats, clock: Callable[[], float] = time.time) -> None:
        super().__init__(storage, prefix, beats)
        self._clock = clock

    def take(self) -> Seat | None:
        """Returns a free seat, None when all are taken."""
        for number in range(SEATS):
            here = f"{self._storage.location(self._prefix)}/{number}/{self.owner.text()}"
            seat = Seat(number)
            if _seats_here.setdefault(here, seat) is not seat:
                continue  # of another driver of this process
            if self._claim(seat):
                return seat
            del _seats_here[here]
        return None

    def keeps(self, seat: Seat) -> bool:
        """Returns whether a seat is still the driver's own; looks once a minute.

        Another driver sits there when this process was silent for so long that it was taken for dead.
        """
        now = self._clock()
        if abs(now - seat.looked) < SEAT_LOOKED_AT_EVERY:
            return True
        if max(self._numbers(seat), default=-1) != seat.attempt:
            return False
        seat.looked = now
        return True

    def _folder(self, seat: Seat) -> str:
        return f"{self._prefix}/{seat.number}"

    def _numbers(self, seat: Seat) -> list[int]:
        return [int(name) for name in self._storage.children(self._folder(seat)) if name.isdigit()]

    def _claim(self, seat: Seat) -> bool:
        attempts = self._numbers(seat)
        newest = max(attempts, default=-1)
        if attempts and not self._is_free(f"{self._folder(seat)}/{newest}", newest):
            return False
        seat.attempt = newest + 1
        if not self._storage.create(f"{self._folder(seat)}/{seat.attempt}", self._text()):
            return False
        seat.looked = self._clock()
        for attempt in attempts:
            self._storage.delete(f"{self._folder(seat)}/{attempt}")
        return True

    def _is_free(self, uri: str, attempt: int) -> bool:
        try:
            held = self._read(uri, attempt)
        except StateError:
            return True  # nobody can say that it is theirs
        if held is None:
            return False  # somebody is just taking it
        # of a dead driver, or of one of this process that is gone
        return held.owner == self.owner or self._beats.is_dead(held.owner)
