"""Cases F: `poll`, `process`, `materialize`, and what happens while something runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import Application, InlinedCompute, NOOPCompute
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.poll import kill
from rheo_assets.bridge.loop.session import Session
from tests.cases.topologies import DAY, LONG, S3, cycle, event, file, node, pending, ran, read, spec, timer


class Gate:
    """Holds a target until it is opened; counts its starts. The target runs in another process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def target(self) -> Any:
        folder = str(self.folder)

        def wait_for_file(inputs, output, params):
            import pathlib
            import time
            import uuid

            place = pathlib.Path(folder)
            name = "_".join(params["dimensions"].values())
            (place / f"started-{name}-{uuid.uuid4()}").touch()
            while not (place / f"open-{name}").exists():
                time.sleep(0.02)
            if (place / f"open-{name}").read_text() == "fail":
                raise ValueError("told to fail")

        return InlinedCompute(wait_for_file)

    def starts(self, name: str) -> int:
        return len(list(self.folder.glob(f"started-{name}-*")))

    def await_start(self, name: str, times: int = 1) -> None:
        until(lambda: self.starts(name) >= times)

    def open(self, name: str, how: str = "") -> None:
        aside = self.folder / f".{name}"
        aside.write_text(how)
        aside.rename(self.folder / f"open-{name}")


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def beside() -> Iterator[Callable[..., threading.Thread]]:
    """Runs something on a thread of its own, which must have ended when the test has."""
    threads = []

    def start(work: Callable[..., object], *args: object, **named: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, kwargs=named)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def await_waiting(thread: threading.Thread) -> None:
    """Waits until a thread's `execute` has found the run that it waits for."""
    deadline = time.monotonic() + 60
    while True:
        frame = sys._current_frames().get(thread.ident or 0)
        while frame is not None and frame.f_code is not Session.await_end.__code__:
            frame = frame.f_back
        if frame is not None:
            return
        assert time.monotonic() < deadline, "it does not wait"
        time.sleep(0.02)


def numbered(app: Application, name: str = "ducsi", **filters: Any):
    return S3(app, name, region=LONG, day=DAY, **filters)


def test_poll_returns_path_and_records_of_the_last_execution(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """F1."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x], compute_targets=[gate.target(), NOOPCompute])
    assert app.poll(n["2022-01-03"]) == (None, None)
    app.activate()
    assert app.poll(n["2022-01-03"]) == (None, None)
    path = app.execute(n["2022-01-03"], wait=False)
    gate.await_start("2022-01-03")
    found, active = app.poll(n["2022-01-03"], wait=False)
    assert found is None
    assert [record.status for record in active] == ["RUNNING"]
    answers = []
    waiting = beside(lambda: answers.append(app.poll(n["2022-01-03"])))
    assert answers == []
    gate.open("2022-01-03")
    waiting.join()
    ((found, records),) = answers
    assert found == path
    assert [record.status for record in records] == ["COMPLETED", "COMPLETED"]
    gate.open("2022-01-03", "fail")
    with pytest.raises(RuntimeError, match="told to fail"):
        app.execute(n["2022-01-03"])
    found, records = app.poll(n["2022-01-03"])
    assert found is None
    assert [record.status for record in records] == ["FAILED"]


def test_poll_knows_an_execution_that_is_only_queued(app: Application, gate: Gate) -> None:
    """signals.md §6: poll right after execute(wait=False) never says "never executed"."""
    n = node(app, "n", [], compute_targets=[gate.target()], output_dimension_spec=spec("day"))
    app.execute(n["2022-01-03"], wait=False)
    found, active = app.poll(n["2022-01-03"], wait=False)
    assert found is None
    assert active[0].status in {"QUEUED", "RUNNING"}
    assert app.has_active_record(n["2022-01-03"])
    gate.open("2022-01-03")
    assert app.poll(n["2022-01-03"])[0] is not None
    assert not app.has_active_record(n["2022-01-03"])


def test_poll_refuses_what_is_no_partition_of_an_own_node(
    app: Application, new_app: Callable[[str], Application]
) -> None:
    """F2."""
    ducsi = numbered(app)
    n = node(app, "n", [ducsi])
    other = new_app("other")
    foreign = node(other, "n", [numbered(other)])
    app.activate()
    for wrong in (int, ducsi, ducsi[1]["2020-12-25"], n[1]["*"], n[1], n, foreign[1]["2020-12-25"], timer(app)):
        with pytest.raises(ValueError):
            app.poll(wrong)


def test_an_event_while_its_partition_runs_is_skipped(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """F5."""
    ducsi = numbered(app)
    r = node(app, "r", [ducsi], compute_targets=[gate.target()])
    app.activate()
    beside(app.process, ducsi[1]["2020-12-25"])
    gate.await_start("1_2020-12-25")
    app.process(ducsi[1]["2020-12-25"])
    app.tick()
    beside(app.process, ducsi[1]["2020-12-26"])
    gate.await_start("1_2020-12-26")
    assert gate.starts("1_2020-12-25") == 1
    assert len(app.get_active_compute_records()) == 2
    assert pending(app, r) == 0
    gate.open("1_2020-12-25")
    assert app.poll(r[1]["2020-12-25"])[0] is not None
    app.tick()
    assert not app.has_active_record(r[1]["2020-12-25"])
    assert app.has_active_record(r[1]["2020-12-26"])
    assert not app.has_active_record(r[1]["2020-12-27"])
    gate.open("1_2020-12-26")
    app.settle(60)
    assert sorted(ran(app, r)) == ["1/2020-12-25", "1/2020-12-26"]


def test_a_known_event_does_nothing_and_a_new_one_runs_again(app: Application) -> None:
    """F6."""
    x = S3(app, "x", "day")
    g = node(app, "g", [x])
    app.activate()
    event(app, x["2021-03-01"], event_id="e1")
    assert ran(app, g) == ["2021-03-01"]
    event(app, x["2021-03-01"], event_id="e1")
    assert ran(app, g) == ["2021-03-01"]
    event(app, x["2021-03-01"], event_id="e2")
    assert ran(app, g) == ["2021-03-01", "2021-03-01"]


def test_process_needs_an_activated_application_and_a_concrete_view(app: Application) -> None:
    """F7."""
    x = numbered(app, "x")
    node(app, "n", [x])
    with pytest.raises(RuntimeError, match="activate"):
        app.process(x[1]["2020-12-25"])
    app.activate()
    with pytest.raises(ValueError, match="day"):
        app.process(x[1]["*"])
    with pytest.raises(ValueError, match="day"):
        app.process(x[1])


def test_an_event_without_dimensions_completes_all_waiting_groups(app: Application) -> None:
    """F8."""
    ducsi, ship_options = numbered(app), S3(app, "ship_options")
    j = node(app, "j", {"d": ducsi["*"][:-1], "so": ship_options})
    app.activate()
    event(app, ducsi[1]["2020-12-25"])
    assert app.history(j) == []
    assert pending(app, j) == 1
    event(app, ship_options)
    assert ran(app, j) == ["1/2020-12-25"]
    assert pending(app, j) == 0


def test_an_output_link_without_its_reverse_blocks_execute(app: Application) -> None:
    """F11."""
    ducsi = S3(app, "ducsi", region=LONG, ship_day=DAY)
    target = node(
        app,
        "target",
        [ducsi],
        output_dimension_spec=spec(region=LONG, day=DAY),
        output_dim_links=[("day", lambda d: d.strftime("%Y-%m-%d"), ducsi("ship_day"))],
    )
    with pytest.raises(ValueError, match="ship_day"):
        app.execute(target[1]["2020-12-28"])
    assert app.history() == []


def test_references_to_the_past_and_the_future_are_inferred_on_execute(app: Application) -> None:
    """F13."""
    t, ducsi, daily_so = timer(app), numbered(app), S3(app, "daily_so", "day")
    n = node(app, "n", {"timer": t, "lo": ducsi[1][:-7].ref, "hi": ducsi[1][:7].ref, "so": daily_so})
    assert app.execute(n["2021-03-31"]).endswith("n/2021-03-31")
    assert read(app, n, "lo") == [f"1/2021-03-{day}" for day in range(31, 24, -1)]
    assert read(app, n, "hi") == ["1/2021-03-31", *(f"1/2021-04-0{day}" for day in range(1, 7))]
    assert read(app, n, "so") == ["2021-03-31"]


def test_materialize_gives_the_paths_of_a_view(app: Application) -> None:
    """F15."""
    ext = numbered(app, "ext", only={1: {"*": {}}, 2: {"*": {}}})
    n = node(app, "n", [ext])
    with pytest.raises(ValueError, match="day"):
        app.materialize(ext[1])
    (path,) = app.materialize(ext[1]["*"])
    assert path.endswith("/1/*")
    (path,) = app.materialize(ext[2][:-7])
    assert path.endswith("/2/_:-7")
    paths = app.materialize(ext[2][:-3], [2, "2020-01-08"])
    assert [path[-13:] for path in paths] == ["/2/2020-01-08", "/2/2020-01-07", "/2/2020-01-06"]
    with pytest.raises(ValueError, match="region"):
        app.materialize(ext[3]["2020-01-08"])
    with pytest.raises(ValueError, match="already concrete"):
        app.materialize(ext[2]["2020-01-08"], [2, "2020-01-08"])
    (path,) = app.materialize(n[1]["2020-01-08"])
    assert path.endswith("internal_data/n/1/2020-01-08")


def test_a_failing_target_at_the_end_of_a_chain(app: Application) -> None:
    """F16."""

    def fail(inputs, output, params):
        raise ValueError("no rows")

    def copy(inputs, output, params):
        import pathlib

        folder = pathlib.Path(output.local_paths[0])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part-0").write_text("copied")

    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    a = node(app, "a", [x])
    join = node(app, "join", [a, y])
    tail = node(app, "tail", [join], compute_targets=[InlinedCompute(fail), InlinedCompute(copy)])
    app.activate()
    event(app, x["2021-03-01"])
    event(app, y["2021-03-01"])
    assert ran(app, a) == ran(app, join) == ["2021-03-01"]
    (execution,) = app.history(tail)
    assert [record.status for record in execution.records] == ["FAILED", "COMPLETED"]
    assert app.poll(tail["2021-03-01"]) == (None, [execution.records[0]])
    assert [r.status for r in app.get_inactive_compute_records() if r.node == "tail"] == ["FAILED", "COMPLETED"]


# signals.md §5 and §6, where no case covers a sentence --------------------------------------------------------


def test_execute_waits_for_the_run_of_its_partition_instead_of_starting_another(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """§6: while that partition is already running, it waits for that run."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x], compute_targets=[gate.target()])
    app.activate()
    beside(app.process, x["2022-01-03"])
    gate.await_start("2022-01-03")
    paths = []
    waiting = beside(lambda: paths.append(app.execute(n["2022-01-03"])))
    also = beside(lambda: paths.append(app.execute(n["2022-01-03"])))
    assert app.execute(n["2022-01-03"], wait=False).endswith("n/2022-01-03")
    await_waiting(waiting)
    await_waiting(also)
    gate.open("2022-01-03")
    waiting.join()
    also.join()
    assert [path.rsplit("/", 1)[-1] for path in paths] == ["2022-01-03", "2022-01-03"]
    assert ran(app, n) == ["2022-01-03"]
    assert gate.starts("2022-01-03") == 1


def test_two_executes_at_once_make_one_execution(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    n = node(app, "n", [], compute_targets=[gate.target()], output_dimension_spec=spec("day"))
    app.activate()
    both = [beside(app.execute, n["2022-01-03"]) for _ in range(3)]
    gate.await_start("2022-01-03")
    gate.open("2022-01-03")
    for thread in both:
        thread.join()
    assert gate.starts("2022-01-03") == 1


def test_a_push_that_would_start_a_partition_of_a_running_plan_is_absorbed(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """§6: a partition that a running plan holds is started by that plan alone."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x], compute_targets=[gate.target()])
    app.activate()
    running = beside(app.execute, n["2022-01-03"])
    gate.await_start("2022-01-03")
    app.process(x["2022-01-03"])
    gate.open("2022-01-03")
    running.join()
    app.settle(60)
    assert ran(app, n) == ["2022-01-03"]


def test_data_that_is_written_again_after_a_plan_has_read_it_runs_again_when_the_plan_ends(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """§5.6 and §6: what a plan holds is absorbed, and yet what it has not read runs."""
    x = S3(app, "x", "day")
    first = node(app, "first", [x])
    last = node(app, "last", [first[:-2]], compute_targets=[gate.target()])
    app.activate()
    for day in ("2022-01-02", "2022-01-03"):
        file(app, x[day])
    gate.open("2022-01-02")  # which the plan does not hold
    running = beside(app.execute, last["2022-01-03"], recursive=True)
    gate.await_start("2022-01-03")
    file(app, x["2022-01-03"], b"newer")
    app.tick()
    gate.open("2022-01-03")
    running.join()
    app.settle(60)
    assert sorted(ran(app, first)) == ["2022-01-02", "2022-01-03", "2022-01-03"], "what it had read does not run again"
    assert ran(app, last).count("2022-01-03") == 2
    cycle(app)
    assert len(ran(app, first)) == 3


def test_kill_ends_a_running_execution(app: Application, gate: Gate, beside: Callable[..., threading.Thread]) -> None:
    """§6: kill."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x], compute_targets=[gate.target()])
    below = node(app, "below", [n])
    app.activate()
    assert app.kill(n["2022-01-03"]) is False
    running = beside(app.process, x["2022-01-03"])
    gate.await_start("2022-01-03")
    assert app.kill(n["2022-01-03"]) is True
    running.join()
    path, records = app.poll(n["2022-01-03"])
    assert path is None
    assert [record.status for record in records] == ["KILLED"]
    assert app.history(n)[-1].status == "KILLED"
    assert app.history(below) == []
    assert app.kill(n["2022-01-03"]) is False


def test_a_kill_counts_until_the_partition_is_published(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """§6: kill. The target ends right after the kill, before anybody looks for that again."""
    n = node(app, "n", [S3(app, "x", "day")], compute_targets=[gate.target()])
    below = node(app, "below", [n])
    app.activate()
    running = beside(app.process, app["x"]["2022-01-03"])
    gate.await_start("2022-01-03")
    assert app.kill(n["2022-01-03"]) is True
    gate.open("2022-01-03")
    running.join()
    app.settle(60)
    assert [e.status for e in app.history(n)] == ["KILLED"]
    assert app.history(below) == []
    assert not (Path(app.materialize(n["2022-01-03"])[0]) / "_SUCCESS").exists()


def test_a_kill_that_comes_too_late_says_so(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    """§6: kill. The execution ends after the kill has seen it."""
    n = node(app, "n", [S3(app, "x", "day")], compute_targets=[gate.target()])
    app.activate()
    session = app._sessions.recorded()
    assert session is not None

    class Late:
        """The session, on which time passes after a look at what runs."""

        def __getattr__(self, name: str) -> Any:
            return getattr(session, name)

        def active(self, *asked: Any) -> Any:
            found = session.active(*asked)
            gate.open("2022-01-03")
            running.join()
            return found

    running = beside(app.process, app["x"]["2022-01-03"])
    gate.await_start("2022-01-03")
    late: Any = Late()
    assert kill(late, n, n.spec.read(["2022-01-03"])) is False
    assert [e.status for e in app.history(n)] == ["COMPLETED"]


def test_a_killed_execution_raises_where_it_was_asked_for(
    app: Application, gate: Gate, beside: Callable[..., threading.Thread]
) -> None:
    n = node(app, "n", [], compute_targets=[gate.target()], output_dimension_spec=spec("day"))
    app.activate()
    raised = []

    def run() -> None:
        try:
            app.execute(n["2022-01-03"])
        except RuntimeError as error:
            raised.append(error)

    running = beside(run)
    gate.await_start("2022-01-03")
    assert app.kill(n["2022-01-03"])
    running.join()
    assert len(raised) == 1


def test_a_queued_execution_can_be_killed(app: Application, gate: Gate) -> None:
    many = spec(number=LONG)
    n = node(app, "n", [], compute_targets=[gate.target()], output_dimension_spec=many)
    m = node(app, "m", [n], compute_targets=[gate.target()])
    app.activate()
    for number in range(6):
        app.execute(n[number], wait=False)
    gate.await_start("0")
    assert app.kill(n[5]) is True
    for number in range(6):
        gate.open(str(number))
    app.settle(60)
    assert {e.partition[0]: e.status for e in app.history(n)}["5"] == "KILLED"
    assert gate.starts("5") == 0
    assert len(app.history(m)) == 5


def test_pause_keeps_events_and_resume_runs_them(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    app.activate()
    app.pause()
    event(app, x["2022-01-03"])
    assert app.history(n) == []
    assert app.poll(n["2022-01-03"]) == (None, None)
    app.resume()
    app.settle(60)
    assert ran(app, n) == ["2022-01-03"]


def test_settle_raises_when_time_is_over_and_names_what_runs(app: Application, gate: Gate) -> None:
    n = node(app, "n", [], compute_targets=[gate.target()], output_dimension_spec=spec("day"))
    app.execute(n["2022-01-03"], wait=False)
    with pytest.raises(TimeoutError, match=r"n\[2022-01-03\]"):
        app.settle(timeout=0.2)
    gate.open("2022-01-03")
    app.settle(60)
    assert ran(app, n) == ["2022-01-03"]


def test_an_event_can_be_offered_to_one_node_only(app: Application) -> None:
    """§6: target_route_id."""
    x = S3(app, "x", "day")
    n, m = node(app, "n", [x]), node(app, "m", [x])
    app.activate()
    event(app, x["2022-01-03"], target_route_id="m")
    assert app.history(n) == []
    event(app, x["2022-01-04"], target_route_id=n)
    assert (ran(app, n), ran(app, m)) == (["2022-01-04"], ["2022-01-03"])


def test_process_never_raises_for_a_failed_execution_and_has_waited_for_it(app: Application) -> None:
    def fail(inputs, output, params):
        raise ValueError("no")

    x = S3(app, "x", "day")
    n = node(app, "n", [x], compute_targets=[InlinedCompute(fail)])
    app.activate()
    app.process(x["2022-01-03"])
    assert [e.status for e in app.history(n)] == ["FAILED"]


def test_a_group_expires_after_its_time_to_live(app: Application) -> None:
    """§5.4."""
    from datetime import UTC, datetime, timedelta

    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    n = node(app, "n", [x, y], pending_node_expiration_ttl_in_secs=3600)
    app.activate()
    event(app, x["2022-01-03"])
    app.tick(now=(datetime.now(UTC) + timedelta(minutes=50)).replace(tzinfo=None))  # naive means UTC
    assert pending(app, n) == 1
    app.tick(now=datetime.now(UTC) + timedelta(minutes=61))
    assert pending(app, n) == 0
    event(app, y["2022-01-03"])
    assert app.history(n) == []


def test_a_failed_target_is_retried_as_often_as_declared(app: Application, tmp_path: Path) -> None:
    """§5.8."""
    folder = str(tmp_path)

    def fail_twice(inputs, output, params):
        import pathlib
        import uuid

        (pathlib.Path(folder) / f"try-{uuid.uuid4()}").touch()
        if len(list(pathlib.Path(folder).glob("try-*"))) < 3:
            raise ValueError("not yet")

    n = node(app, "n", [], compute_targets=[InlinedCompute(fail_twice, retry_count=1)])
    with pytest.raises(RuntimeError, match="not yet"):
        app.execute(n)
    app.execute(n)
    assert [(e.status, e.records[0].attempts) for e in app.history(n)] == [("FAILED", 2), ("COMPLETED", 1)]


def leave(inputs, output, params):
    import os

    os._exit(3)


def hang(inputs, output, params):
    import time

    time.sleep(3600)


def halt(inputs, output, params):
    import sys

    sys.exit("halt")


@pytest.mark.parametrize(
    ("target", "message"),
    [(InlinedCompute(leave), "exit code 3"), (InlinedCompute(hang, timeout=1), "1"), (InlinedCompute(halt), "halt")],
    ids=["ends its process", "hangs", "calls sys.exit"],
)
def test_a_target_that_does_not_return_fails_its_execution(app: Application, target: Any, message: str) -> None:
    n = node(app, "n", [], compute_targets=[target])
    with pytest.raises(RuntimeError, match=message):
        app.execute(n)
    assert [e.status for e in app.history(n)] == ["FAILED"]


def test_why_tells_what_ran_what_waits_and_what_never_came(app: Application) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    n = node(app, "n", [x[:-2].range_check(True), y])
    app.activate()
    assert app.why(n["2022-01-03"]).status == "NOT_TRIGGERED"
    event(app, x["2022-01-03"])
    waiting = app.why(n["2022-01-03"])
    assert waiting.status == "WAITING"
    assert "'y'" in str(waiting)
    event(app, y["2022-01-03"])
    assert "x[2022-01-02]" in str(app.why(n["2022-01-03"]))
    (group,) = app.pending(n)
    assert group.waiting_for == ("x[2022-01-02]",)
    assert group.missing == ()
    assert group.partition == ("2022-01-03",)
    file(app, x["2022-01-02"])
    cycle(app)
    assert app.why(n["2022-01-03"]).status == "COMPLETED"
    assert app.why(n["2022-01-04"]).status == "NOT_TRIGGERED"
    assert app.why(n["2022-01-03"]).to_fields()["status"] == "COMPLETED"
    assert "completion file" not in str(app.why(n["2022-01-03"]))
    (path,) = app.materialize(n["2022-01-03"])
    (Path(path) / "_SUCCESS").unlink()
    assert "its completion file was deleted since" in str(app.why(n["2022-01-03"]))


def test_pending_names_what_came_and_what_is_missing(app: Application) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    n = node(app, "n", [x, y])
    app.activate()
    event(app, x["2022-01-03"])
    (group,) = app.pending(n)
    assert (group.node, group.received, group.missing, group.waiting_for) == ("n", {"x": ("2022-01-03",)}, ("y",), ())
    assert app.get_pending_nodes() == [group]


def test_unknown_values_raise_where_they_are_written(app: Application) -> None:
    x = S3(app, "x", "region", "day", only={"NA": {"*": {}}})
    n = node(app, "n", [x])
    with pytest.raises(ValueError, match="EU"):
        app.execute(n["EU"]["2022-01-03"])


def test_dagsters_list_of_runs_says_which_asset_a_scripts_run_is_of(app: Application, root: Path) -> None:
    n = node(app, "n", [S3(app, "x", "day")])
    app.execute(n["2022-01-03"])
    with open_instance(root) as instance:
        (run,) = instance.get_runs()
    assert run.asset_selection == {dg.AssetKey(["app", "n"])}


@pytest.mark.parametrize("event_id", ["", " ", 5, True, b"e1"])
def test_an_event_id_that_is_no_text_is_refused(app: Application, event_id: Any) -> None:
    x = S3(app, "x", "day")
    node(app, "g", [x])
    app.activate()
    with pytest.raises(ValueError, match=r"`event_id` is .*Give a non-empty string, or remove it"):
        app.process(x["2021-03-01"], event_id=event_id)


def test_every_verb_refuses_a_view_that_is_not_concrete_before_activation_as_after(app: Application) -> None:
    """signals.md §6: a verb refuses a view that is not concrete."""
    x = S3(app, "x", "region", "day")
    n = node(app, "n", [x])
    verbs = {
        "poll": app.poll,
        "kill": app.kill,
        "has_active_record": app.has_active_record,
        "why": app.why,
        "execute": app.execute,
        "validate": app.validate,
    }
    for is_active in (False, True):
        if is_active:
            app.activate()
        for name, verb in verbs.items():
            with pytest.raises(
                ValueError, match=rf"^{name} needs one concrete partition, but n\[NA\]\[\*\] leaves 'day' open"
            ):
                verb(n["NA"]["*"])
        with pytest.raises(ValueError, match=r"process needs one concrete partition, but x\[NA\] leaves 'day' open"):
            app.process(x["NA"])
    assert app.history() == []


def test_process_returns_the_executions_that_the_event_completed(app: Application) -> None:
    """signals.md §6: process."""
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    a = node(app, "a", [x[:-2].range_check(True)])
    near = node(app, "near", {"x": x, "y": y[:-3].nearest()})
    node(app, "below", [a])
    app.activate()

    assert app.process(x["2020-03-18"]) == []
    (waited,) = app.process(x["2020-03-17"])
    assert (waited.node, waited.partition, waited.status) == ("a", ("2020-03-18",), "COMPLETED")
    file(app, y["2020-03-17"])
    assert [(e.node, e.partition) for e in app.process(y["2020-03-17"])] == [
        ("near", ("2020-03-18",)),
        ("near", ("2020-03-17",)),
    ]
    assert app.process(y["2020-03-17"]) == []
    app.settle()
    assert sorted(ran(app, near)) == ["2020-03-17", "2020-03-18"]


def test_process_returns_a_failed_execution_and_raises_nothing(app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "bad", [x], compute_targets=[InlinedCompute(lambda inputs, output, params: 1 / 0)])
    app.activate()
    (failed,) = app.process(x["2020-03-18"])
    assert failed.status == "FAILED"
    assert "division by zero" in failed.error


def test_process_returns_the_run_of_a_covered_week_that_its_last_day_completed(app: Application) -> None:
    x = S3(app, "x", "day")
    week = {"output_dimension_spec": spec(week={"type": "DATETIME", "granularity": "WEEK"})}
    node(app, "weekly", {"x": x.covering().range_check(True)}, **week)
    app.activate()
    caused = [app.process(x[f"2024-01-0{day}"]) for day in range(1, 8)]
    assert [len(found) for found in caused] == [0] * 6 + [1]
    assert caused[-1][0].partition == ("2024-01-01",)
