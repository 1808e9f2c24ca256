"""Arrivals: what changed in storage since the last look, as events."""

from __future__ import annotations

import logging

import dagster as dg

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.journal import Journal
from rheo_assets.assets.state import ApplicationState
from rheo_assets.dimensions import Partition
from rheo_assets.errors import InvalidValue
from rheo_assets.nodes import ExternalData
from rheo_assets.routing.groups import Key

_log = logging.getLogger("rheo_assets")


class Watcher:
    """Looks at one external dataset.

    Args:
        binding: The application.
        state: Its remembered arrivals.
        node: The dataset.
    """

    def __init__(self, binding: Binding, state: ApplicationState, node: ExternalData) -> None:
        self.node = node
        self._storage = binding.platform.storage
        self._readiness = binding.readiness
        self._state = state
        self._known: dict[str, str] | None = None
        self._read_version: str | None = None
        self._warned: set[str] = set()

    def remember(self) -> None:
        """Takes what lies there now as known: files present at the first activation are ready, but no events."""
        if self._load() is None:
            self._state.know_arrivals(self.node.id, self._found())

    def look(self, journal: Journal) -> list[Key]:
        """Records every arrival since the last look as an event; returns partitions that are no longer complete."""
        known = self._load()
        if known is None:
            self.remember()
            return []
        found = self._found()
        if found == known:
            return []
        for path, version in found.items():
            if known.get(path) != version:
                self._record(journal, path, version)
        gone = self._gone([path for path in known if path not in found])
        self._state.know_arrivals(self.node.id, found)
        # Where another driver wrote in between, the next look repeats what it saw: identities make that harmless.
        self._known, self._read_version = found, self._state.arrivals_version(self.node.id)
        return gone

    def _load(self) -> dict[str, str] | None:
        version = self._state.arrivals_version(self.node.id)
        if version is None or version != self._read_version:
            self._known = self._state.known_arrivals(self.node.id)
            self._read_version = version
        return self._known

    def _found(self) -> dict[str, str]:
        layout = self.node.layout
        names = self.node.protocol.files if self.node.protocol is not None else None
        found = self._storage.find(layout.root, len(layout.segments), names)
        return {"/".join(segments): version for segments, version in found}

    def _partition(self, path: str) -> Partition | None:
        segments = tuple(path.split("/")[:-1])
        try:
            partition = self.node.layout.parse(self.node.spec, segments)
        except InvalidValue as error:
            if path not in self._warned:
                self._warned.add(path)
                _log.warning("%s/%s of '%s' is not routed: %s", self.node.layout.root, path, self.node.id, error)
            return None
        return partition if self.node.filter.admits(self.node.spec, partition) else None

    def _record(self, journal: Journal, path: str, version: str) -> None:
        partition = self._partition(path)
        if partition is None:
            return
        uri = f"{self.node.layout.root}/{path}"
        folder = uri.rsplit("/", 1)[0]
        metadata = {
            "dagster/uri": folder,
            "location": dg.MetadataValue.path(self._storage.location(folder)),
            "announced by": uri,
        }
        journal.arrived(self.node.id, partition, f"{uri}@{version}", metadata)

    def _gone(self, paths: list[str]) -> list[Key]:
        partitions = [partition for path in paths if (partition := self._partition(path)) is not None]
        return [(self.node.id, p) for p in dict.fromkeys(partitions) if not self._readiness.is_ready(self.node, p)]
