"""Verdicts: what the blocking asset checks of a run came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.execution.execution import recorded_success
from rheo_assets.bridge.execution.unchecked import Checks, complete, forget, unchecked
from rheo_assets.bridge.names import asset_key, op_name
from rheo_assets.errors import listed
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import AwaitsChecks


class State(StrEnum):
    """How far the checks of an execution are."""

    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    LOST = "lost"
    """Their run is over without a verdict, and not by a failure: the execution is reported once more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of an execution came to, and why they failed."""

    state: State
    reason: str = ""


class Verdicts:
    """Looks up what blocking checks came to, and records it.

    Args:
        binding: The application.
        journal: Where it is recorded.
    """

    def __init__(self, binding: Binding, journal: Journal) -> None:
        self._binding = binding
        self._journal = journal
        self._instance = journal.log.instance
        self._runs: dict[str, tuple[dg.DagsterRun | None, list[dg.AssetCheckEvaluation]]] = {}

    def of(self, node: DataNode, partition_key: str | None, checks: Checks) -> Verdict:
        """Returns what the checks of an execution came to by now.

        Args:
            node: The execution's node.
            partition_key: Its partition in Dagster.
            checks: Which, and in which run.
        """
        run, evaluations = self._run(checks.run)
        key = asset_key(node.application, node.id)
        mine = [e for e in evaluations if e.asset_key == key and e.partition in {None, partition_key}]
        said = {e.check_name: e for e in mine if e.check_name in checks.names}
        failed = [e for e in said.values() if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR]
        if failed:
            reasons = (f"'{e.check_name}'" + (f" ({e.description})" if e.description else "") for e in failed)
            return Verdict(State.FAILED, f"blocking asset check {listed(reasons)} failed")
        missing = [name for name in checks.names if name not in said]
        if not missing:
            return Verdict(State.PASSED)
        return self._without(node, run, checks, missing)

    def _without(self, node: DataNode, run: dg.DagsterRun | None, checks: Checks, missing: Sequence[str]) -> Verdict:
        """Returns what it means that checks have not been evaluated so far."""
        if run is not None and not run.is_finished:
            is_dead = bool(checks.owner) and self._binding.heartbeats.is_dead(Owner.of_text(checks.owner))
            return Verdict(State.LOST if is_dead else State.OPEN)
        if run is not None and run.status != dg.DagsterRunStatus.CANCELED and not self._has_failed_check(node, run):
            return Verdict(State.LOST)
        names = listed(f"'{name}'" for name in missing)
        status = run.status.value if run is not None else "deleted"
        return Verdict(State.FAILED, f"blocking asset check {names} was not evaluated: its run is over ({status})")

    def _has_failed_check(self, node: DataNode, run: dg.DagsterRun) -> bool:
        """Returns whether a step failed that comes after the node's own.

        If its own failed, for other partitions, no check was started. The run of a dead process has no failed step.
        """
        failures = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        return any(failure.step_key != op_name(node.application, node.id) for failure in failures)

    def _run(self, run_id: str) -> tuple[dg.DagsterRun | None, list[dg.AssetCheckEvaluation]]:
        """Returns a run and what it has evaluated; the run first, as it evaluates nothing once it is over."""
        if run_id not in self._runs:
            run = self._instance.get_run_by_id(run_id)
            entries = self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            self._runs[run_id] = run, [e for entry in entries if (e := entry.asset_check_evaluation) is not None]
        return self._runs[run_id]

    def record(self, entry: AwaitsChecks) -> Verdict:
        """Records what the checks of an execution came to, if they did; who repeats it after a crash does no harm."""
        node = self._binding.topology.data_nodes[entry.node]
        checks = Checks(entry.run, entry.owner, entry.checks)
        key = self._journal.codecs[node.id].encode(entry.partition) or None
        verdict = self.of(node, key, checks)
        if verdict.state == State.PASSED:
            return self._pass(node, entry)
        if verdict.state == State.FAILED:
            self.fail(node, entry, verdict.reason)
        return verdict

    def _pass(self, node: DataNode, entry: AwaitsChecks) -> Verdict:
        platform, partition = self._binding.platform, entry.partition
        found = unchecked(node, partition, entry.execution, platform)
        if found is not None:
            complete(node, partition, found, platform)
        done = recorded_success(node, partition, entry.execution, platform)
        if done is None:
            verdict = Verdict(State.FAILED, "its data was replaced before its blocking asset checks had passed")
            self.fail(node, entry, verdict.reason)
            return verdict
        self._journal.checked(done, partition, entry.run)
        return Verdict(State.PASSED)

    def fail(self, node: DataNode, entry: AwaitsChecks, reason: str) -> None:
        """Records that an execution failed, as its checks did not pass."""
        platform, partition = self._binding.platform, entry.partition
        found = unchecked(node, partition, entry.execution, platform)
        rendered = node.spec.render(partition)
        execution = found.execution if found is not None else Execution(entry.execution, node.id, rendered, "")
        status = str(Status.FAILED)
        ended = replace(execution, status=status, error=reason, run_id=entry.run, ended=datetime.now(UTC))
        self._journal.failed(ended, partition)
        if found is not None:
            forget(node, partition, platform)
