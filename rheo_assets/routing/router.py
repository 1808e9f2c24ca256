"""The router: folds the journal into executions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from rheo_assets.dimensions import Partition
from rheo_assets.errors import InvalidValue
from rheo_assets.nodes import DataNode
from rheo_assets.routing.groups import Key, NodeGroups
from rheo_assets.routing.journal import Ended, Entry, Event, PlanClosed, PlanOpened, Trigger, Turn
from rheo_assets.topology import Topology


class Router:
    """Folds entries in storage order. The same entries give the same triggers, whoever folds them.

    Args:
        topology: The application's nodes.
        load: Returns a node's recorded groups, or None when it has none.
        cursor: The position of the last entry that the recorded state holds.
        plans: The open plans of the recorded state.
        active: The ids of the nodes with groups in the recorded state.
        runnable: Those of them whose groups the next turn emits.
        busy: The ids of the nodes with emitted executions that have not ended.
    """

    def __init__(
        self,
        topology: Topology,
        load: Callable[[DataNode], NodeGroups | None] = lambda _node: None,
        cursor: int = 0,
        plans: dict[str, PlanOpened] | None = None,
        active: Iterable[str] = (),
        runnable: Iterable[str] = (),
        busy: Iterable[str] = (),
    ) -> None:
        self.topology = topology
        self.cursor = cursor
        self.plans = dict(plans or {})
        self.active = {node_id for node_id in active if node_id in topology.data_nodes}
        self.runnable = {node_id for node_id in runnable if node_id in topology.data_nodes}
        self.busy = {node_id for node_id in busy if node_id in topology.data_nodes}
        self.dirty: set[str] = set()
        self._touched: set[str] = set()
        self._load = load
        self._loaded: dict[str, NodeGroups] = {}
        self._mortal = [node.id for node in topology.data_nodes.values() if node.ttl is not None]

    def groups(self, node_id: str) -> NodeGroups:
        """Returns a node's routing state, loading it when it is first needed."""
        state = self._loaded.get(node_id)
        if state is None:
            node = self.topology.data_nodes[node_id]
            state = self._load(node) or NodeGroups(node)
            self._loaded[node_id] = state
        return state

    def fold(self, entry: Entry) -> list[Trigger]:
        """Takes in one entry and returns the executions that it asks for."""
        self.cursor = max(self.cursor, entry.position)
        if isinstance(entry, Event):
            self._route(entry)
        elif isinstance(entry, Turn):
            return self._close_turn(entry)
        elif isinstance(entry, PlanOpened):
            self.plans[entry.plan] = entry
        elif isinstance(entry, PlanClosed):
            self.plans.pop(entry.plan, None)
        elif isinstance(entry, Ended) and entry.node in self.topology.data_nodes:
            for state in self._touch(entry.node, entry.position):
                state.ended(entry.partition)
        return []

    def _touch(self, node_id: str, position: int) -> Iterator[NodeGroups]:
        state = self.groups(node_id)
        if position > state.cursor:
            self.dirty.add(node_id)
            self._touched.add(node_id)
            yield state
            (self.active.add if state.groups else self.active.discard)(node_id)
            (self.runnable.add if state.runnable else self.runnable.discard)(node_id)
            (self.busy.add if state.in_flight else self.busy.discard)(node_id)

    def _route(self, event: Event) -> None:
        signal = self.topology.nodes.get(event.node)
        if signal is None:
            return
        if isinstance(signal, DataNode):
            for state in self._touch(event.node, event.position):
                state.ended(event.partition)
        if not signal.filter.admits(signal.spec, event.partition):
            return
        for node in self.topology.consumers.get(event.node, ()):
            if event.route in {None, node.id}:
                for state in self._touch(node.id, event.position):
                    state.offer(event)
        for projection in self.topology.projections.get(event.node, ()):
            if projection.source.admits(event.partition):
                for partition in projection.fan_out(event.partition):
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
        for node_id in self._mortal:
            if node_id in self.active:
                for state in self._touch(node_id, turn.position):
                    state.expire(turn.at)
        triggers = []
        for node_id in sorted(self.runnable):
            for state in self._touch(node_id, turn.position):
                triggers += state.emit(turn.position, self._held(node_id))
        return triggers

    def _held(self, node_id: str) -> frozenset[Partition]:
        held = [plan.holds[node_id] for plan in self.plans.values() if node_id in plan.holds]
        return frozenset().union(*held) if held else frozenset()

    # what a driver asks ---------------------------------------------------------------------------------------

    def take_fresh(self) -> list[Key]:
        """Returns partitions that groups began to wait for since the last call."""
        touched = sorted(self._touched & self.active)
        self._touched.clear()
        return list(dict.fromkeys(key for node_id in touched for key in self.groups(node_id).take_fresh()))

    def waiting_for(self) -> list[Key]:
        """Returns every partition that some group waits for."""
        return list(dict.fromkeys(key for node_id in sorted(self.active) for key in self.groups(node_id).waiting_for()))

    def expires_by(self, now: float) -> bool:
        """Returns whether a group outlives its node's time to live by now."""
        for node_id in self._mortal:
            if node_id not in self.active:
                continue
            state = self.groups(node_id)
            if state.node.ttl is not None and any(g.created + state.node.ttl <= now for g in state.groups.values()):
                return True
        return False

    def outbox(self) -> list[Trigger]:
        """Returns every emitted execution that has not ended."""
        return [trigger for node_id in sorted(self.busy) for trigger in self.groups(node_id).in_flight.values()]


def readable(topology: Topology, node_id: str, values: tuple[str, ...]) -> Partition | None:
    """Returns the partition that recorded text names, or None where the present declaration has no such partition."""
    signal = topology.nodes.get(node_id)
    if signal is None:
        return None
    try:
        return signal.spec.read(values)
    except InvalidValue:
        return None
