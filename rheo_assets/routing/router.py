"""The router: turns the journal into executions."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import (
    AwaitsChecks,
    Began,
    Ended,
    Entry,
    Event,
    LookedAt,
    ManualExecution,
    PlanClosed,
    PlanOpened,
    Reported,
    Trigger,
    Turn,
    planned_id,
)
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.trigger_group import Key, TriggerGroup

_log = logging.getLogger("rheo_assets")


class Router:
    """Replays entries in storage order. The same entries give the same triggers in any driver.

    Args:
        topology: The application's nodes.
        load: Returns a node's recorded groups; None if it has none.
        cursor: The position of the last entry that the recorded state includes.
        plans: The open plans of the recorded state.
        reported: The reports of the recorded state that no driver has looked for yet.

    Attributes:
        active: The ids of the nodes with waiting groups.
        runnable: The ids of the active nodes whose groups the next turn emits.
        busy: The ids of the nodes with emitted executions that have not finished.
        occupied: The ids of the nodes with executions of manual runs that have not finished.
        checked: The ids of the nodes with executions that wait for their blocking checks.
        reported: The reported partitions that no driver has looked for yet, by the position of the report.
        dirty: The ids of the nodes whose state has changed since the last save.
        plans_changed: Whether the open plans or the reports have changed since the last save.
        is_trimmed: Whether recorded state was dropped because it does not fit the current declaration.
        ended: How many ends of executions it has replayed.
        absorbed: For each open plan, the partitions for which it has absorbed events that are not its own, as far as
            this router has replayed them. A hint for the driver that closes the plan; no decision depends on it.
    """

    def __init__(
        self,
        topology: Topology,
        load: Callable[[DataNode], NodeGroups | None] = lambda _node: None,
        cursor: int = 0,
        plans: Mapping[str, PlanOpened] | None = None,
        reported: Mapping[Key, int] | None = None,
    ) -> None:
        self.topology = topology
        self.cursor = cursor
        self.plans = dict(plans or {})
        self.reported = dict(reported or {})
        self.plans_changed = False
        self.is_trimmed = False
        self.ended = 0
        self.absorbed: dict[str, set[Key]] = {}
        self.active: set[str] = set()
        self.runnable: set[str] = set()
        self.busy: set[str] = set()
        self.occupied: set[str] = set()
        self.checked: set[str] = set()
        self.dirty: set[str] = set()
        self._touched: set[str] = set()
        self._load = load
        self._loaded: dict[str, NodeGroups] = {}
        self._expiries: list[tuple[float, str]] = []
        self._next_expiry: dict[str, float] = {}

    def groups(self, node_id: str) -> NodeGroups:
        """Returns a node's routing state, loaded when first needed."""
        state = self._loaded.get(node_id)
        if state is None:
            node = self.topology.data_nodes[node_id]
            recorded = self._load(node)
            state = self._loaded[node_id] = recorded or NodeGroups(node)
            if recorded is not None:
                # A recorded row may be ahead of the cursor. Its entries are never replayed again, so note them here.
                self._touched.add(node_id)
                self._note(state)
                if state.is_changed:
                    self.dirty.add(node_id)
                    self.is_trimmed = True
        return state

    def _note(self, state: NodeGroups) -> None:
        node_id = state.node.id
        (self.active.add if state.groups else self.active.discard)(node_id)
        (self.runnable.add if state.runnable else self.runnable.discard)(node_id)
        (self.busy.add if state.in_flight else self.busy.discard)(node_id)
        (self.occupied.add if state.manual else self.occupied.discard)(node_id)
        (self.checked.add if state.checked else self.checked.discard)(node_id)
        expiry = state.next_expiry()
        if expiry is not None and self._next_expiry.get(node_id) != expiry:
            self._next_expiry[node_id] = expiry
            heapq.heappush(self._expiries, (expiry, node_id))

    def fold(self, entry: Entry) -> list[Trigger]:
        """Replays one entry and returns the executions that it requests."""
        self.cursor = max(self.cursor, entry.position)
        if isinstance(entry, Turn):
            return self._close_turn(entry)
        if isinstance(entry, Event):
            self._route(entry)
        elif isinstance(entry, PlanOpened | PlanClosed):
            self._fold_plan(entry)
        elif isinstance(entry, Reported | LookedAt):
            self._fold_report(entry)
        elif entry.node in self.topology.data_nodes:
            self._fold_execution(entry)
        return []

    def _fold_plan(self, entry: PlanOpened | PlanClosed) -> None:
        if isinstance(entry, PlanOpened):
            self.plans[entry.plan] = entry
            self.plans_changed = True
        else:
            self.plans_changed |= self.plans.pop(entry.plan, None) is not None
            self.absorbed.pop(entry.plan, None)

    def _fold_report(self, entry: Reported | LookedAt) -> None:
        key = (entry.node, entry.partition)
        if isinstance(entry, Reported):
            self.reported[key] = entry.position
            self.plans_changed = True
            return
        self.plans_changed |= self.reported.pop(key, None) is not None
        if entry.event is not None:
            self._route(entry.event)

    def _fold_execution(self, entry: Began | Ended | AwaitsChecks) -> None:
        self.ended += isinstance(entry, Ended)
        for state in self._touch(entry.node, entry.position):
            if isinstance(entry, Began):
                state.began(entry)
            elif isinstance(entry, Ended):
                state.ended(entry.partition, entry.execution)
            else:
                state.checked[entry.execution] = entry

    def _touch(self, node_id: str, position: int) -> Iterator[NodeGroups]:
        state = self.groups(node_id)
        if position > state.cursor:
            self.dirty.add(node_id)
            self._touched.add(node_id)
            yield state
            self._note(state)

    def _route(self, event: Event) -> None:
        signal = self.topology.nodes.get(event.node)
        if signal is None:
            return
        if isinstance(signal, DataNode):
            self.ended += event.has_data
            for state in self._touch(event.node, event.position):
                state.ended(event.partition, event.identity)
        if not signal.filter.admits(signal.spec, event.partition):
            return
        for node in self.topology.consumers.get(event.node, ()):
            if event.route in {None, node.id}:
                for state in self._touch(node.id, event.position):
                    state.offer(event)
        for projection in self.topology.projections.get(event.node, ()):
            if projection.source.admits(event.partition):
                try:
                    branches = list(projection.fan_out(event.partition))
                except InvalidValue as error:
                    _log.warning("an event of '%s' was not projected to '%s': %s", event.node, projection.id, error)
                    continue
                for partition in branches:
                    self._route(replace(event, node=projection.id, partition=partition))

    def _close_turn(self, turn: Turn) -> list[Trigger]:
        for source, partition in turn.ready:
            for node in self.topology.consumers.get(source, ()):
                for state in self._touch(node.id, turn.position):
                    state.mark_ready(source, partition)
        for source, partition in turn.gone:
            for node in self.topology.consumers.get(source, ()):
                for state in self._touch(node.id, turn.position):
                    state.mark_gone(source, partition)
        for node_id in self._pop_expired(turn.at):
            for state in self._touch(node_id, turn.position):
                state.expire(turn.at)
            self._note(self.groups(node_id))
        triggers = []
        for node_id in sorted(self.runnable):
            for state in self._touch(node_id, turn.position):
                triggers += state.emit(turn.position, partial(self._is_held, node_id))
        return triggers

    def _pop_expired(self, now: float) -> list[str]:
        expired = []
        while self._expiries and self._expiries[0][0] <= now:
            _, node_id = heapq.heappop(self._expiries)
            self._next_expiry.pop(node_id, None)
            expired.append(node_id)
        return expired

    def _is_held(self, node_id: str, group: TriggerGroup) -> bool:
        assert group.output is not None
        holder = next((plan for plan in self.plans.values() if group.output in plan.holds.get(node_id, ())), None)
        if holder is not None and not self._is_pushed_by(holder, node_id, group):
            self.absorbed.setdefault(holder.plan, set()).add((node_id, group.output))
        return holder is not None

    def _is_pushed_by(self, plan: PlanOpened, node_id: str, group: TriggerGroup) -> bool:
        """Returns whether a group's events are the plan's own outputs."""
        sources = self.groups(node_id).sources
        return all(
            group.identities[alias] == planned_id(plan.plan, sources[alias], tip)
            for alias, tip in group.received.items()
        )

    # for drivers ----------------------------------------------------------------------------------------------

    def take_fresh(self) -> list[Key]:
        """Returns the partitions that groups have started to wait for since the last call."""
        touched = sorted(self._touched & self.active)
        self._touched.clear()
        return list(dict.fromkeys(key for node_id in touched for key in self.groups(node_id).take_fresh()))

    def waits_for(self, key: Key) -> bool:
        """Returns whether a group waits for a partition to be found in storage."""
        consumers = self.topology.consumers.get(key[0], ())
        return any(node.id in self.active and self.groups(node.id).waits_for(key) for node in consumers)

    def expires_by(self, now: float) -> bool:
        """Returns whether a group has waited longer than its node's time to live."""
        while self._expiries and self._expiries[0][0] <= now:
            expiry, node_id = self._expiries[0]
            if self.groups(node_id).next_expiry() == expiry:
                return True
            heapq.heappop(self._expiries)
            self._next_expiry.pop(node_id, None)
            self._note(self.groups(node_id))
        return False

    def outbox(self) -> list[Trigger]:
        """Returns every emitted execution that has not finished."""
        return [trigger for node_id in sorted(self.busy) for trigger in self.groups(node_id).in_flight.values()]

    @property
    def has_unresolved(self) -> bool:
        """Whether a driver has to find out how an execution ended, or whether reported data exists."""
        return bool(self.occupied or self.checked or self.reported)

    def checked_executions(self) -> list[AwaitsChecks]:
        """Returns every execution that waits for its blocking checks, oldest first."""
        found = [entry for node_id in self.checked for entry in self.groups(node_id).checked.values()]
        return sorted(found, key=lambda entry: entry.position)

    def manual_executions(self) -> list[tuple[str, Partition, ManualExecution]]:
        """Returns every unfinished execution of a manual run: node id, partition and execution."""
        return [
            (node_id, partition, other)
            for node_id in sorted(self.occupied)
            for partition, other in self.groups(node_id).manual.items()
        ]


def readable(topology: Topology, node_id: str, values: tuple[str, ...]) -> Partition | None:
    """Returns the partition that recorded text names; None if the current declaration has no such partition."""
    signal = topology.nodes.get(node_id)
    if signal is None:
        return None
    try:
        return signal.spec.read(values)
    except InvalidValue:
        return None
