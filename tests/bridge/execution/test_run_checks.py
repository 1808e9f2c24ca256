"""Blocking asset checks of Dagster: until they pass, a partition is no event and is not ready."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import Application, InlinedCompute
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.execution.unchecked import UNCHECKED_FILE
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted, run_config, run_tags
from rheo_assets.bridge.names import RANGE_END_TAG, RANGE_START_TAG
from rheo_assets.model.nodes import DataNode
from tests.cases.topologies import S3, event, file, node, ran

FIRST, SECOND, THIRD = "2024-03-01", "2024-03-02", "2024-03-03"
Passes = Callable[[], bool]


class Location:
    """A code location: an application, and asset checks that its team declares beside it."""

    def __init__(self, root: Path, app: Application, **checks: Passes | dg.AssetChecksDefinition) -> None:
        self.root, self.app = root, app
        made = [c if isinstance(c, dg.AssetChecksDefinition) else check("made", n, c) for n, c in checks.items()]
        self.definitions = dg.Definitions.merge(app.definitions(), dg.Definitions(asset_checks=made))

    def run(self, *nodes: DataNode, day: str = FIRST, last: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialises nodes with their checks, as Dagster's UI does."""
        tags = {RANGE_START_TAG: day, RANGE_END_TAG: last} if last is not None else {}
        with open_instance(self.root) as instance:
            return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance,
                partition_key=day if last is None else None,
                tags=tags,
                asset_selection=[dg.AssetKey(["app", each.id]) for each in nodes],
                raise_on_error=False,
            )


def check(node_id: str, name: str, passes: Passes, blocking: bool = True) -> dg.AssetChecksDefinition:
    """Declares a check on a node, as a team does."""

    @dg.asset_check(asset=dg.AssetKey(["app", node_id]), name=name, blocking=blocking)
    def checked() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes(), description="looked at the rows")

    return checked


def folder(root: Path, node_id: str, day: str = FIRST) -> Path:
    return root / "s3/rheo-app/internal_data" / node_id / day


@pytest.fixture
def verdicts() -> Iterator[list[bool]]:
    """What the check says, run by run."""
    left: list[bool] = []
    yield left
    assert not left, "not every verdict was asked for"


def test_a_failed_blocking_check_starts_nothing_and_makes_nothing_ready_until_a_later_one_passes(
    root: Path, app: Application, verdicts: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(lambda inputs, output, params: None)])
    reader = node(app, "reader", [made])
    app.activate()
    location = Location(root, app, rows=lambda: verdicts.pop(0))
    verdicts += [False, True]
    assert not location.run(made).success
    with caplog.at_level(logging.WARNING):
        app.settle(60)
    assert app.history(reader) == []
    assert not (folder(root, "made") / "_SUCCESS").exists()
    (failed,) = app.history(made)
    assert failed.status == "FAILED"
    assert failed.error == "blocking asset check 'rows' (looked at the rows) failed"
    assert "made[2024-03-01] failed: blocking asset check 'rows'" in caplog.text
    assert app.why(made[FIRST]).status == "FAILED"
    assert app.poll(made[FIRST])[0] is None
    assert location.run(made).success
    app.settle(60)
    assert ran(app, reader) == [FIRST]
    assert (folder(root, "made") / "_SUCCESS").exists()
    assert not (folder(root, "made") / UNCHECKED_FILE).exists()
    assert [e.status for e in app.history(made)] == ["FAILED", "COMPLETED"]


def test_nothing_is_ready_between_the_materialisation_and_its_checks(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    ranged = node(app, "ranged", [made[:-2].range_check(True)])
    nearest = node(app, "nearest", {"x": x, "made": made[:-3].nearest()})
    app.activate()
    file(app, x[FIRST])
    seen: list[list[str]] = []

    def look() -> bool:
        """A driver takes turns while the check runs."""
        event(app, x[SECOND])
        seen.append([*ran(app, ranged), *ran(app, nearest)])
        assert app.has_active_record(made[FIRST])
        assert "its data is written, and nothing reads it until blocking asset check 'rows'" in str(
            app.why(made[FIRST])
        )
        return True

    assert Location(root, app, rows=look).run(made).success
    assert seen == [[SECOND]], "only the nearest one, which reads the second day"
    app.settle(60)
    assert ran(app, ranged) == [SECOND]
    assert app.history(nearest)[0].inputs["made"] == [(SECOND,)]


def test_a_warning_and_a_check_that_does_not_block_let_readers_run(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    reader = node(app, "reader", [made])
    app.activate()

    @dg.asset_check(asset=dg.AssetKey(["app", "made"]), blocking=True)
    def warns() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    Location(root, app, warns=warns, soft=check("made", "soft", lambda: False, blocking=False)).run(made)
    app.settle(60)
    assert ran(app, reader) == [FIRST]


def test_of_several_checks_of_one_function_every_blocking_one_has_to_pass(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    reader = node(app, "reader", [made])
    app.activate()
    specs = [dg.AssetCheckSpec(name, asset=dg.AssetKey(["app", "made"]), blocking=True) for name in ("one", "two")]

    @dg.multi_asset_check(specs=specs)
    def both() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(check_name="one", passed=True)
        yield dg.AssetCheckResult(check_name="two", passed=False)

    Location(root, app, both=both).run(made)
    app.settle(60)
    assert app.history(reader) == []
    assert app.history(made)[0].error == "blocking asset check 'two' failed"


def test_a_check_of_a_range_decides_about_all_of_its_partitions(
    root: Path, app: Application, verdicts: list[bool]
) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    reader = node(app, "reader", [made])
    app.activate()
    location = Location(root, app, rows=lambda: verdicts.pop(0))
    verdicts += [False, True]
    location.run(made, last=THIRD)
    app.settle(60)
    assert app.history(reader) == []
    location.run(made, last=THIRD)
    app.settle(60)
    assert sorted(ran(app, reader)) == [FIRST, SECOND, THIRD]


def test_what_follows_in_the_same_run_reads_what_has_passed(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    reader = node(app, "reader", [made[:-1].range_check(True)])
    app.activate()
    assert Location(root, app, rows=lambda: True).run(made, reader).success
    app.settle(60)
    assert ran(app, made) == ran(app, reader) == [FIRST]
    assert app.history(reader)[0].missing == {}


def test_recursive_builds_again_what_did_not_pass(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    reader = node(app, "reader", [made[:-2].range_check(True)])
    app.activate()
    for day in (FIRST, SECOND):
        file(app, x[day])
    app.execute(made[SECOND])
    Location(root, app, rows=lambda: False).run(made)
    app.tick()
    with pytest.raises(RuntimeError, match=r"made\[2024-03-01\]"):
        app.execute(reader[SECOND])
    app.execute(reader[SECOND], recursive=True)
    assert [e.status for e in app.history(made) if e.partition == (FIRST,)] == ["FAILED", "COMPLETED"]


def test_a_check_that_raises_or_never_ran_does_not_let_readers_run(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    reader = node(app, "reader", [made])
    app.activate()

    def breaks() -> bool:
        raise ValueError("no connection")

    Location(root, app, rows=breaks).run(made)
    app.settle(60)
    assert app.history(reader) == []
    assert app.history(made)[0].error == ("blocking asset check 'rows' was not evaluated: its run is over (FAILURE)")


def test_a_new_driver_knows_what_waits_for_its_checks(root: Path, app: Application) -> None:
    made = node(app, "made", [S3(app, "x", "day")])
    node(app, "reader", [made])
    app.activate()
    binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
    seen = []

    def look() -> bool:
        with open_instance(root) as instance:
            for _ in range(2):
                driver = Driver(binding, instance)
                driver.turn()
                seen.append([entry.partition for entry in driver.router.checked_executions()])
        return True

    Location(root, app, rows=look).run(made)
    assert seen == [[(datetime(2024, 3, 1),)]] * 2
    app.settle(60)
    assert ran(app, "reader") == [FIRST]


def test_partitions_beside_a_failed_one_are_checked_by_the_next_run(root: Path, app: Application) -> None:
    def fails_once(inputs: Any, output: Any, params: Any) -> None:
        with (root / "counted").open("a") as lines:
            lines.write(output.dimensions["day"] + "\n")
        if output.dimensions["day"] == SECOND:
            raise ValueError("bad luck")

    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(fails_once)])
    node(app, "reader", [made])
    app.activate()
    job = Location(root, app, rows=lambda: True).definitions.resolve_implicit_global_asset_job_def()
    binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
    with open_instance(root) as instance:
        driver = Driver(binding, instance)
        for day in (FIRST, SECOND):
            driver.journal.inject("x", x.spec.read([day]), day, None)
        for expected in (2, 1):
            ((_, requests),) = emitted(binding, driver.turn())
            assert len(requests) == expected
            partitions = sorted(request.partition for request in requests)
            job.execute_in_process(
                instance=instance,
                partition_key=FIRST if expected == 1 else None,
                run_config=run_config(made, requests),
                tags=run_tags(binding.codecs["made"], partitions),
                asset_selection=[dg.AssetKey(["app", "made"])],
                raise_on_error=False,
            )
    app.settle(60)
    assert ran(app, "reader") == [FIRST]
    assert sorted((root / "counted").read_text().split()) == [FIRST, SECOND]
    assert {(*e.partition, e.status) for e in app.history(made)} == {(FIRST, "COMPLETED"), (SECOND, "FAILED")}
