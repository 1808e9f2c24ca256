"""The source that declared an application last, so that two programs do not take turns replacing its nodes."""

from __future__ import annotations

import json
import logging

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.state.application_state import read_json
from rheo_assets.errors import KeyTaken, StateError, listed

_log = logging.getLogger("rheo_assets")


def check_author(binding: Binding, extends: bool) -> None:
    """Records that this process declares the application.

    The same source may declare it again at any time. Another source may replace its nodes, with a warning, if the
    process that declared them has ended or is this one. Otherwise it is refused.

    Args:
        binding: The application.
        extends: Whether it only adds to the record, or there is no readable record.

    Raises:
        KeyTaken: Another source declares this name, and its process is alive.
    """
    storage, uri = binding.platform.storage, f"{binding.home}/state/declared_by.json"
    mine = _sources(binding)
    owner, others = _last(binding, uri)
    is_other = bool(mine and others) and not extends and not set(mine) & set(others)
    if is_other and owner is not None and owner != binding.heartbeats.owner and not binding.heartbeats.is_dead(owner):
        raise KeyTaken(
            f"two programs declare the application '{binding.application}': {listed(others)} (running as process "
            f"{owner.pid} on {owner.host.partition('/')[0]}), and {listed(mine)} would replace its nodes. Rename one "
            "of the two applications. If the source file was only moved, end that process first"
        )
    if is_other:
        _log.warning(
            "%s replaces the nodes that %s declared for the application '%s'. If these are two applications, rename "
            "one of them",
            listed(mine),
            listed(others),
            binding.application,
        )
    note = {"owner": binding.heartbeats.live_owner().text(), "sources": sorted({*mine, *(others if extends else ())})}
    storage.write(uri, json.dumps(note, indent=1).encode())


def _last(binding: Binding, uri: str) -> tuple[Owner | None, list[str]]:
    try:
        note = read_json(binding.platform.storage, uri, "") or {}
        owner = Owner.of_text(note["owner"]) if "owner" in note else None
        return owner, [str(source) for source in note.get("sources", [])]
    except (StateError, ValueError, TypeError, AttributeError):
        return None, []  # without a readable note, nothing is checked


def _sources(binding: Binding) -> list[str]:
    """Returns the files in which this session declared nodes."""
    found = (getattr(node, "metadata", {}).get("_source") for node in binding.topology)
    return sorted({str(source[0]) for source in found if source})
