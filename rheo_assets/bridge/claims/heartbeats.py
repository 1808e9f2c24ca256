"""Heartbeats: how a process is known to be alive, or dead, on another machine or in another container.

A process that drives or runs an application writes one small object once a minute, whatever it holds. Whoever finds
something held by a process of another machine compares two objects: that process's last beat, and its own. Both were
dated by the storage, so that no two clocks are compared.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from typing import Final
from weakref import WeakSet

from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.platforms.capabilities import Storage

HEARTBEAT_EVERY: Final = 60.0
SILENCE: Final = 900.0
_KEPT: Final = 7 * 86400.0
_LOOK_EVERY: Final = 15.0
_ANSWERS: Final = 1000

_log = logging.getLogger("rheo_assets")


class WorkInProgress:
    """What a process is at: the executions that it runs and the plans that it carries out."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changing = threading.Lock()

    def holds(self, name: str) -> bool:
        """Returns whether the process is at something."""
        return name in self._held

    def hold(self, name: str) -> bool:
        """Says that a thread of the process is at something; False where another one is."""
        with self._changing:
            is_first = name not in self._held
            self._held.add(name)
            return is_first

    def drop(self, name: str) -> None:
        """Says that the process is no longer at something."""
        with self._changing:
            self._held.discard(name)


class HeartbeatThread(WorkInProgress):
    """The thread that records heartbeats for a process, in every application that it drives or runs, until it ends."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._all: WeakSet[Heartbeats] = WeakSet()
        self._beating = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, heartbeats: Heartbeats) -> None:
        """Records heartbeats for this application too, as long as the object is in use."""
        with self._lock:
            self._all.add(heartbeats)
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="rheo-heart", daemon=True)
                self._thread.start()
                # A Dagster run's process ends without `atexit`.
                Finalize(None, self._end, exitpriority=0)

    def _live(self) -> None:
        while not self._stop.wait(HEARTBEAT_EVERY):
            for heartbeats in self._present():
                with self._beating:
                    if self._stop.is_set():
                        return
                    try:
                        heartbeats.record()
                    except Exception as error:
                        _log.warning("this process could not say that it lives: %s", error)

    def _end(self) -> None:
        self._stop.set()
        with self._beating:  # none of them comes last
            pass
        for heartbeats in self._present():
            try:
                heartbeats.end()
            except Exception as error:
                _log.debug("this process could not say that it ends: %s", error)

    def _present(self) -> list[Heartbeats]:
        with self._lock:
            return list(self._all)


_OF_THIS_PROCESS: Final = HeartbeatThread()


class Heartbeats:
    """Which processes of one application are alive.

    One of this machine is asked of the system, and known to be dead at once. One of another machine is dead when it
    has been silent for `SILENCE` seconds, or when it has said that it ends.

    Args:
        storage: Where heartbeats are stored.
        prefix: Their URI prefix.
        owner: The process whose heartbeats are recorded; this one by default.
        thread: Records heartbeats for the owner.
        look_every: For how long an answer about another machine is kept, seconds.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        owner: Owner | None = None,
        thread: HeartbeatThread = _OF_THIS_PROCESS,
        look_every: float = _LOOK_EVERY,
    ) -> None:
        self.owner = owner or Owner.this_process()
        self._storage = storage
        self._prefix = prefix
        self.thread = thread
        self._look_every = look_every
        self._answers: dict[Owner, tuple[float, bool]] = {}
        self._is_silent = True

    def live_owner(self) -> Owner:
        """Returns this process, and records heartbeats for it from now on.

        Whoever writes down that it holds something asks here, as a process that never beat counts as dead.
        """
        if self._is_silent:
            self.record()
            self._is_silent = False
            self.thread.add(self)
        return self.owner

    def record(self) -> None:
        """Says that this process lives."""
        said = {"owner": self.owner.text(), "at": datetime.now(UTC).isoformat()}
        self._storage.write(self._uri(self.owner), json.dumps(said).encode())

    def end(self) -> None:
        """Says that this process ends."""
        self._storage.delete(self._uri(self.owner))

    def is_dead(self, owner: Owner) -> bool:
        """Returns whether a process is known to be gone."""
        if owner == self.owner:
            return False
        if owner.is_here:
            return owner.is_gone()
        asked, answer = self._answers.get(owner, (0.0, False))
        now = time.monotonic()
        if owner not in self._answers or now - asked >= self._look_every:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            answer = self._is_silent_since_long(owner)
            self._answers[owner] = now, answer
        return answer

    def clean(self) -> float:
        """Removes the heartbeats of processes that have been dead for long; returns the storage's time, roughly."""
        now = self._now()
        self._storage.expire(self._prefix, now - _KEPT)
        return now

    def _is_silent_since_long(self, owner: Owner) -> bool:
        try:
            now = self._now()  # read first: where this process sleeps between the two looks, the other one's is newer
        except PermissionError:
            now = None  # who may not write cannot take anything over
        last = self._storage.modified(self._uri(owner))
        if last is None:
            return True  # it has said that it ends, or its last beat was long ago
        return now is not None and now - last > SILENCE

    def _now(self) -> float:
        """Returns when this process beat last, by the storage's clock: less than it is now, if the process slept."""
        self.live_owner()
        while (now := self._storage.modified(self._uri(self.owner))) is None:
            self.record()  # it was taken for dead
        return now

    def _uri(self, owner: Owner) -> str:
        return f"{self._prefix}/{owner.text().replace('/', '_')}"
