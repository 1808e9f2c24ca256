"""Processes for the jobs of doubles that start in milliseconds: forks of one that has imported what every job imports.

The one process is started with `python -I`, and sees site-packages but not this checkout: what a job imports of ours
comes from what was uploaded, or the job fails. This file is both the process and, for the tests, the way to it.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


class Started:
    """A process that was started."""

    def __init__(self, forks: Forks) -> None:
        self.code: int | None = None
        self._forks = forks
        self._told = threading.Event()
        self._ended = threading.Event()
        self._pid = 0

    def tell(self, news: Mapping[str, int]) -> None:
        """Takes what the one process says: the id, then the exit code."""
        self._pid = news.get("pid", self._pid)
        self._told.set()
        if "code" in news:
            self.code = news["code"]
            self._ended.set()

    def wait(self, seconds: float | None = None) -> int | None:
        """Returns the exit code; None where the process goes on."""
        self._ended.wait(seconds)
        return self.code

    def kill(self) -> None:
        """Kills the process; one that has ended is no error."""
        self._told.wait()
        if self.code is None:
            self._forks.send({"kill": self._pid})


class Forks:
    """The one process and its forks.

    Args:
        modules: What it imports.
    """

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, "-I", __file__, *modules]
        environment = {**os.environ, "TZ": "UTC"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._known: list[Started] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="warm", daemon=True).start()

    def start(self, script: Path, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Started:
        """Runs a script in a process of its own; what it says goes into `output` of the folder that it runs in."""
        started = Started(self)
        with self._lock:
            job = {"job": len(self._known), "argv": [str(script), *arguments], "folder": str(folder)}
            self._known.append(started)
        self.send({**job, "environment": {"PATH": os.environ["PATH"], "TZ": "UTC", **environment}})
        return started

    def send(self, message: Mapping[str, Any]) -> None:
        """Passes a message on."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            self._known[news.pop("job")].tell(news)
        for started in self._known:  # the one process is gone, and its forks with it
            started.tell({"code": -signal.SIGKILL if started.code is None else started.code})


@cache
def forks(*modules: str) -> Forks:
    """Returns the process that has imported the modules; it ends with this one."""
    return Forks(*modules)


# What follows runs in the one process.


def serve(modules: Sequence[str]) -> None:
    """Starts jobs until there is nobody left who wants some."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
    sys.path[:] = [path for path in sys.path if not Path(path, "rheo_assets").is_dir()]
    for module in modules:
        importlib.import_module(module)
    running: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        waiting = b""
        while True:
            for key, _ in selector.select():
                if key.fd:
                    job, pid = running.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    say(job=job, code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    continue
                read = os.read(0, 1 << 16)
                *lines, waiting = (waiting + read).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if "kill" in message:
                        if any(pid == message["kill"] for _, pid in running.values()):
                            os.kill(message["kill"], signal.SIGKILL)
                        continue
                    pid = fork(message)
                    seen = os.pidfd_open(pid)
                    running[seen] = (message["job"], pid)
                    selector.register(seen, selectors.EVENT_READ)
                    say(job=message["job"], pid=pid)
                if not read:
                    for _, pid in running.values():
                        os.kill(pid, signal.SIGKILL)
                    return


def say(**news: int) -> None:
    os.write(1, (json.dumps(news) + "\n").encode())


def fork(message: Mapping[str, Any]) -> int:
    """Starts a job and returns its process's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(message["folder"])
        null, output = os.open(os.devnull, os.O_RDONLY), os.open("output", os.O_RDWR | os.O_CREAT)
        for number, source in enumerate((null, output, output)):
            os.dup2(source, number)
        os.environ.clear()
        os.environ.update(message["environment"])
        sys.argv = message["argv"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1:])
