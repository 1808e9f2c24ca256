"""The event loop: one turn notices what happened, routes it, and says what is to be run.

Scripts, notebooks and the daemon's router sensor drive the very same turns. Whatever a turn asks for stays in the
outbox until it has ended, so a driver that dies at any point loses nothing; claims see to it that nothing runs twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from threading import RLock

import dagster as dg

from rheo_assets.assets.arrivals import Watcher
from rheo_assets.assets.binding import Binding
from rheo_assets.assets.claims import MAX_ATTEMPTS, Seats
from rheo_assets.assets.instance import EventLog
from rheo_assets.assets.journal import Journal
from rheo_assets.assets.state import ApplicationState
from rheo_assets.assets.ticks import record_ticks
from rheo_assets.executions import Execution, Status
from rheo_assets.routing.groups import Key
from rheo_assets.routing.journal import Trigger
from rheo_assets.routing.loop import Loop
from rheo_assets.routing.router import Router
from rheo_assets.routing.snapshot import Snapshot


class Driver:
    """Turns of one application's event loop against one Dagster instance.

    Args:
        binding: The application.
        instance: The instance.
    """

    def __init__(self, binding: Binding, instance: dg.DagsterInstance) -> None:
        self.binding = binding
        self.instance = instance
        self.log = EventLog(instance)
        self.journal = Journal(self.log, binding.topology, binding.since)
        self.state = ApplicationState(binding)
        self.lock = RLock()
        self._watchers = {
            node.id: Watcher(binding, self.state, node) for node in binding.topology.external_data.values()
        }
        self._gone: list[Key] = []
        self.started: dict[str, float] = {}
        self.seat = Seats(binding.platform.storage, f"{binding.home}/drivers").take()
        number = self.seat.number if self.seat is not None else None
        self.loop = Loop(binding.topology, self.journal, Snapshot(binding.topology, self.log, number), self._is_ready)

    @property
    def router(self) -> Router:
        """The fold of everything that has been taken in."""
        return self.loop.router

    # turns ----------------------------------------------------------------------------------------------------

    def give_up(self, trigger: Trigger) -> None:
        """Ends an execution whose every attempt died with its process."""
        node = self.binding.topology.data_nodes[trigger.node]
        execution = Execution(
            trigger.execution_id(self.binding.application),
            node.id,
            node.spec.render(trigger.partition),
            str(Status.FAILED),
            error=f"given up: {MAX_ATTEMPTS} processes died while they ran it",
            ended=datetime.now(UTC),
        )
        self.journal.failed(execution, trigger.partition)

    def activate(self, now: datetime) -> None:
        """Marks every node as activated; what lies in storage now is known and no event."""
        with self.lock:
            known = self.state.fields()["activated"]
            for watcher in self._watchers.values():
                if watcher.node.id not in known:
                    watcher.remember()

            def mark(fields: dict[str, dict[str, float]]) -> None:
                for node in self.binding.topology:
                    fields["activated"].setdefault(node.id, now.timestamp())

            self.state.change(mark)
            if self.loop.is_new:
                # Nothing of this application was routed before: older events are no events of ours.
                self.loop.start_at(self.log.last_position())
                self.loop.is_new = False

    def notice(self, now: datetime, nodes: Iterable[str] | None = None) -> None:
        """Records arrivals and ticks as events."""
        with self.lock:
            wanted = set(nodes) if nodes is not None else None
            for watcher in self._watchers.values():
                if wanted is None or watcher.node.id in wanted:
                    self._gone += watcher.look(self.journal)
            for timer in self.binding.topology.timers.values():
                if wanted is None or timer.id in wanted:
                    record_ticks(timer, self.journal, self.state, now)

    def turn(self, now: datetime | None = None) -> list[Trigger]:
        """Folds what is recorded, looks for what is waited for, closes the turn, and returns the outbox."""
        moment = (now or datetime.now(UTC)).timestamp()
        with self.lock:
            gone, self._gone = self._gone, []
            return self.loop.turn(moment, gone)

    def fold(self) -> None:
        """Takes in every entry that has been recorded since."""
        with self.lock:
            self.loop.fold()

    def _is_ready(self, key: Key) -> bool:
        node_id, partition = key
        return node_id in self.binding.topology and self.binding.readiness.is_ready(
            self.binding.topology[node_id], partition
        )
