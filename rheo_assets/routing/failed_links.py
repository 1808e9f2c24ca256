"""Warnings for events on which a link's function failed. The fault is in the function, so the events are kept."""

from __future__ import annotations

import logging
from functools import lru_cache

from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import Event

_log = logging.getLogger("rheo_assets")
_TOLD = 10
CORRECT = "Correct the function and activate() again, or reload the code location"


def warn_held(node: DataNode, event: Event, failure: str, count: int) -> None:
    """Warns about an event that is held back from a node; `count` is how many are held back now."""
    if count <= _TOLD:
        sources = {view.node.id: view.node for view in node.inputs.values()}
        what = sources[event.node].describe(event.partition)
        _warn(node, f"{failure}. The event of {what} is held back. {CORRECT}: then the event is routed again")
    elif count == _TOLD + 1:
        _warn(node, f"more than {_TOLD} events of node '{node.id}' are held back: app.pending({node.id!r}) lists them")


def warn_split(node: DataNode, failure: str) -> None:
    """Warns that an event and a group cannot be joined; both still wait."""
    _warn(node, f"{failure}. The event was not joined to the group. {CORRECT}, then report it again: app.process(view)")


@lru_cache(maxsize=4096)  # several drivers replay the same journal; one may replay it again after an interruption
def _warn(node: DataNode, text: str) -> None:
    _log.warning("application '%s': %s", node.application, text)
