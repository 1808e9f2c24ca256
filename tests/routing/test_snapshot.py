"""What drivers keep between processes."""

from __future__ import annotations

import pytest

from rheo_assets.errors import StateError
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Event, PlanOpened, Turn
from rheo_assets.routing.snapshot import Snapshot
from tests.routing.test_router_properties import MemoryRows, shown

pytestmark = pytest.mark.fast
MANY = 100


def joining(*names: str) -> Topology:
    spec = {"n": {"type": "LONG"}}
    a, b = (external_node("app", x, S3Dataset("1", "out", x, "{}"), spec, None, SUCCESS) for x in "ab")
    nodes = {"a": a, "b": b}
    nodes.update({name: data_node("app", "bucket", name, [a, b], compute_targets=NOOPCompute) for name in names})
    return Topology("app", nodes)


def saved_and_loaded(topology, rows, router, snapshot, slot):
    snapshot.save(router)
    other = Snapshot(topology, rows, slot)
    return other.load(), other


def test_many_groups_and_executions_survive_in_buckets():
    topology, rows = joining("n"), MemoryRows()
    snapshot = Snapshot(topology, rows, 0)
    router = snapshot.load()
    for position in range(MANY):
        router.fold(Event(position + 1, "a", (position,), f"a{position}", 0.0))
    router, snapshot = saved_and_loaded(topology, rows, router, snapshot, 1)
    assert len(router.groups("n").groups) == MANY
    for position in range(MANY // 2):
        router.fold(Event(MANY + position + 1, "b", (position,), f"b{position}", 0.0))
    assert len(router.fold(Turn(1000, 0.0))) == MANY // 2
    again, _ = saved_and_loaded(topology, rows, router, snapshot, 2)
    assert shown(again.outbox()) == shown(router.outbox())
    assert len(again.groups("n").groups) == MANY // 2
    assert len([key for key in rows.stored if "/2/" in key]) == 0  # nothing is written before something is saved


def test_a_change_rewrites_its_neighbours_only():
    topology, rows = joining("n"), MemoryRows()
    snapshot = Snapshot(topology, rows, 0)
    router = snapshot.load()
    for position in range(MANY):
        router.fold(Event(position + 1, "a", (position,), f"a{position}", 0.0))
    snapshot.save(router)
    before = dict(rows.stored)
    router.fold(Event(MANY + 1, "a", (MANY,), "more", 0.0))
    snapshot.save(router)
    changed = {key for key, text in rows.stored.items() if before.get(key) != text}
    assert len(changed) == 3  # the header, the node's head and one bucket


def test_a_slow_driver_never_hides_entries_from_the_next_one():
    topology, rows = joining("n"), MemoryRows()
    first = Snapshot(topology, rows, 0)
    router = first.load()
    first.save(router)
    slow = Snapshot(topology, rows, 1)
    behind = slow.load()
    behind.fold(Event(1, "a", (1,), "a1", 0.0))
    for entry in (Event(1, "a", (1,), "a1", 0.0), Event(2, "a", (2,), "a2", 0.0)):
        router.fold(entry)
    first.save(router)
    slow.save(behind)  # an older state, after the newer one
    router.cursor = 10
    first.save(router)
    assert len(Snapshot(topology, rows, 2).load().groups("n").groups) == 2


def test_a_node_that_was_taken_away_comes_back_without_its_old_groups():
    rows = MemoryRows()
    both, one = joining("n", "m"), joining("n")
    snapshot = Snapshot(both, rows, 0)
    router = snapshot.load()
    router.fold(Event(1, "a", (1,), "a1", 0.0))
    snapshot.save(router)
    without = Snapshot(one, rows, 0)
    router = without.load()
    router.fold(Event(2, "a", (2,), "a2", 0.0))
    without.save(router)
    back = Snapshot(both, rows, 0).load()
    assert len(back.groups("n").groups) == 2
    assert len(back.groups("m").groups) == 0


def test_open_plans_survive():
    topology, rows = joining("n"), MemoryRows()
    snapshot = Snapshot(topology, rows, 0)
    router = snapshot.load()
    router.fold(PlanOpened(7, "plan", {"n": frozenset({(1,), (2,)})}))
    loaded, _ = saved_and_loaded(topology, rows, router, snapshot, 3)
    assert loaded.plans == router.plans


def saved(topology, rows, slot, position):
    snapshot = Snapshot(topology, rows, slot)
    router = snapshot.load()
    router.fold(Event(position, "a", (position,), f"a{position}", 0.0))
    router.fold(PlanOpened(position, "plan", {"n": frozenset({(1,)})}))
    snapshot.save(router)


ROWS = ["", "/plans", "/node/n"]
TEXTS = ["{", "[1", "7", '{"version": 1}', '{"version": 9}']


@pytest.mark.parametrize(
    ("row", "text"), [*((row, text) for row in ROWS for text in TEXTS), *(("/nodes", text) for text in TEXTS[:3])]
)
def test_a_damaged_row_is_told_with_what_to_do_and_an_older_seat_takes_its_place(row, text, caplog):
    topology, rows = joining("n"), MemoryRows()
    saved(topology, rows, 0, 1)
    saved(topology, rows, 1, 2)
    rows.stored[f"rheo/app/router/1{row}"] = text
    router = Snapshot(topology, rows, 2).load()
    assert len(router.groups("n").groups) == 1  # what slot 0 had: the rest is folded again from there
    assert router.cursor == 1
    rows.stored["rheo/app/router/0"] = ""
    with pytest.raises(StateError, match=rf"'app'.*row 'rheo/app/router/1{row}'.*set_cursor_values.*process"):
        Snapshot(topology, rows, 2).load()
    rows.stored[f"rheo/app/router/1{row}"] = ""  # as the message says
    Snapshot(topology, rows, 2).load()
