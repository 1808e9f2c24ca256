"""The router against a naive one, over random small applications and random events."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheo_assets.errors import Contradiction
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Ended, Entry, Event, PlanClosed, PlanOpened, Trigger, Turn
from rheo_assets.routing.join_keys import JoinKeys
from rheo_assets.routing.router import Router
from rheo_assets.routing.snapshot import Snapshot
from tests.routing.reference import Reference
from tests.routing.topologies import APP, random_partition, random_topology
from tests.strategies import examples

pytestmark = pytest.mark.fast
PROPERTY = settings(examples(150), database=None, print_blob=True)
Key = tuple[str, Partition]


class World:
    """A random history of one application: what happens, and the journal that a driver makes of it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.topology = random_topology(random)
        self.storage: set[Key] = set()
        self.router = Router(self.topology)
        self.reference = Reference(self.topology, self.storage)
        self.journal: list[Entry] = []
        self.emitted: list[Trigger] = []
        self.at = 1000.0
        self.gone: list[Key] = []
        self.plans: dict[str, set[tuple[str, Partition]]] = {}
        self.universe = {(signal.id, random_partition(random, signal)) for signal in self.topology for _ in range(12)}
        for node in self.topology.data_nodes.values():
            for view in node.inputs.values():
                for _ in range(8):
                    tip = random_partition(random, view.node)
                    self.universe |= {(view.node.id, partition) for partition in view.partitions(tip)}

    @property
    def position(self) -> int:
        return len(self.journal) + 1

    def fold(self, entry: Entry) -> list[Trigger]:
        self.journal.append(entry)
        return self.router.fold(entry)

    def step(self) -> None:
        self.at += self.random.choice([0, 1, 7, 20])
        roll = self.random.random()
        if roll < 0.55:
            self.event()
        elif roll < 0.65:
            self.file()
        elif roll < 0.75:
            self.end()
        elif roll < 0.8:
            self.plan()
        else:
            self.turn()

    def event(self) -> None:
        signal = self.random.choice(list(self.topology))
        partition = random_partition(self.random, signal)
        self.universe.add((signal.id, partition))
        has_data = self.random.random() < 0.6
        if has_data and signal.holds_data:
            self.storage.add((signal.id, partition))
            self.gone = [key for key in self.gone if key != (signal.id, partition)]
        route = self.random.choice([None] * 9 + [*self.topology.data_nodes])
        event = Event(self.position, signal.id, partition, f"e{self.position}", self.at, has_data, route)
        self.fold(event)
        self.reference.event(event)

    def file(self) -> None:
        key = self.random.choice(sorted(self.universe, key=repr))
        if not self.topology[key[0]].holds_data:
            return
        if key in self.storage:
            self.storage.discard(key)
            self.gone.append(key)
        else:
            self.storage.add(key)
            self.gone = [gone for gone in self.gone if gone != key]

    def end(self) -> None:
        if not self.emitted:
            return
        trigger = self.random.choice(self.emitted)  # also one that has ended: reports may come twice
        identity = trigger.execution_id(APP)
        if self.random.random() < 0.6:
            self.storage.add((trigger.node, trigger.partition))
            self.gone = [key for key in self.gone if key != (trigger.node, trigger.partition)]
            if any(isinstance(e, Event) and e.identity == identity for e in self.journal):
                return  # the journal leaves repeats out
            event = Event(self.position, trigger.node, trigger.partition, identity, self.at)
            self.fold(event)
            self.reference.event(event)
        else:
            self.fold(Ended(self.position, trigger.node, trigger.partition, identity))
            self.reference.ended(trigger.node, trigger.partition, identity)

    def plan(self) -> None:
        if self.plans and self.random.random() < 0.5:
            name = self.random.choice(sorted(self.plans))
            del self.plans[name]
            self.fold(PlanClosed(self.position, name))
            return
        name = f"plan{self.position}"
        held = defaultdict(set)
        for node in self.topology.data_nodes.values():
            held[node.id] = {random_partition(self.random, node) for _ in range(3)}
        self.plans[name] = {(node, partition) for node, partitions in held.items() for partition in partitions}
        self.fold(PlanOpened(self.position, name, {node: frozenset(found) for node, found in held.items()}))

    def turn(self) -> None:
        looked = set(self.router.take_fresh()) | {key for key in self.universe if self.router.waits_for(key)}
        ready = tuple(sorted((key for key in looked if key in self.storage), key=repr))
        gone, self.gone = list(dict.fromkeys(self.gone)), []
        position = self.position
        found = self.fold(Turn(position, self.at, ready, tuple(gone)))
        held = set().union(*self.plans.values()) if self.plans else set()
        wanted = self.reference.turn(position, self.at, gone, held)
        assert shown(found) == shown(wanted)
        for node_id, groups in self.reference.groups.items():
            assert len(self.router.groups(node_id).groups) == len(groups)
            assert +self.router.groups(node_id).counts == +self.reference.counts[node_id]
        assert shown(self.router.outbox()) == shown(self.reference.in_flight.values())
        self.emitted += found


def shown(triggers) -> list[tuple]:
    return sorted(
        (t.node, repr(t.partition), sorted(t.tips.items()), sorted(t.nearest.items()), t.identities, t.turn)
        for t in triggers
    )


@PROPERTY
@given(st.integers(0, 2**32))
def test_the_router_emits_what_a_naive_one_emits(seed):
    world = World(Random(seed))
    for _ in range(world.random.choice([5, 15, 40])):
        world.step()
    world.turn()


class MemoryRows:
    def __init__(self) -> None:
        self.stored: dict[str, str] = {}

    def rows(self, keys):
        return {key: self.stored[key] for key in keys if key in self.stored}

    def put_rows(self, rows):
        self.stored.update(rows)


class Replayer:
    """A driver that folds a given journal, saves, dies and comes back, on rows that it shares with another one."""

    def __init__(self, topology: Topology, journal: list[Entry], rows: MemoryRows, slot: int) -> None:
        self.topology, self.journal, self.rows, self.slot = topology, journal, rows, slot
        self.emitted: dict[str, Trigger] = {}
        self.restart()

    def restart(self) -> None:
        self.snapshot = Snapshot(self.topology, self.rows, self.slot)
        self.router = self.snapshot.load()
        self.note(self.router.outbox())

    def note(self, triggers) -> None:
        for trigger in triggers:
            self.emitted[trigger.execution_id(APP)] = trigger

    def fold(self, count: int) -> None:
        for entry in self.journal[self.router.cursor : self.router.cursor + count]:
            self.note(self.router.fold(entry))


@PROPERTY
@given(st.integers(0, 2**32))
def test_drivers_that_die_and_come_back_ask_for_the_same_executions(seed):
    random = Random(seed)
    world = World(random)
    for _ in range(random.choice([10, 30, 60])):
        world.step()
    world.turn()
    rows = MemoryRows()
    drivers = [Replayer(world.topology, world.journal, rows, slot) for slot in range(random.choice([1, 2, 3]))]
    older: dict[str, str] = {}
    for _ in range(30):
        driver = random.choice(drivers)
        driver.fold(random.randrange(8))
        roll = random.random()
        if roll < 0.4:
            driver.snapshot.save(driver.router)
        elif roll < 0.6:
            driver.restart()
        elif roll < 0.65:
            older = dict(rows.stored)
        elif roll < 0.7 and len(drivers) == 1 and older:
            rows.stored = dict(older)  # a restored backup
            driver.restart()
    wanted = {trigger.execution_id(APP) for trigger in world.emitted}
    for driver in drivers:
        driver.fold(len(world.journal))
        assert set(driver.emitted) <= wanted
        assert shown(driver.router.outbox()) == shown(world.router.outbox())
        assert driver.router.active == world.router.active
        for node_id in world.topology.data_nodes:
            assert +driver.router.groups(node_id).counts == +world.router.groups(node_id).counts
            waits = {key for key in world.universe if world.router.waits_for(key)}
            assert waits == {key for key in world.universe if driver.router.waits_for(key)}
    seen = set().union(*(driver.emitted for driver in drivers))
    still_out = {trigger.execution_id(APP) for trigger in world.router.outbox()}
    assert still_out <= seen


@PROPERTY
@given(st.integers(0, 2**32))
def test_the_join_index_never_hides_a_possible_join(seed):
    random = Random(seed)
    topology = random_topology(random)
    for node in topology.data_nodes.values():
        keys = JoinKeys(node)
        plain = [alias for alias, view in node.inputs.items() if view.needs_event]
        for _ in range(20):
            tips = {alias: random_partition(random, node.inputs[alias].node) for alias in plain}
            try:
                node.linkage.solve(tips)
            except Contradiction:
                continue
            assert len({keys.key(alias, tip) for alias, tip in tips.items()}) == 1
