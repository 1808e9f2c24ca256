"""Messages for events on which a link's function failed. The events are kept, because the function is at fault."""

from __future__ import annotations

import logging
from functools import lru_cache

from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import Event

_log = logging.getLogger("rheo_assets")
_TOLD = 10
CORRECT = "Correct the function and activate() again, or reload the code location"


def warn_held(node: DataNode, event: Event, failure: str, count: int) -> None:
    """Warns of an event that is held back from a node, the `count`-th of those that are."""
    if count <= _TOLD:
        sources = {view.node.id: view.node for view in node.inputs.values()}
        what = sources[event.node].describe(event.partition)
        _warn(node, f"{failure}. The event of {what} is held back. {CORRECT}: it is offered again then")
    elif count == _TOLD + 1:
        _warn(node, f"more than {_TOLD} events of node '{node.id}' are held back: app.pending({node.id!r}) lists them")


def warn_split(node: DataNode, failure: str) -> None:
    """Warns that an event and a group, each of which goes on waiting, cannot be joined."""
    _warn(node, f"{failure}. What has come is not joined. {CORRECT}, then report it again: app.process(view)")


@lru_cache(maxsize=4096)  # several drivers fold the same journal, and one does so again after an interruption
def _warn(node: DataNode, text: str) -> None:
    _log.warning("application '%s': %s", node.application, text)
