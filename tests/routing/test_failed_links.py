"""Events on which a link's function fails: they are kept until the function has been corrected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from rheo_assets.errors import InvalidValue, UnknownNode
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.links import EQUALS
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Entry, Event, Trigger, Turn
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.router import Router
from rheo_assets.routing.snapshot import Snapshot
from tests.routing.test_router_properties import MemoryRows

pytestmark = pytest.mark.fast


def only_one(value: int) -> int:
    return {1: 1}[value]


def nothing(value: int) -> None:
    return None


def wrong_name(value: int) -> int:
    raise UnknownNode("app", "nonsense", ["a"])


def not_a_value(value: int) -> int:
    raise InvalidValue("n", value, "something else")


def the_same(value: int) -> int:
    return value


def linked(function: Callable[[int], Any], ttl: float | None = None) -> Topology:
    """Returns a node `n` of `a` and `b`, and one of `a` alone: the `n` of `b`, and the output, follow from `a`."""
    spec = {"n": {"type": "LONG"}}
    a, b = (external_node("app", x, S3Dataset("1", "out", x, "{}"), spec, None, SUCCESS) for x in "ab")
    both = data_node(
        "app",
        "bucket",
        "both",
        [a, b],
        input_dim_links=[(b("n"), function, a("n"))],
        compute_targets=NOOPCompute,
        pending_node_expiration_ttl_in_secs=ttl,
    )
    links = [("n", function, a("n"))]
    alone = data_node("app", "bucket", "alone", [a], output_dim_links=links, compute_targets=NOOPCompute)
    return Topology("app", {"a": a, "b": b, "both": both, "alone": alone})


def arrival(position: int, source: str, value: int, identity: str = "") -> Event:
    return Event(position, source, (value,), identity or f"{source}{value}", 100.0)


class Sessions:
    """One session after another, each with a declaration of its own."""

    def __init__(self, topology: Topology) -> None:
        self.rows, self.slot = MemoryRows(), 0
        self.begin(topology)

    def begin(self, topology: Topology) -> None:
        self.snapshot = Snapshot(topology, self.rows, self.slot)
        self.router = self.snapshot.load()
        self.slot += 1

    def declare_anew(self, topology: Topology) -> None:
        self.snapshot.save(self.router)
        self.begin(topology)

    def fold(self, *entries: Entry) -> list[Trigger]:
        return [trigger for entry in entries for trigger in self.router.fold(entry)]

    def groups(self, node: str) -> NodeGroups:
        return self.router.groups(node)


@pytest.mark.parametrize("function", [only_one, nothing, wrong_name, not_a_value])
def test_an_event_is_offered_again_once_the_function_is_corrected(function):
    sessions = Sessions(linked(function))
    assert sessions.fold(arrival(1, "a", 4), arrival(2, "b", 4), Turn(3, 100.0)) == []
    assert len(sessions.groups("both").groups) == 2, "that of b waits by itself: it may fit another event of a"
    sessions.declare_anew(linked(function))
    assert sessions.fold(Turn(4, 100.0)) == []
    sessions.declare_anew(linked(the_same))
    triggers = sessions.fold(Turn(5, 100.0))
    assert [(t.node, t.partition, t.identities) for t in triggers] == [
        ("alone", (4,), ("a4",)),
        ("both", (4,), ("a4", "b4")),
    ]
    assert not sessions.router.active
    sessions.declare_anew(linked(the_same))
    assert sessions.fold(Turn(6, 100.0)) == [], "once is enough"


def test_what_is_held_back_takes_no_other_event_and_no_repeat_of_its_own():
    sessions = Sessions(linked(only_one))
    sessions.fold(arrival(1, "a", 4), arrival(2, "b", 4), arrival(3, "a", 4, "again"), arrival(4, "a", 1))
    assert [group.received for group in sessions.groups("alone").groups.values()] == [{"a": (4,)}, {"a": (1,)}]
    (trigger,) = sessions.fold(Turn(5, 100.0))
    assert trigger.node == "alone"
    (trigger,) = sessions.fold(arrival(6, "b", 1), Turn(7, 100.0))
    assert (trigger.node, trigger.identities) == ("both", ("a1", "b1"))


def test_what_waits_is_held_back_while_a_new_function_fails_on_it():
    sessions = Sessions(linked(the_same))
    sessions.fold(arrival(1, "a", 4))
    sessions.declare_anew(linked(only_one))
    assert sessions.fold(arrival(2, "b", 4), Turn(3, 100.0)) == []
    assert not +sessions.groups("both").counts
    sessions.declare_anew(linked(the_same))
    triggers = sessions.fold(Turn(4, 100.0))
    assert [(t.node, t.identities) for t in triggers] == [("alone", ("a4",)), ("both", ("a4", "b4"))]


def test_what_is_held_back_is_dropped_where_the_corrected_link_rules_it_out():
    sessions = Sessions(linked(only_one))
    sessions.fold(arrival(1, "a", 4))
    topology = linked(the_same)
    a, b = topology["a"], topology["b"]
    pinned = data_node("app", "bucket", "both", [a[5], b], compute_targets=NOOPCompute)
    sessions.declare_anew(Topology("app", {"a": a, "b": b, "both": pinned}))
    assert not sessions.groups("both").groups
    assert sessions.groups("both").counts == {"dropped": 1}


def test_data_that_has_gone_while_its_event_was_held_back_is_waited_for():
    def checked(function: Callable[[int], Any]) -> Topology:
        topology = linked(function)
        a, b = topology["a"], topology["b"]
        links = [(b("n"), function, a("n"))]
        node = data_node("app", "bucket", "n", [a.range_check(True), b], links, compute_targets=NOOPCompute)
        return Topology("app", {"a": a, "b": b, "n": node})

    sessions = Sessions(checked(only_one))
    sessions.fold(arrival(1, "a", 4), arrival(2, "b", 4), Turn(3, 100.0, gone=(("a", (4,)),)))
    sessions.declare_anew(checked(the_same))
    assert sessions.fold(Turn(4, 100.0)) == []
    assert sessions.router.take_fresh() == [("a", (4,))]
    assert len(sessions.fold(Turn(5, 100.0, ready=(("a", (4,)),)))) == 1


def test_what_is_held_back_for_longer_than_the_time_to_live_is_dropped():
    router = Router(linked(only_one, ttl=60))
    router.fold(arrival(1, "a", 4))
    router.fold(Turn(2, 161.0))
    assert not router.groups("both").groups
    assert router.groups("both").counts == {"expired": 1}


def test_one_warning_an_event_whoever_folds_it_and_a_few_a_node(caplog):
    topology = linked(only_one)
    for router in (Router(topology), Router(topology)):
        for value in (4, 4, 5):
            router.fold(arrival(value, "a", value))
    with_both = [r.getMessage() for r in caplog.records if "'both'" in r.getMessage()]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert with_both == [
        f"application 'app': node 'both': the link b.n <- f(a.n) raised KeyError: {value} for [{value}]. Links get "
        f"str, int and naive UTC datetime values. The event of a[{value}] is held back. Correct the function and "
        "activate() again, or reload the code location: then the event is routed again"
        for value in (4, 5)
    ]
    caplog.clear()
    for value in range(10, 40):
        router.fold(arrival(value, "a", value))
    assert len([r for r in caplog.records if "'alone'" in r.getMessage()]) == 9
    assert "more than 10 events of node 'alone' are held back: app.pending('alone') lists them" in caplog.text


def test_what_fails_only_together_is_told_and_goes_on_waiting(caplog):
    levels = {"a": {"month": {"type": "DATETIME", "granularity": "MONTH"}}, "c": {"day": {"type": "DATETIME"}}}
    levels["b"] = levels["a"]
    a, b, c = (external_node("app", x, S3Dataset("1", "out", x, "{}"), levels[x], None, SUCCESS) for x in "abc")
    made = data_node(
        "app",
        "bucket",
        "made",
        [a, b, c.ref],
        input_dim_links=[(c("day"), EQUALS, a("month"))],  # the first of the month, once nothing finer can come
        output_dimension_spec={"out": {"type": "LONG"}},
        output_dim_links=[("out", lambda day: day / 0, c("day"))],
        compute_targets=NOOPCompute,
    )
    router = Router(Topology("app", {"a": a, "b": b, "c": c, "made": made}))
    for position, source in enumerate("ab"):
        router.fold(Event(position, source, (datetime(2024, 3, 1),), source, 100.0))
    assert len(router.groups("made").groups) == 2
    assert "node 'made': the link output.out <- f(c.day) raised TypeError" in caplog.text
    assert "The event was not joined to the group." in caplog.text
    assert "then report it again: app.process(view)" in caplog.text


def test_an_event_on_which_a_format_function_fails_is_held_back_too():
    def spelled(function: Callable[[str], str]) -> Topology:
        text = {"n": {"type": "STRING"}}
        a = external_node("app", "a", S3Dataset("1", "out", "a", "{}"), text, None, SUCCESS)
        formatted = {"n": {"type": "STRING", "format": function}}
        node = data_node("app", "bucket", "n", [a], output_dimension_spec=formatted, compute_targets=NOOPCompute)
        return Topology("app", {"a": a, "n": node})

    sessions = Sessions(spelled(lambda text: {"x": "X"}[text]))
    assert sessions.fold(Event(1, "a", ("y",), "y", 100.0), Turn(2, 100.0)) == []
    sessions.declare_anew(spelled(str.upper))
    (trigger,) = sessions.fold(Turn(3, 100.0))
    assert trigger.partition == ("Y",)
