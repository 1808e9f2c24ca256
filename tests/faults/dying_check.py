"""A process that dies between the materialisation of a partition and its blocking asset check, as a daemon's run may.

python -m tests.faults.dying_check <folder>
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from rheo_assets import Application, InlinedCompute, LocalPlatform
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted, run_config, run_tags
from tests.cases.topologies import S3, node

DAY = "2021-03-01"
REPOSITORY = Path(__file__).parents[2]


def declare(root: Path) -> Application:
    """Declares a node that counts how often its code runs, and its reader."""

    def count(inputs: Any, output: Any, params: Any) -> None:
        with (root / "counted").open("a") as lines:
            lines.write("once\n")

    app = Application("checked", platform=LocalPlatform(root), since="2021-01-01")
    made = node(app, "made", [S3(app, "x", "day")], compute_targets=[InlinedCompute(count)])
    node(app, "reader", [made])
    return app


def launch(app: Application, instance: dg.DagsterInstance, driver: Driver, passes: Callable[[], bool]) -> int:
    """Runs what the router asks for of the checked node, with its check, as the daemon does; returns how much it is."""

    @dg.asset_check(asset=dg.AssetKey(["checked", "made"]), blocking=True)
    def rows() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes())

    definitions = dg.Definitions.merge(app.definitions(), dg.Definitions(asset_checks=[rows]))
    job = definitions.resolve_implicit_global_asset_job_def()
    asked = [(made, requests) for made, requests in emitted(driver.binding, driver.turn()) if made.id == "made"]
    for made, requests in asked:
        job.execute_in_process(
            instance=instance,
            partition_key=DAY,
            run_config=run_config(made, requests),
            tags=run_tags(driver.binding.codecs["made"], [requests[0].partition]),
            asset_selection=[dg.AssetKey(["checked", "made"])],
            raise_on_error=False,
        )
    return sum(len(requests) for _, requests in asked)


def die(root: Path) -> None:
    """Lets another process die in the check."""
    command = [sys.executable, "-m", "tests.faults.dying_check", str(root)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def main() -> None:
    """Routes an event, runs what follows, and is killed in the check."""
    root = Path(sys.argv[1])
    app = declare(root)

    def dies() -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    with open_instance(root) as instance:
        driver = Driver(Binding(app.topology, app.platform, datetime(2021, 1, 1)), instance)
        launch(app, instance, driver, dies)


if __name__ == "__main__":
    main()
