"""The core of the event loop: replays the journal, looks for awaited partitions, closes turns.

Each execution that a turn requests stays in the outbox until its end is recorded, so a driver that dies at any point
loses nothing. Claims ensure that nothing runs twice.
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
    """The position up to which the last page was read; the page may contain fewer entries than were read."""

    def read(self, cursor: int) -> list[Entry]:
        """Returns the next page of entries after a position, without repeats of known events; empty at the end."""

    def turn(self, at: float, ready: Sequence[Key], gone: Sequence[Key]) -> None:
        """Records a closed turn."""


class Superseded(Exception):  # noqa: N818
    """Another declaration of the application is on record: later entries are not replayed under this one."""


class EventLoop:
    """Turns of one application.

    Args:
        topology: The application's nodes.
        entries: The application's journal.
        snapshot: Stores the router between processes.
        is_ready: Returns whether a partition is complete in storage.
        resolve: Records what the router cannot decide itself: the end of runs that died without recording it, of
            executions whose blocking checks have been evaluated, and reported data. Returns whether it recorded any.
        stands: Returns whether these nodes are still those on record. It is called after each page is read and before
            it is replayed: a page that was read under this declaration has no entries of a later one.

    Attributes:
        is_behind: Whether the last replay stopped before the end of the journal.
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
        """Skips all entries up to a position; for an application that has never been routed."""
        self.router.cursor = position
        self.save()

    def turn(
        self,
        now: float,
        gone: Iterable[Key] = (),
        is_enough: Callable[[], bool] = lambda: False,
        unrouted: Iterable[Key] = (),
    ) -> list[Trigger]:
        """Replays new entries, looks for awaited partitions, closes the turn, and returns the outbox.

        Args:
            now: The driver's clock, epoch seconds.
            gone: Partitions that were complete and no longer are.
            is_enough: Returns whether to stop early; called from time to time. Entries not yet replayed are left for
                the next turn, and this one is not closed. Partitions not yet looked for are due in the next turn.
            unrouted: Partitions that arrived without an event. If a group waits for one, it is looked for immediately.

        Raises:
            Superseded: The nodes are no longer those on record.
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
        """Replays every new entry, page by page, until `is_enough` returns True.

        Raises:
            Superseded: The nodes are no longer those on record. Nothing is lost: the page is not replayed.
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
        """Returns the due partitions that are ready. Each is checked at once, then less and less often."""
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
                continue  # a new event has rescheduled it
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
