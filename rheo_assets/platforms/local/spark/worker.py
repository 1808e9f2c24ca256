"""The Spark worker of one root: one JVM that keeps running, and a forked child per task.

Started by the client: `python -m rheo_assets.platforms.local.spark.worker HOME VERSION`. One thread and one event
loop: it never calls the JVM itself, so that no task can block it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hmac
import json
import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.spark import child
from rheo_assets.platforms.local.spark.java import find_java
from rheo_assets.platforms.local.spark.protocol import Address, Home, encode
from rheo_assets.platforms.local.spark.running import Running, exit_code, failed
from rheo_assets.platforms.local.spark.session import jvm_command
from rheo_assets.runner.task import Task, TaskFailure, lasting_failure

IDLE = "RHEO_SPARK_IDLE_SECONDS"
AT_ONCE = 2
_IDLE_DEFAULT = 15 * 60.0
_LONGEST_LINE = 64 * 1024 * 1024  # of a request
_START_PATIENCE = 180.0
_LOCK_PATIENCE = 60.0


class Worker:
    """Serves one root until it is idle, is stopped, or its JVM ends."""

    def __init__(self, home: Home, idle: float) -> None:
        self._home = home
        self._idle = idle
        self._token = secrets.token_hex(32)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()
        self._ended = ""  # why no more tasks are accepted
        self._busy = 0
        self._last = time.monotonic()
        self._jvm: subprocess.Popen[bytes] | None = None
        self._gateway = child.Gateway(0, "")
        self._chores: set[asyncio.Task[Any]] = set()

    async def serve(self) -> None:
        """Serves until the end."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_LONGEST_LINE)
        port = int(server.sockets[0].getsockname()[1])
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._end, "it was stopped by a signal")
        address = Address(port, self._token, os.getpid())
        self._home.announce(address)
        self._chore(self._start())
        try:
            while not self._ending.is_set():
                await self._wait(self._ending.wait(), min(1.0, self._idle / 4))
                self._look(address)
            if self._home.address() == address:
                self._home.address_file.unlink(missing_ok=True)
            server.close()
            while self._busy:
                await asyncio.sleep(0.02)
        finally:
            self._stop_jvm()
            _log(f"worker ends: {self._ended}")

    def _look(self, address: Address) -> None:
        if self._jvm is not None and self._jvm.poll() is not None:
            self._end(f"Spark's JVM ended with code {self._jvm.returncode}")
        elif self._busy == 0 and time.monotonic() - self._last > self._idle:
            self._end(f"it was idle for {self._idle:.0f} s")
        elif self._home.address() != address:
            self._end("its address file was removed")

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._ending.set()

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _wait(self, what: Coroutine[Any, Any, Any], seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(what, seconds)

    # The JVM

    async def _start(self) -> None:
        try:
            await self._start_jvm()
        except Exception as error:
            _log(f"Spark could not start: {error}")
            self._end(f"Spark could not start: {error}")

    async def _start_jvm(self) -> None:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            connection = Path(folder) / "gateway"
            environment = {**os.environ, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(connection)}
            # The JVM ends when its standard input closes: together with this process, however it ends.
            self._jvm = subprocess.Popen(
                jvm_command(self._home.root, find_java(), self._home.scratch),
                stdin=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
            _preload()
            while not connection.exists():
                if self._jvm.poll() is not None or time.monotonic() - began > _START_PATIENCE:
                    raise RuntimeError(f"its JVM did not start (exit code {self._jvm.returncode})")
                await asyncio.sleep(0.05)
            content = connection.read_bytes()
        port, length = struct.unpack(">ii", content[:8])
        self._gateway = child.Gateway(port, content[8 : 8 + length].decode())
        starter = child.fork(lambda: child.start_session(self._gateway), output=2)
        while (code := exit_code(starter)) is None:
            await asyncio.sleep(0.02)
        if code:
            raise RuntimeError(f"its session did not start (exit code {code})")
        self._last = time.monotonic()
        self._ready.set()
        _log(f"Spark started in {time.monotonic() - began:.1f} s")

    def _stop_jvm(self) -> None:
        if self._jvm is None:
            return
        if self._jvm.stdin is not None:
            self._jvm.stdin.close()
        try:
            self._jvm.wait(10)
        except subprocess.TimeoutExpired:
            self._jvm.kill()
            self._jvm.wait()

    # The clients

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client disconnected, or is not a client of this library
        finally:
            self._busy -= 1
            self._last = time.monotonic()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await asyncio.wait_for(reader.readline(), 10)
        request = json.loads(line)
        if not hmac.compare_digest(str(request.get("token", "")).encode(), self._token.encode()):
            return
        if self._ending.is_set():
            return  # without `accepted`: the client starts another worker
        writer.write(encode({"accepted": True}))
        if request.get("stop"):
            self._end("a client stopped it")
            return
        cancelled = asyncio.ensure_future(_cancelled(reader))
        try:
            message = await self._run(request, writer, cancelled)
            writer.write(encode(message))
            await writer.drain()
        finally:
            cancelled.cancel()

    async def _run(
        self, request: dict[str, str], writer: asyncio.StreamWriter, cancelled: asyncio.Future[None]
    ) -> dict[str, Any]:
        task = Task.from_json(request["task"])
        if not self._ready.is_set():
            writer.write(encode({"log": "Spark is starting"}))
        if not await self._first(cancelled, self._ready.wait()):
            return self._gone(task, cancelled)
        if not await self._first(cancelled, self._slots.acquire()):
            return self._gone(task, cancelled)
        try:
            return await Running(request, self._gateway, self._home, self._chore).finish(
                writer, cancelled, self._ending, self._retire
            )
        finally:
            self._slots.release()

    async def _first(self, cancelled: asyncio.Future[None], what: Coroutine[Any, Any, Any]) -> bool:
        """Waits; returns whether it happened before a cancellation or the end of the worker."""
        wanted = asyncio.ensure_future(what)
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({wanted, cancelled, ending}, return_when=asyncio.FIRST_COMPLETED)
            return wanted.done()
        finally:
            ending.cancel()
            wanted.cancel()

    def _gone(self, task: Task, cancelled: asyncio.Future[None]) -> dict[str, Any]:
        if cancelled.done():
            return failed(TaskFailure("cancelled", f"{task.node!r} was cancelled before it started"))
        return failed(lasting_failure(f"{task.node!r}: the Spark worker ended: {self._ended}"), again=True)

    def _retire(self, why: str = "the session was stopped") -> str:
        """Ends the worker if its JVM can no longer be used, and returns why."""
        code = None if self._jvm is None else self._jvm.poll()
        self._end(why if code is None else f"Spark's JVM ended with code {code}")
        return self._ended


async def _cancelled(reader: asyncio.StreamReader) -> None:
    """Returns when the client cancels its task or disconnects."""
    while line := await reader.readline():
        if json.loads(line).get("cancel"):
            return


def _preload() -> None:
    """Imports the modules that every child needs, while the JVM starts."""
    import pyspark.sql.functions
    import pyspark.sql.types  # noqa: F401

    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401  # `createDataFrame` tries to import it


def _log(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{os.getpid()}] {text}", flush=True)


def _only_one(home: Home) -> int:
    """Locks the worker's file until the process ends, so that only one worker runs; waits for one that is ending."""
    lock = os.open(home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                _log("another worker of this root is running: this one ends")
                sys.exit(1)
            time.sleep(0.05)
        else:
            return lock


def main() -> None:
    """Runs the worker."""
    home = Home(Path(sys.argv[1]), sys.argv[2])
    os.environ.update(TZ="UTC", PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    os.environ.pop("PYSPARK_GATEWAY_PORT", None)
    time.tzset()
    home.prepare()
    lock = _only_one(home)
    shutil.rmtree(home.scratch, ignore_errors=True)
    home.scratch.mkdir()
    idle = float(os.environ.get(IDLE) or _IDLE_DEFAULT)
    try:
        asyncio.run(Worker(home, idle).serve())
    finally:
        shutil.rmtree(home.scratch, ignore_errors=True)
        os.close(lock)


if __name__ == "__main__":
    main()
