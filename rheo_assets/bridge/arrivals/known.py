"""What is known to have arrived at one external dataset, kept between looks and between processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping

from rheo_assets.bridge.state.application_state import read_json
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage

_log = logging.getLogger("rheo_assets")
_VERSION = 1
_CHANGES = 32  # so many are read one by one before they are written together


class KnownArrivals:
    """The versions of a dataset's completion files, by their paths below it.

    `<node>.json` holds them all, and the number of the last change in it. Each later change is an object of its own,
    `<node>/<number>.json`, so that noticing one file among a million writes one line. A change is created, never
    overwritten: of two drivers the slower one reads what the other wrote, and does its own over.

    Args:
        storage: Where they lie.
        prefix: Their URI without `.json`.
        node_id: The dataset, for messages.

    Attributes:
        versions: What is known; None before the first look at the dataset.
    """

    def __init__(self, storage: Storage, prefix: str, node_id: str) -> None:
        self.versions: dict[str, str] | None = None
        self._storage = storage
        self._prefix = prefix
        self._node_id = node_id
        self._read: str | None = None
        self._compacted = self._number = 0

    def refresh(self) -> bool:
        """Reads what others have recorded; returns whether there was anything."""
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
        """Records all that lies there at the first look."""
        self._number = max(self._numbers(), default=0)
        self._write_whole(dict(versions))
        self.refresh()

    def change(self, versions: Mapping[str, str], gone: Iterable[str] = ()) -> bool:
        """Records new versions and files that are gone; false where another driver was faster: nothing is recorded.

        Written after the events, so that a crash repeats events and never loses one.
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
            f"It holds the completion files of '{self._node_id}' that are known. Put a copy back, or delete it: what "
            f"lies there then counts as known, and app.process(view) reports what arrived since the last look"
        )
        fields = read_json(self._storage, f"{self._prefix}.json", remedy, "known")
        if fields is not None:
            self.versions = dict(fields["known"])
            self._number = self._compacted = int(fields.get("changes", 0))

    def _read_changes(self) -> bool:
        """Reads the changes after the last one read; returns whether there was any."""
        first = self._number
        while True:
            uri = self._uri(self._number + 1)
            try:
                fields = read_json(self._storage, uri, "", "known")
            except StateError:
                # Nothing is lost: what it recorded is noticed again, and an arrival that is known is no new event.
                _log.warning("%s is damaged: what it recorded is looked for again", uri)
                fields = {"known": {}}
            if fields is None:
                return self._number > first
            self._take(fields["known"], fields.get("gone", ()))

    def _write_whole(self, versions: Mapping[str, str]) -> None:
        fields = {"version": _VERSION, "changes": self._number, "known": versions}
        self._storage.write(f"{self._prefix}.json", json.dumps(fields, separators=(",", ":")).encode())
        self._read = None  # another driver may have written, too: the next look reads who was last
        for number in self._numbers():
            if number <= self._number:
                self._storage.delete(self._uri(number))
