"""Arrivals that an execution has read before a scan found them: they trigger nothing more.

Files land, `execute` reads them, and a later scan finds that they arrived. Their readers have nothing new to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rheo_assets.bridge.execution.execution import Request, completed
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import View
from rheo_assets.platforms.data.staleness import Staleness

if TYPE_CHECKING:
    from rheo_assets.bridge.loop.driver import Driver

_FILE, _NEW = "s3://", ("injected:", "tick:")


def is_arrival(identities: Iterable[str]) -> bool:
    """Returns whether these events are arrivals of files, and none was injected by hand or scheduled by a timer."""
    known = list(identities)
    return any(identity.startswith(_FILE) for identity in known) and not any(i.startswith(_NEW) for i in known)


def skip_if_read(driver: Driver, node: DataNode, request: Request) -> bool:
    """Ends an execution that would read the same as the last one of its partition; returns whether it did.

    Args:
        driver: The driver that is about to start it.
        node: The node.
        request: The execution.
    """
    if not request.is_arrival:
        return False
    last = completed(node, request.partition, driver.binding.platform)
    if last is None or last.id == request.id:  # it succeeded and its process died: it is recorded as a success
        return False
    if last.status != Status.COMPLETED or not _has_read(node, request, last):
        return False
    if Staleness(driver.binding.readiness).newer(node, last):
        return False
    driver.journal.skipped(node.id, request.partition, request.id, last.id)
    return True


def _has_read(node: DataNode, request: Request, last: Execution) -> bool:
    """Returns whether an execution read the same partitions, each of them complete."""
    for alias, view in node.inputs.items():
        if not isinstance(view.node, DataNode | ExternalData):
            continue
        versions = last.versions.get(alias)
        if last.inputs.get(alias) != _read_now(view, alias, request) or not versions or not all(versions):
            return False
    return True


def _read_now(view: View, alias: str, request: Request) -> list[tuple[str, ...]]:
    chosen = request.nearest.get(alias)
    partitions = view.partitions(request.tips[alias]) if chosen is None else (chosen,)
    return [view.node.spec.render(partition) for partition in partitions]
