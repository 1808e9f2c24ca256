"""Why a partition has not run: what became of the events that could have made it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rheo_assets import Application, LocalPlatform
from rheo_assets.model.nodes import DataNode
from tests.cases.topologies import LONG, S3, STRING, file, node, spec

DAY, NEXT = "2024-01-02", "2024-01-03"


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_an_event_that_waited_too_long_is_named_also_by_another_process(root: Path, app: Application) -> None:
    x, y = S3(app, "x", "region", "day"), S3(app, "y", "region", "day")
    pairs = node(app, "pairs", [x, y], pending_node_expiration_ttl_in_secs=60)
    app.activate()
    app.process(x["NA"][DAY])
    assert app.why(pairs["NA"][DAY]).status == "WAITING"
    app.tick(later(90))
    for looking in (app, Application("app", platform=LocalPlatform(root))):
        reason = looking.why(looking["pairs"]["NA"][DAY])
        assert reason.status == "NOT_TRIGGERED"
        assert "a trigger group with x[NA][2024-01-02] was dropped after waiting longer than 60 s" in str(reason)
        assert "none has arrived yet" not in str(reason)
        assert "none has arrived yet" in str(looking.why(looking["pairs"]["NA"][NEXT]))


def test_groups_that_could_never_complete_are_counted(app: Application) -> None:
    x = S3(app, "x", "day", region=STRING)
    made = node(app, "made", {"a": x["*"]["NA"], "b": S3(app, "y", "day")})
    checked = node(app, "checked", [S3(app, "z", day={"type": "DATETIME", "min": DAY})[:-2].range_check(True)])
    app.activate()
    app.process(app["z"][DAY])
    reason = app.why(checked[NEXT])
    assert "1 trigger groups of 'checked' were dropped because they could never complete" in str(reason)
    assert "could never complete" not in str(app.why(made[DAY]["NA"]))


def only_one(number: int) -> str:
    return {1: "one"}[number]


def titled(app: Application, function: Callable[[int], str]) -> DataNode:
    x = S3(app, "x", n=LONG)
    return node(
        app, "made", [x], output_dimension_spec=spec(title=STRING), output_dim_links=[("title", function, x("n"))]
    )


def test_an_event_on_which_a_link_fails_is_told_and_runs_once_the_function_is_corrected(root: Path, app: Application):
    made = titled(app, only_one)
    app.activate()
    file(app, app["x"][4])
    app.settle(60)
    reason = app.why(made["four"])
    assert reason.status == "WAITING"
    assert reason.sentences[0] == (
        "an event that may belong to this partition is held (x[4]): node 'made': the link output.title <- f(x.n) "
        "raised KeyError: 4 for [4]. Links get str, int and naive UTC datetime values. Correct the function and "
        "activate() again, or reload the code location: the event is then routed again"
    )
    assert "could never complete" not in str(reason)
    (held,) = app.pending(made)
    assert (held.received, held.failure) == ({"x": ("4",)}, reason.groups[0].failure)
    later = Application("app", platform=LocalPlatform(root))
    made = titled(later, {1: "one", 4: "four"}.__getitem__)
    later.activate()
    later.settle(60)
    assert [execution.partition for execution in later.history(made)] == [("four",)]
    assert later.pending() == []
    again = Application("app", platform=LocalPlatform(root))
    again.settle(60)
    assert len(again.history("made")) == 1


def test_a_partition_on_which_a_link_fails_may_run_some_day(app: Application) -> None:
    x, y = S3(app, "x", n=LONG), S3(app, "y", title=STRING)
    made = node(app, "made", [x, y], input_dim_links=[(y("title"), only_one, x("n"))])
    app.activate()
    reason = app.why(made[4])
    assert reason.status == "NOT_TRIGGERED"
    assert reason.sentences[-1].startswith(
        "execute() cannot run it by its partition alone: node 'made': the link y.title <- f(x.n) raised"
    )


def test_what_a_pause_holds_up_says_so(app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    app.pause()
    app.process(x[DAY])
    reason = app.why(made[DAY])
    assert reason.status == "QUEUED"
    assert reason.sentences == ("the application is paused; it will run after app.resume()",)
    app.resume()
    app.settle(60)
    assert app.why(made[DAY]).status == "COMPLETED"


def test_what_a_plan_holds_says_so(app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    session = app._sessions.recorded()
    assert session is not None
    partition = made.spec.read([DAY])
    session.driver.journal.open_plan("a-plan", {"made": [partition]})
    reason = app.why(made[DAY])
    assert reason.status == "QUEUED"
    assert reason.sentences == ("it is part of an execute() in progress and runs when its inputs are built",)
    session.driver.journal.close_plan("a-plan")
    file(app, x[DAY])
    assert app.execute(made[DAY])


def test_a_wrong_time_or_number_is_told_and_a_naive_time_is_utc(app: Application) -> None:
    t = app.add_timer("t", "rate(1 hour)", "hour", time_dimension_granularity="HOUR")
    made = node(app, "made", [t])
    app.activate()
    with pytest.raises(ValueError, match=r"tick\(now='soon'\): is not a datetime"):
        app.tick("soon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"settle\(timeout='soon'\): is not a number"):
        app.settle("soon")  # type: ignore[arg-type]
    app.tick(later(3700).replace(tzinfo=None))
    app.settle(60)
    assert len(app.history(made)) == 1


def test_why_says_what_execute_would_be_refused_for_without_the_tips_of_plain_inputs(app: Application) -> None:
    x = S3(app, "x", "region", "day")
    made = node(app, "made", [x["*"][:-2].range_check(True)])
    app.activate()
    reason = app.why(made["NA"]["2024-03-09"])
    with pytest.raises(RuntimeError) as refused:
        app.validate(made["NA"]["2024-03-09"], readiness=True)
    assert reason.unready == refused.value.waiting_for == ("x[NA][2024-03-08]",)  # type: ignore[attr-defined]
    assert reason.sentences[-1] == "execute() raises NotReady until x[NA][2024-03-08] is ready"
    file(app, x["NA"]["2024-03-08"])
    assert "execute()" not in str(app.why(made["NA"]["2024-03-09"]))


@pytest.mark.parametrize("recursive", [False, True])
def test_a_range_before_min_is_refused_by_execute_as_why_tells_it(app: Application, recursive: bool) -> None:
    x = S3(app, "x", day={"type": "DATETIME", "min": DAY})
    daily = node(app, "daily", [x])
    made = node(app, "made", [daily[:-2].range_check(True)], output_dimension_spec=spec(day={"type": "DATETIME"}))
    app.activate()
    reason = app.why(made[DAY])
    assert reason.status == "NEVER"
    told = "input 'daily' needs daily[2024-01-01], which is before the `min` of 'daily': it is never ready"
    assert told in str(reason)
    with pytest.raises(RuntimeError) as refused:
        app.execute(made[DAY], recursive=recursive)
    assert str(refused.value).startswith(f"made[{DAY}] could not be started: {told}. Execute a later partition")
    assert app.history() == []
    with pytest.raises(RuntimeError, match=r"it is never ready\. Execute a later partition"):
        app.validate(made[DAY])


def test_a_stage_that_could_not_be_built_is_told_without_advice_that_was_taken(app: Application) -> None:
    x = S3(app, "x", day={"type": "DATETIME", "min": DAY})
    daily = node(app, "daily", [x[:-2].range_check(True)])
    made = node(app, "made", [daily[:-2].range_check(True)], output_dimension_spec=spec(day={"type": "DATETIME"}))
    app.activate()
    for day in (DAY, NEXT):
        file(app, x[day])
    with pytest.raises(RuntimeError, match=r"not ready: daily\[2024-01-02\]\. Land or build them$"):
        app.execute(made[NEXT], recursive=True)
