"""A process that dies at a chosen point: right after it has written an object, before it can do anything else.

python -m tests.faults.dying <folder> <verb> <end of the object's URI>
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import dagster as dg

from rheo_assets import Application, LocalPlatform
from rheo_assets.bridge.assets.assets import node_asset
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.platforms.local.storage import LocalStorage
from tests.cases.topologies import S3, file, node

DAY = "2021-03-01"
REPOSITORY = Path(__file__).parents[2]


class DeadlyStorage(LocalStorage):
    """Kills its process once it has written an object whose URI ends with a text."""

    deadly = ""

    def write(self, uri: str, content: bytes, *, private: bool = False) -> None:
        super().write(uri, content, private=private)
        if uri.endswith(self.deadly):
            os.kill(os.getpid(), signal.SIGKILL)


def declare(root: Path) -> tuple[Application, ExternalData, dict[str, DataNode]]:
    """Declares a chain of two nodes, and a third one that reads the first."""
    app = Application("dying", platform=LocalPlatform(root), since="2021-01-01")
    x = S3(app, "x", "day")
    first = node(app, "first", [x])
    second = node(app, "second", [first])
    beside = node(app, "beside", [first])
    return app, x, {"first": first, "second": second, "beside": beside}


def run_as_the_ui(root: Path, app: Application, made: DataNode) -> None:
    """Runs a partition as Dagster's UI would, in this process."""
    asset = node_asset(Binding(app.topology, app.platform, datetime(2021, 1, 1)), made)
    job = dg.Definitions(assets=[asset]).resolve_implicit_global_asset_job_def()
    with open_instance(root) as instance:
        job.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False)


def die(root: Path, verb: str, deadly: str) -> None:
    """Lets another process do something until it has written the object."""
    command = [sys.executable, "-m", "tests.faults.dying", str(root), verb, deadly]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-4000:]


def main(root: Path, verb: str, deadly: str) -> None:
    """Does what the verb says."""
    app, x, nodes = declare(root)
    file(app, x[DAY])  # there before the first activation: known, and no event
    app.activate()
    storage = DeadlyStorage(root)
    storage.deadly = deadly
    app.platform.storage = storage  # type: ignore[misc]
    if verb == "plan":
        app.execute(nodes["second"][DAY], recursive=True)
    elif verb == "event":
        app.process(x[DAY])
    else:
        run_as_the_ui(root, app, nodes["first"])
    print("it has survived", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
