"""Emitted executions: those that the router has decided to run, as seen by a manual run."""

from __future__ import annotations

from functools import cached_property

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.errors import StateError
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.event_loop import EventLoop
from rheo_assets.routing.snapshot import Snapshot


class Emitted:
    """The executions of one node that the router has emitted and that have not ended, whether or not they have a run.

    It replays the log like a driver, from the latest saved state, and saves nothing.

    Args:
        binding: The application.
        node: The node.
        log: The instance's event log.
    """

    def __init__(self, binding: Binding, node: DataNode, log: EventLog) -> None:
        self._binding = binding
        self._node = node
        self._log = log

    def ids(self) -> dict[Partition, str]:
        """Returns the ids of the executions by partition, as the log is now."""
        loop = self._loop
        if loop is None or loop.is_new:
            return {}  # nothing was routed yet, or the state is damaged, which the drivers report
        loop.fold()
        state, application = loop.router.groups(self._node.id), self._binding.application
        ids = {partition: trigger.execution_id(application) for partition, trigger in state.in_flight.items()}
        return {partition: identity for partition, identity in ids.items() if identity not in state.checked}

    @cached_property
    def _loop(self) -> EventLoop | None:
        binding = self._binding
        journal = Journal(self._log, binding.topology, binding.since)
        snapshot = Snapshot(binding.topology, self._log, None)
        try:
            return EventLoop(binding.topology, journal, snapshot, lambda _key: False)
        except StateError:
            return None
