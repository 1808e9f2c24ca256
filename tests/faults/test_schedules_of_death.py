"""Drivers killed at every point between a file's arrival and the run downstream: nothing lost, nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.bridge.claims.heartbeats import SILENCE
from rheo_assets.routing.entries import Event
from rheo_assets.routing.router import Router
from tests.faults.world import APP, DAYS, REGIONS, World, topology, wanted, wanted_late


def story(seed: int) -> World:
    """Lets files land and timers tick in a random order while one to three drivers live and die, and settles.

    In half of the stories another process activates one more node meanwhile.
    """
    world = World(seed)
    random = world.random
    files = [("a", (r, d)) for r in REGIONS for d in DAYS] + [("b", (r, d)) for r in REGIONS for d in DAYS]
    files += [("y", (d,)) for d in DAYS]
    files = [file for file in files if random.random() < 0.85]
    random.shuffle(files)
    ticks = list(DAYS)
    drivers = random.choice([1, 2, 2, 3])
    sleepiness = random.choice([0.0, 0.05])
    mortality = random.choice([0.002, 0.01, 0.03])
    activates = random.choice([False, True])
    for _ in range(random.choice([150, 300, 500])):
        if activates and random.random() < 0.01:
            world.activate_anew()
            activates = False
        if files and random.random() < 0.06:
            world.land(*files.pop())
        if ticks and random.random() < 0.02:
            world.ticked.append(ticks.pop(0))
        world.pass_time(random.choice([0, 0, 0, 1, 6]))
        if len(world.machines) > 1 and random.random() < 0.03:
            world.pass_time(SILENCE + 100)
        alive = world.alive()
        if len(alive) < drivers:
            alive.append(world.start())
        process = random.choice(alive)
        if process.is_asleep or random.random() < sleepiness:
            process.is_asleep = random.random() < 0.9
            continue
        if random.random() < mortality:
            world.kill(process)
        else:
            world.move(process)
    for file in files:
        world.land(*file)
    world.ticked += ticks
    world.settle()
    return world


def check(world: World) -> None:
    succeed, fail = wanted(world)
    first = [
        e for e in world.log if isinstance(e, Event) and world.first[e.node, e.partition, e.identity] == e.position
    ]
    happened = [(e.node, e.partition) for e in first if e.node in world.topology.data_nodes and e.node != "late"]
    late = [e.partition for e in first if e.node == "late"]
    demanded, possible = wanted_late(world)
    assert demanded <= set(late) <= possible
    assert len(late) == len(set(late))
    assert sorted(happened, key=repr) == sorted(succeed, key=repr)
    assert set(world.completions.values()) <= {1}
    assert len(world.completions) == len(succeed) + len(late)
    router = Router(topology())
    emitted = []
    for entry in world.log:
        if not isinstance(entry, Event) or world.first[entry.node, entry.partition, entry.identity] == entry.position:
            emitted += router.fold(entry)
    assert {(t.node, t.partition) for t in emitted} == succeed | fail
    assert len(emitted) == len(succeed | fail)
    assert router.outbox() == []
    known = {trigger.execution_id(APP) for trigger in emitted}
    assert len(set(world.failures) - known) <= sum(world.fails("late", partition) for partition in world.landed["y"])


@pytest.mark.parametrize("decade", [*(pytest.param(n, marks=pytest.mark.fast) for n in range(3)), *range(3, 10)])
def test_a_hundred_schedules_lose_nothing_and_double_nothing(decade):
    for seed in range(decade * 10, decade * 10 + 10):
        check(story(seed))


@pytest.mark.parametrize("block", range(9))
def test_a_thousand_schedules_lose_nothing_and_double_nothing(block):
    for seed in range(100 + block * 100, 200 + block * 100):
        check(story(seed))


@given(st.integers(1000))
def test_any_schedule_loses_nothing_and_doubles_nothing(seed):
    check(story(seed))
