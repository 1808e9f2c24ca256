"""Owners: processes, with an identity that no other process of any machine or container ever has."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. Its identity differs from every other one, also if the process number is reused.

    Attributes:
        host: The machine's name for people, its boot id and the process's PID namespace. Two containers of one machine
            have two namespaces, also if they have the same name.
        pid: The process number.
        started: The process's start time in clock ticks after boot; empty if the system does not provide it.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def this_process(cls) -> Owner:
        """Returns the running process."""
        return _of_process(os.getpid())

    @property
    def is_here(self) -> bool:
        """Whether the process is in the PID namespace of this one."""
        place = _place()
        return self.host.partition("/")[2] == place if place else self.host == socket.gethostname()

    def is_gone(self) -> bool:
        """Returns whether the process is known to be dead. False for one elsewhere: see `Heartbeats`."""
        if not self.is_here:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _started(self.pid) != self.started

    def text(self) -> str:
        """Returns the owner as a tag value."""
        return f"{self.host}:{self.pid}:{self.started}"

    @classmethod
    def of_text(cls, text: str) -> Owner:
        """Reads what `text` wrote."""
        host, pid, started = text.rsplit(":", 2)
        return cls(host, int(pid), started)


@cache  # the machine may be renamed while the process runs
def _of_process(pid: int) -> Owner:
    place = _place()
    return Owner("/".join([socket.gethostname(), *([place] if place else [])]), pid, _started(pid))


@cache
def _place() -> str:
    """Returns the boot id of this machine and the PID namespace; empty if the system has neither."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        mark = boot.read_text(encoding="ascii").strip().replace("-", "")[:16]
        return f"{mark}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return stat.rsplit(")", 1)[1].split()[19]
