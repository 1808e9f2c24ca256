"""Every script in `examples/` runs on a fresh machine and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "backfill": r"B of today and A of today and yesterday are there",
    "backfill_topology": r"D of today is ready, and A, B and C with it",
    "hello_world": r"said hello; the node's folder is .*/s3/rheo-hello-world/internal_data/hello\n",
    "hello_world_scheduled": r"(hello \d{4}-\d\d-\d\d COMPLETED\n){3}",
}


def test_every_example_is_run_here():
    assert {script.stem for script in EXAMPLES.glob("*.py")} - {"__init__"} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_on_a_fresh_root(name, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env={**environment, "RHEO_HOME": str(tmp_path / "home"), "RHEO_PLATFORM": "local"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert re.search(SAYS[name], ended.stdout), ended.stdout + ended.stderr
