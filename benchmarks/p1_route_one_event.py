"""P1: route one event in an application of 1,000 nodes with two-input joins, against Dagster's `eager()`.

The graph: half as many external datasets as nodes; node `i` joins dataset `i % d` and dataset `(i + 1) % d` on one
dimension, so that every dataset has two to four consumers. Our side is what the router does with one event that
completes groups: fold it, look for what is waited for, close the turn, and dump the rows that changed. Dagster's side
is one tick of declarative automation (`evaluate_automation_conditions`) over the same assets, `eager()` on each, on an
ephemeral instance, after one materialisation, with the cursor of the tick before. Both answers are checked: the same
assets are asked for. Times are CPU seconds of one process.

    python benchmarks/p1_route_one_event.py            # everything; about two minutes
    python benchmarks/p1_route_one_event.py --ours     # without Dagster
"""

from __future__ import annotations

import argparse
import gc
import time
import warnings
from statistics import median

from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.signals import Signal
from rheo_assets.model.topology import Topology
from rheo_assets.routing.entries import Entry, Event, Trigger, Turn
from rheo_assets.routing.event_loop import EventLoop
from rheo_assets.routing.snapshot import Snapshot

NODES, WAITING, EVENTS = 1_000, 10_000, 400
RATIO, GROWTH = 1 / 1_000, 1.3
SPEC = {"n": {"type": "LONG"}}


def parents_of(number: int, sources: int) -> tuple[int, int]:
    return number % sources, (number + 1) % sources


def topology_of(count: int) -> Topology:
    sources: list[Signal] = [
        external_node("bench", f"x{k}", S3Dataset("1", "out", f"x{k}", "{}"), SPEC, None, SUCCESS)
        for k in range(count // 2)
    ]
    nodes: dict[str, Signal] = {source.id: source for source in sources}
    for number in range(count):
        inputs = [sources[parent] for parent in parents_of(number, len(sources))]
        node = data_node("bench", "bucket", f"node_{number}", inputs, compute_targets=NOOPCompute)
        nodes[node.id] = node
    return Topology("bench", nodes)


class Memory:
    """A journal and rows in memory: what is measured is the router, not a database."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.stored: dict[str, str] = {}
        self.skipped_to = 0

    def read(self, cursor: int) -> list[Entry]:
        self.skipped_to = len(self.entries)
        return self.entries[cursor:]

    def turn(self, at: float, ready: object, gone: object) -> None:
        self.entries.append(Turn(len(self.entries) + 1, at, tuple(ready), tuple(gone)))  # type: ignore[arg-type]

    def arrive(self, source: str, value: int) -> None:
        position = len(self.entries) + 1
        self.entries.append(Event(position, source, (value,), f"e{position}", float(position)))

    def end(self, trigger: Trigger) -> None:
        position = len(self.entries) + 1
        identity = trigger.execution_id("bench")
        self.entries.append(Event(position, trigger.node, trigger.partition, identity, float(position)))

    def rows(self, keys: object) -> dict[str, str]:
        return {key: self.stored[key] for key in keys if key in self.stored}  # type: ignore[attr-defined]

    def put_rows(self, rows: dict[str, str]) -> None:
        self.stored.update(rows)


class Bench:
    def __init__(self, count: int) -> None:
        self.topology = topology_of(count)
        self.memory = Memory()
        self.loop = EventLoop(self.topology, self.memory, Snapshot(self.topology, self.memory, 0), lambda _key: True)
        self.sources = count // 2
        self.position = 0
        for node_id in self.topology.data_nodes:
            self.loop.router.groups(node_id)  # a process compiles a node's join keys once, at its first event

    def settle(self, outbox: list[Trigger]) -> None:
        for trigger in outbox:
            self.memory.end(trigger)
        self.loop.turn(0.0)

    def wait_for(self, groups: int, spread: int) -> None:
        """Leaves groups waiting at the nodes below the first datasets."""
        for number in range(groups):
            self.memory.arrive(f"x{2 * (number % spread)}", 1_000_000 + number)
        self.loop.turn(0.0)

    def route(self, events: int) -> float:
        """Returns the median CPU seconds of routing one event that completes its joins."""
        seconds = []
        gc.collect()
        gc.disable()
        for value in range(events):
            source = value % (self.sources - 1)
            self.memory.arrive(f"x{source}", self.position + value)
            self.settle(self.loop.turn(0.0))
            self.memory.arrive(f"x{source + 1}", self.position + value)
            started = time.process_time()
            outbox = self.loop.turn(0.0)
            seconds.append(time.process_time() - started)
            expected = {n for n in self.topology.data_nodes if self._joins(n, source)}
            assert {trigger.node for trigger in outbox} == expected, (outbox, expected)
            self.settle(outbox)
        gc.enable()
        self.position += events
        return median(seconds)

    def _joins(self, node_id: str, source: int) -> bool:
        return set(parents_of(int(node_id.removeprefix("node_")), self.sources)) == {source, source + 1}


def dagster_tick() -> tuple[float, set[str]]:
    """Returns the CPU seconds of the tick that follows one materialisation, and the assets that it asks for."""
    import dagster as dg

    warnings.simplefilter("ignore", dg.BetaWarning)
    sources = NODES // 2

    def asset(number: int) -> dg.AssetsDefinition:
        deps = [f"x{parent}" for parent in parents_of(number, sources)]

        @dg.asset(name=f"node_{number}", deps=deps, automation_condition=dg.AutomationCondition.eager())
        def made() -> None: ...

        return made

    definitions = dg.Definitions(
        assets=[*(dg.AssetSpec(f"x{k}") for k in range(sources)), *(asset(number) for number in range(NODES))]
    )
    with dg.DagsterInstance.ephemeral() as instance:
        for key in [*(f"x{k}" for k in range(sources)), *(f"node_{n}" for n in range(NODES))]:
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        before = dg.evaluate_automation_conditions(defs=definitions, instance=instance)
        seconds = []
        for source in (1, 11, 21):
            instance.report_runless_asset_event(dg.AssetMaterialization(f"x{source}"))
            started = time.process_time()
            after = dg.evaluate_automation_conditions(defs=definitions, instance=instance, cursor=before.cursor)
            seconds.append(time.process_time() - started)
            asked = {n for n in range(NODES) if after.get_num_requested(dg.AssetKey(f"node_{n}"))}
            assert asked == {n for n in range(NODES) if source in parents_of(n, sources)}, asked
            before = after
    return median(seconds), {f"node_{n}" for n in asked}


def check_same(asked: set[str]) -> None:
    """Checks that our router starts the same nodes when every other input of theirs is there and this one changes."""
    bench = Bench(NODES)
    for source in (20, 22):
        bench.memory.arrive(f"x{source}", 7)
    bench.settle(bench.loop.turn(0.0))
    bench.memory.arrive("x21", 7)
    assert {trigger.node for trigger in bench.loop.turn(0.0)} == asked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", action="store_true", help="leave Dagster out")
    arguments = parser.parse_args()
    reached = []
    ours = Bench(NODES).route(EVENTS)
    print(f"P1 route one event, {NODES:,} nodes: ours {ours * 1e6:.0f} µs CPU (median of {EVENTS})")
    if not arguments.ours:
        theirs, asked = dagster_tick()
        check_same(asked)
        print(
            f"   the same nodes as Dagster: yes; its tick {theirs:.2f} s CPU; ours / theirs = 1 / {theirs / ours:,.0f}"
        )
        reached.append(ours <= RATIO * theirs)
        print(f"   reach 1 / {1 / RATIO:,.0f}: {'yes' if reached[-1] else 'NO'}")
    small, large = Bench(100), Bench(10_000)
    growth = [large.route(EVENTS // 4) / small.route(EVENTS // 4) for _ in range(3)]
    reached.append(median(growth) <= GROWTH)
    print(f"   10,000 nodes / 100 nodes: {median(growth):.2f}; reach {GROWTH}: {'yes' if reached[-1] else 'NO'}")
    for spread, where in ((1, "at the same few nodes"), (400, "spread over 800 nodes")):
        idle, waiting = Bench(NODES), Bench(NODES)
        waiting.wait_for(WAITING, spread)
        ratio = [waiting.route(EVENTS // 4) / idle.route(EVENTS // 4) for _ in range(3)]
        reached.append(median(ratio) <= GROWTH)
        held = sum(len(waiting.loop.router.groups(node).groups) for node in waiting.topology.data_nodes)
        verdict = "yes" if reached[-1] else "NO"
        print(f"   {held:,} waiting groups {where} / none: {median(ratio):.2f}; reach {GROWTH}: {verdict}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
