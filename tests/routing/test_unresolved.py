"""What the router keeps until a driver finds out about it: executions that wait for checks, and reports."""

from __future__ import annotations

import pytest

from rheo_assets.routing.entries import AwaitsChecks, Ended, Event, LookedAt, Reported, Turn
from rheo_assets.routing.router import Router
from rheo_assets.routing.snapshot import Snapshot
from tests.routing.test_router_properties import MemoryRows
from tests.routing.test_snapshot import joining

pytestmark = pytest.mark.fast


def emitted(router: Router) -> str:
    """Lets the router emit one execution; returns its id."""
    for position, source in enumerate("ab", start=1):
        router.fold(Event(position, source, (1,), source, 0.0))
    (trigger,) = router.fold(Turn(3, 0.0))
    return trigger.execution_id("app")


def test_an_execution_that_waits_for_checks_has_not_ended_until_it_passes_or_fails() -> None:
    for end in (lambda i: Event(5, "n", (1,), i, 0.0), lambda i: Ended(5, "n", (1,), i)):
        router = Router(joining("n"))
        identity = emitted(router)
        router.fold(AwaitsChecks(4, "n", (1,), identity, "run", "", ("rows",)))
        assert router.has_unresolved
        assert [entry.execution for entry in router.checked_executions()] == [identity]
        assert len(router.outbox()) == 1
        router.fold(end(identity))
        assert not router.has_unresolved
        assert router.outbox() == []


def test_what_is_unresolved_is_saved() -> None:
    topology, rows = joining("n"), MemoryRows()
    snapshot = Snapshot(topology, rows, 0)
    router = snapshot.load()
    waiting = AwaitsChecks(4, "n", (1,), emitted(router), "run", "host:1:2", ("one", "two"))
    router.fold(waiting)
    router.fold(Reported(5, "a", (2,)))
    snapshot.save(router)
    heir = Snapshot(topology, rows, 1).load()
    assert heir.checked_executions() == [waiting]
    assert heir.reported == {("a", (2,)): 5}
    heir.fold(LookedAt(6, "a", (2,), None))
    assert heir.reported == {}


def test_data_behind_a_report_is_an_event_and_a_report_is_none() -> None:
    router = Router(joining("n"))
    router.fold(Reported(1, "a", (1,)))
    router.fold(Event(2, "b", (1,), "b", 0.0))
    assert router.fold(Turn(3, 0.0)) == []
    router.fold(LookedAt(4, "a", (1,), Event(4, "a", (1,), "file@1", 0.0)))
    (trigger,) = router.fold(Turn(5, 0.0))
    assert trigger.identities == ("b", "file@1")
