"""What the router sensor asks the daemon for, attempt after attempt."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import dagster as dg

from rheo_assets import Application
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS, Claims
from rheo_assets.bridge.claims.heartbeats import Heartbeats, HeartbeatThread
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.sensors.run_requests import run_requests
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
        for identity, (attempt, asked, _) in list(self.driver.asked.items()):
            self.driver.asked[identity] = (attempt, asked, -math.inf)
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
    assert "given up" in str(given_up.error)


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
