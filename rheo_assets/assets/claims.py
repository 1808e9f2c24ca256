"""Claims and seats: of all drivers that see the same execution, one runs it; each saves in a place of its own.

Either is an object that only one writer can create. It names its owner; when the owner is dead the next attempt is
another object, so that two drivers that bury the same owner cannot both take over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.routing.snapshot import SEATS

MAX_ATTEMPTS: Final = 5
SEAT_KEPT_EVERY: Final = 60.0
SEAT_EXPIRY: Final = 900.0


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
class Held:
    """Who has something: the newest attempt at it.

    Attributes:
        attempt: Its number, from 0.
        owner: The process.
        fields: What the process noted besides.
    """

    attempt: int
    owner: Owner
    fields: Mapping[str, Any]


class Attempts:
    """Objects that only one writer can create, numbered: the newest says who has a thing.

    Args:
        storage: Where they lie.
        prefix: Their URI prefix.
        owner: Who takes; this process by default.
        is_dead: Tells whether an owner is known to be gone.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        owner: Owner | None = None,
        is_dead: Callable[[Owner], bool] = Owner.is_dead,
    ) -> None:
        self._storage = storage
        self._prefix = prefix
        self._is_dead = is_dead
        self.owner = owner or Owner.this_process()

    def _read(self, uri: str, attempt: int) -> Held | None:
        try:
            fields = json.loads(self._storage.read(uri))
            return Held(attempt, Owner.of_text(fields["owner"]), fields)
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise StateError(f"{uri} is damaged: it does not say who made it. Delete it: then nobody did") from None

    def _text(self, **fields: Any) -> bytes:
        return json.dumps({"owner": self.owner.text(), **fields}).encode()


class Claims(Attempts):
    """The claims of one application's executions. A dead owner's is taken over with the next attempt."""

    def _uri(self, execution_id: str, attempt: int) -> str:
        return f"{self._prefix}/{execution_id[:2]}/{execution_id}.{attempt}"

    def newest(self, execution_id: str) -> Held | None:
        """Returns the newest attempt's claim."""
        found = None
        for attempt in range(MAX_ATTEMPTS):
            later = self._read(self._uri(execution_id, attempt), attempt)
            if later is None:
                break
            found = later
        return found

    def is_held(self, execution_id: str) -> bool:
        """Returns whether a process that is not known to be dead has claimed an execution."""
        found = self.newest(execution_id)
        return found is not None and not self._is_dead(found.owner)

    def take(self, execution_id: str, run_id: str) -> bool:
        """Claims an execution for this process; False when another live process or a later attempt has it."""
        present = self.newest(execution_id)
        if present is not None and not self._is_dead(present.owner):
            return False
        attempt = 0 if present is None else present.attempt + 1
        if attempt >= MAX_ATTEMPTS:
            return False
        return self._storage.create(self._uri(execution_id, attempt), self._text(run_id=run_id))


@dataclass(eq=False)
class Seat:
    """A driver's own place for its routing state, for as long as this object lives and is kept.

    Attributes:
        number: Which one.
        attempt: The number of the object that says so.
        kept: When the driver last said that it lives, epoch seconds.
    """

    number: int
    attempt: int = 0
    kept: float = 0.0


_seats_here: WeakValueDictionary[str, Seat] = WeakValueDictionary()


class Seats(Attempts):
    """The seats of one application's drivers.

    A seat is free when its owner is dead. Of an owner on another machine that is not known: its seat is free when it
    has not been kept for `SEAT_EXPIRY` seconds, by the clock of whoever looks.

    Args:
        storage: Where they lie.
        prefix: Their URI prefix.
        owner: Who takes; this process by default.
        is_dead: Tells whether an owner is known to be gone.
        clock: Tells the time, epoch seconds.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        owner: Owner | None = None,
        is_dead: Callable[[Owner], bool] = Owner.is_dead,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(storage, prefix, owner, is_dead)
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

    def keep(self, seat: Seat) -> bool:
        """Says once a minute that the driver lives; returns whether the seat is still its own."""
        if self._clock() - seat.kept < SEAT_KEPT_EVERY:
            return True
        if max(self._numbers(seat), default=-1) != seat.attempt:
            return False  # it was silent for too long, and somebody else sits there
        self._storage.write(f"{self._folder(seat)}/{seat.attempt}", self._sitting(seat))
        return True

    def _folder(self, seat: Seat) -> str:
        return f"{self._prefix}/{seat.number}"

    def _numbers(self, seat: Seat) -> list[int]:
        return [int(name) for name in self._storage.children(self._folder(seat)) if name.isdigit()]

    def _sitting(self, seat: Seat) -> bytes:
        seat.kept = self._clock()
        return self._text(at=seat.kept)

    def _claim(self, seat: Seat) -> bool:
        attempts = self._numbers(seat)
        newest = max(attempts, default=-1)
        if attempts and not self._is_free(f"{self._folder(seat)}/{newest}", newest):
            return False
        seat.attempt = newest + 1
        if not self._storage.create(f"{self._folder(seat)}/{seat.attempt}", self._sitting(seat)):
            return False
        for attempt in attempts:
            self._storage.delete(f"{self._folder(seat)}/{attempt}")
        return True

    def _is_free(self, uri: str, attempt: int) -> bool:
        try:
            held = self._read(uri, attempt)
            if held is None:
                return False  # somebody is just taking it
            silent = self._clock() - float(held.fields["at"])
        except (StateError, ValueError, LookupError, TypeError):
            return True  # nobody can say that it is theirs
        if held.owner == self.owner or self._is_dead(held.owner):
            return True  # of a dead driver, or of one of this process that is gone
        return held.owner.host != self.owner.host and silent > SEAT_EXPIRY
