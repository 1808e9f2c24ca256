"""`poll` and `kill`: the last or running execution of one partition."""

from __future__ import annotations

from rheo_assets.bridge.eventlog.history import NOT_BEGUN
from rheo_assets.bridge.loop.session import Session
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import ComputeRecord, Execution, Status
from rheo_assets.model.nodes import DataNode


def poll(
    session: Session, node: DataNode, partition: Partition, waits: bool
) -> tuple[str | None, list[ComputeRecord] | None]:
    """Returns the path and records of the last execution; see `Application.poll`."""
    session.tick()
    if waits:
        session.await_end(node, partition)
    elif active := session.active(node, partition):
        return None, [_whole_record(node, execution) for execution in active]
    last = session.history.last(node, partition)
    if last is None:
        return None, None
    if last.status == Status.COMPLETED:
        return session.binding.platform.storage.location(node.layout.uri(node.spec, partition)), list(last.records)
    failed = [record for record in last.records if record.status != Status.COMPLETED]
    return None, failed or [_whole_record(node, last)]


def kill(session: Session, node: DataNode, partition: Partition) -> bool:
    """Ends the running and queued executions of a partition; returns whether there were any."""
    active = session.active(node, partition)
    for run in session.history.active_runs(node, partition):
        session.instance.report_run_canceling(run, "killed by app.kill()")
        if run.status in NOT_BEGUN:
            session.instance.report_run_canceled(run, "killed by app.kill() before it started")
    counted = [
        _end(session, node, partition, execution) for execution in active
    ]  # a list, so that all of them are ended
    return any(counted)


def _end(session: Session, node: DataNode, partition: Partition, execution: Execution) -> bool:
    """Ends an execution that has not started; returns False if it ended in another way meanwhile."""
    claims, identity = session.binding.claims, execution.id
    is_claimable = execution.status == Status.QUEUED or not identity.startswith("run:")
    # Only the owner of the claim may start it. With the claim here, no run can.
    is_mine = is_claimable and claims.take(identity, "killed")
    try:
        ended = session.history.ended_as(node, {partition: identity}).get(partition)
        if ended is None and is_mine:
            session.runs.withdraw(identity)
            session.driver.recovery.end(node, partition, identity, Status.KILLED, "killed before it started")
        return ended is None or ended.status == Status.KILLED
    finally:
        if is_mine:
            claims.release(identity)


def _whole_record(node: DataNode, execution: Execution) -> ComputeRecord:
    return ComputeRecord(
        node.id,
        execution.partition,
        0,
        node.targets[0].title,
        execution.status,
        execution.started,
        execution.ended,
        execution.error,
    )
