"""A real process in a container's number space is stopped, taken for dead, and goes on: one of two publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, InlinedCompute, LocalPlatform
from rheo_assets.bridge.claims.heartbeats import SILENCE
from rheo_assets.model.nodes import DataNode, ExternalData
from tests.cases.topologies import S3, node

DAY = "2021-03-01"
REPOSITORY = Path(__file__).parents[2]
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def declare(root: Path) -> tuple[Application, ExternalData, DataNode, DataNode]:
    """Declares a node that begins, waits until it may go on, and writes who ran it, and one that reads it."""
    written = str(root)

    def work(inputs: Any, output: Any, params: Any) -> None:
        home, who = Path(written), os.environ.get("WHO", "taker")
        with (home / "starts").open("a") as file:
            file.write(f"{who}\n")
        while who == "sleeper" and not (home / "go").exists():
            time.sleep(0.05)
        Path(output.local_paths[0], "part-0").write_text(who)

    app = Application("asleep", platform=LocalPlatform(root), since="2021-01-01")
    x = S3(app, "x", "day")
    made = node(app, "made", [x], compute_targets=[InlinedCompute(work)])
    return app, x, made, node(app, "below", [made])


@contextmanager
def in_a_container(root: Path, verb: str) -> Iterator[subprocess.Popen[str]]:
    """Runs this module's `main` as the sleeper, in a space of process numbers of its own."""
    command = [*CONTAINER, sys.executable, "-m", "tests.faults.test_asleep", str(root), verb]
    with (root / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env={**os.environ, "WHO": "sleeper"}, stdout=said, stderr=said,
            start_new_session=True, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main(root: Path, verb: str) -> None:
    """Does what a sleeper does."""
    app, x, made, _ = declare(root)
    app.activate()
    if verb == "event":
        app.process(x[DAY])
    else:
        app.execute(made[DAY])
    app.settle(60)
    print("done", app.history(made)[-1].status)


def until(root: Path, condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, (root / "said").read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("verb", ["event", "execute"])
def test_of_a_process_that_slept_and_the_one_that_took_over_one_publishes(root: Path, verb: str) -> None:
    if subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us make no number space for processes")
    app, _, made, below = declare(root)
    starts = root / "starts"
    data = root / "s3/rheo-asleep/internal_data/made" / DAY / "part-0"
    with in_a_container(root, verb) as sleeper:
        until(root, starts.exists)
        os.killpg(sleeper.pid, signal.SIGSTOP)
        for beat in (root / "s3/rheo-asleep/heartbeats").iterdir():
            silent = beat.stat().st_mtime - SILENCE - 60
            os.utime(beat, (silent, silent))
        app.activate()
        app.settle(60)
        assert starts.read_text().split() == ["sleeper", "taker"]
        assert data.read_text() == "taker"
        published = data.stat()
        (root / "go").touch()
        os.killpg(sleeper.pid, signal.SIGCONT)
        until(root, lambda: "done COMPLETED" in (root / "said").read_text())
    app.settle(60)
    assert data.read_text() == "taker"
    assert data.stat() == published
    assert [e.status for e in app.history(made)] == ["COMPLETED"]
    assert [e.status for e in app.history(below)] == ["COMPLETED"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
