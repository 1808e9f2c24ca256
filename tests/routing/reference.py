"""The router as `signals.md` describes it, without any index: every event is tried on every group, every time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from rheo_assets.errors import Contradiction, InvalidValue, LinkFailed
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, Projection
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Event, Trigger

Key = tuple[str, Partition]


@dataclass
class Group:
    created: float
    received: dict[str, Partition] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    is_held: bool = False


class Reference:
    """`storage` is shared with the test: the partitions that are complete at this moment."""

    def __init__(self, topology: Topology, storage: set[Key]) -> None:
        self.topology = topology
        self.storage = storage
        self.groups: dict[str, list[Group]] = {node: [] for node in topology.data_nodes}
        self.announced: set[tuple[str, Key]] = set()
        self.in_flight: dict[tuple[str, Partition], Trigger] = {}
        self.counts: dict[str, Counter[str]] = {node: Counter() for node in topology.data_nodes}

    # events

    def event(self, event: Event) -> None:
        signal = self.topology[event.node]
        if isinstance(signal, DataNode):
            self.ended(event.node, event.partition, event.identity)
        if not signal.filter.admits(signal.spec, event.partition):
            return
        for node in self.topology.data_nodes.values():
            if any(view.node is signal for view in node.inputs.values()) and event.route in {None, node.id}:
                self._offer(node, event)
        for projection in self.topology:
            if not isinstance(projection, Projection) or projection.source.node is not signal:
                continue
            if projection.source.admits(event.partition):
                for partition in projection.fan_out(event.partition):
                    self.event(replace(event, node=projection.id, partition=partition))

    def _offer(self, node: DataNode, event: Event) -> None:
        if not event.has_data:
            self.announced.add((node.id, (event.node, event.partition)))
        groups = self.groups[node.id]
        untaken = []
        for alias, view in node.inputs.items():
            if view.node.id == event.node and view.needs_event and view.admits(event.partition):
                taken = [self._take(node, group, alias, event) for group in groups]  # every one is asked
                if not any(taken):
                    untaken.append(alias)
        self._drop_hopeless(node)
        while untaken:
            group = Group(event.at)
            taken = [alias for alias in untaken if self._take(node, group, alias, event)]
            failing = [alias for alias in untaken if self._fails(node, alias, event)]
            if not taken and failing:
                groups.append(Group(event.at, dict.fromkeys(failing, event.partition), is_held=True))
                break
            if not taken:
                self.counts[node.id]["dropped"] += 1
                return
            groups.append(group)
            untaken = [alias for alias in untaken if alias not in taken]
        self._drop_hopeless(node)

    def _take(self, node: DataNode, group: Group, alias: str, event: Event) -> bool:
        view = node.inputs[alias]
        spec = view.node.spec
        if alias in group.received and view.is_covering:
            return set(view.partitions(group.received[alias])) == set(view.partitions(event.partition))
        if alias in group.received:
            return spec.comparable(group.received[alias]) == spec.comparable(event.partition)
        if group.is_held:
            return False
        tips = {**group.received, alias: event.partition}
        try:
            solution = node.linkage.solve(tips, allow_guesses=len(tips) == len(self._plain(node)))
        except Contradiction:
            return False
        if solution.output is not None and not self._has(node, solution.output):
            return False
        group.received[alias] = event.partition
        group.identities[alias] = event.identity
        return True

    def _fails(self, node: DataNode, alias: str, event: Event) -> bool:
        try:
            node.linkage.solve({alias: event.partition}, allow_guesses=len(self._plain(node)) == 1)
        except LinkFailed:
            return True
        except Contradiction:
            return False
        return False

    def _drop_hopeless(self, node: DataNode) -> None:
        for group in list(self.groups[node.id]):
            solution = self._solution(node, group)
            if solution is not None and (solution.output is None or None in solution.tips.values()):
                self.groups[node.id].remove(group)
                self.counts[node.id]["dropped"] += 1

    @staticmethod
    def _plain(node: DataNode) -> list[str]:
        return [alias for alias, view in node.inputs.items() if view.needs_event]

    @staticmethod
    def _has(node: DataNode, output: Partition) -> bool:
        try:
            node.spec.read(output)
        except InvalidValue:
            return False
        return node.filter.admits(node.spec, output)

    def _solution(self, node: DataNode, group: Group):
        complete = len(group.received) == len(self._plain(node))
        return node.linkage.solve(group.received) if complete and not group.is_held else None

    def ended(self, node: str, partition: Partition, execution: str) -> None:
        trigger = self.in_flight.get((node, partition))
        if trigger is not None and trigger.execution_id(self.topology.application) == execution:
            del self.in_flight[node, partition]

    # turns

    def turn(self, position: int, at: float, gone: list[Key], held: set[tuple[str, Partition]]) -> list[Trigger]:
        self.announced = {(node, key) for node, key in self.announced if key not in gone}
        triggers = []
        for node in sorted(self.topology.data_nodes.values(), key=lambda node: node.id):
            if node.ttl is not None:
                old = [group for group in self.groups[node.id] if group.created + node.ttl <= at]
                self.counts[node.id]["expired"] += len(old)
                self.groups[node.id] = [group for group in self.groups[node.id] if group not in old]
            for group in list(self.groups[node.id]):
                trigger = self._runs(node, group, position)
                if trigger is None:
                    continue
                self.groups[node.id].remove(group)
                if (node.id, trigger.partition) in held:
                    self.counts[node.id]["absorbed"] += 1
                elif (node.id, trigger.partition) in self.in_flight:
                    self.counts[node.id]["skipped"] += 1
                else:
                    self.counts[node.id]["emitted"] += 1
                    self.in_flight[node.id, trigger.partition] = trigger
                    triggers.append(trigger)
        return triggers

    def _runs(self, node: DataNode, group: Group, position: int) -> Trigger | None:
        solution = self._solution(node, group)
        if solution is None:
            return None
        nearest = {}
        for alias, view in node.inputs.items():
            source = view.node
            if not source.holds_data:
                continue
            partitions = view.partitions(solution.tips[alias])
            if view.is_nearest:
                ready = [partition for partition in partitions if (source.id, partition) in self.storage]
                if not ready:
                    return None
                nearest[alias] = ready[0]
            elif view.checks_range and not all(self._is_ready(node, (source.id, p)) for p in partitions):
                return None
        identities = tuple(sorted(set(group.identities.values())))
        return Trigger(node.id, solution.output, solution.tips, nearest, identities, position)

    def _is_ready(self, node: DataNode, key: Key) -> bool:
        return key in self.storage or (node.id, key) in self.announced
