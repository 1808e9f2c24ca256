"""Recovery: what becomes of executions and runs whose process died, or that ended without a word.

A driver that dies loses nothing: what it was asked for stays in the outbox until it has ended. Another driver sees by
the claim whose process is dead (`claims/`), runs the execution again, and uses this module to end what cannot run
again and to fail the run that Dagster still shows as running.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.execution.execution import Outcome, Request, recorded_success
from rheo_assets.bridge.execution.metadata import describe
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode

if TYPE_CHECKING:
    from rheo_assets.bridge.loop.driver import Driver


class Recovery:
    """Ends executions for processes that cannot.

    Args:
        driver: The driver that recovers them.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def end(
        self, node: DataNode, partition: Partition, identity: str, status: Status, error: str, run_id: str | None = None
    ) -> None:
        """Records the end of an execution whose run could not record it.

        If the execution has written its completion file, it is recorded as a success, however its run ended.
        """
        driver, platform = self._driver, self._driver.binding.platform
        done = recorded_success(node, partition, identity, platform)
        if done is not None:
            driver.journal.succeeded(done, partition, describe(node, Outcome(done), platform))
            return
        if driver.groups_of(node) is None:
            return  # it is no longer declared: nothing waits for it
        rendered, now = node.spec.render(partition), datetime.now(UTC)
        execution = Execution(identity, node.id, rendered, str(status), run_id=run_id, error=error, ended=now)
        driver.journal.failed(execution, partition)

    def give_up(self, node: DataNode, request: Request) -> None:
        """Fails an execution after the processes of all attempts died."""
        error = f"gave up after {MAX_ATTEMPTS} attempts: each time, the process died before the execution ended"
        self.end(node, request.partition, request.id, Status.FAILED, error)

    def mark_failed(self, run_id: str) -> None:
        """Fails the run of a dead process, which Dagster still shows as running."""
        instance = self._driver.instance
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, "Its process died. Executions that it had not finished run again.")
