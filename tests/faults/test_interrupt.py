"""Ctrl-C in a script: what runs ends, nothing more begins, and the next session goes on. A failure is told."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rheo_assets import Application, LocalPlatform, PrestoSQL
from tests.cases.topologies import node, timer

SCRIPT = """
import signal, sys, time
from pathlib import Path
import rheo_assets as flow

root = Path(sys.argv[1])
app = flow.Application("app", platform=flow.LocalPlatform(root))

def first(inputs, output, params):
    (root / "begun").touch()
    while not (root / "go").exists():
        time.sleep(0.05)

daily = app.add_timer("daily", "rate(1 day)", time_dimension_id="day")
one = app.create_data("one", inputs=[daily], compute_targets=[flow.InlinedCompute(first)])
two = app.create_data("two", inputs=[one], compute_targets=[flow.NOOPCompute])
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
    app.execute(one["2024-03-01"])
"""


def interrupted(root: Path) -> subprocess.Popen[str]:
    """Returns a script that was interrupted while `one` runs, and says that it waits."""
    script = root / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, str(script), str(root)], stderr=subprocess.PIPE, text=True)
    while not (root / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "'app' is still executing" in line:
            assert "It starts no new ones" in line
            assert "Ctrl-C exits now" in line
            return process
    raise AssertionError("it did not say that it waits")


def statuses(root: Path) -> list[tuple[str, str]]:
    app = Application("app", platform=LocalPlatform(root))
    return [(execution.node, execution.status) for execution in app.history() if execution.ended is not None]


def test_ctrl_c_lets_what_runs_end_and_leaves_what_follows_to_the_next_session(root: Path) -> None:
    process = interrupted(root)
    (root / "go").touch()
    process.communicate(timeout=120)
    assert statuses(root) == [("one", "COMPLETED")]
    Application("app", platform=LocalPlatform(root)).settle()
    assert statuses(root) == [("one", "COMPLETED"), ("two", "COMPLETED")]


def test_a_second_ctrl_c_ends_the_process_at_once(root: Path) -> None:
    process = interrupted(root)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert statuses(root) == []


def test_a_failure_that_no_execute_raises_is_logged(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    daily = timer(app, "daily")
    made = node(app, "made", [daily], compute_targets=[PrestoSQL("select nothing")])
    app.activate()
    app.process(daily["2024-03-01"])
    assert "made[2024-03-01] failed in PRESTO_SQL code: 'made': there is no column 'nothing'" in caplog.text
    caplog.clear()
    with pytest.raises(RuntimeError, match="nothing"):
        app.execute(made["2024-03-02"])
    assert "failed" not in caplog.text
