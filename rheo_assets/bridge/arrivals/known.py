"""The known arrivals of one external dataset, stored for the next scan and for other processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping

from rheo_assets.bridge.state.application_state import read_json
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage

_log = logging.getLogger("rheo_assets")
_VERSION = 1
_CHANGES = 32  # so many are kept as single objects before they are compacted


class KnownArrivals:
    """The versions of a dataset's completion files, by path below the dataset's root.

    `<node>.json` holds all versions, and the number of the last change in it. Each later change is a separate object,
    `<node>/<number>.json`, so that one new file among a million writes one line. A change is created, never
    overwritten: of two drivers, the slower one reads what the other wrote, and repeats its own change.

    Args:
        storage: Where they are stored.
        prefix: Their URI without `.json`.
        node_id: The dataset, for messages.

    Attributes:
        versions: The known versions; None before the first scan of the dataset.
    """

    def __init__(self, storage: Storage, prefix: str, node_id: str) -> None:
        self.versions: dict[str, str] | None = None
        self._storage = storage
        self._prefix = prefix
        self._node_id = node_id
        self._read: str | None = None
        self._compacted = self._number = 0

    def refresh(self) -> bool:
        """Reads what other processes recorded; returns whether there was anything new."""
        written = self._storage.version(f"{self._prefix}.json")
        if written is not None and written == self._read:
            return self._read_changes()
        while written is not None:
            self._read_whole()
            self._read_changes()
            self._read, written = written, self._storage.version(f"{self._prefix}.json")
            if written == self._read:
                return True
        self.versions = self._read = None
        return True

    def start(self, versions: Mapping[str, str]) -> None:
        """Records all files that exist at the first scan."""
        self._number = max(self._numbers(), default=0)
        self._write_whole(dict(versions))
        self.refresh()

    def change(self, versions: Mapping[str, str], gone: Iterable[str] = ()) -> bool:
        """Records new versions and deleted files. False if another driver was faster: then nothing is recorded.

        It is written after the events, so that a crash repeats events and never loses one.
        """
        assert self.versions is not None
        missing = list(gone)
        content = json.dumps({"version": _VERSION, "known": dict(versions), "gone": missing})
        if not self._storage.create(self._uri(self._number + 1), content.encode()):
            return False
        self._take(versions, missing)
        if self._number - self._compacted >= _CHANGES:
            self._write_whole(self.versions)
        return True

    def _take(self, versions: Mapping[str, str], gone: Iterable[str]) -> None:
        assert self.versions is not None
        self.versions.update(versions)
        for path in gone:
            self.versions.pop(path, None)
        self._number += 1

    def _uri(self, number: int) -> str:
        return f"{self._prefix}/{number}.json"

    def _numbers(self) -> list[int]:
        stems = (name.removesuffix(".json") for name in self._storage.children(self._prefix))
        return [int(stem) for stem in stems if stem.isdigit()]

    def _read_whole(self) -> None:
        remedy = (
            f"It lists the known completion files of '{self._node_id}'. Restore a copy, or delete it: all files that "
            f"exist then count as known. For those that arrived since the last scan, call app.process(view)"
        )
        fields = read_json(self._storage, f"{self._prefix}.json", remedy, "known")
        if fields is not None:
            self.versions = dict(fields["known"])
            self._number = self._compacted = int(fields.get("changes", 0))

    def _read_changes(self) -> bool:
        """Reads the changes after the last one read; returns whether there were any."""
        first = self._number
        while True:
            uri = self._uri(self._number + 1)
            try:
                fields = read_json(self._storage, uri, "", "known")
            except StateError:
                # Nothing is lost: its arrivals are found again, and repeated events are ignored.
                _log.warning("%s is damaged: the next scan finds its arrivals again", uri)
                fields = {"known": {}}
            if fields is None:
                return self._number > first
            self._take(fields["known"], fields.get("gone", ()))

    def _write_whole(self, versions: Mapping[str, str]) -> None:
        fields = {"version": _VERSION, "changes": self._number, "known": versions}
        self._storage.write(f"{self._prefix}.json", json.dumps(fields, separators=(",", ":")).encode())
        self._read = None  # another driver may have written, too: the next scan reads the last version
        for number in self._numbers():
            if number <= self._number:
                self._storage.delete(self._uri(number))
