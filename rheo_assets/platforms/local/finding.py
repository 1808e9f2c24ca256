"""Finds objects some folders below a prefix, as sensors do repeatedly, with one `stat` per watched key."""
# ruff: noqa: PTH116  # `os` is far faster than `pathlib`

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

Found = tuple[tuple[str, ...], str]  # the parts of the path below the prefix, and the version
_Mark = tuple[int, int, int]
_Seen = dict[str, tuple[_Mark, Found]]
_FOLDERS = 50_000


class _Look(NamedTuple):
    """A search for one name in the subfolders of one folder."""

    folder: str
    descriptor: int
    name: str
    above: tuple[str, ...]
    seen: _Seen


class Finder:
    """Scans folders. An object that has not changed since an earlier scan is returned as the same tuple.

    So a scan of a million keys creates no strings for unchanged ones, and callers find changes by identity.

    Args:
        leaves: Returns whether a symbolic link leads outside the root; such a link is not an object.
    """

    def __init__(self, leaves: Callable[[str], bool]) -> None:
        self._leaves = leaves
        self._seen: dict[tuple[str, tuple[str, ...]], _Seen] = {}

    def find(self, folder: str, depth: int, names: Sequence[str] | None, above: tuple[str, ...] = ()) -> list[Found]:
        """Returns the objects exactly `depth` folders below a folder: those with the given names, or all."""
        if names is not None and depth == 0:
            return self._named(folder, names, above)
        if names is not None and depth == 1:
            return self._watched(folder, tuple(names), above)
        found = []
        for entry in self._listed(folder):
            if depth > 0 and entry.is_dir():
                found += self.find(entry.path, depth - 1, names, (*above, entry.name))
            elif depth == 0 and not entry.is_dir():
                found.append(((*above, entry.name), identity(entry.stat())))
        return found

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [entry for entry in listed if not (entry.is_symlink() and self._leaves(entry.path))]

    def _watched(self, folder: str, names: tuple[str, ...], above: tuple[str, ...]) -> list[Found]:
        """Returns the objects with the given names in the subfolders of one folder."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        seen, found = self._seen_in(folder, names), []
        try:
            with os.scandir(descriptor) as entries:
                listed = list(entries)
            for name in names:
                found += self._looked_at(_Look(folder, descriptor, name, above, seen), listed)
        finally:
            os.close(descriptor)
        if len(seen) > len(found):
            present = {"/".join(segments[-2:]) for segments, _ in found}
            self._seen[folder, names] = {key: last for key, last in seen.items() if key in present}
        return found

    def _looked_at(self, look: _Look, listed: Sequence[os.DirEntry[str]]) -> list[Found]:
        # Every statement counts here. A path relative to the descriptor is not resolved from the root for each key.
        status, get, descriptor, tail = os.stat, look.seen.get, look.descriptor, f"/{look.name}"
        found = []
        for entry in listed:
            key = entry.name + tail
            try:
                now = status(key, dir_fd=descriptor, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            mark = (now.st_mtime_ns, now.st_size, now.st_ino)
            last = get(key)
            if last is not None and last[0] == mark:
                found.append(last[1])
            elif (item := self._new(look, entry, now)) is not None:
                found.append(item)
                if not (entry.is_symlink() or stat.S_ISLNK(now.st_mode)):
                    look.seen[key] = (mark, item)
        return found

    def _seen_in(self, folder: str, names: tuple[str, ...]) -> _Seen:
        if len(self._seen) >= _FOLDERS:
            self._seen.clear()
        return self._seen.setdefault((folder, names), {})

    def _new(self, look: _Look, entry: os.DirEntry[str], now: os.stat_result) -> Found | None:
        """Returns a new or changed object; None if the path is not an object."""
        folder = f"{look.folder}/{entry.name}"
        if entry.name.startswith(".") or (entry.is_symlink() and self._leaves(folder)):
            return None
        version = self._followed(f"{folder}/{look.name}", now)
        return None if version is None else ((*look.above, entry.name, look.name), version)

    def _followed(self, path: str, now: os.stat_result) -> str | None:
        if stat.S_ISLNK(now.st_mode):
            if self._leaves(path):
                return None
            try:
                now = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return None if stat.S_ISDIR(now.st_mode) else identity(now)

    def _named(self, folder: str, names: Sequence[str], above: tuple[str, ...]) -> list[Found]:
        found = []
        for name in names:
            path = f"{folder}/{name}"
            try:
                version = self._followed(path, os.lstat(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            if version is not None:
                found.append(((*above, name), version))
        return found


def identity(found: os.stat_result) -> str:
    """Returns a file's version: it changes whenever the file is written or replaced."""
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"
