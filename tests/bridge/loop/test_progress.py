"""What `execute` and `settle` show of their progress, and where they show nothing."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rheo_assets.bridge.loop.progress import Counts, Progress

REPOSITORY = Path(__file__).parents[3]
SCRIPT = """
    import sys, time, types
    from rheo_assets import *

    def slow(inputs, output, params):
        time.sleep(1.1)

    if "notebook" in sys.argv:
        sys.modules["ipykernel"] = types.ModuleType("ipykernel")
    app = Application("app")
    x = app.marshal_external_data(S3Dataset("1", "outside", "x", "{}"), "x", {"day": {"type": DimensionType.DATETIME}})
    n = app.create_data("n", [x], compute_targets=[InlinedCompute(slow)])
    app.create_data("below", [n], compute_targets=[InlinedCompute(slow)])
    app.execute(n["2024-03-01"], progress=None if "off" not in sys.argv else False)
    app.settle()
    print("my own line")
"""


def shown(root: Path, *said: str, terminal: bool = True, **environment: str) -> tuple[str, str]:
    """Runs a script; returns what it prints, and what stands on its standard error, a terminal or a pipe."""
    script = root / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    mine, its = pty.openpty() if terminal else os.pipe()
    around = {**os.environ, "RHEO_HOME": str(root), "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", **environment}
    with subprocess.Popen(
        [sys.executable, str(script), *said], env=around, stdout=subprocess.PIPE, stderr=its, text=True
    ) as process:
        os.close(its)
        text = b""
        while True:
            try:
                part = os.read(mine, 65536)
            except OSError:  # a terminal that everybody has left
                break
            if not part:
                break
            text += part
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(mine)
    assert process.returncode == 0, text.decode()
    told, engines = re.subn(r"app: Lambda \(here: a child process\) runs n, below\r?\n", "", text.decode())
    assert engines == 1  # what `activate` says stands above
    return printed, told


def test_a_terminal_shows_a_bar_for_execute_and_for_settle_and_leaves_the_output_alone(root: Path) -> None:
    printed, text = shown(root)
    assert printed == "my own line\n"
    assert "n[2024-03-01]" in text
    assert "0 of 1 ended" in text
    assert "app settles" in text
    assert "1 running" in text


def test_a_notebook_shows_one_line_that_is_written_over(root: Path) -> None:
    _, text = shown(root, "notebook", terminal=False)
    assert "\rn[2024-03-01]: 0 of 1 ended" in text
    assert "\n" not in text


@pytest.mark.parametrize(("said", "environment"), [("off", {}), ("on", {"RHEO_PROGRESS": "0"})])
def test_it_can_be_switched_off(root: Path, said: str, environment: dict[str, str]) -> None:
    _, text = shown(root, said, **environment)
    assert "n[2024-03-01]" not in text
    assert ("app settles" in text) == (said == "off")


def test_elsewhere_there_is_a_log_line_a_minute(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert shown(root, terminal=False)[1] == ""
    caplog.set_level(logging.INFO)
    with Progress("building", wanted=True) as progress:
        assert progress.every == 5.0  # looked at as before
        progress.look(lambda: Counts(1, 3, 2))
        assert caplog.messages == []
        progress._next -= 60.0
        progress.look(lambda: Counts(1, 3, 2))
        progress.look(lambda: pytest.fail("it is not time yet"))
    assert caplog.messages == ["building: 1 of 3 ended, 2 running, 0 s"]
