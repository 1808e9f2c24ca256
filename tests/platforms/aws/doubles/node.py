"""A node under test on one engine: its code in each language, its input `orders`, its output of one column."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult
from tests.platforms.aws.doubles.engines import APPLICATION, Bench
from tests.platforms.aws.doubles.world import land, rows

OUT = "s3://lake/out/2024-01-30"
NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def copy(inputs: Any, output: Any, params: Any) -> None:
    folders = [Path(folder) for folder in inputs["orders"].local_paths]
    found = [line for folder in folders for file in folder.glob("*.json") for line in file.read_text().splitlines()]
    ordered = sorted(found, key=lambda line: int(json.loads(line)["id"]))
    Path(output.local_paths[0], "part-0.json").write_text("".join(f"{line}\n" for line in ordered))


def fail(inputs: Any, output: Any, params: Any) -> None:
    Path(output.local_paths[0], "part-0.json").write_text('{"id": 0}\n')
    raise ValueError("no such total")


def sleep(inputs: Any, output: Any, params: Any) -> None:
    print("asleep", flush=True)
    time.sleep(120)


Code = Mapping[str, Any]  # by language

COPY: Code = {
    "INLINED": copy,
    "PYTHON": "output = orders.select('id').orderBy('id')",
    "SPARK_SQL": "select id from orders order by id",
    "PRESTO_SQL": "select id from orders order by id",
    "SCALA": 'orders.select("id").orderBy("id")',
}
WRONG: Code = {
    "INLINED": fail,
    "PYTHON": "total = 1\nraise ValueError('no such total')",
    "SPARK_SQL": "select nothing_of_that_name from orders",
    "PRESTO_SQL": "select nothing_of_that_name from orders",
    "SCALA": "val total = 1\norders.select(nothing_of_that_name)",
}
SLEEP: Code = {
    "INLINED": sleep,
    "PYTHON": "import time\nprint('asleep', flush=True)\ntime.sleep(120)\noutput = orders",
    "SPARK_SQL": "select java_method('java.lang.Thread', 'sleep', 120000L) as slept from orders",
    "PRESTO_SQL": "select sum(x * y % 7 + z) as n from orders, unnest(sequence(1, 9999)) as a(x), "
    "unnest(sequence(1, 9999)) as b(y), unnest(sequence(1, 9999)) as c(z)",
    "SCALA": 'println("asleep")\nThread.sleep(120000)\norders',
}
SILENT = {"SPARK_SQL", "PRESTO_SQL"}  # code that says nothing while it runs


class Node:
    """A node under test on one engine, in one language."""

    def __init__(self, bench: Bench, lang: str) -> None:
        self.bench = bench
        self.lang = lang
        self.log: list[str] = []

    def land(self, day: int, *ids: int) -> None:
        """Lands one partition of orders: parquet; a callable of the standard library only gets json."""
        folder = f"s3://lake/orders/2024-01-{day:02}"
        if self.lang == "INLINED":
            land(self.bench.storage, folder, *({"id": each} for each in ids))
            return
        content = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"id": pyarrow.array(ids, pyarrow.int64())}), content)
        self.bench.storage.write(f"{folder}/part-0.parquet", content.getvalue())

    def orders(self, *days: int, missing: tuple[int, ...] = ()) -> TaskInput:
        """Returns the input: partitions of these days, tip first."""
        path = "s3://lake/orders/2024-01-{:02}"
        return TaskInput(
            "orders",
            tuple(path.format(day) for day in days),
            tuple(path.format(day) for day in missing),
            format="json" if self.lang == "INLINED" else "parquet",
            partitions=tuple((f"2024-01-{day:02}",) for day in days),
        )

    def task(self, code: Code, *inputs: TaskInput, token: str = "e1-0-0", **more: Any) -> Task:
        written = code[self.lang]
        text = written if isinstance(written, str) else self.bench.keep(dump_callable(written, "copy"))
        return Task(
            "copy",
            self.lang,
            text,
            inputs,
            TaskOutput(OUT),
            {"day": "2024-01-30"},
            application=APPLICATION,
            token=token,
            **more,
        )

    def run(self, task: Task, cancelled: Callable[[], bool] = NEVER) -> TaskResult:
        return self.bench.fresh().run(task, self.log.append, cancelled)

    def fails(self, task: Task, cancelled: Callable[[], bool] = NEVER) -> TaskFailure:
        with pytest.raises(TaskFailure) as caught:
            self.run(task, cancelled)
        assert "'copy'" in caught.value.message
        return caught.value

    def dies_after_the_start(self, task: Task) -> None:
        """Runs the task in a process that dies before it has recorded the job that it started."""

        def record(_: str) -> None:
            if self.has_started:
                raise Crash

        with pytest.raises(Crash):
            self.bench.fresh(DyingStorage(self)).run(task, record, NEVER)

    def together(self, task: Task, drivers: int) -> set[int | None]:
        """Runs the task in several drivers that begin at once; returns the numbers of rows that they are told."""
        barrier = threading.Barrier(drivers)

        def drive(_: int) -> int | None:
            engine = self.bench.fresh()
            barrier.wait()
            return engine.run(task, self.log.append, NEVER).rows

        with ThreadPoolExecutor(drivers) as pool:
            return set(pool.map(drive, range(drivers)))

    def rows(self) -> list[dict[str, Any]]:
        return rows(self.bench.storage, OUT)

    def once_asleep(self) -> Callable[[], bool]:
        since = time.monotonic()
        return lambda: "asleep" in self.log or (self.lang in SILENT and time.monotonic() - since > 1)

    @property
    def has_started(self) -> bool:
        return self.bench.double.calls.get(self.bench.start, 0) > 0

    @property
    def started(self) -> list[str]:
        """The tokens of the jobs that were started."""
        return self.bench.double.tokens


class Crash(BaseException):
    """The end of a process."""


class DyingStorage:
    """A storage whose process dies at the first write after a job was started."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        if name in {"create", "write"} and self._node.has_started:
            raise Crash
        return getattr(self._node.bench.storage, name)
