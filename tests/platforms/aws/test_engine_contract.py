"""What every engine promises, on each of them: the same code, the same answers, the same words for what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult
from tests.platforms.aws.doubles.engines import APPLICATION, BENCHES, Bench, Setting
from tests.platforms.aws.doubles.world import land, rows

pytestmark = pytest.mark.spark

OUT = "s3://lake/out/2024-01-30"
REMOTE = [name for name in BENCHES if name != "spark"]
NEVER: Callable[[], bool] = lambda: False  # noqa: E731

COPY = {
    "PYTHON": "output = orders.select('id').orderBy('id')",
    "SPARK_SQL": "select id from orders order by id",
    "PRESTO_SQL": "select id from orders order by id",
    "SCALA": 'orders.select("id").orderBy("id")',
}
WRONG = {
    "PYTHON": "total = 1\nraise ValueError('no such total')",
    "SPARK_SQL": "select nothing_of_that_name from orders",
    "PRESTO_SQL": "select nothing_of_that_name from orders",
    "SCALA": "val total = 1\norders.select(nothing_of_that_name)",
}
SLEEP = {"PYTHON": "import time\nprint('asleep', flush=True)\ntime.sleep(120)\noutput = orders"}


class Node:
    """A node under test on one engine."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.log: list[str] = []

    def land(self, day: int, *ids: int) -> None:
        land(self.bench.storage, f"s3://lake/orders/2024-01-{day:02}", *({"id": each} for each in ids))

    def run(self, task: Task, cancelled: Callable[[], bool] = NEVER) -> TaskResult:
        return self.bench.fresh().run(task, self.log.append, cancelled)

    def fails(self, task: Task, cancelled: Callable[[], bool] = NEVER) -> TaskFailure:
        with pytest.raises(TaskFailure) as caught:
            self.run(task, cancelled)
        assert "'copy'" in caught.value.message
        return caught.value

    def rows(self) -> list[dict[str, Any]]:
        return rows(self.bench.storage, OUT)

    @property
    def started(self) -> list[str]:
        """The tokens of the jobs that were started."""
        return self.bench.double.tokens if self.bench.double else []


class Crash(BaseException):
    """The end of a process."""


class DyingStorage:
    """A storage whose process dies at the first write after a job was started."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        if name in {"create", "write"} and self._node.started:
            raise Crash
        return getattr(self._node.bench.storage, name)


def orders(*days: int, missing: tuple[int, ...] = ()) -> TaskInput:
    path = "s3://lake/orders/2024-01-{:02}"
    return TaskInput(
        "orders",
        tuple(path.format(day) for day in days),
        tuple(path.format(day) for day in missing),
        format="json",
        partitions=tuple((f"2024-01-{day:02}",) for day in days),
    )


def task(lang: str, code: str, *inputs: TaskInput, token: str = "e1-0-0", **more: Any) -> Task:
    dimensions = {"day": "2024-01-30"}
    return Task("copy", lang, code, inputs, TaskOutput(OUT), dimensions, application=APPLICATION, token=token, **more)


@pytest.fixture
def opened(
    tmp_path: Path, engine: SparkEngine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Node]]:
    benches: list[Bench] = []

    def open_bench(name: str) -> Node:
        setting = Setting(tmp_path, engine, lambda: request.getfixturevalue("world"), monkeypatch)
        benches.append(BENCHES[name][0](setting))
        return Node(benches[-1])

    yield open_bench
    for bench in benches:
        bench.close()


ALL = [(name, lang) for name, (_, langs) in BENCHES.items() for lang in langs]
each_language = pytest.mark.parametrize(("name", "lang"), ALL)
# Every language on one service, and one on each of the others: the runner is the same.
ONE_OF_EACH = [(name, lang) for name, lang in ALL if name == "glue" or lang == BENCHES[name][1][0]]
each_engine = pytest.mark.parametrize(("name", "lang"), [(name, langs[0]) for name, (_, langs) in BENCHES.items()])
each_service = pytest.mark.parametrize(("name", "lang"), [(name, BENCHES[name][1][0]) for name in REMOTE])


@each_language
def test_a_success_has_landed_its_rows(opened, name, lang):
    node = opened(name)
    node.land(30, 2, 1)
    result = node.run(task(lang, COPY[lang], orders(30)))
    assert (result.rows, [column for column, _ in result.schema]) == (2, ["id"])
    assert node.rows() == [{"id": 1}, {"id": 2}]
    assert list(result.preview) == node.rows()


@each_language
def test_a_fault_of_the_code_is_the_users_in_their_own_words(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    failure = node.fails(task(lang, WRONG[lang], orders(30)))
    assert (failure.kind, failure.unresolved) == ("user", False)
    assert "no such total" in failure.message or "nothing_of_that_name" in failure.message
    assert node.rows() == []


@pytest.mark.parametrize(("name", "lang"), ONE_OF_EACH)
def test_a_range_of_thirty_days_is_read_without_its_missing_days(opened, name, lang):
    node = opened(name)
    for day in range(1, 31):
        if day not in {7, 8}:
            node.land(day, day)
    result = node.run(task(lang, COPY[lang], orders(*range(30, 0, -1), missing=(7, 8))))
    assert [row["id"] for row in node.rows()] == [day for day in range(1, 31) if day not in {7, 8}]
    assert any("2 of 30 partitions have no data" in warning for warning in result.warnings)


@each_engine
def test_the_nearest_partition_is_the_one_that_is_read(opened, name, lang):
    node = opened(name)
    node.land(28, 28)
    node.land(30, 30)
    assert node.run(task(lang, COPY[lang], orders(28))).rows == 1
    assert node.rows() == [{"id": 28}]


@each_engine
def test_an_input_without_any_data_is_told_by_name(opened, name, lang):
    failure = opened(name).fails(task(lang, COPY[lang], orders(30, 29, missing=(30, 29))))
    assert failure.kind == "user"
    assert "its input 'orders' has no data" in failure.message


@each_engine
def test_an_output_replaces_what_was_there(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.run(task(lang, COPY[lang], orders(30)))
    node.land(30, 5)
    node.run(task(lang, COPY[lang], orders(30), token="e2-0-0"))
    assert node.rows() == [{"id": 5}]


@each_engine
def test_a_job_over_its_time_limit_is_ended(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    began = time.monotonic()
    failure = node.fails(task(lang, SLEEP[lang], orders(30), timeout=4.0))
    assert failure.kind == "timeout"
    assert time.monotonic() - began < 60


@each_engine
def test_a_cancelled_job_is_ended_and_what_it_printed_was_heard(opened, name, lang, monkeypatch):
    node = opened(name)
    node.land(30, 1)
    failure = node.fails(task(lang, SLEEP[lang], orders(30)), lambda: "asleep" in node.log)
    assert failure.kind == "cancelled"
    assert node.rows() == []


@each_service
def test_a_lost_answer_does_not_start_a_second_job(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.bench.double.lose_answer(node.bench.start)
    assert node.run(task(lang, COPY[lang], orders(30))).rows == 1
    assert node.started == ["e1-0-0"]


@each_service
def test_a_throttled_start_is_tried_again(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.bench.double.refuse(node.bench.start, "ThrottlingException", times=3)
    assert node.run(task(lang, COPY[lang], orders(30))).rows == 1
    assert node.started == ["e1-0-0"]
    assert len([line for line in node.log if "asked again" in line]) == 1


@each_service
def test_a_crash_after_the_start_is_gone_on_with_by_the_next_process(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = task(lang, COPY[lang], orders(30))
    with pytest.raises(Crash):
        node.bench.fresh(DyingStorage(node)).run(one, node.log.append, NEVER)
    assert node.run(one).rows == 1
    assert node.run(one).rows == 1, "and an ended job is found by a third"
    assert node.started == ["e1-0-0"]


@each_service
def test_a_crash_before_the_start_is_made_good_by_the_next_process(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = task(lang, COPY[lang], orders(30))
    node.bench.double.refuse(node.bench.start, "AccessDeniedException")
    assert "may not call" in node.fails(one).message
    assert node.run(one).rows == 1
    assert node.started == ["e1-0-0"]


@each_service
def test_drivers_that_start_at_once_share_one_job(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = task(lang, COPY[lang], orders(30))
    barrier = threading.Barrier(4)

    def drive(_: int) -> int | None:
        engine = node.bench.fresh()
        barrier.wait()
        return engine.run(one, node.log.append, NEVER).rows

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drive, range(4))) == [1, 1, 1, 1]
    assert node.started == ["e1-0-0"]


@each_service
def test_a_failure_of_the_service_is_no_fault_of_the_user(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    for state, message in node.bench.double.no_faults:
        node.bench.double.outcome = (state, message)
        failure = node.fails(task(lang, COPY[lang], orders(30), token=f"e-{state}"))
        assert (failure.kind, failure.unresolved) == ("platform", False), (state, failure.message)
    node.bench.double.outcome = None
    assert node.run(replace(task(lang, COPY[lang], orders(30)), token="again")).rows == 1


@each_service
def test_a_failure_before_the_code_says_where_the_log_is(opened, name, lang):
    node = opened(name)
    node.bench.double.outcome = ("FAILED", "Command failed with exit code 137")
    failure = node.fails(task(lang, COPY[lang], orders(30)))
    assert failure.kind == "user"
    assert "exit code 137" in failure.message
    assert "its log is " in failure.message


@each_service
def test_the_facts_of_a_job_are_told(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    result = node.run(task(lang, COPY[lang], orders(30)))
    assert result.metadata["job page"]["value"].startswith("https://us-east-1.console.aws.amazon.com/")
    assert any(fact.startswith("cost estimate (USD") for fact in result.metadata)
    assert result.metadata["execution seconds"] >= 0
