"""What every engine promises, on each of them: the same code, the same answers, the same words for what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine
from tests.platforms.aws.doubles.engines import BENCHES, CLUSTERS, SERVICES, Bench, Setting
from tests.platforms.aws.doubles.node import (
    COLUMNS,
    COPY,
    NEVER,
    SECONDS,
    SLEEP,
    WRONG,
    Crash,
    DyingStorage,
    Node,
    orders,
)

pytestmark = pytest.mark.spark


@pytest.fixture
def opened(
    tmp_path: Path,
    scratch: Path,
    engine: SparkEngine,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], Node]]:
    benches: list[Bench] = []

    def open_bench(name: str) -> Node:
        setting = Setting(tmp_path, scratch, engine, lambda: request.getfixturevalue("world"), monkeypatch)
        benches.append(BENCHES[name][0](setting))
        return Node(benches[-1])

    yield open_bench
    for bench in benches:
        bench.close()


ALL = [(name, lang) for name, (_, langs) in BENCHES.items() for lang in langs]
FIRST = [(name, langs[0]) for name, (_, langs) in BENCHES.items()]
cases = lambda chosen: pytest.mark.parametrize(("name", "lang"), list(chosen))  # noqa: E731
each_language = cases(ALL)
# Every language on one service, and one on each of the others: the runner is the same.
one_of_each = cases((name, lang) for name, lang in ALL if name == "glue" or lang == BENCHES[name][1][0])
each_engine = cases(FIRST)
each_service = cases((name, lang) for name, lang in FIRST if name in SERVICES)
each_cluster = cases((name, lang) for name, lang in FIRST if name in CLUSTERS)
# A callable opens its inputs itself, missing or not, and adds to what lies in the output.
each_table_engine = cases((name, lang) for name, lang in FIRST if lang != "INLINED")


@each_language
def test_a_success_has_landed_its_rows(opened, name, lang):
    node = opened(name)
    node.land(30, 2, 1)
    result = node.run(node.task(lang, COPY[lang], orders(30)))
    assert node.rows() == [{"id": 1}, {"id": 2}]
    assert (result.rows, [column for column, _ in result.schema]) == COLUMNS.get(lang, (2, ["id"]))
    assert list(result.preview) == node.rows()[: result.rows or 0]


@each_language
def test_a_fault_of_the_code_is_the_users_in_their_own_words(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    failure = node.fails(node.task(lang, WRONG[lang], orders(30)))
    assert (failure.kind, failure.unresolved) == ("user", False)
    assert "no such total" in failure.message or "nothing_of_that_name" in failure.message
    assert node.rows() == []


@one_of_each
def test_a_range_of_thirty_days_is_read_without_its_missing_days(opened, name, lang):
    node = opened(name)
    for day in range(1, 31):
        if day not in {7, 8}:
            node.land(day, day)
    result = node.run(node.task(lang, COPY[lang], orders(*range(30, 0, -1), missing=(7, 8))))
    assert [row["id"] for row in node.rows()] == [day for day in range(1, 31) if day not in {7, 8}]
    told = [
        text for text in result.warnings if all(word in text for word in ("'orders'", "2 of", "30 part", "no data"))
    ]
    assert len(told) == (lang != "INLINED"), result.warnings


@each_engine
def test_the_nearest_partition_is_the_one_that_is_read(opened, name, lang):
    node = opened(name)
    node.land(28, 28)
    node.land(30, 30)
    node.run(node.task(lang, COPY[lang], orders(28)))
    assert node.rows() == [{"id": 28}]


@each_table_engine
def test_an_input_without_any_data_is_told_by_name(opened, name, lang):
    node = opened(name)
    failure = node.fails(node.task(lang, COPY[lang], orders(30, 29, missing=(30, 29))))
    assert failure.kind == "user"
    assert "input 'orders' has no data" in failure.message


@each_table_engine
def test_an_output_replaces_what_was_there(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.run(node.task(lang, COPY[lang], orders(30)))
    node.land(30, 5)
    node.run(node.task(lang, COPY[lang], orders(30), token="e2-0-0"))
    assert node.rows() == [{"id": 5}]


@each_engine
def test_a_job_over_its_time_limit_is_ended(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    began = time.monotonic()
    failure = node.fails(node.task(lang, SLEEP[lang], orders(30), timeout=SECONDS.get(lang, 1.0)))
    assert failure.kind == "timeout"
    assert time.monotonic() - began < 60


@each_engine
def test_a_cancelled_job_is_ended_and_what_it_printed_was_heard(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    failure = node.fails(node.task(lang, SLEEP[lang], orders(30)), node.once_asleep(lang))
    assert failure.kind == "cancelled"
    assert node.rows() == []


@each_service
def test_a_lost_answer_does_not_start_a_second_job(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.bench.double.lose_answer(node.bench.start)
    node.run(node.task(lang, COPY[lang], orders(30)))
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_throttled_start_is_tried_again(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    node.bench.double.refuse(node.bench.start, "ThrottlingException", times=3)
    node.run(node.task(lang, COPY[lang], orders(30)))
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)
    assert len([line for line in node.log if "asked again" in line]) == 1


@each_service
def test_a_crash_after_the_start_is_gone_on_with_by_the_next_process(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = node.task(lang, COPY[lang], orders(30))

    def record(_: str) -> None:
        if node.has_started:
            raise Crash

    with pytest.raises(Crash):
        node.bench.fresh(DyingStorage(node)).run(one, record, NEVER)
    result = node.run(one)
    assert node.rows() == [{"id": 1}]
    assert node.run(one).rows == result.rows, "and an ended job is found by a third"
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_crash_before_the_start_is_made_good_by_the_next_process(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = node.task(lang, COPY[lang], orders(30))
    node.bench.double.refuse(node.bench.start, "AccessDeniedException")
    assert "may not call" in node.fails(one).message
    node.run(one)
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_drivers_that_start_at_once_share_one_job(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    one = node.task(lang, COPY[lang], orders(30))
    barrier = threading.Barrier(4)

    def drive(_: int) -> int | None:
        engine = node.bench.fresh()
        barrier.wait()
        return engine.run(one, node.log.append, NEVER).rows

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(drive, range(4)))) == 1
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_failure_of_the_service_is_no_fault_of_the_user(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    for number, (state, message) in enumerate(node.bench.double.no_faults):
        node.bench.double.outcome = (state, message)
        failure = node.fails(node.task(lang, COPY[lang], orders(30), token=f"e-{number}"))
        assert (failure.kind, failure.unresolved) == ("platform", False), (state, failure.message)
    node.bench.double.outcome = None
    node.run(node.task(lang, COPY[lang], orders(30), token="again"))
    assert node.rows() == [{"id": 1}]


@each_cluster
def test_a_failure_before_the_code_says_where_the_log_is(opened, name, lang):
    node = opened(name)
    node.bench.double.outcome = ("FAILED", "Command failed with exit code 137")
    failure = node.fails(node.task(lang, COPY[lang], orders(30)))
    assert failure.kind == "user"
    assert "exit code 137" in failure.message
    assert "its log is " in failure.message


@each_service
def test_the_facts_of_a_job_are_told(opened, name, lang):
    node = opened(name)
    node.land(30, 1)
    result = node.run(node.task(lang, COPY[lang], orders(30)))
    assert result.metadata["job page"]["value"].startswith("https://us-east-1.console.aws.amazon.com/")
    assert any(fact.startswith("cost estimate (USD") for fact in result.metadata)
    seconds = [value for fact, value in result.metadata.items() if fact.endswith("seconds")]
    assert seconds
    assert min(seconds) >= 0
