"""Sessions that are open while another process activates the application anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from rheo_assets import Application, InlinedCompute, LocalPlatform
from rheo_assets.bridge.activation.activation import record
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.loop.plan_records import PlanRecord
from rheo_assets.bridge.loop.plans import Plans
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.routing.entries import Trigger
from tests.bridge.execution.test_manual_runs import slow, until
from tests.cases.topologies import S3, SETTLE_SECONDS, file, node, pending, ran, read, timer

DAY, NEXT = "2024-01-01", "2024-01-02"


def another(root: Path) -> Application:
    """Returns the application as another process opens it."""
    return Application("app", platform=LocalPlatform(root))


def declare(app: Application, days: int = 1, *more: str) -> None:
    """Declares and activates `made`, which reads so many days, and further nodes."""
    x = S3(app, "x", "day")
    made = node(app, "made", {"x": x[:-days] if days > 1 else x})
    for name in more:
        node(app, name, [made])
    app.activate()


def meanwhile(root: Path, work: Callable[[], object], change: Callable[[Application], None]) -> None:
    """Does something that waits for the file `go`; the application is activated anew before it goes on."""
    failures: list[BaseException] = []

    def working() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=working)
    thread.start()
    until((root / "begun").exists)
    change(another(root))
    (root / "go").touch()
    thread.join(SETTLE_SECONDS)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def waiting(root: Path) -> InlinedCompute:
    """Returns a target that waits for the file `go`."""
    return InlinedCompute(slow(root))


def steps(root: Path, app: Application) -> tuple[ExternalData, DataNode, DataNode]:
    """Declares and activates `x`, `made`, which waits for the file `go`, and `down`, which is made of it."""
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[waiting(root)])
    down = node(app, "down", [made])
    app.activate()
    return x, made, down


@pytest.mark.parametrize("declares", [False, True], ids=["joined", "declared it"])
@pytest.mark.parametrize("verb", ["settle", "poll", "process"])
def test_what_a_newer_declaration_adds_runs_in_a_session_that_was_open_before(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture, declares: bool, verb: str
) -> None:
    declare(app)
    session = app if declares else another(root)
    session.settle(SETTLE_SECONDS)
    declare(another(root), 1, "added")
    if verb != "process":
        file(session, session["x"][DAY])
    if verb == "settle":
        session.settle(SETTLE_SECONDS)
    elif verb == "poll":
        session.poll(session["made"][DAY])
    else:
        session.process(session["x"][DAY])
    assert "another session activated 'app' (new: added)" in caplog.text
    later = another(root)
    later.settle(SETTLE_SECONDS)
    assert ran(later, "made") == ran(later, "added") == [DAY]


def test_an_open_session_executes_what_is_recorded_now(root: Path, app: Application) -> None:
    declare(app)
    session = another(root)
    assert list(session["made"].inputs) == ["x"]
    session.settle(SETTLE_SECONDS)
    declare(another(root), 3)
    session.execute(session["made"][DAY])
    assert read(session, "made", "x") == [DAY, "2023-12-31", "2023-12-30"]


def test_who_adds_a_node_does_not_write_older_declarations_of_others_back(root: Path, app: Application) -> None:
    declare(app)
    session = another(root)
    made = session["made"]
    session.execute(made[DAY])
    declare(another(root), 3)
    node(session, "added", [made])
    session.activate()
    assert str(another(root)["made"].inputs["x"]) == "x[_:-3]"
    session.process(session["x"][NEXT])
    session.settle(SETTLE_SECONDS)
    assert ran(session, "added") == [NEXT]
    assert len(session.history("made")[-1].inputs["x"]) == 3


def test_a_node_that_does_not_fit_what_it_reads_any_more_is_refused_before_anything_is_recorded(
    root: Path, app: Application
) -> None:
    declare(app)
    session = another(root)
    made = session["made"]
    changed = another(root)
    x = S3(changed, "x", "day")
    node(
        changed,
        "made",
        [x],
        output_dimension_spec={"week": {"type": "LONG"}},
        output_dim_links=[("week", lambda d: d.isocalendar().week, x("day"))],
    )
    changed.activate()
    node(session, "added", [made], output_dim_links=[("day", lambda day: day, made("day"))])
    with pytest.raises(ValueError, match=r"a node no longer fits its inputs.*'day'") as refused:
        session.activate()
    assert "with its inputs taken from the application: app['id']" in str(refused.value)
    assert "added" not in another(root).topology


def test_what_follows_from_a_running_execution_follows_the_declaration_of_then(root: Path, app: Application) -> None:
    x, made, _ = steps(root, app)

    def change(_other: Application) -> None:
        app.update_data("down", {"made": made[:-2]}, compute_targets=app["down"].targets)
        app.activate()

    meanwhile(root, lambda: app.process(x[DAY]), change)
    app.settle(SETTLE_SECONDS)
    assert read(app, "down", "made") == [DAY, "2023-12-31"]


def test_a_plan_goes_on_under_the_declaration_that_another_process_activates(root: Path, app: Application) -> None:
    x, _, down = steps(root, app)
    file(app, x[DAY])

    def change(other: Application) -> None:
        again = node(other, "made", [S3(other, "x", "day")], compute_targets=[waiting(root)])
        node(other, "down", {"made": again[:-2]})
        other.activate()

    meanwhile(root, lambda: app.execute(down[DAY], recursive=True), change)
    assert ran(app, "made") == [DAY]
    assert read(app, "down", "made") == [DAY, "2023-12-31"]


def test_a_plan_whose_target_is_taken_away_says_so(root: Path, app: Application) -> None:
    x, _, down = steps(root, app)
    file(app, x[DAY])

    def change(other: Application) -> None:
        node(other, "made", [S3(other, "x", "day")], compute_targets=[waiting(root)])
        other.activate()

    with pytest.raises(RuntimeError, match="down failed in its plan: meanwhile the node was removed, or declared"):
        meanwhile(root, lambda: app.execute(down[DAY], recursive=True), change)
    assert ran(app, "made") == [DAY]
    with pytest.raises(
        ValueError, match=r"execute\(down\): another session activated .* without 'down'. Call activate\(\)"
    ):
        app.execute(down[DAY])
    app.activate()
    app.execute(down[DAY])
    assert ran(app, "down") == [DAY]


def test_what_is_queued_while_the_application_is_activated_anew_runs_once_as_it_is_declared_then(
    root: Path, app: Application
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[waiting(root)])
    app.activate()
    days = [f"2024-01-{day:02}" for day in range(1, 21)]

    def work() -> None:
        for day in days[::2]:  # apart, so that each is a run of its own: more than there are workers
            app._sessions.active("test").driver.journal.inject("x", made.spec.read([day]), day, None)
        app.settle(SETTLE_SECONDS)

    def change(_other: Application) -> None:
        app.update_data("made", {"x": x[:-2]}, compute_targets=made.targets)
        app.activate()

    meanwhile(root, work, change)
    assert sorted(ran(app, made)) == days[::2]
    counts = [len(execution.inputs["x"]) for execution in app.history(made)]
    assert set(counts) == {1, 2}, "those that had begun read one day, the others two"


def test_groups_that_wait_are_seen_under_the_new_declaration_by_every_session(root: Path, app: Application) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    node(app, "made", [x, y])
    app.activate()
    session = another(root)
    session.process(session["x"][DAY])
    assert pending(session, "made") == 1
    other = another(root)
    node(other, "made", [S3(other, "x", "day")])
    other.activate()
    session.settle(SETTLE_SECONDS)
    assert pending(session, "made") == 0
    assert ran(session, "made") == [DAY]


def test_activating_again_puts_the_own_declaration_back(root: Path, app: Application) -> None:
    declare(app)
    declare(another(root), 3, "added")
    app.settle(SETTLE_SECONDS)
    app.activate()
    assert set(another(root).topology.nodes) == {"x", "made"}
    assert str(another(root)["made"].inputs["x"]) == "x"


@pytest.mark.parametrize("dimensions", [(), ("region",)], ids=["gone", "other dimensions"])
def test_a_target_that_is_taken_away_before_its_plan_begins_leaves_no_plan(
    root: Path, app: Application, monkeypatch: pytest.MonkeyPatch, dimensions: tuple[str, ...]
) -> None:
    declare(app)
    start = Plans.start

    def start_late(plans: Plans, run: PlanRecord) -> None:
        monkeypatch.undo()
        monkeypatch.setenv("RHEO_PROGRESS", "0")
        other = another(root)
        x = S3(other, "x", *dimensions, "day")
        if dimensions:
            node(other, "made", [x])
        other.activate()
        start(plans, run)

    monkeypatch.setattr(Plans, "start", start_late)
    with pytest.raises(RuntimeError, match="made failed in its plan: meanwhile the node was removed, or declared"):
        app.execute(app["made"][DAY])
    app.activate()
    assert app.why(app["made"][DAY]).status == "NOT_TRIGGERED"
    app.execute(app["made"][DAY])
    assert ran(app, "made") == [DAY]


def test_a_view_of_before_a_node_had_other_dimensions_is_refused_by_every_verb(root: Path, app: Application) -> None:
    declare(app)
    session = another(root)
    x, made = session["x"], session["made"]
    session.settle(SETTLE_SECONDS)
    other = another(root)
    node(other, "made", [S3(other, "x", "region", "day")])
    other.activate()
    told = "have changed from day DAY to region STRING, day DAY. Take the node from"
    with pytest.raises(
        ValueError, match=rf"process\(x\[{DAY}\]\): the dimensions of 'x' {told} the application again: app\['x'\]"
    ):
        session.process(x[DAY])
    for verb in (session.execute, session.poll, session.why, session.kill, session.has_active_record):
        with pytest.raises(ValueError, match=rf"{verb.__name__}\(made\[{DAY}\]\): the dimensions of 'made' {told}"):
            verb(made[DAY])


def test_two_processes_that_activate_for_the_first_time_at_once_begin_before_either_has_an_event(
    root: Path, app: Application
) -> None:
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    node(app, "made", [x, y])
    binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
    with open_instance(root) as instance:
        slow = Driver(binding, instance)
        app.activate()
        app.process(x[DAY])
        slow.activate(datetime.now(UTC))
        slow.turn()
    later = another(root)
    assert pending(later, "made") == 1
    later.process(later["y"][DAY])
    assert ran(later, "made") == [DAY]


def test_what_a_session_declared_and_another_one_replaced_is_read_as_it_is_recorded(
    root: Path, app: Application
) -> None:
    declare(app)
    made = app["made"]
    other = another(root)
    x = S3(other, "x", "day")
    node(other, "made", {"x": x[:-2].range_check(True)})
    other.activate()
    with pytest.raises(RuntimeError, match=r"not ready: x\[2023-12-31\]"):
        app.validate(made[DAY], readiness=True)
    assert str(app["made"].inputs["x"]) == "x[_:-2].range_check(True)"
    app.activate()
    app.validate(made[DAY], readiness=True)


def test_what_was_emitted_under_another_declaration_is_left_for_the_next_turn(app: Application) -> None:
    declare(app)
    binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
    day = app["made"].spec.read([DAY])
    fits = Trigger("made", day, {"x": day}, {}, ("one",), 1)
    others = [replace(fits, node="gone"), replace(fits, tips={"y": day})]
    ((named, requests),) = emitted(binding, [*others, fits])
    assert named is app["made"]
    assert [request.partition for request in requests] == [day]


def test_what_another_process_recorded_before_it_died_is_marked_as_activated_by_who_follows(
    root: Path, app: Application
) -> None:
    declare(app)
    other = another(root)
    node(other, "nightly", [timer(other)])
    record(Binding(other.topology, other.platform, datetime(2024, 1, 1)))  # and no more of activate()
    app.settle(SETTLE_SECONDS)
    app.tick(datetime.now(UTC) + timedelta(days=2, minutes=1))
    app.settle(SETTLE_SECONDS)
    assert len(app.history("nightly")) == 2


def test_an_execution_whose_node_is_taken_away_can_be_seen_and_killed(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")], compute_targets=[waiting(root)])
    app.activate()
    seen: list[object] = []

    def change(other: Application) -> None:
        node(other, "rest", [S3(other, "x", "day")])
        other.activate()
        seen.extend([app.has_active_record(made[DAY]), app.kill(made[DAY])])
        with pytest.raises(ValueError, match=r"why\(made\): another session activated 'app' without 'made'"):
            app.why(made[DAY])

    meanwhile(root, lambda: app.process(app["x"][DAY]), change)
    app.settle(SETTLE_SECONDS)
    assert seen == [True, True]
    assert [execution.status for execution in app.history(made)] == ["KILLED"]


def test_what_is_queued_reads_what_the_new_links_tell(root: Path, app: Application) -> None:
    def with_lag(of: Application, days: int) -> None:
        x, y = S3(of, "x", "day"), S3(of, "y", "day")
        back = timedelta(days=days)
        node(of, "made", [x, y.ref], input_dim_links=[(y("day"), lambda day: day - back, x("day"))])
        of.activate()

    with_lag(app, 5)
    app.pause()
    app.process(app["x"]["2024-01-10"])
    with_lag(another(root), 7)
    app.resume()
    app.settle(SETTLE_SECONDS)
    assert ran(app, "made") == ["2024-01-10"]
    assert read(app, "made", "y") == ["2024-01-03"]


def test_what_is_queued_and_would_be_another_partition_now_is_dropped_and_told(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    node(app, "made", [S3(app, "x", "region", "day")["NA"]])
    app.activate()
    app.pause()
    app.process(app["x"]["NA"][DAY])
    other = another(root)
    node(other, "made", [S3(other, "x", "region", "day")["EU"]])
    other.activate()
    app.resume()
    app.settle(SETTLE_SECONDS)
    assert app.history("made") == []
    assert "1 unfinished executions that no longer fit" in caplog.text


def test_a_pause_outlives_an_activation_at_the_same_moment(root: Path, app: Application) -> None:
    declare(app)
    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2024, 1, 1)), instance)
        driver.state.change(lambda fields: (app.pause(), fields["activated"].update(late=1.0)))
    assert driver.is_paused()
    app.resume()
    assert not driver.is_paused()
