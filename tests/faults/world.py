"""A world in memory: storage, journal and rows, in which drivers take turns call by call and can be killed at each.

Every driver runs the library's own loop, router, snapshot, claims, slots and watchers. It lives on a thread that only
moves when the world lets it, so that a seed decides every interleaving.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.claims.claims import Claims
from rheo_assets.bridge.claims.heartbeats import SILENCE, Heartbeats, HeartbeatThread
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.claims.snapshot_slots import SnapshotSlots
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node, timer_node
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.links import EQUALS
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.data.readiness import Readiness
from rheo_assets.routing.entries import Ended, Entry, Event, Trigger, Turn
from rheo_assets.routing.event_loop import EventLoop, Superseded
from rheo_assets.routing.snapshot import Snapshot

APP = "app"
REGIONS = ("NA", "EU")
DAYS = tuple(datetime(2021, 3, 1) + timedelta(days=n) for n in range(3))


class Killed(BaseException):
    """The process is gone; nothing of it may react."""


def shut_gate() -> Any:
    """Returns a lock that is taken: releasing it lets one thread through."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class PacedHeartbeatThread(HeartbeatThread):
    """Heartbeats that are recorded as the world's time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Heartbeats] = []

    def add(self, heartbeats: Heartbeats) -> None:
        self.all.append(heartbeats)


class Process(threading.Thread):
    """A driver's process: moves one port call at a time."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(daemon=True)
        self.thread = PacedHeartbeatThread()
        self.world = world
        self.owner = Owner(world.random.choice(world.machines), world.next_pid(), name)
        self.is_asleep = False
        self.was_taken_for_dead = False
        self.may_move = shut_gate()
        self.is_dead = False
        self.is_done = False
        self.error: BaseException | None = None

    def run(self) -> None:
        self.may_move.acquire()
        try:
            if not self.is_dead:
                Driver(self).live()
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.is_done = True
            self.world.moved.release()

    def point(self) -> None:
        """A port call begins, or has ended: here others may run, and here the process may die."""
        self.world.moved.release()
        self.may_move.acquire()
        if self.is_dead:
            raise Killed


class Storage:
    """Objects by URI, as one process sees them; every process sees the same ones."""

    def __init__(
        self,
        objects: dict[str, tuple[bytes, int]],
        point: Callable[[], None],
        times: dict[str, float] | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.objects, self.point, self.now = objects, point, now
        self.times = {} if times is None else times

    def modified(self, uri: str) -> float | None:
        return self.times.get(uri)

    def expire(self, uri: str, before: float) -> None:
        for name in [name for name, at in self.times.items() if name.startswith(f"{uri}/") and at < before]:
            self.delete(name)

    def version(self, uri: str) -> str | None:
        found = self.objects.get(uri)
        return None if found is None else str(found[1])

    def has_objects(self, uri: str) -> bool:
        return any(name.startswith(f"{uri}/") for name in self.objects)

    def children(self, uri: str) -> Iterator[str]:
        self.point()
        yield from sorted({name[len(uri) + 1 :].split("/")[0] for name in self.objects if name.startswith(f"{uri}/")})

    def find(self, prefix: str, depth: int, names: Any, passes: Any = None) -> Iterator[tuple[tuple[str, ...], str]]:
        self.point()
        for name, (_, version) in list(self.objects.items()):
            segments = tuple(name[len(prefix) + 1 :].split("/"))
            if name.startswith(f"{prefix}/") and len(segments) == depth + 1 and segments[-1] in names:
                yield segments, str(version)

    def read(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise FileNotFoundError(uri)
        return self.objects[uri][0]

    def write(self, uri: str, content: bytes) -> None:
        self.point()
        self.objects[uri] = (content, len(content) + 1000 * len(self.objects))
        self.times[uri] = self.now()
        self.point()

    def create(self, uri: str, content: bytes) -> bool:
        self.point()
        is_first = uri not in self.objects
        if is_first:
            self.objects[uri] = (content, 0)
            self.times[uri] = self.now()
        self.point()
        return is_first

    def delete(self, uri: str) -> None:
        self.point()
        for name in [name for name in self.objects if name == uri or name.startswith(f"{uri}/")]:
            del self.objects[name]
            self.times.pop(name, None)

    def location(self, uri: str) -> str:
        return f"{id(self.objects)}:{uri}"  # a process keeps its slots by location


class Rows:
    def __init__(self, stored: dict[str, str], point: Callable[[], None]) -> None:
        self.stored, self.point = stored, point

    def rows(self, keys: Any) -> dict[str, str]:
        self.point()
        return {key: self.stored[key] for key in keys if key in self.stored}

    def put_rows(self, rows: dict[str, str]) -> None:
        self.point()
        new = {key: text for key, text in rows.items() if key not in self.stored}
        old = {key: text for key, text in rows.items() if key in self.stored}
        self.stored.update(new)
        self.point()
        self.stored.update(old)
        self.point()


class Journal:
    """The log as one process reads and writes it; delivers in small pages and leaves repeats out."""

    def __init__(self, world: World, point: Callable[[], None]) -> None:
        self.world, self.point = world, point
        self.skipped_to = 0

    def read(self, cursor: int) -> list[Entry]:
        self.point()
        page = self.world.log[cursor : cursor + self.world.random.choice([1, 3, 100])]
        self.skipped_to = cursor + len(page)
        return [entry for entry in page if not isinstance(entry, Event) or self._is_new(entry)]

    def _is_new(self, event: Event) -> bool:
        return self.world.first[event.node, event.partition, event.identity] == event.position

    def _store(self, make: Callable[[int], Entry]) -> None:
        self.point()
        entry = make(len(self.world.log) + 1)
        self.world.log.append(entry)
        if isinstance(entry, Event):
            self.world.first.setdefault((entry.node, entry.partition, entry.identity), entry.position)
        self.point()

    def arrived(self, node: str, partition: Partition, identity: str, _metadata: object = None) -> None:
        for _ in range(self.world.random.choice([1, 1, 1, 2])):  # at least once
            self._store(lambda position: Event(position, node, partition, identity, self.world.now))

    def failed(self, trigger: Trigger) -> None:
        identity = trigger.execution_id(APP)
        self._store(lambda position: Ended(position, trigger.node, trigger.partition, identity))

    def turn(self, at: float, ready: Any, gone: Any) -> None:
        self._store(lambda position: Turn(position, at, tuple(ready), tuple(gone)))


class MachineHeartbeats(Heartbeats):
    """Heartbeats of a process of one of the world's machines; the world heartbeats for all that are awake."""

    def __init__(self, world: World, storage: Storage, process: Process) -> None:
        super().__init__(storage, f"{world.home}/heartbeats", process.owner, process.thread)
        self.world = world

    def is_dead(self, owner: Owner) -> bool:
        if owner.host == self.owner.host:
            return self.world.is_dead(owner)
        return self._is_silent_since_long(owner)


class Driver:
    """What a session or the daemon does, on the world's ports."""

    def __init__(self, process: Process) -> None:
        self.world = world = process.world
        self.process = process
        self.storage = Storage(world.objects, process.point, world.times, lambda: world.now)
        self.readiness = Readiness(self.storage)
        self.journal = Journal(world, process.point)
        heartbeats = MachineHeartbeats(world, self.storage, process)
        slots = SnapshotSlots(self.storage, f"{world.home}/snapshot_slots", heartbeats, lambda: world.now)
        self.slot = slots.take() if world.random.random() < 0.8 else None  # where all are taken, it has none
        self.claims = Claims(self.storage, f"{world.home}/claims", heartbeats)
        binding = SimpleNamespace(
            platform=SimpleNamespace(storage=self.storage), readiness=self.readiness, home=world.home
        )
        self.watchers = [Watcher(binding, node) for node in world.topology.external_data.values()]
        self.load()

    def load(self) -> None:
        """Starts from what the furthest driver has saved, under the declaration on record."""
        topology = self.world.topology
        process, number = self.process, None if self.slot is None else self.slot.number
        process.point()
        snapshot = Snapshot(topology, Rows(self.world.rows, process.point), number)

        def is_current() -> bool:
            process.point()
            return self.world.topology is topology

        self.loop = EventLoop(topology, self.journal, snapshot, self.is_ready, is_current=is_current)

    def turn(self, gone: list[tuple[str, Partition]]) -> list[Trigger]:
        while True:
            try:
                return self.loop.turn(self.world.now, gone)
            except Superseded:
                self.load()

    def is_ready(self, key: tuple[str, Partition]) -> bool:
        return self.readiness.is_ready(self.world.topology[key[0]], key[1])

    def live(self) -> None:
        while True:
            for watcher in self.watchers:
                watcher.look(self.journal)
            for day in self.world.ticked:
                if ("t", (day,), f"tick:{day}") not in self.world.first:
                    self.journal.arrived("t", (day,), f"tick:{day}")
            gone = [key for watcher in self.watchers for key in watcher.gone()]
            outbox = self.turn(gone)
            for watcher in self.watchers:
                watcher.forget_gone()
            for trigger in outbox:
                self.run(trigger)
            self.process.point()
            self.world.idle = len(self.world.log) if not outbox and not gone else -1

    def run(self, trigger: Trigger) -> None:
        identity = trigger.execution_id(APP)
        if not self.claims.take(identity, "run"):
            return
        if self.world.has_ended(identity):
            return  # its claimant recorded the end, and went
        node = self.world.topology.data_nodes[trigger.node]
        success = f"{node.layout.uri(node.spec, trigger.partition)}/_SUCCESS"
        try:
            is_recorded = json.loads(self.storage.read(success))["id"] == identity
        except FileNotFoundError:
            is_recorded = False
        if is_recorded:
            self.journal.arrived(node.id, trigger.partition, identity)
            return
        if self.claims.is_superseded(identity):
            return
        self.world.objects.pop(success, None)
        with self.world.running(identity, self.process.owner):
            self.process.point()  # user code
        if self.claims.is_superseded(identity):  # this process was asleep for long
            return
        if self.world.fails(node.id, trigger.partition):
            self.journal.failed(trigger)
            self.world.failures[identity] += 1
            return
        self.storage.point()
        if self.claims.is_superseded(identity):  # what follows at once: the window that remains
            return
        self.world.objects[success] = (json.dumps({"id": identity}).encode(), 1)
        self.world.completions[identity] += 1
        self.process.point()
        self.journal.arrived(node.id, trigger.partition, identity)


class World:
    """Everything that outlives a process, and the scheduler."""

    home = "s3://app"

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.machines = self.random.choice([("one",), ("one", "other")])
        self.times: dict[str, float] = {}
        self.topology = topology()
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.rows: dict[str, str] = {}
        self.log: list[Entry] = []
        self.first: dict[tuple[str, Partition, str], int] = {}
        self.landed_before: frozenset[Partition] | None = None
        self.now = 1000.0
        self.ticked: list[datetime] = []
        self.landed: dict[str, set[Partition]] = {"a": set(), "b": set(), "y": set()}
        self.completions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.live: dict[str, set[Owner]] = {}
        self.processes: list[Process] = []
        self.moved = shut_gate()
        self.idle = -1
        self.kills = 0
        self._pid = 0
        self._salt = seed
        for name in self.landed:
            content = json.dumps({"version": 1, "known": {}}).encode()
            self.objects[f"{self.home}/state/arrivals/{name}.json"] = (content, 0)

    def next_pid(self) -> int:
        self._pid += 1
        return self._pid

    def is_dead(self, owner: Owner) -> bool:
        return all(process.owner != owner or process.is_done for process in self.processes)

    def is_lost(self, owner: Owner) -> bool:
        """Whether a process is dead, or was silent for so long that others may take it for dead."""
        taken = any(process.owner == owner and process.was_taken_for_dead for process in self.processes)
        return taken or self.is_dead(owner)

    def fails(self, node: str, partition: Partition) -> bool:
        return crc32(f"{self._salt}|{node}|{partition}".encode()) % 12 == 0

    def has_ended(self, identity: str) -> bool:
        return any(
            (isinstance(entry, Ended) and entry.execution == identity)
            or (isinstance(entry, Event) and entry.identity == identity)
            for entry in self.log
        )

    def running(self, identity: str, owner: Owner) -> Any:
        return _Running(self, identity, owner)

    # what happens ---------------------------------------------------------------------------------------------

    def land(self, name: str, partition: Partition) -> None:
        node = self.topology[name]
        self.objects[f"{node.layout.uri(node.spec, partition)}/_SUCCESS"] = (b"", len(self.objects))
        self.landed[name].add(partition)

    def activate_anew(self) -> None:
        """Another process activates a declaration with one more node, whose id is `late`, and is gone."""
        self.topology = topology(with_late=True)
        self.landed_before = frozenset(self.landed["y"])

    def start(self) -> Process:
        process = Process(self, f"p{len(self.processes)}")
        self.processes.append(process)
        process.start()
        return process

    def move(self, process: Process) -> None:
        process.may_move.release()
        self.moved.acquire()
        if process.error is not None:
            raise process.error

    def pass_time(self, seconds: float) -> None:
        """Lets time go by; whoever is awake says so."""
        self.now += seconds
        for process in self.alive():
            if not process.is_asleep:
                self.times.update({heartbeats._uri(heartbeats.owner): self.now for heartbeats in process.thread.all})
            last = self.times.get(f"{self.home}/heartbeats/{process.owner.text().replace('/', '_')}")
            if last is not None and self.now - last > SILENCE:  # asleep, perhaps several times in a row
                process.was_taken_for_dead = True

    def kill(self, process: Process) -> None:
        self.kills += 1
        process.is_dead = True
        self.move(process)
        process.join()

    def alive(self) -> list[Process]:
        return [process for process in self.processes if not process.is_done]

    def settle(self) -> None:
        """Kills everyone and lets one fresh process do whatever is left."""
        for process in self.alive():
            self.kill(process)
        process = self.start()
        calm = 0
        while calm < 400:
            before = len(self.log)
            self.idle = -1
            self.pass_time(1)
            self.move(process)
            calm = 0 if len(self.log) != before else calm + (self.idle >= 0)
            if self.idle >= 0:
                self.pass_time(100)
                calm += 40
        self.kill(process)


class _Running:
    """Watches that an execution's user code runs in one live process at a time, and never after its end."""

    def __init__(self, world: World, identity: str, owner: Owner) -> None:
        self.world, self.identity, self.owner = world, identity, owner

    def __enter__(self) -> None:
        others = self.world.live.setdefault(self.identity, set())
        assert all(self.world.is_lost(owner) for owner in others), "two processes run one execution"
        assert not self.world.has_ended(self.identity), "an execution that has ended runs again"
        others.add(self.owner)

    def __exit__(self, *_: object) -> None:
        return


def topology(with_late: bool = False) -> Topology:
    day: dict[str, Any] = {"day": {"type": "DATETIME"}}
    both: dict[str, Any] = {"region": {"type": "STRING", **day}}

    def s3(name: str, spec: dict[str, Any], depth: int) -> Any:
        return external_node(APP, name, S3Dataset("1", "outside", name, *["{}"] * depth), spec, None, SUCCESS)

    def node(name: str, inputs: Any, *output_links: Any) -> Any:
        return data_node(APP, "app", name, inputs, output_dim_links=output_links, compute_targets=NOOPCompute)

    a, b, y = s3("a", both, 2), s3("b", both, 2), s3("y", day, 1)
    t = timer_node(APP, "t", "rate(1 day)", "day")
    joined = node("joined", [a, b])
    rolling = node("rolling", [joined["*"][:-2].range_check(True)])
    nearby = node("nearby", [t, y[:-2].nearest()])
    city = node("city", {"na": joined["NA"]["*"], "eu": joined["EU"]["*"]}, ("region", EQUALS, "NA"))
    last = node("last", {"week": rolling, "near": nearby["*"].ref.range_check(True)})
    late = (node("late", [y]),) if with_late else ()
    return Topology(APP, {signal.id: signal for signal in (a, b, y, t, joined, rolling, nearby, city, last, *late)})


def wanted(world: World) -> tuple[set[tuple[str, Partition]], set[tuple[str, Partition]]]:
    """Returns what the specification demands: the outputs that succeed and those that fail."""
    done: dict[str, set[Partition]] = {}
    failed: set[tuple[str, Partition]] = set()

    def settle(node: str, partitions: set[Partition]) -> None:
        bad = {partition for partition in partitions if world.fails(node, partition)}
        failed.update((node, partition) for partition in bad)
        done[node] = partitions - bad

    step = timedelta(days=1)
    settle("joined", world.landed["a"] & world.landed["b"])
    joined = done["joined"]
    settle("rolling", {(r, d) for r, d in joined if (r, d - step) in joined})
    near = {(d,) for d in world.ticked if {(d,), (d - step,)} & world.landed["y"]}
    settle("nearby", near)
    settle("city", {("NA", d) for r, d in joined if r == "NA" and ("EU", d) in joined})
    settle("last", {(r, d) for r, d in done["rolling"] if (d,) in done["nearby"]})
    return {(node, partition) for node, partitions in done.items() for partition in partitions}, failed


def wanted_late(world: World) -> tuple[set[Partition], set[Partition]]:
    """Returns the partitions of `late` that are demanded, and those that may be: of files from before it was there."""
    if world.landed_before is None:
        return set(), set()
    good = {partition for partition in world.landed["y"] if not world.fails("late", partition)}
    return good - world.landed_before, good
