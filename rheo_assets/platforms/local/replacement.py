"""Replaces what lies below a prefix as a whole: written aside, swapped in by renames.

Beside the folder lies a hidden one for as long as it is being replaced:

    .writing-2024-03-01/<id>/new    the next content
    .writing-2024-03-01/<id>/old    the content before, between the two renames of the swap

Each writer holds a lock on its `<id>` that ends with its process, however that ends. Whoever comes next puts the old
content of a dead one back if the swap was cut in two, and removes the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

_LONGEST_NAME = 255  # bytes, on every common file system
_MARK = ".writing-"


class LocalReplacement:
    """The next content of one folder; see `Replacement`.

    Args:
        target: The folder that is replaced.
        uri: Its URI.
        writer: The identity of the execution that writes.
        explained: Makes an error of the disk say which object it is about and what to do.

    Attributes:
        uri: Where the next content is written.
    """

    def __init__(self, target: Path, uri: str, writer: str, explained: Callable[[OSError, str], OSError]) -> None:
        self._target = target
        self._target_uri = uri.rstrip("/")
        self._explained = explained
        self._shared = target.parent / _hidden(target.name)
        self._own = self._shared / f"{writer}.{uuid.uuid4().hex[:8]}"
        self._lock = -1
        parent = self._target_uri.rpartition("/")[0]
        self.uri = f"{parent}/{self._shared.name}/{self._own.name}/new"

    def __enter__(self) -> LocalReplacement:
        """Makes the empty folder to write in; what dead writers left is put back or removed."""
        with self._explaining(), _alone(self._shared):
            for other in self._shared.iterdir():
                self._clear_if_dead(other)
            self._own.mkdir()
            (self._own / "new").mkdir()
            self._lock = os.open(self._own, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not published."""
        with _alone(self._shared):
            self._clear(self._own)
            os.close(self._lock)
            with contextlib.suppress(OSError):  # somebody else writes
                self._shared.rmdir()

    def publish(self, name: str, content: bytes) -> None:
        """Puts what was written in the place of the folder, together with a last object that says it is whole.

        Raises:
            OSError: The disk is full; the old content stays.
        """
        new, old = self._own / "new", self._own / "old"
        with self._explaining(), _alone(self._shared):
            new.mkdir(exist_ok=True)  # a function that wrote nothing may have removed it
            (new / name).write_bytes(content)
            if os.path.lexists(self._target):
                self._target.rename(old)
            new.rename(self._target)

    def _clear_if_dead(self, other: Path) -> None:
        try:
            lock = os.open(other, os.O_RDONLY)
        except OSError:  # it has just gone
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._clear(other)
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def _clear(self, own: Path) -> None:
        if os.path.lexists(own / "old") and not os.path.lexists(self._target):
            (own / "old").rename(self._target)  # the swap was cut in two
        try:
            own.rmdir()
        except OSError:
            shutil.rmtree(own, ignore_errors=True)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explained(error, self._target_uri) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps the other writers out of it for a moment."""
    while True:
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # there is none yet, or its last writer has just removed it
            folder.mkdir(parents=True, exist_ok=True)
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, folder):
                yield
                return
        finally:
            os.close(lock)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _hidden(name: str) -> str:
    if len(os.fsencode(name)) + len(_MARK) <= _LONGEST_NAME:
        return f"{_MARK}{name}"
    return f"{_MARK}{hashlib.sha256(os.fsencode(name)).hexdigest()}"
