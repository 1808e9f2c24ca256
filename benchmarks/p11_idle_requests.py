"""P11: requests that an idle daemon makes of S3 in a day, for 10,000 watched partitions that nobody changes.

The world: 100 regions by 100 days on an S3 in memory that counts its requests; each partition has a completion file.
The daemon looks every 30 s, 2,880 times a day, by a clock that is moved on. Checked first: a new day, a day of last
week and a day of the first month are written again, and each is noticed in the time that the guide says.

Control: the same look at everything, as scripts make it and the daemon did before: one is counted, and makes 2,880 of
its kind. Measured: all requests of six simulated hours, times four; lists and others apart, since a list costs 12.5
times as much.
Reach: a twentieth of the control's requests.

    python benchmarks/p11_idle_requests.py          # some minutes
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from rheo_assets.bridge.arrivals.rounds import OFTEN, RARELY
from rheo_assets.bridge.arrivals.watcher import Watcher
from rheo_assets.bridge.binding import Binding
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import external_node
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.platforms.local.platform import LocalPlatform

REGIONS, DAYS, TICK = 100, 100, 30.0
LOOKS = round(86_400 / TICK)
SIMULATED = LOOKS // 4  # six hours: then the rest has been looked at six times
REACH = 1 / 20
LIST_DOLLARS, GET_DOLLARS = 0.005 / 1000, 0.0004 / 1000  # us-east-1
START = datetime(2024, 1, 1)


class MemoryS3:
    """The calls of S3 that the storage makes, on a tree of dictionaries; counts them by name."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._objects: dict[str, dict[str, Any]] = {}
        self._levels: dict[str, dict[str, None]] = {}
        self._written = 0

    def client(self, _service: str) -> MemoryS3:
        return self

    def explaining(self, _subject: str) -> AbstractContextManager[None]:
        return nullcontext()

    def put_object(self, Key: str, Body: bytes, IfNoneMatch: str = "", **_: Any) -> None:  # noqa: N803
        self.calls["PutObject"] += 1
        if IfNoneMatch and Key in self._objects:
            raise _error("PreconditionFailed")
        self._written += 1
        moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=self._written)
        self._objects[Key] = {"Key": Key, "ETag": f'"{self._written}"', "LastModified": moment, "Body": Body}
        for place, letter in enumerate(Key):
            if letter == "/":
                above = Key[: Key.rfind("/", 0, place) + 1]
                self._levels.setdefault(above, {})[Key[: place + 1]] = None
        self._levels.setdefault(Key[: Key.rfind("/") + 1], {})[Key] = None

    def head_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.calls["HeadObject"] += 1
        return {**self._found(Key), "Metadata": {}}

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        import io

        self.calls["GetObject"] += 1
        return {"Body": io.BytesIO(self._found(Key)["Body"])}

    def get_paginator(self, _operation: str) -> MemoryS3:
        return self

    def paginate(self, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        names = list(self._levels.get(Prefix, ()))
        for start in range(0, max(len(names), 1), 1000):
            self.calls["ListObjectsV2"] += 1
            page = names[start : start + 1000]
            folders = [{"Prefix": name} for name in page if name.endswith("/")]
            yield {"CommonPrefixes": folders, "Contents": [self._objects[n] for n in page if not n.endswith("/")]}

    def _found(self, key: str) -> dict[str, Any]:
        if key not in self._objects:
            raise _error("NoSuchKey")
        return self._objects[key]


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "Call")


class OnMemory(LocalPlatform):
    """A platform whose objects are in memory."""

    def __init__(self, root: str, s3: MemoryS3) -> None:
        super().__init__(root)
        self.storage = S3Storage(s3)  # type: ignore[assignment,arg-type]


class Daemon:
    """A watcher of the dataset, its clock, and what it noticed."""

    def __init__(self, root: str) -> None:
        self.s3, self.now, self.seen = MemoryS3(), 0.0, []
        spec = {"region": {"type": "STRING", "day": {"type": "DATETIME", "format": "%Y-%m-%d"}}}
        node = external_node("bench", "orders", S3Dataset("1", "lake", "data", "{}", "{}"), spec, None, SUCCESS)
        for region in range(REGIONS):
            for day in range(DAYS):
                self.write(region, day)
        binding = Binding(Topology("bench", {node.id: node}), OnMemory(root, self.s3), START)
        self.watcher = Watcher(binding, node, lambda: self.now)
        self.watcher.remember()

    def arrived(self, _node: str, partition: tuple[Any, ...], *_: object) -> None:
        self.seen.append(partition)

    def write(self, region: int, day: int) -> tuple[str, datetime]:
        moment = START + timedelta(days=day)
        self.s3.put_object(Key=f"data/r{region:03}/{moment:%Y-%m-%d}/_SUCCESS", Body=b"")
        return f"r{region:03}", moment

    def look(self, is_idle: bool = True) -> None:
        self.now += TICK
        self.watcher.look(self, is_idle=is_idle)  # type: ignore[arg-type]

    def seconds_until_noticed(self, region: int, day: int) -> float:
        began, wanted = self.now, self.write(region, day)
        while wanted not in self.seen:
            self.look()
        assert self.seen == [wanted], self.seen
        self.seen.clear()
        return self.now - began


def dollars(calls: Counter[str]) -> float:
    lists = calls["ListObjectsV2"]
    return lists * LIST_DOLLARS + (sum(calls.values()) - lists) * GET_DOLLARS


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="rheo-p11-") as root:
        daemon = Daemon(root)
        daemon.look()
        late = {
            "a new day": (daemon.seconds_until_noticed(5, DAYS), OFTEN + TICK),
            "a recent day": (daemon.seconds_until_noticed(6, DAYS - 1), OFTEN + TICK),
            "an old day": (daemon.seconds_until_noticed(7, 3), RARELY + TICK),
        }
        assert all(took <= reach for took, reach in late.values()), late
        daemon = Daemon(root + "/idle")
        daemon.s3.calls.clear()
        daemon.look(is_idle=False)
        before = Counter({name: number * LOOKS for name, number in daemon.s3.calls.items()})
        daemon.s3.calls.clear()
        for _ in range(SIMULATED):
            daemon.look()
        after = Counter({name: number * LOOKS // SIMULATED for name, number in daemon.s3.calls.items()})
        assert daemon.seen == []
    print(f"P11 idle requests a day for {REGIONS * DAYS:,} watched partitions, a look every {TICK:.0f} s")
    print("   noticed after: " + ", ".join(f"{what} {took:.0f} s" for what, (took, _) in late.items()))
    for name, calls in (("before", before), ("after", after)):
        told = ", ".join(f"{number:,} {call}" for call, number in sorted(calls.items()))
        print(f"   {name}: {sum(calls.values()):,} ({told}), ${dollars(calls):.2f}")
    ratio = sum(after.values()) / sum(before.values())
    print(f"   after / before = 1/{1 / ratio:.0f}; reach: 1/{1 / REACH:.0f}: {'yes' if ratio <= REACH else 'NO'}")
    return 0 if ratio <= REACH else 1


if __name__ == "__main__":
    raise SystemExit(main())
