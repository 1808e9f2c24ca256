"""Ten real `kill -9` of real drivers, two at once, on one Dagster instance."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from rheo_assets.bridge.eventlog.instance import open_instance
from tests.cases.topologies import file
from tests.faults.pipeline import declare

KILLS = 10
DAYS = [date(2021, 3, 1) + timedelta(days=n) for n in range(12)]
OPEN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]


def start(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.pipeline", str(root)]
    errors = (root / "errors").open("a")
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(os.environ))


def wait_until_it_drives(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "driving\n", "the driver did not start"


def test_ten_kills_of_two_drivers_lose_nothing_and_double_nothing(root):
    seed = 20210301
    chance = random.Random(seed)
    app, x, (idle, python, both) = declare(root)
    app.activate()
    days = [str(day) for day in DAYS]
    landing = list(days)
    chance.shuffle(landing)
    drivers = [start(root), start(root)]
    try:
        for number in range(KILLS):
            victim = drivers.pop(0)
            wait_until_it_drives(victim)
            for _ in range(2 if number < 2 else 1):
                if landing:
                    file(app, x[landing.pop()])
            time.sleep(chance.uniform(0.0, 2.0))
            victim.kill()
            victim.wait()
            if number < KILLS - 2:
                drivers.append(start(root))
    finally:
        for process in drivers:
            process.kill()
            process.wait()
    assert not landing
    app.settle(60)

    history = {node.id: Counter(e.partition[0] for e in app.history(node)) for node in (idle, python, both)}
    assert history["idle"] == dict.fromkeys(days, 1)
    assert history["python"] == dict.fromkeys(days, 1)
    assert history["both"] == dict.fromkeys(days[1:], 1)
    assert {e.status for e in app.history()} == {"COMPLETED"}
    started = Counter((root / "starts").read_text().split())
    assert set(started) == set(days)  # a kill inside the function runs it again: at least once
    assert sum(started.values()) - len(days) <= KILLS * 4  # and only what a killed process was running
    with open_instance(app.platform.root) as instance:
        assert instance.get_run_records(dg.RunsFilter(statuses=OPEN)) == []
    before = len(app.history())
    app.settle(60)
    assert len(app.history()) == before
