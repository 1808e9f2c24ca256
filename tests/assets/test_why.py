"""Why a partition has not run: what became of the events that could have made it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rheo_assets import Application, LocalPlatform
from tests.cases.topologies import S3, STRING, file, node

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
        assert "a trigger group that had x[NA][2024-01-02] was dropped: it waited for longer than the 60 s" in str(
            reason
        )
        assert "none of them has come" not in str(reason)
        assert "none of them has come" in str(looking.why(looking["pairs"]["NA"][NEXT]))


def test_groups_that_could_never_complete_are_counted(app: Application) -> None:
    x = S3(app, "x", "day", region=STRING)
    made = node(app, "made", {"a": x["*"]["NA"], "b": S3(app, "y", "day")})
    checked = node(app, "checked", [S3(app, "z", day={"type": "DATETIME", "min": DAY})[:-2].range_check(True)])
    app.activate()
    app.process(app["z"][DAY])
    reason = app.why(checked[NEXT])
    assert "1 trigger groups of 'checked' were dropped as they could never complete" in str(reason)
    assert "could never complete" not in str(app.why(made[DAY]["NA"]))


def test_what_a_pause_holds_up_says_so(app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    app.pause()
    app.process(x[DAY])
    reason = app.why(made[DAY])
    assert reason.status == "QUEUED"
    assert reason.sentences == ("the application is paused: it runs after app.resume()",)
    app.resume()
    app.settle(60)
    assert app.why(made[DAY]).status == "COMPLETED"


def test_what_a_plan_holds_says_so(app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    session = app._running.looking()
    assert session is not None
    partition = made.spec.read([DAY])
    session.driver.journal.open_plan("a-plan", {"made": [partition]})
    reason = app.why(made[DAY])
    assert reason.status == "QUEUED"
    assert reason.sentences == ("a plan of execute() holds it: it runs when its turn comes",)
    session.driver.journal.close_plan("a-plan")
    file(app, x[DAY])
    assert app.execute(made[DAY])


def test_a_wrong_time_or_number_is_told_and_a_naive_time_is_utc(app: Application) -> None:
    t = app.add_timer("t", "rate(1 hour)", "hour", time_dimension_granularity="HOUR")
    made = node(app, "made", [t])
    app.activate()
    with pytest.raises(ValueError, match=r"tick\(now='soon'\): is no datetime"):
        app.tick("soon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"settle\(timeout='soon'\): is no number"):
        app.settle("soon")  # type: ignore[arg-type]
    app.tick(later(3700).replace(tzinfo=None))
    app.settle(60)
    assert len(app.history(made)) == 1
