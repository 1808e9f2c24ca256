"""What the router sensor asks the daemon for, attempt after attempt."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg

from rheo_assets import Application
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS, Claims
from rheo_assets.bridge.claims.heartbeats import Heartbeats, HeartbeatThread
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.names import EVENT_ENTRY, RANGE_END_TAG, RANGE_START_TAG, asset_key
from rheo_assets.bridge.sensors.run_requests import MOST_RUNS, run_requests
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import Trigger
from tests.cases.topologies import S3, node

DAY = "2024-03-01"


class Daemon:
    """The daemon's driver, and the runs that it asks for and that die."""

    def __init__(self, app: Application, instance: dg.DagsterInstance) -> None:
        self.app = app
        self.binding = Binding(app.topology, app.platform, datetime(2024, 1, 1))
        self.driver = Driver(self.binding, instance)

    def asks(self) -> list[str]:
        """Returns the names of the runs that a tick asks for, half a minute after the last one."""
        for identity, (attempt, requested, _) in list(self.driver.requested.items()):
            self.driver.requested[identity] = (attempt, requested, -math.inf)
        return self.asks_at_once()

    def asks_at_once(self) -> list[str]:
        wanted = emitted(self.binding, self.driver.turn())
        return [str(request.run_key) for request in run_requests(self.binding, self.driver, wanted, lambda: False)]

    def claim_and_die(self, run_id: str) -> None:
        """Is a run's process that takes the claim, and is gone."""
        (trigger,) = self.driver.router.outbox()
        dead = Heartbeats(
            self.app.platform.storage, f"{self.binding.home}/heartbeats", Owner("gone", 1, run_id), HeartbeatThread()
        )
        claims = Claims(self.app.platform.storage, f"{self.binding.home}/claims", dead)
        assert claims.take(trigger.execution_id("app"), run_id)
        dead.end()


def test_runs_that_die_before_and_after_their_claim_never_have_one_name_twice(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x])
    app.activate()
    with open_instance(root) as instance:
        daemon = Daemon(app, instance)
        daemon.driver.journal.inject("x", x.spec.read([DAY]), "one", None)
        names = daemon.asks()
        assert daemon.asks_at_once() == []  # its run is not there yet
        names += daemon.asks()  # it never came, or ended before its claim
        daemon.claim_and_die("second")
        names += daemon.asks()
        names += daemon.asks()
        daemon.claim_and_die("fourth")
        names += daemon.asks()
        assert len(set(names)) == len(names) == MAX_ATTEMPTS  # Dagster starts no second run of one name
        for _ in range(MAX_ATTEMPTS):
            daemon.asks()
        assert daemon.driver.router.outbox() == []
    (given_up,) = app.history("made")
    assert given_up.status == "FAILED"
    assert "gave up" in str(given_up.error)


def test_the_run_of_a_dead_process_does_not_stay_started(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    node(app, "made", [x])
    app.activate()
    with open_instance(root) as instance:
        daemon = Daemon(app, instance)
        daemon.driver.journal.inject("x", x.spec.read([DAY]), "one", None)
        assert daemon.asks()

        @dg.job
        def standing() -> None:
            """Stands for the run that the daemon launched."""

        run = instance.create_run_for_job(standing)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", standing.name), run.run_id)
        daemon.claim_and_die(run.run_id)
        assert daemon.asks()
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE


def outbox_of(made: DataNode, partitions: list[tuple[Any, ...]]) -> list[Trigger]:
    """Returns what the router would have emitted in one turn."""
    (alias,) = made.inputs
    return [Trigger(made.id, partition, {alias: partition}, {}, (repr(partition),), 1) for partition in partitions]


def numbers(requests: list[dg.RunRequest]) -> list[int]:
    """Returns how many executions each run has."""
    return [len(op["config"]["executions"]) for each in requests for op in each.run_config["ops"].values()]


def test_a_thousand_partitions_in_random_order_are_as_many_runs_as_there_are_ranges(
    root: Path, app: Application
) -> None:
    made = node(app, "made", [S3(app, "x", "region", "day")])
    app.activate()
    days = [datetime(2024, 1, 1) + timedelta(days=n) for n in range(500)]
    partitions = [(region, day) for region in ("NA", "EU") for day in days]
    Random(1).shuffle(partitions)
    with open_instance(root) as instance:
        daemon = Daemon(app, instance)
        wanted = emitted(daemon.binding, outbox_of(made, partitions))
        requests = list(run_requests(daemon.binding, daemon.driver, wanted, lambda: False))
    assert numbers(requests) == [500, 500]
    assert sorted(request.tags[RANGE_START_TAG] for request in requests) == ["2024-01-01|EU", "2024-01-01|NA"]


def test_a_tick_asks_for_a_few_dozens_of_runs_and_the_next_one_for_more(root: Path, app: Application) -> None:
    many = node(app, "many", [S3(app, "x", "region")])
    few = node(app, "few", [S3(app, "y", "region")])
    app.activate()
    outbox = [
        *outbox_of(many, [(f"r{n:03}",) for n in range(120)]),
        *outbox_of(few, [(f"r{n}",) for n in range(3)]),
    ]
    with open_instance(root) as instance:
        daemon = Daemon(app, instance)
        ticks = []
        for _ in range(4):
            wanted = emitted(daemon.binding, outbox)
            ticks.append([r.asset_selection[0] for r in run_requests(daemon.binding, daemon.driver, wanted, bool)])
    assert [len(tick) for tick in ticks] == [MOST_RUNS, MOST_RUNS, 23, 0]
    assert ticks[0].count(asset_key("app", "few")) == 3, "a node with many runs does not hold up the others"


def test_what_follows_from_a_range_is_launched_when_the_whole_range_is_recorded(root: Path, app: Application) -> None:
    x = S3(app, "x", "day")
    made = node(app, "made", [x])
    node(app, "next", [made])
    app.activate()
    days = ["2024-03-03", "2024-03-01", "2024-03-02"]
    with open_instance(root) as instance:
        daemon = Daemon(app, instance)

        @dg.op(out={})
        def record(context):  # type: ignore[no-untyped-def]  # Dagster reads no postponed annotations
            for number, day in enumerate(days):
                entries = {EVENT_ENTRY: dg.MetadataValue.json({"identity": day})}
                made_key = asset_key("app", "made")
                context.log_event(dg.AssetMaterialization(made_key, partition=day, metadata=entries))
                outbox = daemon.driver.turn()
                assert len(outbox) == number + 1
                assert daemon.driver.without_unfinished(outbox) == []

        @dg.job
        def over_a_range() -> None:
            record()

        tags = {RANGE_START_TAG: min(days), RANGE_END_TAG: max(days)}
        over_a_range.execute_in_process(instance=instance, tags=tags)
        wanted = emitted(daemon.binding, daemon.driver.without_unfinished(daemon.driver.turn()))
        assert numbers(list(run_requests(daemon.binding, daemon.driver, wanted, lambda: False))) == [3]
