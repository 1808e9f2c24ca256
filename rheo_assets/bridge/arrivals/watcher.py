"""Arrivals: changes in storage since the last scan, as events."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, count
from operator import is_not

import dagster as dg

from rheo_assets.bridge.arrivals.known import KnownArrivals
from rheo_assets.bridge.arrivals.rounds import Rounds
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import ExternalData
from rheo_assets.platforms.data.partition_folder import Found, announcements, partition_folder
from rheo_assets.routing.trigger_group import Key

_log = logging.getLogger("rheo_assets")
_PAGE = 100  # so many arrivals are recorded before they are saved as known, and a scan may stop


class Watcher:
    """Detects the arrivals of one external dataset.

    Args:
        binding: The application.
        node: The dataset.
        clock: Seconds, for idle looks.
    """

    def __init__(self, binding: Binding, node: ExternalData, clock: Callable[[], float] = time.monotonic) -> None:
        self.node = node
        self._storage = binding.platform.storage
        self._readiness = binding.readiness
        self._known = KnownArrivals(self._storage, f"{binding.home}/state/arrivals/{node.id}", node.id)
        self._rounds = Rounds(node.layout, node.spec, clock)
        self._found: Sequence[Found] | None = None
        self._gone: set[str] = set()
        self._unrouted: set[Key] = set()
        self._warned: set[str] = set()

    def remember(self) -> None:
        """Records all present files as known: files present at the first activation are ready, but are no events."""
        self._refresh()
        if self._known.versions is None:
            found = self._find()
            self._known.start({_path(item): item[1] for item in found})
            self._rounds.end((item[0][:-1] for item in found), (), is_done=True)

    def look(self, journal: Journal, is_enough: Callable[[], bool] = lambda: False, is_idle: bool = False) -> bool:
        """Records every arrival since the last scan as an event, and remembers deleted files.

        Args:
            journal: Where arrivals are recorded.
            is_enough: Called after each page of arrivals. If it returns true, the scan stops; the next one continues.
            is_idle: Whether the scan may skip what hardly changes if requests cost money; see `Rounds`.

        Returns:
            Whether nothing is left for the next scan.
        """
        self._refresh()
        if self._known.versions is None:
            self.remember()
            return True
        found = self._find(is_idle)
        changed = self._differences(found, self._known.versions)
        self._found = None  # if this scan is interrupted, the next one compares all files
        is_done = self._record_all(journal, changed, is_enough)
        self._rounds.end((item[0][:-1] for item in found), map(_folder, changed), is_done)
        if is_done and not self._rounds.has_passed:
            self._found = found
        return is_done

    def _record_all(self, journal: Journal, changed: Mapping[str, str], is_enough: Callable[[], bool]) -> bool:
        """Records arrivals by pages; returns whether all are recorded."""
        paths = sorted(changed)
        for start in range(0, len(paths), _PAGE):
            if start and is_enough():
                return False
            page = {path: changed[path] for path in paths[start : start + _PAGE]}
            for path, version in page.items():
                self._record(journal, path, version)
            if not self._known.change(page):
                return False  # another driver was faster: the next scan repeats this page, with the same identities
        return True

    def gone(self) -> list[Key]:
        """Returns the partitions whose completion files were deleted, until `forget_gone` is called."""
        partitions = [partition for path in sorted(self._gone) if (partition := self._partition(path)) is not None]
        return [(self.node.id, p) for p in dict.fromkeys(partitions) if not self._readiness.is_ready(self.node, p)]

    def take_unrouted(self) -> set[Key]:
        """Returns the partitions that have arrived outside of the filter since the last call: no events, but ready.

        A range that starts at a pinned value may wait for them.
        """
        unrouted, self._unrouted = self._unrouted, set()
        return unrouted

    def forget_gone(self) -> None:
        """Forgets the deleted files, once a turn has recorded them. After a crash before that, they are found again."""
        if self._gone and self._known.change({}, self._gone):
            self._gone.clear()

    def _refresh(self) -> None:
        if self._known.refresh():
            self._found = None  # other processes recorded something: compare all files

    def _find(self, is_idle: bool = False) -> list[Found]:
        self._rounds.begin(is_whole=not is_idle)
        return list(announcements(self._storage, self.node, self._rounds.passes if is_idle else None))

    def _differences(self, found: Sequence[Found], known: Mapping[str, str]) -> dict[str, str]:
        """Returns the new versions by path, and remembers which known files are no longer found."""
        if self._found is None or self._rounds.has_passed:
            fresh = {_path(item): item[1] for item in found}
            missing = known.keys() - fresh.keys()
            self._gone = {path for path in missing if path in self._gone or not self._rounds.passed(_folder(path))}
        else:
            came, went = _without_same(found, self._found)
            fresh = {_path(item): item[1] for item in came}
            self._gone = (self._gone | ({_path(item) for item in went} & known.keys())) - fresh.keys()
        return {path: version for path, version in fresh.items() if known.get(path) != version}

    def _partition(self, path: str) -> Partition | None:
        try:
            partition = self.node.layout.parse(self.node.spec, _folder(path))
        except InvalidValue as error:
            self._warn(path, str(error))
            return None
        return partition

    def _warn(self, path: str, why: str) -> None:
        if path not in self._warned:
            self._warned.add(path)
            _log.warning("%s/%s of '%s' is not routed: %s", self.node.layout.root, path, self.node.id, why)

    def _record(self, journal: Journal, path: str, version: str) -> None:
        partition = self._partition(path)
        if partition is None:
            return
        if not self.node.filter.admits(self.node.spec, partition):
            self._unrouted.add((self.node.id, partition))
            return
        uri = f"{self.node.layout.root}/{path}"
        folder = uri.rsplit("/", 1)[0]
        read = partition_folder(self._storage, self.node, partition)
        if read != folder:  # possible if a dimension folds values
            self._warn(path, f"{read} holds the same partition and is read instead. Keep only one of the two folders")
            return
        metadata = {
            "dagster/uri": folder,
            "location": dg.MetadataValue.path(self._storage.location(folder)),
            "announced by": uri,
        }
        journal.arrived(self.node.id, partition, f"{uri}@{version}", metadata)


def _without_same(found: Sequence[Found], last: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Returns what only one of two scans found, by identity: storage returns unchanged objects as the same tuples.

    Equal tuples that are not identical are in both results; the caller compares those by value.
    """
    start = min(_same(found, last), len(found), len(last))
    end = min(_same(reversed(found), reversed(last)), min(len(found), len(last)) - start)
    came, went = found[start : len(found) - end], last[start : len(last) - end]
    here, there = set(map(id, came)), set(map(id, went))
    return [item for item in came if id(item) not in there], [item for item in went if id(item) not in here]


def _same(found: Iterable[Found], last: Iterable[Found]) -> int:
    """Returns the number of identical items at the start; `sys.maxsize` if no item differs."""
    unlike = compress(count(), map(is_not, found, last))
    return next(unlike, sys.maxsize)


def _path(found: Found) -> str:
    return "/".join(found[0])


def _folder(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])
