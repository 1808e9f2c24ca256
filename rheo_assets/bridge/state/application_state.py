"""The small state of an application next to its data: readable JSON, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Platform, Storage

STATE_VERSION = 1
_REPAIR = (
    "It records when nodes were first activated. Restore a copy, or delete it and activate again: timers then start now"
)


def declaration_uri(platform: Platform, application: str) -> str:
    """Returns the URI of an application's recorded declaration."""
    return f"s3://{platform.bucket(application)}/state/declaration.json"


def read_json(storage: Storage, uri: str, remedy: str, *required: str) -> dict[str, Any] | None:
    """Returns a recorded JSON object; None if it does not exist.

    Args:
        storage: The store of the object.
        uri: The object.
        remedy: What to do if it is damaged, for the message.
        *required: Fields that must exist. Their values are JSON objects.

    Raises:
        StateError: The object is damaged.
    """
    try:
        content = storage.read(uri)
    except FileNotFoundError:
        return None
    try:
        fields = json.loads(content)
    except ValueError:
        raise StateError(f"{uri} is damaged: it is not readable JSON. {remedy}") from None
    if not isinstance(fields, dict):
        raise StateError(f"{uri} is damaged: it is not a JSON object. {remedy}")
    for name in required:
        if not isinstance(fields.get(name), dict):
            raise StateError(f"{uri} is damaged: {name!r} is missing. {remedy}")
    return fields


class ApplicationState:
    """The state of an application besides its declaration.

    Args:
        storage: Where it is stored.
        home: The URI prefix of the application's own state.
    """

    def __init__(self, storage: Storage, home: str) -> None:
        self._storage = storage
        self._uri = f"{home}/state/application.json"
        self._paused = f"{home}/state/paused"

    def fields(self) -> dict[str, Any]:
        """Returns `activated`: epoch seconds of each node's first activation."""
        found = read_json(self._storage, self._uri, _REPAIR, "activated")
        if found is None:
            return {"version": STATE_VERSION, "activated": {}}
        if found.get("version") != STATE_VERSION:
            raise StateError(
                f"{self._uri} has version {found.get('version')!r}; this rheo-assets reads {STATE_VERSION}. "
                "Use the version that wrote it"
            )
        return found

    def change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Applies `change` to the fields, and writes them if they differ."""
        fields = self.fields()
        before = json.dumps(fields, sort_keys=True)
        change(fields)
        if json.dumps(fields, sort_keys=True) != before:
            self._storage.write(self._uri, json.dumps(fields, indent=1).encode())
        return fields

    def is_paused(self) -> bool:
        """Returns whether the application is paused."""
        return self._storage.version(self._paused) is not None

    def pause(self, is_paused: bool) -> None:
        """Pauses or resumes. The state is a separate object, which a concurrent activation cannot overwrite."""
        if is_paused:
            self._storage.write(self._paused, b"")
        else:
            self._storage.delete(self._paused)

    def first_activation(self, node_id: str) -> datetime | None:
        """Returns when a node was first activated; None if it never was."""
        at = self.fields()["activated"].get(node_id)
        return None if at is None else datetime.fromtimestamp(at, UTC)
