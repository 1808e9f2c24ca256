"""What every engine promises, on each of them: the same code, the same answers, the same words for what went wrong.

A failure of the machine under a local engine is in `platforms/local/test_full_disk.py`: those have no service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine
from tests.platforms.aws.doubles.engines import BENCHES, CLUSTERS, SERVICES, Bench, Setting
from tests.platforms.aws.doubles.node import COPY, SLEEP, WRONG, Node

pytestmark = pytest.mark.spark


@pytest.fixture
def opened(
    tmp_path: Path,
    scratch: Path,
    engine: SparkEngine,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, str], Node]]:
    benches: list[Bench] = []

    def open_bench(name: str, lang: str) -> Node:
        setting = Setting(tmp_path, scratch, engine, lambda: request.getfixturevalue("world"), monkeypatch)
        benches.append(BENCHES[name][0](setting))
        return Node(benches[-1], lang)

    yield open_bench
    for bench in benches:
        bench.close()


ALL = [(name, lang) for name, (_, langs) in BENCHES.items() for lang in langs]
FIRST = [(name, langs[0]) for name, (_, langs) in BENCHES.items()]
cases = lambda chosen: pytest.mark.parametrize(("name", "lang"), list(chosen))  # noqa: E731
each_language = cases(ALL)
# A callable opens its inputs itself, missing or not, and adds to what lies in the output.
each_table_language = cases((name, lang) for name, lang in ALL if lang != "INLINED")
# What a service does to a job's start is told apart in one language of each; the others meet all of it at once.
each_service = cases((name, lang) for name, lang in FIRST if name in SERVICES)
each_other_language = cases((name, lang) for name, lang in ALL if name in SERVICES and (name, lang) not in FIRST)
each_cluster = cases((name, lang) for name, lang in FIRST if name in CLUSTERS)


@each_language
def test_a_success_has_landed_the_rows_of_its_nearest_partition(opened, name, lang):
    node = opened(name, lang)
    node.land(28, 2, 1)
    node.land(30, 30)
    result = node.run(node.task(COPY, node.orders(28)))
    assert node.rows() == [{"id": 1}, {"id": 2}]
    told = (None, []) if lang == "INLINED" else (2, ["id"])  # a callable's output is just files
    assert (result.rows, [column for column, _ in result.schema]) == told
    assert list(result.preview) == node.rows()[: result.rows or 0]


@each_language
def test_a_fault_of_the_code_is_the_users_in_their_own_words(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    failure = node.fails(node.task(WRONG, node.orders(30)))
    assert (failure.kind, failure.unresolved) == ("user", False)
    assert "no such total" in failure.message or "nothing_of_that_name" in failure.message
    assert node.rows() == []


@each_language
def test_a_range_of_thirty_days_is_read_without_its_missing_days(opened, name, lang):
    node = opened(name, lang)
    for day in range(1, 31):
        if day not in {7, 8}:
            node.land(day, day)
    result = node.run(node.task(COPY, node.orders(*range(30, 0, -1), missing=(7, 8))))
    assert [row["id"] for row in node.rows()] == [day for day in range(1, 31) if day not in {7, 8}]
    told = [
        text for text in result.warnings if all(word in text for word in ("'orders'", "2 of", "30 part", "no data"))
    ]
    assert len(told) == (lang != "INLINED"), result.warnings


@each_table_language
def test_an_input_without_any_data_is_told_by_name(opened, name, lang):
    node = opened(name, lang)
    failure = node.fails(node.task(COPY, node.orders(30, 29, missing=(30, 29))))
    assert failure.kind == "user"
    assert "input 'orders' has no data" in failure.message


@each_language
def test_an_input_without_rows_replaces_what_was_there_with_no_rows(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    node.run(node.task(COPY, node.orders(30)))
    assert node.rows() == [{"id": 1}]
    node.land(30)
    result = node.run(node.task(COPY, node.orders(30), token="e2-0-0"))
    assert node.rows() == []
    told = (None, []) if lang == "INLINED" else (0, ["id"])
    assert (result.rows, [column for column, _ in result.schema]) == told


@each_language
def test_a_job_over_its_time_limit_is_ended(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    assert node.fails(node.task(SLEEP, node.orders(30), timeout=1.0)).kind == "timeout"
    assert node.rows() == []


@each_language
def test_a_cancelled_job_is_ended_and_what_it_printed_was_heard(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    assert node.fails(node.task(SLEEP, node.orders(30)), node.once_asleep()).kind == "cancelled"
    assert node.rows() == []


@each_service
def test_a_lost_answer_does_not_start_a_second_job(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    node.bench.double.lose_answer(node.bench.start)
    node.run(node.task(COPY, node.orders(30)))
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_throttled_start_is_tried_again(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    node.bench.double.refuse(node.bench.start, "ThrottlingException", times=3)
    node.run(node.task(COPY, node.orders(30)))
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)
    assert len([line for line in node.log if "asked again" in line]) == 1


@each_service
def test_a_crash_after_the_start_is_gone_on_with_by_the_next_process(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    one = node.task(COPY, node.orders(30))
    node.dies_after_the_start(one)
    result = node.run(one)
    assert node.rows() == [{"id": 1}]
    assert node.run(one).rows == result.rows, "and an ended job is found by a third"
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_crash_before_the_start_is_made_good_by_the_next_process(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    one = node.task(COPY, node.orders(30))
    node.bench.double.refuse(node.bench.start, "AccessDeniedException")
    assert "may not call" in node.fails(one).message
    node.run(one)
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_drivers_that_start_at_once_share_one_job(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    assert len(node.together(node.task(COPY, node.orders(30)), drivers=4)) == 1
    assert (node.rows(), len(node.started)) == ([{"id": 1}], 1)


@each_service
def test_a_failure_of_the_service_is_no_fault_of_the_user(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    for number, (state, message) in enumerate(node.bench.double.no_faults):
        node.bench.double.outcome = (state, message)
        failure = node.fails(node.task(COPY, node.orders(30), token=f"e-{number}"))
        assert (failure.kind, failure.unresolved) == ("platform", False), (state, failure.message)
    node.bench.double.outcome = None
    node.run(node.task(COPY, node.orders(30), token="again"))
    assert node.rows() == [{"id": 1}]


@each_other_language
def test_a_job_that_everything_happens_to_is_started_once_and_lands_its_rows(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    double, start = node.bench.double, node.bench.start
    double.outcome = double.no_faults[0]
    assert node.fails(node.task(COPY, node.orders(30))).kind == "platform"
    double.outcome = None
    again = node.task(COPY, node.orders(30), token="e1-0-1")
    double.refuse(start, "AccessDeniedException")
    assert "may not call" in node.fails(again).message
    double.refuse(start, "ThrottlingException", times=2)
    double.lose_answer(start)
    node.dies_after_the_start(again)
    assert node.together(again, drivers=2) == {1}
    assert (node.rows(), node.started) == ([{"id": 1}], ["e1-0-0", "e1-0-1"])


@each_cluster
def test_a_failure_before_the_code_says_where_the_log_is(opened, name, lang):
    node = opened(name, lang)
    node.bench.double.outcome = ("FAILED", "Command failed with exit code 137")
    failure = node.fails(node.task(COPY, node.orders(30)))
    assert failure.kind == "user"
    assert "exit code 137" in failure.message
    assert "its log is " in failure.message


@each_service
def test_the_facts_of_a_job_are_told(opened, name, lang):
    node = opened(name, lang)
    node.land(30, 1)
    result = node.run(node.task(COPY, node.orders(30)))
    assert result.metadata["job page"]["value"].startswith("https://us-east-1.console.aws.amazon.com/")
    assert any(fact.startswith("cost estimate (USD") for fact in result.metadata)
    seconds = [value for fact, value in result.metadata.items() if fact.endswith("seconds")]
    assert seconds
    assert min(seconds) >= 0
