"""Arrivals: what changed in storage since the last look, as events."""

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
from rheo_assets.platforms.data.partition_folder import partition_folder
from rheo_assets.routing.trigger_group import Key

Found = tuple[tuple[str, ...], str]  # what storage finds: a path in parts, and a version
_log = logging.getLogger("rheo_assets")
_PAGE = 100  # so many arrivals are recorded before they count as known, and a look may end


class Watcher:
    """Looks at one external dataset.

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
        self._warned: set[str] = set()

    def remember(self) -> None:
        """Takes what lies there now as known: files present at the first activation are ready, but no events."""
        self._refresh()
        if self._known.versions is None:
            found = self._find()
            self._known.start({_path(item): item[1] for item in found})
            self._rounds.end((item[0][:-1] for item in found), (), is_done=True)

    def look(self, journal: Journal, is_enough: Callable[[], bool] = lambda: False, is_idle: bool = False) -> bool:
        """Records every arrival since the last look as an event, and takes note of files that are gone.

        Args:
            journal: Where they are recorded.
            is_enough: Asked after each page of arrivals whether the look is to end; the next one goes on.
            is_idle: Whether the look may pass over what hardly changes where looks cost money; see `Rounds`.

        Returns:
            Whether nothing is left for the next look.
        """
        self._refresh()
        if self._known.versions is None:
            self.remember()
            return True
        found = self._find(is_idle)
        changed = self._differences(found, self._known.versions)
        self._found = None  # whatever ends this look, the next one compares with everything that lies there
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
                return False  # another driver was faster: the next look repeats this page, which identities allow
        return True

    def gone(self) -> list[Key]:
        """Returns the partitions whose completion files are gone, until `forget_gone`: a turn has to record them."""
        partitions = [partition for path in sorted(self._gone) if (partition := self._partition(path)) is not None]
        return [(self.node.id, p) for p in dict.fromkeys(partitions) if not self._readiness.is_ready(self.node, p)]

    def forget_gone(self) -> None:
        """Takes what `gone` has told as known, once a turn has recorded it; until then a crash repeats it."""
        if self._gone and self._known.change({}, self._gone):
            self._gone.clear()

    def _refresh(self) -> None:
        if self._known.refresh():
            self._found = None  # what others have recorded is compared with everything that lies there

    def _find(self, is_idle: bool = False) -> list[Found]:
        layout = self.node.layout
        names = self.node.protocol.files if self.node.protocol is not None else None
        self._rounds.begin(is_whole=not is_idle)
        return list(self._storage.find(layout.root, layout.depth(self.node.spec), names, self._rounds.passes))

    def _differences(self, found: Sequence[Found], known: Mapping[str, str]) -> dict[str, str]:
        """Returns the new versions by path, and keeps which known files are not found any more."""
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
        return partition if self.node.filter.admits(self.node.spec, partition) else None

    def _warn(self, path: str, why: str) -> None:
        if path not in self._warned:
            self._warned.add(path)
            _log.warning("%s/%s of '%s' is not routed: %s", self.node.layout.root, path, self.node.id, why)

    def _record(self, journal: Journal, path: str, version: str) -> None:
        partition = self._partition(path)
        if partition is None:
            return
        uri = f"{self.node.layout.root}/{path}"
        folder = uri.rsplit("/", 1)[0]
        read = partition_folder(self._storage, self.node, partition)
        if read != folder:  # a dimension that folds values has both
            self._warn(path, f"{read} is the same partition, and is the one that is read: keep one of the two folders")
            return
        metadata = {
            "dagster/uri": folder,
            "location": dg.MetadataValue.path(self._storage.location(folder)),
            "announced by": uri,
        }
        journal.arrived(self.node.id, partition, f"{uri}@{version}", metadata)


def _without_same(found: Sequence[Found], last: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Returns what is only in one of two looks, by identity: storage may return what has not changed as it is.

    What is equal and not the same is in both; a storage that makes each look anew is compared by value afterwards.
    """
    start = min(_same(found, last), len(found), len(last))
    end = min(_same(reversed(found), reversed(last)), min(len(found), len(last)) - start)
    came, went = found[start : len(found) - end], last[start : len(last) - end]
    here, there = set(map(id, came)), set(map(id, went))
    return [item for item in came if id(item) not in there], [item for item in went if id(item) not in here]


def _same(found: Iterable[Found], last: Iterable[Found]) -> int:
    """Returns how many are the same from the start on, up to the shorter one's end."""
    unlike = compress(count(), map(is_not, found, last))
    return next(unlike, sys.maxsize)


def _path(found: Found) -> str:
    return "/".join(found[0])


def _folder(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])
