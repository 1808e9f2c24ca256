"""The event loop: one turn notices what happened, routes it, and says what is to be run.

Scripts, notebooks and the daemon's router sensor drive the very same turns. Whatever a turn asks for stays in the
outbox until it has ended, so a driver that dies at any point loses nothing; claims see to it that nothing runs twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from threading import RLock

import dagster as dg

from rheo_assets.assets.arrivals import Watcher
from rheo_assets.assets.binding import Binding
from rheo_assets.assets.instance import EventLog
from rheo_assets.assets.journal import Journal
from rheo_assets.assets.state import ApplicationState
from rheo_assets.assets.ticks import record_ticks
from rheo_assets.errors import StateError
from rheo_assets.nodes import DataNode
from rheo_assets.routing.groups import Key, NodeGroups
from rheo_assets.routing.journal import Trigger
from rheo_assets.routing.record import dump_header, dump_node, load_header, load_node
from rheo_assets.routing.router import Router

_log = logging.getLogger("rheo_assets")
_FIRST_RECHECK = 5.0
_LAST_RECHECK = 600.0


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
        self._watchers = {node.id: Watcher(binding, self.state, node) for node in binding.topology.external_data.values()}
        self._gone: list[Key] = []
        self._rechecks: dict[Key, tuple[float, float]] = {}
        self.started: dict[str, float] = {}
        self.router = self._load_router()

    # state ----------------------------------------------------------------------------------------------------

    def _row(self, node_id: str | None = None) -> str:
        base = f"rheo/{self.binding.application}/router"
        return base if node_id is None else f"{base}/{node_id}"

    def _load_router(self) -> Router:
        header = self.log.rows([self._row()]).get(self._row())
        if header is None:
            return Router(self.binding.topology, self._load_groups)
        return Router(self.binding.topology, self._load_groups, **load_header(self.binding.topology, header))

    def _load_groups(self, node: DataNode) -> NodeGroups | None:
        text = self.log.rows([self._row(node.id)]).get(self._row(node.id))
        if text is None:
            return None
        try:
            return load_node(node, self.binding.topology, text)
        except (StateError, KeyError, TypeError, ValueError) as error:
            _log.warning("the waiting groups of '%s' are lost: %s", node.id, error)
            return None

    def _save(self) -> None:
        if not self._moved:
            return
        cursor = self.router.cursor
        rows = {
            self._row(node_id): dump_node(self.router.groups(node_id), self.binding.topology, cursor)
            for node_id in self.router.dirty
        }
        rows[self._row()] = dump_header(self.router)
        self.log.put_rows(rows)
        self.router.dirty.clear()
        self._moved = False

    _moved = False

    # turns ----------------------------------------------------------------------------------------------------

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
            if self.log.rows([self._row()]).get(self._row()) is None:
                # Nothing of this application was routed before: older events are no events of ours.
                self.router.cursor = self.log.last_position()
                self._moved = True
                self._save()

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
            self.fold()
            ready = self._look_for_waited(moment)
            gone, self._gone = self._gone, []
            if self.router.runnable or ready or gone or self.router.expires_by(moment):
                self.journal.turn(moment, ready, gone)
                self.fold()
            self._save()
            return self.router.outbox()

    def fold(self) -> None:
        """Takes in every entry that has been recorded since."""
        while True:
            entries = self.journal.read(self.router.cursor)
            for entry in entries:
                self.router.fold(entry)
            if self.journal.skipped_to == self.router.cursor and not entries:
                return
            self.router.cursor = max(self.router.cursor, self.journal.skipped_to)
            self._moved = True

    def _look_for_waited(self, now: float) -> list[Key]:
        fresh = self.router.take_fresh()
        ready = [key for key in fresh if self._is_ready(key)]
        found = set(ready)
        for key in self._due(now, set(fresh)):
            if key not in found and self._is_ready(key):
                ready.append(key)
        return ready

    def _due(self, now: float, just_seen: set[Key]) -> list[Key]:
        """Returns waited-for partitions whose next look is due: later and later, up to ten minutes."""
        due = []
        waited = self.router.waiting_for()
        for key in waited:
            at, pause = self._rechecks.get(key, (now + _FIRST_RECHECK, _FIRST_RECHECK))
            if key in just_seen:
                at, pause = now + _FIRST_RECHECK, _FIRST_RECHECK
            elif now >= at:
                due.append(key)
                pause = min(pause * 2, _LAST_RECHECK)
                at = now + pause
            self._rechecks[key] = (at, pause)
        for key in set(self._rechecks) - set(waited):
            del self._rechecks[key]
        return due

    def _is_ready(self, key: Key) -> bool:
        node_id, partition = key
        return node_id in self.binding.topology and self.binding.readiness.is_ready(
            self.binding.topology[node_id], partition
        )
