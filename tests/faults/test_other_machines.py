"""Owners on other machines and in other containers: how they are known to be dead, and what if they were not."""

from __future__ import annotations

import logging

import pytest

from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS, Claims
from rheo_assets.bridge.claims.heartbeats import HEARTBEAT_EVERY, SILENCE, Heartbeats
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.claims.snapshot_slots import SLOT_CHECKED_EVERY, SnapshotSlots
from tests.faults.world import PacedHeartbeatThread, Storage

pytestmark = pytest.mark.fast


class Machines:
    """Machines that share a storage, whose clock is the only one."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.storage = Storage(self.objects, lambda: None, now=lambda: self.now)

    def heartbeats(self, host: str, pid: int = 1) -> Heartbeats:
        return Heartbeats(
            self.storage, "s3://app/heartbeats", Owner(host, pid, "1"), PacedHeartbeatThread(), look_every=0.0
        )

    def claims(self, heartbeats: Heartbeats) -> Claims:
        return Claims(self.storage, "s3://app/claims", heartbeats)

    def slots(self, heartbeats: Heartbeats) -> SnapshotSlots:
        return SnapshotSlots(self.storage, "s3://app/snapshot_slots", heartbeats, lambda: self.now)

    def live(self, seconds: float, *alive: Heartbeats) -> None:
        """Lets time go by; who is alive heartbeats."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + HEARTBEAT_EVERY)
            for heartbeats in alive:
                heartbeats.record()


def test_a_claim_of_another_machine_is_taken_over_once_its_owner_has_been_silent_for_long():
    machines = Machines()
    lost, found = machines.heartbeats("lost"), machines.heartbeats("found")
    assert machines.claims(lost).take("abc", "run")
    machines.live(SILENCE * 3, lost, found)  # it lives: it keeps it, however long
    assert not machines.claims(found).take("abc", "other")
    machines.live(SILENCE - HEARTBEAT_EVERY, found)
    assert not machines.claims(found).take("abc", "other")
    machines.live(HEARTBEAT_EVERY * 2, found)
    assert not machines.claims(found).is_held("abc")
    assert machines.claims(found).take("abc", "other")
    assert machines.claims(lost).is_superseded("abc")
    assert not machines.claims(found).is_superseded("abc")
    machines.live(HEARTBEAT_EVERY, lost, found)  # it wakes up
    assert machines.claims(found).is_held("abc")
    assert not machines.claims(lost).take("abc", "again")


def test_a_process_that_slept_itself_takes_nobody_for_dead():
    machines = Machines()
    sleeper, other = machines.heartbeats("sleeper"), machines.heartbeats("other")
    other.live_owner()
    sleeper.live_owner()
    machines.live(SILENCE * 4, other)
    assert not sleeper.is_dead(other.owner)
    assert other.is_dead(sleeper.owner)


def test_a_process_that_sleeps_between_two_looks_takes_nobody_for_dead():
    machines = Machines()
    sleeper, other = machines.heartbeats("sleeper"), machines.heartbeats("other")
    other.live_owner()
    sleeper.live_owner()
    look = machines.storage.modified

    def modified(uri: str) -> float | None:
        found = look(uri)
        machines.live(SILENCE * 2, sleeper, other)
        return found

    machines.storage.modified = modified
    assert not sleeper.is_dead(other.owner)


def test_a_process_that_said_that_it_ends_is_dead_at_once():
    machines = Machines()
    ended, other = machines.heartbeats("ended"), machines.heartbeats("other")
    assert machines.claims(ended).take("abc", "run")
    assert not other.is_dead(ended.owner)
    ended.end()
    assert other.is_dead(ended.owner)
    assert machines.claims(other).take("abc", "other")


def test_whoever_names_itself_has_beaten_before():
    machines = Machines()
    written: list[str] = []

    class Watched(Storage):
        def write(self, uri: str, content: bytes) -> None:
            written.append(uri)
            super().write(uri, content)

        def create(self, uri: str, content: bytes) -> bool:
            written.append(uri)
            return super().create(uri, content)

    machines.storage = Watched(machines.objects, lambda: None, now=lambda: machines.now)
    machines.claims(machines.heartbeats("one")).take("abc", "run")
    assert [uri.split("/")[3] for uri in written] == ["heartbeats", "claims"]


def test_a_container_with_the_same_name_and_process_number_on_the_same_machine_is_another_process():
    here = Owner.this_process()
    name, boot, space = here.host.split("/")
    assert here.is_here
    assert not here.is_gone()
    assert Owner(here.host, here.pid, "1").is_gone()  # its number was used again
    container = Owner(f"{name}/{boot}/{int(space) + 1}", here.pid, here.started)
    rebooted = Owner(f"{name}/{boot[::-1]}x/{space}", here.pid, here.started)
    renamed = Owner(f"other-name/{boot}/{space}", here.pid, here.started)
    assert not container.is_here
    assert not rebooted.is_here
    assert renamed.is_here


def test_an_execution_of_this_process_that_broke_down_can_be_taken_again():
    machines = Machines()
    heartbeats = machines.heartbeats("one")
    claims = machines.claims(heartbeats)
    assert claims.take("abc", "run")
    assert not claims.take("abc", "run")
    assert claims.is_held("abc")
    claims.release("abc")
    assert not claims.is_held("abc")
    taken = []
    for _ in range(MAX_ATTEMPTS):
        taken.append(claims.take("abc", "run"))
        claims.release("abc")
    assert taken == [True] * (MAX_ATTEMPTS - 1) + [False]


def test_a_seat_of_another_machine_is_free_once_its_owner_has_been_silent_for_long():
    machines = Machines()
    here, there = machines.heartbeats("here"), machines.heartbeats("there")
    lost = machines.slots(there).take()
    assert lost is not None
    machines.live(SILENCE * 2, here, there)
    assert machines.slots(there).keeps(lost)
    first = machines.slots(here).take()
    assert first is not None
    assert (lost.number, first.number) == (0, 1)
    machines.live(SILENCE + SLOT_CHECKED_EVERY * 2, here)
    second = machines.slots(here).take()
    assert second is not None
    assert second.number == 0
    assert machines.slots(here).keeps(first)
    assert not machines.slots(there).keeps(lost)  # it wakes up, and has to take another one
    again = machines.slots(there).take()
    assert again is not None
    assert again.number == 2


def test_a_damaged_seat_is_free_and_a_damaged_claim_is_that_of_a_dead_process(caplog: pytest.LogCaptureFixture):
    machines = Machines()
    machines.objects.update({"s3://app/snapshot_slots/0/3": (b"{", 0), "s3://app/claims/ab/abc.0": (b"", 0)})
    heartbeats = machines.heartbeats("one")
    slot = machines.slots(heartbeats).take()
    assert slot is not None
    assert (slot.number, slot.attempt) == (0, 4)
    with caplog.at_level(logging.WARNING):
        assert machines.claims(heartbeats).take("abc", "run")
    assert "claims/ab/abc.0 is damaged" in caplog.text
    newest = machines.claims(heartbeats).newest("abc")
    assert newest is not None
    assert newest.attempt == 1


def test_old_claims_and_beats_are_removed_and_present_ones_stay():
    machines = Machines()
    old, present = machines.heartbeats("old"), machines.heartbeats("present")
    ids = [f"{n:02x}-{n}" for n in range(256)]
    for identity in ids:
        machines.claims(old).take(identity, "run")
    machines.live(70 * 86400)
    assert machines.claims(present).take("00-new", "run")
    for _ in range(5000):
        machines.claims(present).clean(present.clean())
    assert machines.claims(present).newest("00-new") is not None
    assert not any(machines.claims(present).newest(identity) for identity in ids)
    assert [name for name in machines.objects if "/heartbeats/" in name] == ["s3://app/heartbeats/present:1:1"]
