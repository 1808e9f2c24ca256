"""Keeps `s3://` objects as plain files: `s3://bucket/key` is `<root>/s3/bucket/key`."""
# ruff: noqa: PTH100, PTH112, PTH113, PTH114, PTH116, PTH119  # sensors stat every watched key: `os` is far faster than `pathlib`

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
from rheo_assets.runner.data_files import is_bookkeeping, is_hidden_folder

_KNOWN_FOLDERS = 4096
_log = logging.getLogger("rheo_assets")
_FULL = {errno.ENOSPC, errno.EDQUOT}


class LocalStorage:
    """Serves an object store from a directory tree that people and other programs may also read and write.

    Names that start with `.` (temporary files, `.crc` check sums) are not objects. Other bookkeeping (`_SUCCESS`,
    `x.tmp`) is objects but not data: `has_objects` does not count it.

    Example:
        >>> import tempfile
        >>> storage = LocalStorage(Path(tempfile.mkdtemp()))
        >>> storage.write("s3://lake/orders/NA/2024-01-01/_SUCCESS", b"")
        >>> list(storage.children("s3://lake/orders"))
        ['NA']

    Attributes:
        root: The root of the local platform; objects are below `<root>/s3`.
    """

    def __init__(self, root: Path, *, fsync: bool = False) -> None:
        self.root = Path(root).resolve()
        self._base = str(self.root / "s3")
        self._fsync = fsync
        self._folders_inside: set[str] = set()
        self._logged: set[str] = set()
        self._finder = Finder(self._leaves)

    def path(self, uri: str) -> Path:
        """Returns the path of the object or prefix.

        Raises:
            ValueError: The URI is not `s3://…`, or leads outside the root.
        """
        return Path(self._checked(uri))

    def uri(self, path: Path) -> str:
        """Returns the URI of a file or folder below the root: the inverse of `path`.

        Raises:
            ValueError: The path is not below the root.
        """
        try:
            key = Path(os.path.abspath(path)).relative_to(self._base).as_posix()
        except ValueError:
            raise ValueError(f"{str(path)!r} has no s3:// URI: it is not below {self._base!r}") from None
        if key == ".":
            raise ValueError(f"{str(path)!r} has no s3:// URI: it is the folder of all buckets")
        return f"s3://{key}"

    def version(self, uri: str) -> str | None:
        """Returns the version of the object's current content; None if the object does not exist."""
        path = self._seen(uri)
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(found.st_mode) else identity(found)

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written, by the clock of the disk; None if it does not exist."""
        try:
            found = os.stat(self._seen(uri))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(found.st_mode) else found.st_mtime

    def has_objects(self, uri: str) -> bool:
        """Returns whether any data object exists below the prefix; stops at the first one.

        Bookkeeping (`_SUCCESS`, `x.tmp`, `.crc`) does not count.
        """
        path = self._seen(uri)
        if os.path.isdir(path):
            return _any_data(path)
        return os.path.isfile(path) and not is_bookkeeping(os.path.basename(path))

    def children(self, uri: str) -> Iterator[str]:
        """Yields the names one level below the prefix, sorted: folders and objects."""
        for name, _ in self.entries(uri):
            yield name

    def entries(self, uri: str) -> Iterator[tuple[str, str | None]]:
        """Yields the names of `children`, each with its `version` (None for a folder), in one pass over the folder."""
        try:
            with os.scandir(self._seen(uri)) as listing:
                found = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda e: e.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            try:
                yield entry.name, None if entry.is_dir() else identity(entry.stat())
            except FileNotFoundError:  # deleted after the listing
                continue

    def find(
        self,
        prefix: str,
        depth: int,
        names: Sequence[str] | None,
        passes: Callable[[tuple[str, ...]], bool] | None = None,  # noqa: ARG002  # a look costs nothing here
    ) -> Iterator[Found]:
        """Returns (path segments below the prefix, version) of the objects exactly `depth` folders below it.

        An unchanged object is the same tuple as the last time, so that callers can compare identities.
        """
        return iter(self._finder.find(self._checked(prefix), depth, names))

    def read(self, uri: str) -> bytes:
        """Returns the object's content.

        Raises:
            FileNotFoundError: The object does not exist.
        """
        try:
            return Path(self._checked(uri)).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(errno.ENOENT, "there is no such object", uri) from None

    def write(self, uri: str, content: bytes, *, private: bool = False) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part.

        Args:
            uri: The object.
            content: The whole content.
            private: Whether only its owner may read it, from the first byte on.

        Raises:
            OSError: The disk is full, or the key is already a prefix, or the reverse. The old content stays.
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
        """Writes the object only if it does not exist; of several concurrent writers, exactly one gets True."""
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
        """Deletes the object, or everything below the prefix, if it exists.

        A prefix disappears at once: it is renamed, and deleted afterwards.
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
        """Deletes the objects directly below the prefix that were written before a time; temporary files, too."""
        try:
            with os.scandir(self._checked(uri)) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink(missing_ok=True)
        except FileNotFoundError:
            return

    def replacement(self, uri: str, writer: str) -> LocalReplacement:
        """Returns a context in which the next content of the prefix is written, hidden until it is published."""
        return LocalReplacement(Path(self._checked(uri)), uri, writer, self._explained)

    def location(self, uri: str) -> str:
        """Returns the path of the folder or file, for people to open."""
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
        # Watching a million keys must cost one `stat` each: a folder found inside the root is not resolved again.
        path = self._mapped(uri)
        folder = path.rpartition("/")[0]
        if folder not in self._folders_inside or os.path.islink(path):
            self._checked(uri)
            if len(self._folders_inside) >= _KNOWN_FOLDERS:
                self._folders_inside.clear()
            self._folders_inside.add(folder)
        return path

    def _leaves(self, link: str) -> bool:
        """Returns whether a symbolic link leads outside the root, so that it is not an object; logs it once."""
        real = os.path.realpath(link)
        if real.startswith(self._base + "/"):
            return False
        if link not in self._logged:
            self._logged.add(link)
            _log.warning("skipped %r: this symbolic link leads outside the storage root, to %r", link, real)
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
    """Removes a temporary file if it exists."""
    try:
        temporary.unlink(missing_ok=True)
    except NotADirectoryError:  # its folder was never created: a part of the key is an object
        return


def _any_data(folder: str) -> bool:
    """Returns whether a data file exists below the folder; files first, so that one listing is usually enough."""
    below = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    below += [] if is_hidden_folder(entry.name) else [entry.path]
                elif not is_bookkeeping(entry.name):
                    return True
    except FileNotFoundError:
        return False
    return any(_any_data(path) for path in below)


def _symlink(path: str) -> str:
    """Returns the first symbolic link in the path."""
    here = Path(path)
    return str(next((step for step in [*reversed(here.parents), here] if step.is_symlink()), here))
