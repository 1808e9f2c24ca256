"""Replaces all content below a prefix: writes it to a hidden folder, and swaps the folders by renaming.

While a folder is being replaced, it has a hidden sibling:

    .writing-2024-03-01/<id>/new    the next content
    .writing-2024-03-01/<id>/old    the previous content, between the two renames of the swap

Each writer locks its `<id>`; the lock ends with its process. If a writer died, the next one restores the old content if
the swap was interrupted, and removes the rest.
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
        writer: The id of the execution that writes.
        explained: Adds the object and the remedy to an error of the disk.

    Attributes:
        uri: The URI to write the next content to.
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
        """Creates the empty folder to write to; restores or removes the folders of dead writers."""
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
        """Removes the folder if it was not published."""
        with _alone(self._shared):
            self._clear(self._own)
            os.close(self._lock)
            with contextlib.suppress(OSError):  # another writer uses it
                self._shared.rmdir()

    def publish(self, name: str, content: bytes) -> None:
        """Replaces the folder with the written one, including a last object that marks it as complete.

        Raises:
            OSError: The disk is full; the old content stays.
        """
        new, old = self._own / "new", self._own / "old"
        with self._explaining(), _alone(self._shared):
            new.mkdir(exist_ok=True)  # a function may have removed it if it wrote nothing
            (new / name).write_bytes(content)
            if os.path.lexists(self._target):
                self._target.rename(old)
            new.rename(self._target)

    def _clear_if_dead(self, other: Path) -> None:
        try:
            lock = os.open(other, os.O_RDONLY)
        except OSError:  # it was just removed
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
            (own / "old").rename(self._target)  # the swap was interrupted
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
    """Creates the folder and locks it against other writers for a moment."""
    while True:
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # it does not exist yet, or its last writer just removed it
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
