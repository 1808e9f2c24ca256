"""What executions say in the log of their run, and how a run says which of them failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rheo_assets.bridge.execution.execution import Outcome
from rheo_assets.model.executions import Status
from rheo_assets.model.nodes import DataNode

_LOGGED_LINES = 2000


class CappedLog:
    """The lines that one execution logs in the run: each line is an event there, so their number is limited.

    Args:
        log: Logs one line.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._lines = 0

    def __call__(self, line: str) -> None:
        """Logs one line, unless there were too many."""
        self._lines += 1
        if self._lines <= _LOGGED_LINES:
            self._log(line)

    def end(self, name: str) -> None:
        """Logs how many lines were dropped."""
        if self._lines > _LOGGED_LINES:
            self._log(f"{name} logged {self._lines - _LOGGED_LINES} more lines, which are not shown")


def failure_text(node: DataNode, failed: Sequence[Outcome]) -> str:
    """Returns the message of a run in which executions failed."""
    lines = []
    for outcome in failed:
        execution = outcome.execution
        record = next((r for r in execution.records if r.status != Status.COMPLETED), None)
        where = f" in {record.title}" if record is not None else ""
        lines.append(f"{node.describe(node.spec.read(execution.partition))} failed{where}: {execution.error}")
        if record is not None and record.detail:
            lines.append(record.detail)
    return "\n".join(lines)
