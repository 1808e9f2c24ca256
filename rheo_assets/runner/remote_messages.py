"""The messages of a running job, as Dagster Pipes messages in numbered files, in the layout of `PipesS3MessageWriter`.

They include what user code prints. User code can also send its own messages: `PipesContext.get().log.info(…)`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from threading import Event, Lock, Thread
from typing import Any, TextIO

from dagster_pipes import (
    PipesMessage,
    PipesMessageWriter,
    PipesMessageWriterChannel,
    PipesParamsLoader,
    open_dagster_pipes,
)

from rheo_assets.runner.task import Task, TaskFailure

SECONDS = 5.0  # between two files; the first ones are written sooner
_VERSION = "0.1"  # of the Pipes protocol


class FilesChannel(PipesMessageWriterChannel):
    """Collects messages and writes them to the next file every few seconds.

    Args:
        write: Writes a file of the given name.
    """

    def __init__(self, write: Callable[[str, str], None]) -> None:
        self._write = write
        self._waiting: list[PipesMessage] = []
        self._lock = Lock()
        self._written = 0
        self._ended = Event()
        self._thread = Thread(target=self._write_along, name="rheo-messages", daemon=True)
        self._thread.start()

    def write_message(self, message: PipesMessage) -> None:
        """Collects a message."""
        with self._lock:
            self._waiting.append(message)

    def close(self) -> None:
        """Writes the remaining messages."""
        self._ended.set()
        self._thread.join()
        self._flush()

    def _write_along(self) -> None:
        pause = SECONDS / 8
        while not self._ended.wait(pause):
            pause = min(pause * 2, SECONDS)
            # A job must not fail because of its messages: those that could not be written go into the next file.
            with contextlib.suppress(Exception):
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            messages = list(self._waiting)
        if not messages:
            return
        self._write(f"{self._written + 1}.json", "\n".join(json.dumps(message) for message in messages))
        self._written += 1
        with self._lock:
            del self._waiting[: len(messages)]


class FilesWriter(PipesMessageWriter[FilesChannel]):
    """Opens the channel for Pipes."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        self._write = write

    @contextlib.contextmanager
    def open(self, params: Any) -> Iterator[FilesChannel]:  # noqa: ARG002  # the shape of a writer
        """Opens the channel; everything printed while it is open becomes a message."""
        channel = FilesChannel(self._write)
        try:
            with _heard("stdout", channel), _heard("stderr", channel):
                yield channel
        finally:
            with contextlib.suppress(Exception):
                channel.close()


class _Given(PipesParamsLoader):
    """Provides the parameters that Dagster would set in environment variables."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def is_dagster_pipes_process(self) -> bool:
        return True

    def load_context_params(self) -> Any:
        extras = {
            "node": self._task.node,
            "application": self._task.application,
            "dimensions": dict(self._task.dimensions),
        }
        known = dict.fromkeys(
            (
                "asset_keys",
                "code_version_by_asset_key",
                "provenance_by_asset_key",
                "partition_key",
                "partition_key_range",
                "partition_time_window",
                "job_name",
            )
        )
        return {"data": {**known, "run_id": self._task.token, "retry_number": 0, "extras": extras}}

    def load_messages_params(self) -> Any:
        return {}


class _Copied:
    """A text stream whose lines are also sent to the channel."""

    def __init__(self, stream: TextIO, name: str, channel: FilesChannel) -> None:
        self._stream = stream
        self._name = name
        self._channel = channel
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self.say("\n".join(lines) + "\n")
        return self._stream.write(text)

    def say(self, text: str) -> None:
        params = {"stream": self._name, "text": text, "extras": {}}
        self._channel.write_message(
            {"__dagster_pipes_version": _VERSION, "method": "log_external_stream", "params": params}
        )

    def end(self) -> None:
        if self._rest:
            self.say(f"{self._rest}\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def reporting(task: Task, write: Callable[[str, str], None]) -> Iterator[None]:
    """Sends everything that happens in the block as messages.

    Args:
        task: The running task.
        write: Writes a file of the given name.
    """
    failed: list[TaskFailure] = []
    with open_dagster_pipes(params_loader=_Given(task), message_writer=FilesWriter(write)):
        try:
            yield
        except TaskFailure as failure:  # the result reports it; a Pipes message would show our own stack
            failed.append(failure)
    if failed:
        raise failed[0]


@contextlib.contextmanager
def _heard(name: str, channel: FilesChannel) -> Iterator[None]:
    stream: TextIO = getattr(sys, name)
    copied = _Copied(stream, name, channel)
    setattr(sys, name, copied)
    try:
        yield
    finally:
        setattr(sys, name, stream)
        copied.end()
