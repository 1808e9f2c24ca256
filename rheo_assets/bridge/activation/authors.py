"""Who declared an application last: two different programs must not declare one name in turns."""

from __future__ import annotations

import json
import logging

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.state.application_state import read_json
from rheo_assets.errors import KeyTaken, StateError, listed

_log = logging.getLogger("rheo_assets")


def check_author(binding: Binding, extends: bool) -> None:
    """Notes that this process declares the application now.

    The same source may declare it again, and so may anybody once the process that declared it has ended. Another
    source takes it over from itself or from a dead process with a warning, and from a live one not at all.

    Args:
        binding: The application.
        extends: Whether it only adds to what is recorded, or nothing readable is.

    Raises:
        KeyTaken: Another source declares this name, and its process is alive.
    """
    storage, uri = binding.platform.storage, f"{binding.home}/state/declared_by.json"
    mine = _sources(binding)
    owner, others = _last(binding, uri)
    is_other = bool(mine and others) and not extends and not set(mine) & set(others)
    if is_other and owner is not None and owner != binding.heartbeats.owner and not binding.heartbeats.is_dead(owner):
        raise KeyTaken(
            f"two programs declare the application '{binding.application}': {listed(others)} does in process "
            f"{owner.pid} on {owner.host.partition('/')[0]}, and {listed(mine)} would replace its nodes. Give one of "
            "them another name; if it is the same application that has moved, end that process first"
        )
    if is_other:
        _log.warning(
            "%s replaces the nodes that %s declared for the application '%s'. If they are two applications, give one "
            "of them another name",
            listed(mine),
            listed(others),
            binding.application,
        )
    said = {"owner": binding.heartbeats.live_owner().text(), "sources": sorted({*mine, *(others if extends else ())})}
    storage.write(uri, json.dumps(said, indent=1).encode())


def _last(binding: Binding, uri: str) -> tuple[Owner | None, list[str]]:
    try:
        said = read_json(binding.platform.storage, uri, "") or {}
        owner = Owner.of_text(said["owner"]) if "owner" in said else None
        return owner, [str(source) for source in said.get("sources", [])]
    except (StateError, ValueError, TypeError, AttributeError):
        return None, []  # a note for people: without it nothing is checked


def _sources(binding: Binding) -> list[str]:
    """Returns the files that this session declared in."""
    said = (getattr(node, "metadata", {}).get("_source") for node in binding.topology)
    return sorted({str(source[0]) for source in said if source})
