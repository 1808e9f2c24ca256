"""The application of the real kills: a node that does nothing, one of Python, and one that joins them.

python -m tests.faults.pipeline <folder>      # drives it until it is killed
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rheo_assets import Application, InlinedCompute, LocalPlatform
from rheo_assets.model.nodes import DataNode, ExternalData
from tests.cases.topologies import S3, node


def declare(root: Path) -> tuple[Application, ExternalData, list[DataNode]]:
    app = Application("kill", platform=LocalPlatform(root / "data"), since="2021-01-01")
    written = str(root / "starts")

    def report(inputs: Any, output: Any, params: Any) -> None:
        with Path(written).open("a", encoding="utf-8") as file:
            file.write(f"{output.dimensions['day']}\n")

    x = S3(app, "x", "day")
    idle = node(app, "idle", [x])
    python = node(app, "python", [x], compute_targets=[InlinedCompute(report)])
    both = node(app, "both", {"idle": idle, "week": python[:-2].range_check(True)})
    return app, x, [idle, python, both]


def drive(root: Path) -> None:
    app, _, _ = declare(root)
    app.activate()
    print("driving", flush=True)
    while True:
        app.tick()
        time.sleep(0.2)


if __name__ == "__main__":
    drive(Path(sys.argv[1]))
