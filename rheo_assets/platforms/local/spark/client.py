"""The client of the Spark worker of a root; starts the worker if none runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.spark.java import find_java
from rheo_assets.platforms.local.spark.protocol import Home, encode
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

_ASK = 0.2  # seconds between two calls of `cancelled`
_START_PATIENCE = 60.0
_CONNECT_PATIENCE = 10.0
_ATTEMPTS = 3


class WorkerLost(Exception):  # noqa: N818  # says what happened
    """The worker ended before it answered."""


def run_on_worker(
    home: Home, root: Path, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]
) -> TaskResult:
    """Runs the task on the data of `root`; runs it again on a new worker if the worker dies.

    Raises:
        TaskFailure: The task did not succeed.
    """
    lost = ""
    for attempt in range(2):
        if attempt:
            log(f"{lost}; running the task again on a new worker")
        try:
            return _run(home, {"task": task.to_json(), "root": str(root)}, log, cancelled)
        except WorkerLost as error:
            lost = str(error)
    raise lasting_failure(f"{task.node!r}: {lost}, twice. See its log, {home.log_file}", _tail(home.log_file))


def stop_worker(home: Home) -> bool:
    """Stops the worker after its tasks; returns whether one was running."""
    stream = _connected(home, {"stop": True})
    if stream is None:
        return False
    stream.close()
    return True


def _run(
    home: Home, request: Mapping[str, str], log: Callable[[str], None], cancelled: Callable[[], bool]
) -> TaskResult:
    connection = _reached(home, request, log)
    has_cancelled = False
    with contextlib.closing(connection):
        for message in _messages(connection):
            if message is None:
                if not has_cancelled and cancelled():
                    has_cancelled = True
                    _send(connection, {"cancel": True})
            elif "log" in message:
                log(message["log"])
                if not has_cancelled and cancelled():
                    has_cancelled = True
                    _send(connection, {"cancel": True})
            elif "result" in message:
                return TaskResult.from_json(message["result"])
            elif "failure" in message:
                failure = TaskFailure.from_json(message["failure"])
                if message.get("again"):
                    raise WorkerLost(failure.message)
                raise failure
    if has_cancelled:
        raise TaskFailure("cancelled", "the task was cancelled")
    raise WorkerLost("the Spark worker died")


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(encode(message))


def _messages(connection: socket.socket) -> Iterator[dict[str, Any] | None]:
    """Yields the messages of the worker until it disconnects, and None after each moment without a message."""
    connection.settimeout(_ASK)
    rest = b""
    while True:
        try:
            chunk = connection.recv(1 << 16)
        except TimeoutError:
            yield None
            continue
        except ConnectionError:
            return
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _reached(home: Home, request: Mapping[str, Any], log: Callable[[str], None]) -> socket.socket:
    """Returns a connection to a worker that accepted the request; starts a worker if necessary."""
    for _ in range(_ATTEMPTS):
        connection = _connected(home, request)
        if connection is not None:
            return connection
        _started(home, log)
    raise lasting_failure(f"the Spark worker does not answer. See its log, {home.log_file}", _tail(home.log_file))


def _connected(home: Home, request: Mapping[str, Any]) -> socket.socket | None:
    """Returns a connection on which the worker accepted the request; None if there is no such worker."""
    address = home.address()
    if address is None:
        return None
    try:
        connection = socket.create_connection(("127.0.0.1", address.port), _CONNECT_PATIENCE)
    except OSError:
        return None
    try:
        connection.sendall(encode({"token": address.token, **request}))
        accepted = b""
        while not accepted.endswith(b"\n"):
            byte = connection.recv(1)  # one at a time: the caller reads the rest
            if not byte:
                break
            accepted += byte
        if accepted and json.loads(accepted) == {"accepted": True}:
            return connection
    except (OSError, ValueError):
        pass
    connection.close()
    return None


def _started(home: Home, log: Callable[[str], None]) -> None:
    """Starts the worker unless another process does so; returns when it listens."""
    home.prepare()
    with home.start_lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _listens(home):
            return
        find_java()  # to raise here, not in the worker's log
        log("starting the Spark worker")
        home.address_file.unlink(missing_ok=True)
        with home.log_file.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "rheo_assets.platforms.local.spark.worker", str(home.root), home.version],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=home.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
            )
        deadline = time.monotonic() + _START_PATIENCE
        while home.address() is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)


def _listens(home: Home) -> bool:
    address = home.address()
    if address is None:
        return False
    try:
        socket.create_connection(("127.0.0.1", address.port), _CONNECT_PATIENCE).close()
    except OSError:
        return False
    return True


def _import_path() -> list[str]:
    """Returns the import path on which the worker finds this library, even if it is not installed."""
    here = str(Path(__file__).resolve().parents[4])
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return [*given, here] if here in sys.path and here not in given else given


def _tail(file: Path, lines: int = 30) -> str:
    try:
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
