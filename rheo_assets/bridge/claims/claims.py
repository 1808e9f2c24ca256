"""Claims: of all drivers that see an execution, one runs it.

A claim is an object that only one writer can create. It names its owner. If the owner is dead, the next attempt is
another object, so that two drivers that find the same owner dead cannot both take over.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.bridge.claims.heartbeats import Heartbeats
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.errors import StateError
from rheo_assets.platforms.capabilities import Storage

MAX_ATTEMPTS: Final = 5
_KEPT: Final = 60 * 86400.0
_FOLDERS: Final = 256
_CHANCE: Final = random.Random()  # the generator of the module belongs to the user, who may have seeded it

_log = logging.getLogger("rheo_assets")
_NOBODY: Final = Owner("nobody", 0, "")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt and the process that owns it.

    Attributes:
        attempt: The number of the attempt, from 0.
        owner: The process.
        fields: All recorded fields, including the owner.
    """

    attempt: int
    owner: Owner
    fields: Mapping[str, Any]


class Attempts:
    """Numbered objects that only one writer can create: the newest one names the owner.

    Args:
        storage: Where the objects are stored.
        prefix: Their URI prefix.
        heartbeats: The process that takes, and which other processes are dead.
    """

    def __init__(self, storage: Storage, prefix: str, heartbeats: Heartbeats) -> None:
        self._storage = storage
        self._prefix = prefix
        self._heartbeats = heartbeats
        self.owner = heartbeats.owner

    def _read(self, uri: str, attempt: int) -> Attempt | None:
        try:
            fields = json.loads(self._storage.read(uri))
            return Attempt(attempt, Owner.of_text(fields["owner"]), fields)
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise StateError(f"{uri} is damaged: it does not name its owner") from None

    def _text(self, **fields: Any) -> bytes:
        return json.dumps({"owner": self._heartbeats.live_owner().text(), **fields}).encode()


class Claims(Attempts):
    """The claims of one application's executions. If an owner is dead, the next attempt takes over."""

    def _uri(self, execution_id: str, attempt: int) -> str:
        return f"{self._prefix}/{execution_id[:2]}/{execution_id}.{attempt}"

    def newest(self, execution_id: str) -> Attempt | None:
        """Returns the newest claim of an execution; None if there is none."""
        found = None
        for attempt in range(MAX_ATTEMPTS):
            later = self._claim(execution_id, attempt)
            if later is None:
                break
            found = later
        return found

    def _claim(self, execution_id: str, attempt: int) -> Attempt | None:
        try:
            return self._read(self._uri(execution_id, attempt), attempt)
        except StateError as error:
            # Claims are created whole. A power failure damaged this one, and its owner did not survive that.
            _log.warning("%s. It counts as the claim of a dead process", error)
            return Attempt(attempt, _NOBODY, {"run_id": ""})

    def is_held(self, execution_id: str) -> bool:
        """Returns whether a process that is not known to be dead runs an execution."""
        found = self.newest(execution_id)
        return found is not None and not self.is_over(execution_id, found)

    def is_over(self, execution_id: str, claim: Attempt) -> bool:
        """Returns whether the owner of a claim no longer runs the execution."""
        if claim.owner == self.owner:
            return not self._heartbeats.thread.holds(self._key(execution_id))
        return self._heartbeats.is_dead(claim.owner)

    def take(self, execution_id: str, run_id: str) -> bool:
        """Claims an execution for this process; False if another live process or thread has it, or no try is left."""
        present = self.newest(execution_id)
        if present is not None and not self.is_over(execution_id, present):
            return False
        attempt = 0 if present is None else present.attempt + 1
        if attempt >= MAX_ATTEMPTS:
            return False
        if not self._heartbeats.thread.hold(self._key(execution_id)):
            return False  # another thread runs it
        is_ours = False
        try:
            is_ours = self._storage.create(self._uri(execution_id, attempt), self._text(run_id=run_id))
        finally:
            if not is_ours:
                self.release(execution_id)
        return is_ours

    def release(self, execution_id: str) -> None:
        """Releases an execution. If no end of it is recorded, it can be claimed again."""
        self._heartbeats.thread.drop(self._key(execution_id))

    def is_superseded(self, execution_id: str) -> bool:
        """Returns whether another process took over an execution, because this one seemed dead."""
        found = self.newest(execution_id)
        return found is not None and found.owner != self.owner

    def clean(self, now: float) -> None:
        """Removes old claims from one folder chosen at random.

        Args:
            now: The storage's time, epoch seconds.
        """
        self._storage.expire(f"{self._prefix}/{_CHANCE.randrange(_FOLDERS):02x}", now - _KEPT)

    def _key(self, execution_id: str) -> str:
        return f"{self._storage.location(self._prefix)}/{execution_id}"
