"""The local Athena as an engine: it runs a task aside, watches it, and ends it when it must."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.full_disk import full_disk, says_full_disk
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

LANG = "PRESTO_SQL"
_POLL_SECONDS = 0.05


class PrestoEngine:
    """Answers Presto SQL from the files of the local object store, with DuckDB.

    Args:
        root: The platform's folder: `s3://bucket/key` is `<root>/s3/bucket/key`.
        threads: How many threads a query may use.
        memory_limit: How much memory a query may take before it spills to disk, as DuckDB writes it.
    """

    title = "DuckDB"

    def __init__(self, root: Path, *, threads: int = 2, memory_limit: str = "2GB") -> None:
        self._store = Store(Path(root))
        self._threads = threads
        self._memory_limit = memory_limit

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task to its end and returns what it left behind.

        Raises:
            TaskFailure: The query cannot be run, failed, took too long or was cancelled.
        """
        if task.lang != LANG:
            raise lasting_failure(f"'{task.node}': the local Athena runs {LANG}, not {task.lang}")
        from rheo_assets.platforms.local.presto.session import warm_session

        try:
            with warm_session(self._store, threads=self._threads, memory_limit=self._memory_limit) as connection:
                result = _Watched(task, self._store, connection, cancelled).run()
        except Refusal as refusal:
            raise TaskFailure("user", f"'{task.node}': {refusal.reason}", refusal.detail) from None
        except OSError as error:
            raise _of_disk(task, error) from error
        for warning in result.warnings:
            log(f"warning: {warning}")
        log(f"{result.rows} rows in {task.output.final}")
        return result


class _Watched:
    """A query on its own thread, so that the caller's can ask for the time and the user's wish."""

    def __init__(self, task: Task, store: Store, connection: Any, cancelled: Callable[[], bool]) -> None:
        self._task = task
        self._store = store
        self._connection = connection
        self._cancelled = cancelled
        self._stop: TaskFailure | None = None
        self._result: TaskResult | None = None
        self._error: BaseException | None = None

    def run(self) -> TaskResult:
        """Returns the result, or raises what ended the query."""
        deadline = None if self._task.timeout is None else time.monotonic() + self._task.timeout
        thread = threading.Thread(target=self._work, name=f"presto-{self._task.node}", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_POLL_SECONDS)
                self._watch(deadline)
        except BaseException:
            self._stop = self._stop or TaskFailure("cancelled", f"'{self._task.node}': the query was interrupted")
            while thread.is_alive():
                self._connection.interrupt()
                thread.join(_POLL_SECONDS)
            raise
        if self._result is not None:
            return self._result
        if self._stop is not None:
            raise self._stop
        raise self._failure()

    def _watch(self, deadline: float | None) -> None:
        if self._stop is None and self._cancelled():
            self._stop = TaskFailure("cancelled", f"'{self._task.node}': the query was cancelled")
        if self._stop is None and deadline is not None and time.monotonic() >= deadline:
            self._stop = TaskFailure(
                "timeout",
                f"'{self._task.node}': the query took longer than {self._task.timeout:g} s: "
                "give it more time, or less data",
            )
        if self._stop is not None:
            self._connection.interrupt()  # again and again: between two statements it has no effect

    def _work(self) -> None:
        from rheo_assets.platforms.local.presto.execution import Execution

        try:
            self._result = Execution(self._task, self._store, self._connection, self._check).run()
        except BaseException as error:  # handed to the caller's thread
            self._error = error

    def _check(self) -> None:
        if self._stop is not None:
            raise self._stop

    def _failure(self) -> BaseException:
        from rheo_assets.platforms.local.presto.problems import DiskFull, OutOfMemory

        error = self._error
        assert error is not None
        if isinstance(error, DiskFull):
            return full_disk(self._task.node, "while the query ran", str(error))
        if isinstance(error, OutOfMemory):
            return lasting_failure(
                f"'{self._task.node}': the query needs more memory than the local Athena may take: read less at once, "
                "or leave columns out before it sorts or groups",
                str(error),
            )
        return error


def _of_disk(task: Task, error: OSError) -> TaskFailure:
    if says_full_disk(error):
        return full_disk(task.node, detail=str(error))
    return lasting_failure(f"'{task.node}': the local store failed: {error}")
