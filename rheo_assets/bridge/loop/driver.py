"""The driver of the event loop: one turn reads new events, routes them, and returns the executions to run.

Scripts, notebooks and the daemon's router sensor drive the same turns. An execution stays in the outbox until it has
ended, so that a driver that dies at any point loses nothing. Claims ensure that nothing runs twice.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import RLock
from typing import TypeVar

import dagster as dg

from rheo_assets.bridge.arrivals.timers import record_ticks
from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.snapshot_slots import SLOT_CHECKED_EVERY, SnapshotSlots
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.loop.recovery import Recovery
from rheo_assets.bridge.loop.unresolved import Unresolved
from rheo_assets.bridge.state.application_state import ApplicationState
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import Trigger
from rheo_assets.routing.event_loop import EventLoop, Superseded
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.router import Router
from rheo_assets.routing.snapshot import Snapshot
from rheo_assets.routing.trigger_group import Key

_log = logging.getLogger("rheo_assets")
_CLEANED_EVERY = 3600.0
T = TypeVar("T")


class Driver:
    """Turns of one application's event loop against one Dagster instance.

    Args:
        binding: The application.
        instance: The instance.
        on_redeclared: Called when this driver has switched to another declaration.

    Attributes:
        binding: The application, with the declaration that this driver uses.
        unresolved: What the router cannot decide by itself.
    """

    def __init__(
        self, binding: Binding, instance: dg.DagsterInstance, on_redeclared: Callable[[], None] = lambda: None
    ) -> None:
        self.binding = binding
        self._on_redeclared = on_redeclared
        self.instance = instance
        self.log = EventLog(instance)
        self.state = ApplicationState(binding.platform.storage, binding.home)
        self.lock = RLock()
        self.recovery = Recovery(self)
        self.requested: dict[str, tuple[int, int, float]] = {}
        self._unfinished: set[str] = set()
        self._cleaned = -math.inf
        self._is_torn = False
        self.unresolved = Unresolved(self)
        self._watch()
        self._slots = SnapshotSlots(binding.platform.storage, f"{binding.home}/snapshot_slots", binding.heartbeats)
        self._take_slot()

    def _take_slot(self) -> None:
        """Takes a free slot, if there is one, and loads its state."""
        self.slot = self._slots.take()
        self._slot_checked = time.monotonic()
        self._load()

    def _watch(self) -> None:
        datasets = self.binding.topology.external_data.values()
        self._watchers = {node.id: Watcher(self.binding, node) for node in datasets}

    def _load(self) -> None:
        """Starts from the latest state that a driver has saved."""
        topology = self.binding.topology
        number = self.slot.number if self.slot is not None else None
        self.journal = Journal(self.log, topology, self.binding.since)
        snapshot = Snapshot(topology, self.log, number)
        self.loop = EventLoop(
            topology, self.journal, snapshot, self._is_ready, self.unresolved.resolve, self.binding.is_current
        )

    def _has_slot(self) -> bool:
        """Whether the driver still owns its slot. Without a slot: whether it is too early to try again."""
        if self.slot is not None:
            return self._slots.keeps(self.slot)
        return time.monotonic() - self._slot_checked < SLOT_CHECKED_EVERY

    @property
    def router(self) -> Router:
        """The routing state after all entries read so far."""
        return self.loop.router

    def groups_of(self, node: DataNode) -> NodeGroups | None:
        """Returns a node's routing state; None if it is no longer declared. The caller holds the lock."""
        return self.router.groups(node.id) if node.id in self.binding.topology.data_nodes else None

    # which declaration ----------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Switches to the recorded declaration, if another one was recorded.

        Raises:
            StateError: The record cannot be read.
        """
        with self.lock:
            if self.binding.is_current():
                return
            recorded = self.binding.as_recorded()
            if changes := recorded.changes_since(self.binding):
                _log.warning(
                    "another session activated '%s' (%s). This session now uses the new version",
                    recorded.application,
                    changes,
                )
            self.bind(recorded)
            self.activate(datetime.now(UTC))  # the process that recorded it may have died before it marked the nodes

    def bind(self, binding: Binding) -> None:
        """Switches to another declaration of the application."""
        with self.lock:
            self.binding = binding
            self._watch()
            self._load()
            self._is_torn = False
            self._on_redeclared()

    # turns ----------------------------------------------------------------------------------------------------

    def is_paused(self) -> bool:
        """Whether the application is paused."""
        return self.state.is_paused()

    def activate(self, now: datetime) -> None:
        """Marks every node as activated. Files that exist now are known, and are no events."""
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
                self._begin()

    def _begin(self) -> None:
        """Starts to route an application at the end of the log: older events are ignored.

        Another process may do the same now. It records events only after it has saved its start position. So if no
        position is saved yet, the one that was read here comes before all events.
        """
        position = self.log.last_position()
        self._load()
        if self.loop.is_new:
            self.loop.start_at(position)
            self.loop.is_new = False

    def scan_sources(
        self,
        now: datetime,
        nodes: Iterable[str] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
        is_idle: bool = False,
    ) -> list[str]:
        """Records arrivals and ticks as events.

        Args:
            now: The time up to which ticks are due.
            nodes: The datasets and timers to scan. By default all.
            is_enough: Called now and then. If it returns true, the scan stops; each source gets at least one page.
            is_idle: Whether to skip what hardly changes if requests cost money; see `Rounds`.

        Returns:
            The ids of the sources that are not finished. The next call continues with them, after the others.
        """
        with self.lock:
            self.follow()
            timers = self.binding.topology.timers
            known = [*self._watchers, *timers]
            wanted = known if nodes is None else [node_id for node_id in nodes if node_id in known]
            unfinished = []
            for node_id in sorted(wanted, key=self._unfinished.__contains__):
                if node_id in timers:
                    is_done = record_ticks(timers[node_id], self.journal, self.state, now, is_enough)
                else:
                    is_done = self._watchers[node_id].look(self.journal, is_enough, is_idle)
                if not is_done:
                    unfinished.append(node_id)
            self._unfinished = {node_id for node_id in self._unfinished if node_id not in wanted} | set(unfinished)
            return unfinished

    def turn(self, now: datetime | None = None, is_enough: Callable[[], bool] = lambda: False) -> list[Trigger]:
        """Reads new entries, checks the readiness of awaited partitions, closes the turn, and returns the outbox.

        An execution of which only the blocking checks are left is not in it.

        Args:
            now: The driver's clock.
            is_enough: Called now and then. If it returns true, the turn stops; the next one continues.
        """
        moment = (now or datetime.now(UTC)).timestamp()
        with self.lock:
            self.follow()
            if not self._has_slot():
                self._take_slot()
            self._clean()

            def turned(loop: EventLoop) -> list[Trigger]:
                gone = [key for watcher in self._watchers.values() for key in watcher.gone()]
                unrouted = [key for watcher in self._watchers.values() for key in watcher.take_unrouted()]
                return loop.turn(moment, gone, is_enough, unrouted)

            outbox = [t for t in self._on_whole(turned) if not self.unresolved.awaits_checks(t)]
            if self.loop.is_behind:
                return outbox
            for watcher in self._watchers.values():
                watcher.forget_gone()
            return outbox

    def without_unfinished(self, outbox: Iterable[Trigger]) -> list[Trigger]:
        """Returns the triggers to launch now, without those that follow from a range that is still being recorded."""
        with self.lock:
            checked = {entry.run for entry in self.router.checked_executions()}
            unfinished = self.journal.recordings.of_unfinished_runs(checked)
        return [trigger for trigger in outbox if unfinished.isdisjoint(trigger.identities)]

    def _clean(self) -> None:
        """Removes some old claims and heartbeats, once an hour."""
        if time.monotonic() - self._cleaned >= _CLEANED_EVERY:
            self._cleaned = time.monotonic()
            try:
                self.binding.claims.clean(self.binding.heartbeats.clean())
            except OSError as error:
                _log.warning("could not remove old claims: %s", error)

    def fold(self) -> None:
        """Reads all entries that were recorded since."""
        self._on_whole(EventLoop.fold)

    def _on_whole(self, work: Callable[[EventLoop], T]) -> T:
        """Runs `work` on the event loop under the recorded declaration.

        After an interruption, by Ctrl-C or a locked database, the state may lack events, so it is loaded again.
        """
        with self.lock:
            while True:
                if self._is_torn:
                    self._load()
                self._is_torn = True
                try:
                    done = work(self.loop)
                except Superseded:
                    self.follow()
                    continue
                self._is_torn = False
                return done

    def _is_ready(self, key: Key) -> bool:
        node_id, partition = key
        return node_id in self.binding.topology and self.binding.readiness.is_ready(
            self.binding.topology[node_id], partition
        )
