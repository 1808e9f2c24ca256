"""Turns that end early."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rheo_assets.routing.entries import Entry, Event, Turn
from rheo_assets.routing.event_loop import EventLoop, Superseded
from rheo_assets.routing.snapshot import Snapshot
from rheo_assets.routing.trigger_group import Key
from tests.routing.test_router_properties import MemoryRows
from tests.routing.test_snapshot import joining

pytestmark = pytest.mark.fast
PAGE = 10


class Pages:
    """A journal in memory that is read a few entries at a time."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.skipped_to = 0

    def read(self, cursor: int) -> list[Entry]:
        """Returns the next page."""
        found = self.entries[cursor : cursor + PAGE]
        self.skipped_to = found[-1].position if found else cursor
        return found

    def turn(self, at: float, ready: Sequence[Key], gone: Sequence[Key]) -> None:
        """Records a turn."""
        self.entries.append(Turn(len(self.entries) + 1, at, tuple(ready), tuple(gone)))

    def event(self, node: str, number: int) -> None:
        """Records an event."""
        self.entries.append(Event(len(self.entries) + 1, node, (number,), f"{node}{number}", 0.0))


def test_a_turn_that_ends_early_is_not_closed_and_another_driver_goes_on_behind_its_page() -> None:
    topology, rows, journal = joining("n"), MemoryRows(), Pages()
    for number in range(15):
        journal.event("a", number)
        journal.event("b", number)
    loop = EventLoop(topology, journal, Snapshot(topology, rows, 0), lambda _key: True)
    assert loop.turn(0.0, is_enough=lambda: True) == []
    assert loop.is_behind
    assert not any(isinstance(entry, Turn) for entry in journal.entries)
    heir = EventLoop(topology, journal, Snapshot(topology, rows, 1), lambda _key: True)
    assert heir.router.cursor == PAGE
    assert len(heir.turn(0.0)) == 15
    assert not heir.is_behind
    assert [trigger.partition for trigger in loop.turn(0.0)] == [(number,) for number in range(15)]


def test_a_page_that_may_have_come_after_another_declaration_is_not_folded() -> None:
    topology, rows, journal = joining("n"), MemoryRows(), Pages()
    standing = [True, False]
    loop = EventLoop(
        topology, journal, Snapshot(topology, rows, 0), lambda _key: True, is_current=lambda: standing.pop(0)
    )
    for number in range(PAGE):
        journal.event("a", number)
        journal.event("b", number)
    with pytest.raises(Superseded):
        loop.turn(0.0)
    assert loop.router.cursor == PAGE
    assert len(loop.router.groups("n").groups) == PAGE / 2, "the first page was read while the declaration stood"
    heir = EventLoop(topology, journal, Snapshot(topology, rows, 1), lambda _key: True)
    assert len(heir.turn(0.0)) == PAGE
