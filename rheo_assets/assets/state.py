"""The application's own small state beside its data: readable JSON, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rheo_assets.assets.binding import Binding
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Platform, Storage

STATE_VERSION = 1


def declaration_uri(platform: Platform, application: str) -> str:
    """Returns where an application's declaration is recorded."""
    return f"s3://{platform.bucket(application)}/state/declaration.json"


def read_json(storage: Storage, uri: str) -> dict[str, Any] | None:
    """Returns a recorded JSON object, None when there is none.

    Raises:
        StateError: It is not readable.
    """
    try:
        content = storage.read(uri)
    except FileNotFoundError:
        return None
    try:
        fields = json.loads(content)
    except ValueError:
        raise StateError(f"{uri} is not readable JSON. Activate the application again from its source") from None
    if not isinstance(fields, dict):
        raise StateError(f"{uri} holds no JSON object. Activate the application again from its source")
    return fields


class ApplicationState:
    """What an application remembers besides its declaration.

    Args:
        binding: The application.
    """

    def __init__(self, binding: Binding) -> None:
        self._storage = binding.platform.storage
        self._uri = f"{binding.home}/state/application.json"
        self._arrivals = f"{binding.home}/state/arrivals"

    def fields(self) -> dict[str, Any]:
        """Returns `activated` (epoch seconds of each node's first activation), `paused` and `since`."""
        found = read_json(self._storage, self._uri) or {"version": STATE_VERSION, "activated": {}, "paused": False}
        if found.get("version") != STATE_VERSION:
            raise StateError(f"{self._uri} has version {found.get('version')}; this library reads {STATE_VERSION}")
        return found

    def change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Changes the fields and writes them if they are different."""
        fields = self.fields()
        before = json.dumps(fields, sort_keys=True)
        change(fields)
        if json.dumps(fields, sort_keys=True) != before:
            self._storage.write(self._uri, json.dumps(fields, indent=1).encode())
        return fields

    def first_activation(self, node_id: str) -> datetime | None:
        """Returns when a node was first activated."""
        at = self.fields()["activated"].get(node_id)
        return None if at is None else datetime.fromtimestamp(at, UTC)

    # what has been seen to arrive -----------------------------------------------------------------------------

    def known_arrivals(self, node_id: str) -> dict[str, str] | None:
        """Returns the known versions of completion files by path below the dataset; None before the first look."""
        fields = read_json(self._storage, f"{self._arrivals}/{node_id}.json")
        return None if fields is None else dict(fields["known"])

    def arrivals_version(self, node_id: str) -> str | None:
        """Returns the version of the recorded arrivals, so that a driver reads them again only when they changed."""
        return self._storage.version(f"{self._arrivals}/{node_id}.json")

    def know_arrivals(self, node_id: str, known: Mapping[str, str]) -> None:
        """Records the known versions. Written after the events, so that a crash repeats events and never loses one."""
        content = json.dumps({"version": STATE_VERSION, "known": dict(known)}, separators=(",", ":"))
        self._storage.write(f"{self._arrivals}/{node_id}.json", content.encode())
