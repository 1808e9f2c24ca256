"""Materialisations that a person, or another tool, reports to Dagster: the data behind them is one event."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from rheo_assets import Application, S3Dataset
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.model.signals import Signal
from tests.cases.topologies import S3, cycle, file, node, ran, spec, timer

FIRST = "2024-03-01"


def report(root: Path, signal: Signal, day: str = FIRST) -> None:
    """Reports a materialisation, as "Report materialization" in the UI and the REST endpoint do."""
    with open_instance(root) as instance:
        event = dg.AssetMaterialization(dg.AssetKey(["app", signal.id]), partition=day)
        instance.report_runless_asset_event(event)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_report_and_the_arrival_of_the_same_file_are_one_event(root: Path, app: Application, is_first: bool) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    file(app, x[FIRST])
    if is_first:
        report(root, x)
    cycle(app)
    if not is_first:
        report(root, x)
    for _ in range(2):
        cycle(app)
    assert ran(app, made) == [FIRST]
    file(app, x[FIRST], b"other data")
    cycle(app)
    assert ran(app, made) == [FIRST, FIRST], "the file was written again"


def test_a_report_of_a_file_that_was_there_at_the_first_activation_is_its_event(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    file(app, x[FIRST])
    app.activate()
    cycle(app)
    assert ran(app, made) == []
    for _ in range(2):
        report(root, x)
        cycle(app)
    assert ran(app, made) == [FIRST]


def test_a_report_without_data_starts_nothing_and_why_says_so(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    app.activate()
    report(root, x)
    cycle(app)
    assert ran(app, made) == []
    assert "x[2024-03-01] was reported" in caplog.text
    said = (
        "x[2024-03-01] was reported as materialised, but s3://outside/x/2024-03-01 has no complete data, so the report "
        "starts nothing. Write its data, and _SUCCESS last"
    )
    assert said in app.why(made[FIRST]).sentences
    file(app, x[FIRST])
    cycle(app)
    assert ran(app, made) == [FIRST]
    assert said not in app.why(made[FIRST]).sentences


def test_a_report_of_a_data_node_without_data_makes_nothing_ready(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    plain, ranged = node(app, "plain", [made]), node(app, "ranged", [made[:-1].range_check(True)])
    app.activate()
    report(root, made)
    cycle(app)
    assert ran(app, plain) == ran(app, ranged) == []
    assert app.pending() == []
    assert any("made[2024-03-01] was reported" in text for text in app.why(made[FIRST]).sentences)
    assert any("Execute it instead" in text for text in app.why(ranged[FIRST]).sentences)


def test_a_report_of_what_an_execution_made_is_no_new_event_and_of_copied_data_it_is_one(
    root: Path, app: Application
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    reader = node(app, "reader", [made])
    app.activate()
    app.execute(made[FIRST])
    cycle(app)
    report(root, made)
    cycle(app)
    assert ran(app, reader) == [FIRST]
    file(app, made["2024-03-02"])
    for _ in range(2):
        report(root, made, "2024-03-02")
        cycle(app)
    assert ran(app, reader) == [FIRST, "2024-03-02"]


def test_a_report_of_data_without_a_completion_file_is_the_event_of_its_object(root: Path, app: Application) -> None:
    dataset = S3Dataset("111222333444", "outside", "y", "{}")
    y = app.marshal_external_data(dataset, "y", spec("day"))
    made = node(app, "made", [y])
    app.activate()
    folder = root / "s3/outside/y" / FIRST
    folder.mkdir(parents=True)
    (folder / "part-0").write_bytes(b"data")
    report(root, y)
    for _ in range(2):
        cycle(app)
    assert ran(app, made) == [FIRST]


def test_a_reported_tick_is_an_event_as_before(root: Path, app: Application) -> None:
    t = timer(app)
    made = node(app, "made", [t])
    app.activate()
    report(root, t)
    cycle(app)
    assert ran(app, made) == [FIRST]


def test_a_report_that_a_dead_driver_had_read_is_not_lost(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x])
    app.activate()
    binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
    with open_instance(root) as instance:
        first = Driver(binding, instance)
        first.turn()
        file(app, x[FIRST])
        report(root, x)
        first.fold()
        first.loop.save()
        assert list(first.router.reported) == [("x", (datetime(2024, 3, 1),))]
        second = Driver(binding, instance)
        assert second.router.cursor == first.router.cursor
        assert [trigger.node for trigger in second.turn()] == ["made"]
        assert second.router.reported == {}
        assert Driver(binding, instance).router.reported == {}
