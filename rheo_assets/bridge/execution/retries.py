"""Retries: runs that a person, or Dagster's run retries, executes again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg

from rheo_assets.bridge.eventlog.history import History, manual_execution_id
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode

_FROM_FAILURE_TAG = "dagster/is_resume_retry"


class Retry:
    """One run as the retry of another: which executions have ended, and which of those run again.

    A run that is not a retry has no earlier executions.

    Args:
        node: The node.
        run: The run.
        history: The executions of the application.
    """

    def __init__(self, node: DataNode, run: dg.DagsterRun, history: History) -> None:
        self._node = node
        self._history = history
        self._earlier = list(_ancestors(run, history.log.instance))
        self._from_failure = run.tags.get(_FROM_FAILURE_TAG) == "true"

    def ended(self, ids: Mapping[Partition, str]) -> dict[Partition, Execution]:
        """Returns the executions that have ended, if this is a retry; the others still have to run."""
        return self._history.ended_as(self._node, ids) if self._earlier else {}

    def succeeded(self, partitions: list[Partition]) -> set[Partition]:
        """Returns the partitions that an earlier run built, if only failed ones run again."""
        found: set[Partition] = set()
        for run_id in self._earlier if self._from_failure else ():
            ids = {partition: manual_execution_id(run_id, self._node, partition) for partition in partitions}
            found |= {p for p, e in self._history.ended_as(self._node, ids).items() if e.status == Status.COMPLETED}
        return found

    def is_wanted(self, execution: Execution) -> bool:
        """Whether an ended execution runs again."""
        return not (self._from_failure and execution.status == Status.COMPLETED)


def _ancestors(run: dg.DagsterRun, instance: dg.DagsterInstance) -> Iterator[str]:
    """Yields the ids of the runs that a run retries, latest first."""
    parent = run.parent_run_id
    while parent is not None:
        yield parent
        found = instance.get_run_by_id(parent)
        parent = found.parent_run_id if found is not None else None
