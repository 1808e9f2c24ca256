"""The application's own small state beside its data: readable JSON, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Platform, Storage

STATE_VERSION = 1
_REPAIR = (
    "It holds when nodes were first activated. Put a copy back, or delete it and activate again: timers then count "
    "from now"
)


def declaration_uri(platform: Platform, application: str) -> str:
    """Returns where an application's declaration is recorded."""
    return f"s3://{platform.bucket(application)}/state/declaration.json"


def read_json(storage: Storage, uri: str, remedy: str, *required: str) -> dict[str, Any] | None:
    """Returns a recorded JSON object, None when there is none.

    Args:
        storage: Where it lies.
        uri: The object.
        remedy: What to do about one that is damaged, for the message.
        *required: Fields whose values are JSON objects and without which it is damaged, too.

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
        raise StateError(f"{uri} is damaged: it is not readable JSON. {remedy}") from None
    if not isinstance(fields, dict):
        raise StateError(f"{uri} is damaged: it holds no JSON object. {remedy}")
    for name in required:
        if not isinstance(fields.get(name), dict):
            raise StateError(f"{uri} is damaged: it has no {name!r}. {remedy}")
    return fields


class ApplicationState:
    """What an application remembers besides its declaration.

    Args:
        storage: Where it lies.
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
        """Changes the fields and writes them if they are different."""
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
        """Records whether it is: an object of its own, which no activation at the same moment can overwrite."""
        if is_paused:
            self._storage.write(self._paused, b"")
        else:
            self._storage.delete(self._paused)

    def first_activation(self, node_id: str) -> datetime | None:
        """Returns when a node was first activated."""
        at = self.fields()["activated"].get(node_id)
        return None if at is None else datetime.fromtimestamp(at, UTC)
