"""Progress for people: a bar on a terminal, a line in a notebook, and one log line per minute elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

_log = logging.getLogger("rheo_assets")


class Counts(NamedTuple):
    """The numbers of ended, planned and running executions.

    Attributes:
        ended: The number of ended executions.
        total: The number of all executions; None if it is not known.
        running: The number of executions that have started or are about to.
    """

    ended: int
    total: int | None
    running: int

    def __str__(self) -> str:
        total = f" of {self.total}" if self.total is not None else ""
        return f"{self.ended}{total} ended" + (f", {self.running} running" if self.running else "")


class _Display(Protocol):
    """Shows counts."""

    every: float

    def show(self, counts: Counts, seconds: float) -> None:
        """Shows the counts in place of the last ones."""

    def close(self) -> None:
        """Removes the display."""


class Progress:
    """A context that shows progress on standard error.

    Args:
        title: What is in progress.
        wanted: Whether to show it; None if `RHEO_PROGRESS` decides, where `0` shows nothing.
    """

    def __init__(self, title: str, wanted: bool | None = None) -> None:
        self._title = title
        is_wanted = os.environ.get("RHEO_PROGRESS", "1") != "0" if wanted is None else wanted
        self._display = _display(title) if is_wanted else None
        self._started = time.monotonic()
        self._next = self._started + (self._display.every if self._display is not None else 0.0)

    @property
    def every(self) -> float:
        """The longest time between two calls of `look`, seconds."""
        return min(5.0, self._display.every) if self._display is not None else 5.0

    def look(self, count: Callable[[], Counts]) -> None:
        """Shows the result of `count` if an update is due; otherwise `count` is not called."""
        now = time.monotonic()
        if self._display is None or now < self._next:
            return
        self._next = now + self._display.every
        self._display.show(count(), now - self._started)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.close()


def _display(title: str) -> _Display:
    if "ipykernel" in sys.modules:
        return _Line(title)
    return _Bar(title) if sys.stderr.isatty() else _Log(title)


class _Bar:
    """A progress bar of rich."""

    every = 0.5

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._task: Any = None

    def show(self, counts: Counts, seconds: float) -> None:
        """Shows the counts in place of the last ones."""
        del seconds  # rich measures the time itself
        if self._bar is None:
            self._open()
        self._bar.update(self._task, completed=counts.ended, total=counts.total, counts=str(counts))

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24))
        counts = TextColumn("{task.fields[counts]}", markup=False)
        self._bar = RichProgress(*columns, counts, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._title, total=None, counts="")
        self._bar.start()

    def close(self) -> None:
        """Removes the display."""
        if self._bar is not None:
            self._bar.stop()


class _Line:
    """One line of text that is overwritten: all notebooks can show that."""

    every = 0.5

    def __init__(self, title: str) -> None:
        self._title = title
        self._width = 0

    def show(self, counts: Counts, seconds: float) -> None:
        """Shows the counts in place of the last ones."""
        self._write(f"{self._title}: {counts}, {seconds:.0f} s")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(text)

    def close(self) -> None:
        """Removes the display."""
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()


class _Log:
    """One log line per minute."""

    every = 60.0

    def __init__(self, title: str) -> None:
        self._title = title

    def show(self, counts: Counts, seconds: float) -> None:
        """Logs the counts."""
        _log.info("%s: %s, %.0f s", self._title, counts, seconds)

    def close(self) -> None:
        """Removes the display."""
