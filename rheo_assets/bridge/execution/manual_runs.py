"""Manual runs: executions that a person, a job or a backfill requests from Dagster, not the router."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.history import History, manual_execution_id
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.execution.backfills import Backfill
from rheo_assets.bridge.execution.emitted import Emitted
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.errors import Contradiction, RheoError, Undetermined, listed
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.planning.one_execution import injected_tips, unmet
from rheo_assets.planning.plan import Tips

_LOOK_EVERY = 2.0
_LONGEST = 3600.0


@dataclass(frozen=True)
class Requested:
    """A requested partition and the tips of its inputs.

    Attributes:
        partition: The output partition.
        tips: The tip of each input.
        had_events: Whether the events of these tips have arrived, so that they count as ready.
    """

    partition: Partition
    tips: Tips
    had_events: bool = False


@dataclass(frozen=True)
class _Unready:
    """A partition that cannot run now, why, and what to do; `is_routed` if the router requested another run for it."""

    wanted: Requested
    waits_for: str
    remedy: str
    is_routed: bool = False


_NOT_THERE = "Write or materialise the missing partitions first, or set `wait: true` in the run config to wait"
_OTHER_RUN = "Terminate that run if it is dead, or set `wait: true` in the run config to wait for it"


class ManualRun:
    """The partitions that one manual run requests: resolves them, waits for them, and yields those that can run.

    Args:
        binding: The application.
        node: The node.
        run: The run.
        log: The instance's event log.
        config: The run config: `wait`, `wait_timeout_seconds`.
        log_info: Logs one line in the run.
        is_cancelled: Whether the run is cancelled.

    Attributes:
        failures: The executions that cannot run.
        claimed: The ids of the executions that this run took over from another one.
    """

    def __init__(
        self,
        binding: Binding,
        node: DataNode,
        run: dg.DagsterRun,
        log: EventLog,
        config: Mapping[str, Any],
        log_info: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.failures: list[Execution] = []
        self.claimed: list[str] = []
        self._routed: dict[Partition, str] = {}
        self._binding = binding
        self._node = node
        self._run_id = run.run_id
        self._backfill = Backfill(binding, node, run, log.instance)
        self._emitted = Emitted(binding, node, log)
        self._history = History(binding, log)
        self._instance = log.instance
        self._journal = Journal(log, binding.topology, binding.since)
        self._waits = bool(config.get("wait"))
        self._seconds = float(config.get("wait_timeout_seconds", _LONGEST))
        self._log_info = log_info
        self._is_cancelled = is_cancelled
        self._reported: set[Partition] = set()

    def resolve(self, partitions: Sequence[Partition]) -> list[Requested]:
        """Returns partitions with the tips that follow from them; partitions without tips become failures."""
        return [wanted for partition in partitions if (wanted := self._resolve(partition)) is not None]

    def batches(self, requested: Sequence[Requested]) -> Iterator[list[Request]]:
        """Yields the executions that can run, as soon as they are ready. Fails the others, unless the run waits.

        A partition that the router requested from another run is always waited for.
        """
        waiting = list(requested)
        deadline = time.monotonic() + self._seconds
        while waiting:
            ready, unready = self._split(waiting)
            if ready:
                self._begin(ready)
                yield ready
            is_over = self._is_cancelled() or time.monotonic() > deadline
            patient = [each for each in unready if each.is_routed or self._waits]
            self._give_up(unready if is_over else [each for each in unready if each not in patient])
            waiting = [] if is_over else self._still_waiting(patient)
            if waiting and not ready:
                time.sleep(_LOOK_EVERY)

    def _still_waiting(self, unready: Sequence[_Unready]) -> list[Requested]:
        for each in unready:
            if each.wanted.partition not in self._reported:
                self._reported.add(each.wanted.partition)
                self._log_info(f"{self._node.describe(each.wanted.partition)} waits for {each.waits_for}")
        return [each.wanted for each in unready]

    def _resolve(self, partition: Partition) -> Requested | None:
        try:
            if not self._node.filter.admits(self._node.spec, partition):
                text = self._node.describe(partition)
                raise Contradiction(f"{text} is not among the declared values of '{self._node.id}'")
            return Requested(partition, self._tips(partition))
        except RheoError as error:
            self._fail(partition, str(error))
            return None

    def _tips(self, partition: Partition) -> Tips:
        try:
            return self._node.linkage.resolve_output(partition)
        except (Undetermined, Contradiction) as error:
            text = self._node.describe(partition)
            raise Contradiction(f"{text} cannot be executed by its partition alone: {error}") from None

    def _split(self, waiting: Sequence[Requested]) -> tuple[list[Request], list[_Unready]]:
        """Returns the executions that can run now, and the partitions that cannot."""
        others, emitted = self._others(), self._emitted.ids()
        ready: list[Request] = []
        unready: list[_Unready] = []
        for wanted in waiting:
            other, identity = others.get(wanted.partition), emitted.get(wanted.partition)
            if other is not None and not _is_routed(other):
                found: Request | _Unready = _Unready(
                    wanted, f"run {other.run_id}, which is executing it, to end", _OTHER_RUN
                )
            elif other is not None:
                found = self._routed_one(wanted, other.id, f"run {other.run_id}, which the router requested")
            elif identity is not None:
                found = self._routed_one(wanted, identity, f"execution {identity}, which the router is about to launch")
            else:
                found = self._own_one(wanted)
            (ready if isinstance(found, Request) else unready).append(found)  # type: ignore[arg-type]
        return ready, unready

    def _routed_one(self, wanted: Requested, identity: str, name: str) -> Request | _Unready:
        """Returns an execution that the router emitted, to run in this run, unless another run has started it."""
        request, _ = self._request(wanted)
        self._routed[wanted.partition] = identity
        if request is None or not self._binding.claims.take(identity, self._run_id):
            return _Unready(wanted, f"{name}, to end", _OTHER_RUN, is_routed=True)
        self.claimed.append(identity)
        return replace(request, id=identity)

    def _own_one(self, wanted: Requested) -> Request | _Unready:
        """Returns a new execution of this run, or one that has already built the partition, to report it again."""
        partition = wanted.partition
        if self._has_been_made(partition):
            return Request(self._routed[partition], partition, wanted.tips)
        made = self._backfill.made(partition, wanted.tips)
        if made is not None:
            self._log_info(
                f"{self._node.describe(partition)} was built by run {made.run_id} after this backfill was launched"
            )
            self._routed[partition] = made.id
            return Request(made.id, partition, wanted.tips)
        request, waits_for = self._request(wanted)
        return request or _Unready(wanted, waits_for, _NOT_THERE)

    def _request(self, wanted: Requested) -> tuple[Request | None, str]:
        """Returns the execution if its inputs are ready, else None and what it waits for."""
        had_events = wanted.had_events or wanted.partition in self._routed
        given = injected_tips(self._node, wanted.tips) if had_events else frozenset()
        found = unmet(self._node, wanted.tips, self._binding.is_ready, given)
        if not found.are_met:
            return None, listed(found.waiting_for(self._node))
        return Request(self._id(wanted.partition), wanted.partition, wanted.tips, found.nearest), ""

    def _has_been_made(self, partition: Partition) -> bool:
        """Whether the run that this one waited for built the partition."""
        identity = self._routed.get(partition)
        if identity is None:
            return False
        ended = self._history.ended_as(self._node, {partition: identity}).get(partition)
        return ended is not None and ended.status == Status.COMPLETED

    def _others(self) -> dict[Partition, Execution]:
        """Returns the executions of the node in other runs.

        Of two manual runs, the one that started later waits. A routed run never waits for a manual one.
        """
        started = self._started()
        return {
            self._node.spec.read(execution.partition): execution
            for execution in self._history.active(self._node)
            if execution.run_id != self._run_id
            and (
                _is_routed(execution)
                or (execution.started is not None and (execution.started, str(execution.run_id)) < started)
            )
        }

    def _started(self) -> tuple[datetime, str]:
        record = self._instance.get_run_record_by_id(self._run_id)
        at = datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else datetime.now(UTC)
        return at, self._run_id

    def _begin(self, requests: Sequence[Request]) -> None:
        routed = self._routed
        ids = {request.partition: request.id for request in requests if routed.get(request.partition) != request.id}
        if ids:  # executions that the router requested are recorded already
            self._journal.began(self._node.id, self._run_id, self._binding.heartbeats.live_owner().text(), ids)

    def _give_up(self, unready: Sequence[_Unready]) -> None:
        for each in unready:
            partition = each.wanted.partition
            text = f"{self._node.describe(partition)} is not ready to run: waiting for {each.waits_for}"
            if self._is_cancelled():
                self._fail(partition, f"{text} when the run was cancelled", Status.KILLED)
            elif self._waits or each.is_routed:
                remedy = "Run it again when that is ready, or with a longer `wait_timeout_seconds`"
                self._fail(partition, f"{text}; gave up after {self._seconds:g} s. {remedy}")
            else:
                self._fail(partition, f"{text}. {each.remedy}")

    def _fail(self, partition: Partition, error: str, status: Status = Status.FAILED) -> None:
        rendered = self._node.spec.render(partition)
        self.failures.append(
            Execution(self._id(partition), self._node.id, rendered, str(status), run_id=self._run_id, error=error)
        )

    def _id(self, partition: Partition) -> str:
        return manual_execution_id(self._run_id, self._node, partition)


def _is_routed(execution: Execution) -> bool:
    """Whether the router or a plan requested the execution, so that its run has to claim it."""
    return execution.id != f"run:{execution.run_id}"
