"""Heartbeats: they show whether a process on another machine or in another container is alive.

A process that drives or runs an application writes one small object once a minute. To tell whether a process of another
machine is dead, a process compares the dates of two objects: the other's last heartbeat, and its own. The storage dated
both, so that two clocks are never compared.
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
    """The work that a process has in progress: the executions that it runs and the plans that it executes."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changing = threading.Lock()

    def holds(self, name: str) -> bool:
        """Returns whether a thread of the process works on something."""
        return name in self._held

    def hold(self, name: str) -> bool:
        """Marks that a thread works on something; False if another thread already does."""
        with self._changing:
            is_first = name not in self._held
            self._held.add(name)
            return is_first

    def drop(self, name: str) -> None:
        """Marks that no thread works on something any longer."""
        with self._changing:
            self._held.discard(name)


class HeartbeatThread(WorkInProgress):
    """The thread that records the heartbeats of a process, in each application that it drives or runs."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._all: WeakSet[Heartbeats] = WeakSet()
        self._beating = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, heartbeats: Heartbeats) -> None:
        """Records heartbeats for this application, too, as long as the object is in use."""
        with self._lock:
            self._all.add(heartbeats)
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="rheo-heart", daemon=True)
                self._thread.start()
                # `atexit` hooks do not run in the process of a Dagster run.
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
                        _log.warning("could not record the heartbeat of this process: %s", error)

    def _end(self) -> None:
        self._stop.set()
        with self._beating:  # so that no heartbeat follows the end
            pass
        for heartbeats in self._present():
            try:
                heartbeats.end()
            except Exception as error:
                _log.debug("could not remove the heartbeat of this process: %s", error)

    def _present(self) -> list[Heartbeats]:
        with self._lock:
            return list(self._all)


_OF_THIS_PROCESS: Final = HeartbeatThread()


class Heartbeats:
    """The live processes of one application.

    The operating system tells whether a process of this machine is dead. A process of another machine is dead if its
    last heartbeat is older than `SILENCE` seconds, or if it removed its heartbeat when it ended.

    Args:
        storage: Where heartbeats are stored.
        prefix: Their URI prefix.
        owner: The process whose heartbeats are recorded; this one by default.
        thread: Records heartbeats for the owner.
        look_every: How long an answer about another machine is cached, seconds.
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

        Everything that a process holds is recorded under this owner, as a process without heartbeats counts as dead.
        """
        if self._is_silent:
            self.record()
            self._is_silent = False
            self.thread.add(self)
        return self.owner

    def record(self) -> None:
        """Records a heartbeat of this process."""
        heartbeat = {"owner": self.owner.text(), "at": datetime.now(UTC).isoformat()}
        self._storage.write(self._uri(self.owner), json.dumps(heartbeat).encode())

    def end(self) -> None:
        """Removes the heartbeat of this process, as it ends."""
        self._storage.delete(self._uri(self.owner))

    def is_dead(self, owner: Owner) -> bool:
        """Returns whether a process is known to be dead."""
        if owner == self.owner:
            return False
        if owner.is_here:
            return owner.is_gone()
        checked, answer = self._answers.get(owner, (0.0, False))
        now = time.monotonic()
        if owner not in self._answers or now - checked >= self._look_every:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            answer = self._is_silent_since_long(owner)
            self._answers[owner] = now, answer
        return answer

    def clean(self) -> float:
        """Removes the heartbeats of processes that died long ago; returns the approximate time of the storage."""
        now = self._now()
        self._storage.expire(self._prefix, now - _KEPT)
        return now

    def _is_silent_since_long(self, owner: Owner) -> bool:
        try:
            now = self._now()  # read first: if this process sleeps in between, the other heartbeat is newer
        except PermissionError:
            now = None  # without write permission, this process cannot take anything over
        last = self._storage.modified(self._uri(owner))
        if last is None:
            return True  # it removed its heartbeat, or died long ago
        return now is not None and now - last > SILENCE

    def _now(self) -> float:
        """Returns the time of this process's last heartbeat by the storage's clock; long ago if the process slept."""
        self.live_owner()
        while (now := self._storage.modified(self._uri(self.owner))) is None:
            self.record()  # another process took this one for dead and removed it
        return now

    def _uri(self, owner: Owner) -> str:
        return f"{self._prefix}/{owner.text().replace('/', '_')}"
