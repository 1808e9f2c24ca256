"""The event loop: one turn notices what happened, routes it, and says what is to be run.

Scripts, notebooks and the daemon's router sensor drive the very same turns. Whatever a turn asks for stays in the
outbox until it has ended, so a driver that dies at any point loses nothing; claims see to it that nothing runs twice.
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
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.claims.snapshot_slots import SLOT_CHECKED_EVERY, SnapshotSlots
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.execution.execution import Outcome, Request, recorded_success
from rheo_assets.bridge.execution.metadata import describe
from rheo_assets.bridge.state.application_state import ApplicationState
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
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
        on_redeclared: Called when this driver has gone over to another declaration.

    Attributes:
        binding: The application as this driver knows it now.
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
        self.asked: dict[str, tuple[int, int, float]] = {}
        self._left: set[str] = set()
        self._cleaned = -math.inf
        self._is_torn = False
        self._watch()
        self._slots = SnapshotSlots(binding.platform.storage, f"{binding.home}/snapshot_slots", binding.heartbeats)
        self._take_slot()

    def _take_slot(self) -> None:
        """Takes a slot."""
        self.slot = self._slots.take()
        self._sat = time.monotonic()
        self._load()

    def _watch(self) -> None:
        datasets = self.binding.topology.external_data.values()
        self._watchers = {node.id: Watcher(self.binding, node) for node in datasets}

    def _load(self) -> None:
        """Starts from what the furthest driver has saved."""
        topology = self.binding.topology
        number = self.slot.number if self.slot is not None else None
        self.journal = Journal(self.log, topology, self.binding.since)
        snapshot = Snapshot(topology, self.log, number)
        self.loop = EventLoop(topology, self.journal, snapshot, self._is_ready, self._end_lost, self.binding.is_current)

    def _has_slot(self) -> bool:
        """Whether the driver keeps its slot; one without a slot looks for one now and then."""
        if self.slot is not None:
            return self._slots.keeps(self.slot)
        return time.monotonic() - self._sat < SLOT_CHECKED_EVERY

    @property
    def router(self) -> Router:
        """The fold of everything that has been taken in."""
        return self.loop.router

    def groups_of(self, node: DataNode) -> NodeGroups | None:
        """Returns a node's routing state; None where it is not declared any more. For who holds the lock."""
        return self.router.groups(node.id) if node.id in self.binding.topology.data_nodes else None

    # which declaration ----------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Goes over to the declaration on record, where that is another one by now.

        Raises:
            StateError: The record cannot be read.
        """
        with self.lock:
            if self.binding.is_current():
                return
            recorded = self.binding.as_recorded()
            if changes := recorded.changes_since(self.binding):
                _log.warning(
                    "application '%s' was activated anew elsewhere (%s): this process goes on with what is recorded",
                    recorded.application,
                    changes,
                )
            self.bind(recorded)
            self.activate(datetime.now(UTC))  # who recorded it may have died before it could mark its nodes

    def bind(self, binding: Binding) -> None:
        """Goes over to another declaration of the application."""
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

    def end(
        self, node: DataNode, partition: Partition, identity: str, status: Status, error: str, run_id: str | None = None
    ) -> None:
        """Records the end of an execution whose run could not do so itself.

        Where it has written its completion file it has succeeded, whatever became of its run: then this is recorded.
        """
        done = recorded_success(node, partition, identity, self.binding.platform)
        if done is not None:
            self.journal.succeeded(done, partition, describe(node, Outcome(done), self.binding.platform))
            return
        if self.groups_of(node) is None:
            return  # it is not declared any more: nobody waits for it
        rendered, now = node.spec.render(partition), datetime.now(UTC)
        execution = Execution(identity, node.id, rendered, str(status), run_id=run_id, error=error, ended=now)
        self.journal.failed(execution, partition)

    def give_up(self, node: DataNode, request: Request) -> None:
        """Ends an execution whose every attempt died with its process."""
        said = f"given up: {MAX_ATTEMPTS} processes died while they ran it, or before they began"
        self.end(node, request.partition, request.id, Status.FAILED, said)

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
                self._begin()

    def _begin(self) -> None:
        """Begins an application of which nothing was routed before: older events are no events of ours.

        Another process may do so at the same time. It records events only after it has saved where it begins; so if
        nothing is saved yet, the position that was read before comes before all of them.
        """
        position = self.log.last_position()
        self._load()
        if self.loop.is_new:
            self.loop.start_at(position)
            self.loop.is_new = False

    def notice(
        self,
        now: datetime,
        nodes: Iterable[str] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
        is_idle: bool = False,
    ) -> list[str]:
        """Records arrivals and ticks as events.

        Args:
            now: Up to when ticks are due.
            nodes: The datasets and timers to look at; all otherwise.
            is_enough: Asked now and then whether to end; each source gets at least a little.
            is_idle: Whether to pass over what hardly changes where looks cost money; see `Rounds`.

        Returns:
            The ids of the sources that have more: the next call goes on, the others first.
        """
        with self.lock:
            self.follow()
            timers = self.binding.topology.timers
            known = [*self._watchers, *timers]
            wanted = known if nodes is None else [node_id for node_id in nodes if node_id in known]
            left = []
            for node_id in sorted(wanted, key=self._left.__contains__):
                if node_id in timers:
                    is_done = record_ticks(timers[node_id], self.journal, self.state, now, is_enough)
                else:
                    is_done = self._watchers[node_id].look(self.journal, is_enough, is_idle)
                if not is_done:
                    left.append(node_id)
            self._left = {node_id for node_id in self._left if node_id not in wanted} | set(left)
            return left

    def turn(self, now: datetime | None = None, is_enough: Callable[[], bool] = lambda: False) -> list[Trigger]:
        """Folds what is recorded, looks for what is waited for, closes the turn, and returns the outbox.

        Args:
            now: The driver's clock.
            is_enough: Asked now and then whether to end; the next turn goes on.
        """
        moment = (now or datetime.now(UTC)).timestamp()
        with self.lock:
            self.follow()
            if not self._has_slot():
                self._take_slot()
            self._clean()

            def turned(loop: EventLoop) -> list[Trigger]:
                gone = [key for watcher in self._watchers.values() for key in watcher.gone()]
                return loop.turn(moment, gone, is_enough)

            outbox = self._on_whole(turned)
            if self.loop.is_behind:
                return outbox
            for watcher in self._watchers.values():
                watcher.forget_gone()
            return outbox

    def _clean(self) -> None:
        """Removes a few of the objects that nobody asks for any more, now and then."""
        if time.monotonic() - self._cleaned >= _CLEANED_EVERY:
            self._cleaned = time.monotonic()
            try:
                self.binding.claims.clean(self.binding.heartbeats.clean())
            except OSError as error:
                _log.warning("old claims are not removed: %s", error)

    def _end_lost(self) -> bool:
        """Ends the executions that nobody routed and whose run is over without saying so."""
        runs = {other.run: other.owner for _, _, other in self.router.manual_executions()}
        lost = {run for run, owner in runs.items() if self._is_over(run, owner)}
        if not lost:
            return False
        self.loop.fold()  # a run records its ends before it is over
        said = "its run is over, and did not say how this execution ended: see the run's log"
        for node_id, partition, other in self.router.manual_executions():
            if other.run in lost:
                node = self.binding.topology.data_nodes[node_id]
                # From here on it publishes nothing, should it only have been asleep.
                self.binding.claims.take(other.execution, "lost")
                self.end(node, partition, other.execution, Status.FAILED, said, other.run)
                self.binding.claims.release(other.execution)
                self.mark_failed(other.run)
        return True

    def _is_over(self, run_id: str, owner: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        return run is None or run.is_finished or self.binding.heartbeats.is_dead(Owner.of_text(owner))

    def mark_failed(self, run_id: str) -> None:
        """Ends the run of a dead process, which Dagster takes for running."""
        run = self.instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self.instance.report_run_failed(run, "Its process is gone; what it had not finished runs again.")

    def fold(self) -> None:
        """Takes in every entry that has been recorded since."""
        self._on_whole(EventLoop.fold)

    def _on_whole(self, work: Callable[[EventLoop], T]) -> T:
        """Works on the fold under the declaration on record.

        Nobody goes on with a fold that was cut in two, by Ctrl-C or a locked database, and so lacks events.
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
