"""Executions that nobody routed, as the router sees them."""

from __future__ import annotations

import pytest

from rheo_assets.routing.entries import Began, Ended, Event, Turn
from rheo_assets.routing.snapshot import Snapshot
from tests.routing.test_router_properties import MemoryRows
from tests.routing.test_snapshot import joining

pytestmark = pytest.mark.fast


def test_a_group_is_skipped_while_somebody_else_executes_its_partition_also_after_a_restart():
    topology, rows = joining("n"), MemoryRows()
    snapshot = Snapshot(topology, rows, 0)
    router = snapshot.load()
    router.fold(Began(1, "n", "run", "host:1:1", {(1,): "by-hand"}))
    snapshot.save(router)
    router = Snapshot(topology, rows, 1).load()
    assert [(node, partition, other.run) for node, partition, other in router.manual_executions()] == [
        ("n", (1,), "run")
    ]
    for position, (source, number) in enumerate([("a", 1), ("b", 1), ("a", 2), ("b", 2)], start=2):
        router.fold(Event(position, source, (number,), f"{source}{number}", 0.0))
    assert [trigger.partition for trigger in router.fold(Turn(6, 0.0))] == [(2,)]
    assert router.groups("n").counts["skipped"] == 1
    router.fold(Ended(7, "n", (1,), "another"))
    assert router.occupied == {"n"}
    router.fold(Ended(8, "n", (1,), "by-hand"))
    for position, source in enumerate("ab", start=9):
        router.fold(Event(position, source, (1,), f"{source}1 again", 0.0))
    assert [trigger.partition for trigger in router.fold(Turn(11, 0.0))] == [(1,)]


def test_a_group_that_is_complete_when_somebody_begins_its_partition_is_skipped_and_no_other():
    topology = joining("n")
    router = Snapshot(topology, MemoryRows(), 0).load()
    for position, (source, number) in enumerate([("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 3)], start=1):
        router.fold(Event(position, source, (number,), f"{source}{number}", 0.0))
    router.fold(Began(6, "n", "run", "host:1:1", {(1,): "one", (2,): "two"}))
    router.fold(Ended(7, "n", (1,), "one"))
    router.fold(Ended(8, "n", (2,), "two"))
    assert [trigger.partition for trigger in router.fold(Turn(9, 0.0))] == [(3,)]
    router.fold(Event(10, "b", (2,), "b2", 0.0))
    assert [trigger.partition for trigger in router.fold(Turn(11, 0.0))] == [(2,)]
