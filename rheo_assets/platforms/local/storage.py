"""Keeps `s3://` objects as plain files: `s3://bucket/key` is `<root>/s3/bucket/key`."""
# ruff: noqa: PTH100, PTH112, PTH113, PTH114, PTH116  # sensors stat every watched key: `os` is far faster than `pathlib`

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rheo_assets.model.uris import bucket_and_key, object_path
from rheo_assets.platforms.local.finding import Finder, Found, identity
from rheo_assets.platforms.local.replacement import LocalReplacement

_KNOWN_FOLDERS = 4096
_log = logging.getLogger("rheo_assets")
_FULL = {errno.ENOSPC, errno.EDQUOT}


class LocalStorage:
    """Serves an object store from a directory tree that people and other programs may also read and write.

    Names that start with `.` (temporary files, `.crc` check sums) are not objects. Names that start with `_`
    (`_SUCCESS`, `_temporary`) are objects but not data: `has_objects` does not count them.

    Example:
        >>> import tempfile
        >>> storage = LocalStorage(Path(tempfile.mkdtemp()))
        >>> storage.write("s3://lake/orders/NA/2024-01-01/_SUCCESS", b"")
        >>> list(storage.children("s3://lake/orders"))
        ['NA']

    Attributes:
        root: The folder that holds everything of the local platform; objects lie below `<root>/s3`.
    """

    def __init__(self, root: Path, *, fsync: bool = False) -> None:
        self.root = Path(root).resolve()
        self._base = str(self.root / "s3")
        self._fsync = fsync
        self._folders_inside: set[str] = set()
        self._told: set[str] = set()
        self._finder = Finder(self._leaves)

    def path(self, uri: str) -> Path:
        """Returns where the object or prefix lies.

        Raises:
            ValueError: The URI is not `s3://…`, or it would lead outside the root.
        """
        return Path(self._checked(uri))

    def uri(self, path: Path) -> str:
        """Returns the URI of a file or folder below the root: the inverse of `path`.

        Raises:
            ValueError: The path lies elsewhere.
        """
        try:
            key = Path(os.path.abspath(path)).relative_to(self._base).as_posix()
        except ValueError:
            raise ValueError(f"{str(path)!r} has no s3:// URI: it does not lie below {self._base!r}") from None
        if key == ".":
            raise ValueError(f"{str(path)!r} has no s3:// URI: it is the folder of all buckets")
        return f"s3://{key}"

    def version(self, uri: str) -> str | None:
        """Returns the identity of the object's present content, or None when there is no such object."""
        path = self._seen(uri)
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(found.st_mode) else identity(found)

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written by the clock of the disk; None when there is none."""
        try:
            found = os.stat(self._seen(uri))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(found.st_mode) else found.st_mtime

    def has_objects(self, uri: str) -> bool:
        """Returns whether any data object lies below the prefix; stops at the first one.

        Hidden files (`.crc`, …) and markers that start with `_` (`_SUCCESS`) do not count.
        """
        path = self._seen(uri)
        return _any_data(path) if os.path.isdir(path) else os.path.isfile(path)

    def children(self, uri: str) -> Iterator[str]:
        """Yields the names one level below the prefix, sorted: folders and objects."""
        for name, _ in self.entries(uri):
            yield name

    def entries(self, uri: str) -> Iterator[tuple[str, str | None]]:
        """Yields what `children` yields, each with its `version` (None for a folder), from one pass over the folder."""
        try:
            with os.scandir(self._seen(uri)) as listing:
                found = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda e: e.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            try:
                yield entry.name, None if entry.is_dir() else identity(entry.stat())
            except FileNotFoundError:  # deleted between the listing and the look at it
                continue

    def find(
        self,
        prefix: str,
        depth: int,
        names: Sequence[str] | None,
        passes: Callable[[tuple[str, ...]], bool] | None = None,  # noqa: ARG002  # a look costs nothing here
    ) -> Iterator[Found]:
        """Returns (path segments below the prefix, version) of the objects exactly `depth` folders below it.

        An object that has not changed is the very same tuple as the last time: whoever looks again compares identities.
        """
        return iter(self._finder.find(self._checked(prefix), depth, names))

    def read(self, uri: str) -> bytes:
        """Returns the object's content.

        Raises:
            FileNotFoundError: There is no such object.
        """
        try:
            return Path(self._checked(uri)).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(errno.ENOENT, "there is no object", uri) from None

    def write(self, uri: str, content: bytes, *, private: bool = False) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part.

        Args:
            uri: The object.
            content: All of it.
            private: Whether only its owner may read it, from the first byte on.

        Raises:
            OSError: The disk is full, or the key is taken by a prefix (or the other way round); the old content stays.
        """
        path = Path(self._checked(uri))
        bucket_and_key(uri, needs_key=True)
        temporary = path.parent / f".tmp-{uuid.uuid4().hex}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb", opener=_open_private if private else None) as file:  # the opener
                file.write(content)
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException as error:
            _discard(temporary)
            if isinstance(error, OSError):
                raise self._explained(error, uri) from error
            raise

    def create(self, uri: str, content: bytes) -> bool:
        """Writes the object only if there is none; of several writers at once exactly one gets True."""
        path = Path(self._checked(uri))
        temporary = path.parent / f".tmp-{uuid.uuid4().hex}"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._explained(error, uri) from error
        finally:
            _discard(temporary)
        return True

    def delete(self, uri: str) -> None:
        """Deletes the object, or everything below the prefix; nothing there is no error.

        A prefix disappears at once (it is renamed aside) and is cleared afterwards.
        """
        path = Path(self._checked(uri))
        try:
            path.unlink()
        except IsADirectoryError:
            aside = path.parent / f".trash-{uuid.uuid4().hex}"
            path.rename(aside)
            shutil.rmtree(aside)
        except (FileNotFoundError, NotADirectoryError):
            return

    def expire(self, uri: str, before: float) -> None:
        """Deletes the objects right below the prefix that were written before a time; temporary files, too."""
        try:
            with os.scandir(self._checked(uri)) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink(missing_ok=True)
        except FileNotFoundError:
            return

    def replacement(self, uri: str, writer: str) -> LocalReplacement:
        """Returns a context in which the next content of the prefix is written aside, until it is published."""
        return LocalReplacement(Path(self._checked(uri)), uri, writer, self._explained)

    def location(self, uri: str) -> str:
        """Returns what a person opens: the folder or file itself."""
        return self._checked(uri)

    def _mapped(self, uri: str) -> str:
        return f"{self._base}/{object_path(uri)}"

    def _checked(self, uri: str) -> str:
        path = self._mapped(uri)
        real = os.path.realpath(path)
        if not real.startswith(self._base + "/"):
            raise ValueError(
                f"{uri!r} leads outside the storage root: {_symlink(path)!r} is a symbolic link to {real!r}"
            )
        return path

    def _seen(self, uri: str) -> str:
        # Watching a million keys must cost one `stat` each: a folder found to be inside is not resolved again.
        path = self._mapped(uri)
        folder = path.rpartition("/")[0]
        if folder not in self._folders_inside or os.path.islink(path):
            self._checked(uri)
            if len(self._folders_inside) >= _KNOWN_FOLDERS:
                self._folders_inside.clear()
            self._folders_inside.add(folder)
        return path

    def _leaves(self, link: str) -> bool:
        """Returns whether a symbolic link leads outside the root: then it is no object, and people are told once."""
        real = os.path.realpath(link)
        if real.startswith(self._base + "/"):
            return False
        if link not in self._told:
            self._told.add(link)
            _log.warning("%r is not read: it is a symbolic link that leads outside the storage root, to %r", link, real)
        return True

    def _explained(self, error: OSError, uri: str) -> OSError:
        if error.errno in _FULL:
            text = f"the disk under {str(self.root)!r} is full; {uri!r} keeps its old content: "
            return OSError(error.errno, text + "free some space and run again")
        if isinstance(error, (NotADirectoryError, FileExistsError)):
            return type(error)(error.errno, f"{uri!r} cannot be written: a part of its key is already an object")
        if isinstance(error, IsADirectoryError):
            return type(error)(error.errno, f"{uri!r} cannot be written: it is already a prefix with objects below it")
        return error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _discard(temporary: Path) -> None:
    """Removes a temporary file if it came to be."""
    try:
        temporary.unlink(missing_ok=True)
    except NotADirectoryError:  # its folder never came to be: a part of the key is an object
        return


def _any_data(folder: str) -> bool:
    """Returns whether a data file lies below the folder, files first so that the common case is one listing."""
    below = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.name.startswith(".") or (entry.name.startswith("_") and "=" not in entry.name):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    return True
                below.append(entry.path)
    except FileNotFoundError:
        return False
    return any(_any_data(path) for path in below)


def _symlink(path: str) -> str:
    """Returns the first symbolic link on the way to the path."""
    here = Path(path)
    return str(next((step for step in [*reversed(here.parents), here] if step.is_symlink()), here))
