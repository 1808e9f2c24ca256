"""Claims: of all drivers that see the same execution, one runs it.

A claim is an object that only one writer can create. It names its owner; when the owner is dead the next attempt is
another object, so that two drivers that bury the same owner cannot both take over.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from rheo_assets.platforms.capabilities import Storage
from rheo_assets.routing.snapshot import SEATS

MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from every other one even when its number is used again.

    Attributes:
        host: The machine's name and boot.
        pid: The process number.
        started: The process's start time in clock ticks after boot; empty where the system does not tell.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def this_process(cls) -> Owner:
        """Returns the running process."""
        return cls(_host(), os.getpid(), _started(os.getpid()))

    def is_dead(self) -> bool:
        """Returns whether the process is known to be gone; one on another machine is never known to be."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _started(self.pid) != self.started

    def text(self) -> str:
        """Returns the owner as one tag value."""
        return f"{self.host}:{self.pid}:{self.started}"

    @classmethod
    def of_text(cls, text: str) -> Owner:
        """Reads what `text` wrote."""
        host, pid, started = text.rsplit(":", 2)
        return cls(host, int(pid), started)


def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    mark = boot.read_text(encoding="ascii").strip()[:8] if boot.exists() else ""
    return f"{socket.gethostname()}/{mark}"


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return stat.rsplit(")", 1)[1].split()[19]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who runs an execution: the newest attempt."""

    attempt: int
    owner: Owner
    run_id: str


class Claims:
    """The claims of one application.

    Args:
        storage: Where they lie.
        prefix: The URI prefix of the claims.
        owner: Who claims; this process by default.
        is_dead: Tells whether an owner is known to be gone.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        owner: Owner | None = None,
        is_dead: Callable[[Owner], bool] = Owner.is_dead,
    ) -> None:
        self._is_dead = is_dead
        self._storage = storage
        self._prefix = prefix
        self.owner = owner or Owner.this_process()

    def _uri(self, execution_id: str, attempt: int) -> str:
        return f"{self._prefix}/{execution_id[:2]}/{execution_id}.{attempt}"

    def newest(self, execution_id: str) -> Claim | None:
        """Returns the newest attempt's claim."""
        found = None
        for attempt in range(MAX_ATTEMPTS):
            try:
                fields = json.loads(self._storage.read(self._uri(execution_id, attempt)))
            except FileNotFoundError:
                break
            found = Claim(attempt, Owner.of_text(fields["owner"]), fields["run_id"])
        return found

    def take(self, execution_id: str, run_id: str) -> bool:
        """Claims an execution for this process; False when another live process or a later attempt has it."""
        present = self.newest(execution_id)
        if present is not None and not self._is_dead(present.owner):
            return False
        attempt = 0 if present is None else present.attempt + 1
        if attempt >= MAX_ATTEMPTS:
            return False
        content = json.dumps({"owner": self.owner.text(), "run_id": run_id})
        return self._storage.create(self._uri(execution_id, attempt), content.encode())


@dataclass(eq=False)
class Seat:
    """A driver's own place for its routing state, for as long as this object and its process live."""

    number: int


_seats_here: WeakValueDictionary[str, Seat] = WeakValueDictionary()


class Seats:
    """The seats of one application's drivers. A seat is free when its owner is dead.

    Args:
        storage: Where they are claimed.
        prefix: The URI prefix of the claims.
        owner: Who takes one; this process by default.
        is_dead: Tells whether an owner is known to be gone.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        owner: Owner | None = None,
        is_dead: Callable[[Owner], bool] = Owner.is_dead,
    ) -> None:
        self._is_dead = is_dead
        self._storage = storage
        self._prefix = prefix
        self._owner = owner or Owner.this_process()

    def take(self) -> Seat | None:
        """Returns a free seat, None when all are taken."""
        for number in range(SEATS):
            here = f"{self._storage.location(self._prefix)}/{number}/{self._owner.text()}"
            seat = Seat(number)
            if _seats_here.setdefault(here, seat) is not seat:
                continue  # of another driver of this process
            if self._claim(number):
                return seat
            del _seats_here[here]
        return None

    def _claim(self, number: int) -> bool:
        prefix = f"{self._prefix}/{number}"
        attempts = sorted(int(name) for name in self._storage.children(prefix) if name.isdigit())
        if attempts:
            try:
                owner = Owner.of_text(self._storage.read(f"{prefix}/{attempts[-1]}").decode())
            except FileNotFoundError:
                return False  # somebody is just taking it
            if owner == self._owner:
                return True  # of a driver of this process that is gone
            if not self._is_dead(owner):
                return False
        mine = attempts[-1] + 1 if attempts else 0
        if not self._storage.create(f"{prefix}/{mine}", self._owner.text().encode()):
            return False
        for attempt in attempts:
            self._storage.delete(f"{prefix}/{attempt}")
        return True
