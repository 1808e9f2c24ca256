"""The event loop without its surroundings: folds the journal, looks for what is waited for, closes turns.

Whatever a turn asks for stays in the outbox until its end is recorded, so a driver that dies at any point loses
nothing; claims see to it that nothing runs twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Entry, Trigger
from rheo_assets.routing.snapshot import Snapshot
from rheo_assets.routing.trigger_group import Key

_FIRST_RECHECK = 5.0
_LAST_RECHECK = 600.0


class Entries(Protocol):
    """The journal as the loop needs it."""

    skipped_to: int
    """How far the last page went; it may hold fewer entries than were read."""

    def read(self, cursor: int) -> list[Entry]:
        """Returns the next page of entries after a position, repeats of known events left out; empty at the end."""

    def turn(self, at: float, ready: Sequence[Key], gone: Sequence[Key]) -> None:
        """Records a closed turn."""


class Superseded(Exception):  # noqa: N818
    """Another declaration of the application is on record: what came after it is not folded under this one."""


class EventLoop:
    """Turns of one application.

    Args:
        topology: Its nodes.
        entries: Its journal.
        snapshot: Where the router is kept between processes.
        is_ready: Whether storage holds a partition complete.
        resolve: Records what becomes of what the router cannot decide: runs that died without a word, executions whose
            blocking checks have been evaluated, data that was reported. Returns whether it recorded anything.
        stands: Whether its nodes are still those on record. Asked after each page is read and before it is folded: a
            page that was read while they stood holds nothing that came after another declaration.

    Attributes:
        is_behind: Whether the last fold ended before the end of the journal.
    """

    def __init__(
        self,
        topology: Topology,
        entries: Entries,
        snapshot: Snapshot,
        is_ready: Callable[[Key], bool],
        resolve: Callable[[], bool] = lambda: False,
        is_current: Callable[[], bool] = lambda: True,
    ) -> None:
        self.topology = topology
        self.router = snapshot.load()
        self.is_new = snapshot.is_new
        self.is_behind = False
        self._entries = entries
        self._snapshot = snapshot
        self._is_ready = is_ready
        self._resolve = resolve
        self._is_current = is_current
        self._due: list[tuple[float, int, Key]] = []
        self._pauses: dict[Key, float] = {}
        self._unrouted: set[Key] = set()
        self._looks = 0
        self._last_look: dict[Key, int] = {}

    def start_at(self, position: int) -> None:
        """Lets everything up to a position count as history; for an application that was never routed before."""
        self.router.cursor = position
        self.save()

    def turn(
        self,
        now: float,
        gone: Iterable[Key] = (),
        is_enough: Callable[[], bool] = lambda: False,
        unrouted: Iterable[Key] = (),
    ) -> list[Trigger]:
        """Folds what is recorded, looks for what is waited for, closes the turn, and returns the outbox.

        Args:
            now: The driver's clock, epoch seconds.
            gone: Partitions that were complete and are no longer.
            is_enough: Asked now and then whether to end. What has not been folded in then is left for the next turn,
                and this one is not closed; what has not been looked for is due at the next one.
            unrouted: Partitions that have arrived and are no events: those that are waited for are looked for at once.

        Raises:
            Superseded: The nodes are not those on record any more.
        """
        self._unrouted.update(unrouted)
        self.fold(is_enough)
        if self.is_behind:
            self.save()
            return self.router.outbox()
        if self.router.has_unresolved and self._resolve():
            self.fold()
        ready = self._look(now, is_enough)
        missing = list(gone)
        if self.router.runnable or ready or missing or self.router.expires_by(now):
            self._entries.turn(now, ready, missing)
            self.fold()
        self.save()
        return self.router.outbox()

    def fold(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Takes in every entry that has been recorded since, a page at a time until it is enough.

        Raises:
            Superseded: The nodes are not those on record any more; nothing is lost, the page is not folded.
        """
        self.is_behind = False
        while True:
            entries = self._entries.read(self.router.cursor)
            if self._entries.skipped_to <= self.router.cursor and not entries:
                return
            if not self._is_current():
                raise Superseded
            for entry in entries:
                self.router.fold(entry)
            self.router.cursor = max(self.router.cursor, self._entries.skipped_to)
            if is_enough():
                self.is_behind = True
                return

    def save(self) -> None:
        """Saves what has changed."""
        self._snapshot.save(self.router)

    def _look(self, now: float, is_enough: Callable[[], bool]) -> list[Key]:
        """Returns what is ready of what is due to be looked for: at once, then later and later, up to ten minutes."""
        ready = []
        unrouted, self._unrouted = self._unrouted, set()
        for key in dict.fromkeys((*self.router.take_fresh(), *filter(self.router.waits_for, sorted(unrouted)))):
            self._pauses[key] = _FIRST_RECHECK
            if is_enough():
                self._schedule(key, now)
                continue
            if self._is_ready(key):
                ready.append(key)
            self._schedule(key, now + _FIRST_RECHECK)
        while self._due and self._due[0][0] <= now and not is_enough():
            _, number, key = heapq.heappop(self._due)
            if self._last_look.get(key) != number:
                continue  # an event refreshed it, and it was scheduled again
            if not self.router.waits_for(key):
                del self._pauses[key], self._last_look[key]
                continue
            if self._is_ready(key):
                ready.append(key)
            self._pauses[key] = min(self._pauses[key] * 2, _LAST_RECHECK)
            self._schedule(key, now + self._pauses[key])
        return ready

    def _schedule(self, key: Key, at: float) -> None:
        self._looks += 1
        self._last_look[key] = self._looks
        heapq.heappush(self._due, (at, self._looks, key))
