"""One task of the Spark worker: its child process, its output and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from rheo_assets.platforms.local.spark import child
from rheo_assets.platforms.local.spark.protocol import Home, encode
from rheo_assets.runner.task import Task, TaskFailure, lasting_failure

_LOG_CHUNK = 64 * 1024


class Running:
    """One task in its child process."""

    def __init__(
        self,
        request: Mapping[str, str],
        gateway: child.Gateway,
        home: Home,
        chore: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._task = Task.from_json(request["task"])
        self._gateway = gateway
        self._chore = chore
        group = uuid.uuid4().hex
        self._job = child.Job(request["task"], request["root"], group, home.scratch / group, home.root / "cache")
        out, out_write = os.pipe()
        answer, answer_write = os.pipe()
        self._pid = child.fork(
            lambda: child.run(gateway, self._job, answer_write),
            output=out_write,
            keep=(answer_write,),
        )
        os.close(out_write)
        os.close(answer_write)
        self._out, self._answer = out, answer
        self._code: int | None = None

    async def finish(
        self,
        writer: asyncio.StreamWriter,
        cancelled: asyncio.Future[None],
        ending: asyncio.Event,
        retire: Callable[..., str],
    ) -> dict[str, Any]:
        """Forwards the child's output until the child ends or must be ended; returns the message for the client."""
        lines = asyncio.ensure_future(_pass_on(self._out, writer))
        answer = asyncio.ensure_future(_all_of(self._answer))
        deadline = None if self._task.timeout is None else time.monotonic() + self._task.timeout
        broken: asyncio.Future[Any] = asyncio.ensure_future(ending.wait())
        waited: set[asyncio.Future[Any]] = {answer, cancelled, broken}
        try:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            await asyncio.wait(waited, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            text = answer.result() if answer.done() else b""
            message = self._ended_early(cancelled, broken, retire) if not answer.done() else None
            self._code = await self._reaped(kill=message is not None)
            await asyncio.wait({lines}, timeout=0.5)  # a process that user code left running may hold the pipe
            if message is not None:
                return message
            return self._answered(text, retire)
        finally:
            broken.cancel()
            answer.cancel()
            lines.cancel()
            shutil.rmtree(self._job.scratch, ignore_errors=True)

    def _ended_early(
        self, cancelled: asyncio.Future[None], broken: asyncio.Future[Any], retire: Callable[..., str]
    ) -> dict[str, Any]:
        node = self._task.node
        if broken.done() and not cancelled.done():
            return failed(lasting_failure(f"{node!r}: the Spark worker ended: {retire()}"), again=True)
        self._chore(self._cancel_jobs(retire))
        if cancelled.done():
            return failed(TaskFailure("cancelled", f"{node!r} was cancelled"))
        limit = f"{self._task.timeout:g} s"
        return failed(TaskFailure("timeout", f"{node!r} ran longer than its time limit of {limit} and was ended"))

    def _answered(self, text: bytes, retire: Callable[..., str]) -> dict[str, Any]:
        lost = self._code == child.UNUSABLE
        if lost:
            retire()
        try:
            message: dict[str, Any] = json.loads(text)
        except ValueError:
            how = f"signal {-self._code}" if self._code and self._code < 0 else f"exit code {self._code}"
            error = f"{self._task.node!r}: its process ended early ({how}): its code called os._exit, or it crashed"
            self._chore(self._cancel_jobs(retire))
            return failed(TaskFailure("user", error))
        final = bool(message.pop("final", False))
        return {**message, "again": lost and not final} if "failure" in message else message

    async def _reaped(self, *, kill: bool) -> int:
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        pause = 0.001
        while (code := exit_code(self._pid)) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)  # processes that user code left running
        return code

    async def _cancel_jobs(self, retire: Callable[..., str]) -> None:
        canceller = child.fork(lambda: child.cancel(self._gateway, self._job.group), output=2)
        while (code := exit_code(canceller)) is None:
            await asyncio.sleep(0.1)
        if code == child.UNUSABLE:
            retire(f"the Scala code of {self._task.node!r} did not stop with its task, and a JVM cannot kill a thread")


def failed(failure: TaskFailure, *, again: bool = False) -> dict[str, Any]:
    """Returns the message of a failure; `again` if the client should try another worker."""
    return {"failure": failure.to_json(), "again": again}


async def _all_of(pipe: int) -> bytes:
    reader, transport = await _reading(pipe)
    try:
        return await reader.read()
    finally:
        transport.close()


async def _pass_on(pipe: int, writer: asyncio.StreamWriter) -> None:
    """Sends the lines of the pipe to the client. A slow client slows down the child, and fills no memory."""
    reader, transport = await _reading(pipe)
    try:
        rest = b""
        while chunk := await reader.read(_LOG_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LOG_CHUNK:
                lines, rest = [*lines, rest], b""
            for line in lines:
                writer.write(encode({"log": line.decode(errors="replace")}))
            await writer.drain()
        if rest:
            writer.write(encode({"log": rest.decode(errors="replace")}))
    finally:
        transport.close()


async def _reading(pipe: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    file = os.fdopen(pipe, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    return reader, transport


def exit_code(pid: int) -> int | None:
    """Returns the exit code of the child (negative: the signal); None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None
