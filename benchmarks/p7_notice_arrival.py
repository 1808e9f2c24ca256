"""P7: notice one arrival among a million objects, against one bare walk over the watched keys.

The world: 100 regions by 100 days, each partition with 100 data files and a completion file: 10,000 watched keys among
1,010,000 objects (hard links to a few files, in a temporary folder that is removed again; `RHEO_BENCH_DIR` puts it
elsewhere). The application watches it with the completion file as its protocol; one partition arrives.

Measured: CPU seconds of `Watcher.look`, which finds the arrival, records it and remembers what lies there; the event
log is an in-memory list, as writing one event costs the same however much lies there. Control: `os.scandir` over the
folders above the watched keys and one `os.stat` a key. Median of seven of each, taken in turns. Reach: 1.2 of it, and
calls of the file system in proportion to the keys expected, not to the objects present: they are counted.

    python benchmarks/p7_notice_arrival.py          # about two minutes, most of them to make the files
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.binding import Binding
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.local.platform import LocalPlatform

REGIONS, DAYS, FILES, ROUNDS = 100, 100, 100, 7
RATIO = 1.2
START = datetime(2024, 1, 1)


class Arrivals:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def arrived(self, node_id: str, partition: tuple[Any, ...], *_: object) -> None:
        self.seen.append((node_id, partition))


def make_world(folder: Path, files: int) -> None:
    """Makes the partitions, each of hard links to one file; links have a limit, so each region has its own."""
    for region in range(REGIONS):
        seed = folder / f".seed{region}"
        seed.parent.mkdir(parents=True, exist_ok=True)
        seed.write_bytes(b"x")
        for day in range(DAYS):
            partition = folder / f"r{region:03}" / f"{START + timedelta(days=day):%Y-%m-%d}"
            partition.mkdir(parents=True)
            for number in range(files):
                os.link(seed, partition / f"part-{number:05}.parquet")
            (partition / "_SUCCESS").touch()


def bare_walk(folder: str) -> int:
    """Returns how many watched keys there are."""
    found = 0
    with os.scandir(folder) as regions:
        for region in regions:
            if not region.is_dir():
                continue
            with os.scandir(region.path) as days:
                for day in days:
                    try:
                        os.stat(f"{day.path}/_SUCCESS")  # noqa: PTH116  # the control is what costs least
                    except FileNotFoundError:
                        continue
                    found += 1
    return found


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Counts the calls of `os.scandir`, `os.stat` and `os.lstat`, and the entries that listings return."""
    calls: Counter[str] = Counter()
    scandir, stat, lstat = os.scandir, os.stat, os.lstat

    class Listing:
        def __init__(self, path: Any) -> None:
            calls["scandir"] += 1
            self._entries = scandir(path)

        def __enter__(self) -> Listing:
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> Iterator[os.DirEntry[str]]:
            for entry in self._entries:
                calls["entries"] += 1
                yield entry

    def counting_stat(*arguments: Any, **named: Any) -> os.stat_result:
        calls["stat"] += 1
        return stat(*arguments, **named)

    def counting_lstat(*arguments: Any, **named: Any) -> os.stat_result:
        calls["stat"] += 1
        return lstat(*arguments, **named)

    os.scandir, os.stat, os.lstat = Listing, counting_stat, counting_lstat  # type: ignore[assignment,misc]
    try:
        yield calls
    finally:
        os.scandir, os.stat, os.lstat = scandir, stat, lstat  # type: ignore[misc]


def cpu_of(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


class World:
    """A watched dataset below a folder."""

    def __init__(self, root: Path, files: int) -> None:
        platform = LocalPlatform(root)
        spec = {"region": {"type": "STRING", "day": {"type": "DATETIME", "format": "%Y-%m-%d"}}}
        node = external_node("bench", "lake", S3Dataset("1", "lake", "data", "{}", "{}"), spec, None, SUCCESS)
        self.folder = Path(platform.storage.location("s3://lake/data"))
        make_world(self.folder, files)
        binding = Binding(Topology("bench", {node.id: node}), platform, START)
        self.journal = Arrivals()
        self.watcher = Watcher(binding, node)
        self.watcher.remember()
        self.look()

    def look(self) -> None:
        self.watcher.look(self.journal)  # type: ignore[arg-type]

    def arrive(self, number: int) -> tuple[str, tuple[Any, ...]]:
        """Rewrites one completion file and returns the event that has to follow."""
        region, day = number * 37 % REGIONS, START + timedelta(days=number * 11 % DAYS)
        done = self.folder / f"r{region:03}" / f"{day:%Y-%m-%d}" / "_SUCCESS"
        done.write_text(f"again {number}")
        return "lake", (f"r{region:03}", day)


def calls_to_notice(world: World, number: int) -> Counter[str]:
    expected = world.arrive(number)
    with counted_calls() as calls:
        world.look()
    assert world.journal.seen[-1] == expected, world.journal.seen[-1:]
    return calls


def measure(world: World) -> tuple[float, float]:
    """Returns the CPU seconds of a look that notices one arrival, and of the bare walk."""
    ours, bare = [], []
    for number in range(ROUNDS):
        expected, before = world.arrive(number), len(world.journal.seen)
        bare.append(cpu_of(lambda: bare_walk(str(world.folder))))
        ours.append(cpu_of(world.look))
        assert world.journal.seen[before:] == [expected], world.journal.seen[before:]
    assert bare_walk(str(world.folder)) == REGIONS * DAYS
    return median(ours), median(bare)


def main() -> int:
    root = Path(tempfile.mkdtemp(prefix="rheo-p7-", dir=os.environ.get("RHEO_BENCH_DIR")))
    try:
        few = calls_to_notice(World(root / "few", 1), 50)
        world = World(root / "many", FILES)
        many = calls_to_notice(world, 50)
        ours, bare = measure(world)
    finally:
        shutil.rmtree(root)
    keys, objects = REGIONS * DAYS, REGIONS * DAYS * (FILES + 1)
    print(f"P7 notice one arrival at {keys:,} watched keys among {objects:,} objects: found, and nothing else: yes")
    print(f"   ours {ours * 1000:.1f} ms CPU, bare walk {bare * 1000:.1f} ms (medians of {ROUNDS})")
    reached = ours <= RATIO * bare
    print(f"   ours / bare walk = {ours / bare:.2f}; reach: {RATIO}: {'yes' if reached else 'NO'}")
    steady = many == few and many["stat"] <= 1.01 * keys + 10
    for name in ("scandir", "entries", "stat"):
        print(f"   {name}: {many[name]:,}; with 1 file a partition instead of {FILES}: {few[name]:,}")
    print(f"   calls in proportion to the keys, not to the objects: {'yes' if steady else 'NO'}")
    return 0 if reached and steady else 1


if __name__ == "__main__":
    raise SystemExit(main())
