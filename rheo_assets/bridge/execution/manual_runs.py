"""Executions that nobody routed: a person, a job or a backfill asks Dagster for partitions."""

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
class Asked:
    """A partition that was asked for, and the tips of its inputs.

    Attributes:
        partition: The output partition.
        tips: The tip of each input.
        had_events: Whether the events of these tips have come, so that they count as ready.
    """

    partition: Partition
    tips: Tips
    had_events: bool = False


@dataclass(frozen=True)
class _Unready:
    """What cannot run now, why, and what to do; `is_routed` where the router has asked another run for it."""

    asked: Asked
    waits_for: str
    remedy: str
    is_routed: bool = False


_NOT_THERE = "Land or materialise what is missing first, or launch with run config `wait: true` to wait"
_OTHER_RUN = "Terminate that run if it is dead, or launch with run config `wait: true` to wait for it"


class ManualRun:
    """The partitions that one run was asked for: resolved, waited for, and handed out when they can run.

    Args:
        binding: The application.
        node: The node.
        run: The run.
        log: The instance's event log.
        config: The run config: `wait`, `wait_timeout_seconds`.
        say: Takes one line for the run's log.
        is_cancelled: Whether the run is to end.

    Attributes:
        failures: What cannot be run.
        claimed: What this run has taken over from another one: the ids of those executions.
    """

    def __init__(
        self,
        binding: Binding,
        node: DataNode,
        run: dg.DagsterRun,
        log: EventLog,
        config: Mapping[str, Any],
        say: Callable[[str], None],
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
        self._say = say
        self._is_cancelled = is_cancelled
        self._said: set[Partition] = set()

    def resolve(self, partitions: Sequence[Partition]) -> list[Asked]:
        """Returns partitions with the tips that they tell; those that tell none are failures."""
        return [asked for partition in partitions if (asked := self._resolve(partition)) is not None]

    def batches(self, asked_for: Sequence[Asked]) -> Iterator[list[Request]]:
        """Yields what can run, as it comes to be ready; everything at once where the run does not wait.

        What the router has asked another run for is waited for in any case.
        """
        waiting = list(asked_for)
        deadline = time.monotonic() + self._seconds
        while waiting:
            ready, unready = self._split(waiting)
            if ready:
                self._begin(ready)
                yield ready
            is_over = self._is_cancelled() or time.monotonic() > deadline
            left = [each for each in unready if each.is_routed or self._waits]
            self._give_up(unready if is_over else [each for each in unready if each not in left])
            waiting = [] if is_over else self._still_waiting(left)
            if waiting and not ready:
                time.sleep(_LOOK_EVERY)

    def _still_waiting(self, left: Sequence[_Unready]) -> list[Asked]:
        for each in left:
            if each.asked.partition not in self._said:
                self._said.add(each.asked.partition)
                self._say(f"{self._node.describe(each.asked.partition)} waits for {each.waits_for}")
        return [each.asked for each in left]

    def _resolve(self, partition: Partition) -> Asked | None:
        try:
            if not self._node.filter.admits(self._node.spec, partition):
                text = self._node.describe(partition)
                raise Contradiction(f"{text} is not among the declared values of '{self._node.id}'")
            return Asked(partition, self._tips(partition))
        except RheoError as error:
            self._fail(partition, str(error))
            return None

    def _tips(self, partition: Partition) -> Tips:
        try:
            return self._node.linkage.resolve_output(partition)
        except (Undetermined, Contradiction) as error:
            text = self._node.describe(partition)
            raise Contradiction(f"{text} cannot be executed by its partition alone: {error}") from None

    def _split(self, waiting: Sequence[Asked]) -> tuple[list[Request], list[_Unready]]:
        """Returns what can run now, and what cannot."""
        others, emitted = self._others(), self._emitted.ids()
        ready: list[Request] = []
        unready: list[_Unready] = []
        for asked in waiting:
            other, identity = others.get(asked.partition), emitted.get(asked.partition)
            if other is not None and not _is_routed(other):
                found: Request | _Unready = _Unready(
                    asked, f"the end of run {other.run_id}, which executes it", _OTHER_RUN
                )
            elif other is not None:
                found = self._routed_one(asked, other.id, f"run {other.run_id}, which the router has asked for")
            elif identity is not None:
                found = self._routed_one(asked, identity, f"execution {identity}, which the router is about to launch")
            else:
                found = self._own_one(asked)
            (ready if isinstance(found, Request) else unready).append(found)  # type: ignore[arg-type]
        return ready, unready

    def _routed_one(self, asked: Asked, identity: str, name: str) -> Request | _Unready:
        """Returns what the router has emitted as an execution of this run, unless another one has begun it."""
        request, _ = self._request(asked)
        self._routed[asked.partition] = identity
        if request is None or not self._binding.claims.take(identity, self._run_id):
            return _Unready(asked, f"the end of {name}", _OTHER_RUN, is_routed=True)
        self.claimed.append(identity)
        return replace(request, id=identity)

    def _own_one(self, asked: Asked) -> Request | _Unready:
        """Returns an execution of this run's own, or one that has made the partition already: it is reported again."""
        partition = asked.partition
        if self._has_been_made(partition):
            return Request(self._routed[partition], partition, asked.tips)
        made = self._backfill.made(partition, asked.tips)
        if made is not None:
            self._say(
                f"{self._node.describe(partition)} was made by run {made.run_id} since this backfill was launched"
            )
            self._routed[partition] = made.id
            return Request(made.id, partition, asked.tips)
        request, waits_for = self._request(asked)
        return request or _Unready(asked, waits_for, _NOT_THERE)

    def _request(self, asked: Asked) -> tuple[Request | None, str]:
        """Returns the execution if its inputs are ready, and what it waits for."""
        had_events = asked.had_events or asked.partition in self._routed
        given = injected_tips(self._node, asked.tips) if had_events else frozenset()
        found = unmet(self._node, asked.tips, self._binding.is_ready, given)
        if not found.are_met:
            return None, listed(found.waiting_for(self._node))
        return Request(self._id(asked.partition), asked.partition, asked.tips, found.nearest), ""

    def _has_been_made(self, partition: Partition) -> bool:
        """Whether the run that was waited for has made the partition."""
        identity = self._routed.get(partition)
        if identity is None:
            return False
        ended = self._history.ended_as(self._node, {partition: identity}).get(partition)
        return ended is not None and ended.status == Status.COMPLETED

    def _others(self) -> dict[Partition, Execution]:
        """Returns what other runs execute of the node.

        Of two runs that nobody routed, the one that started later waits; a routed one never waits for either.
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
        if ids:  # what the router has asked for is known to it, and ends as that
            self._journal.began(self._node.id, self._run_id, self._binding.heartbeats.live_owner().text(), ids)

    def _give_up(self, unready: Sequence[_Unready]) -> None:
        for each in unready:
            partition = each.asked.partition
            text = f"{self._node.describe(partition)} is not ready to run: waiting for {each.waits_for}"
            if self._is_cancelled():
                self._fail(partition, f"{text} when the run was cancelled", Status.KILLED)
            elif self._waits or each.is_routed:
                remedy = "Launch it again once that is there, or with a longer `wait_timeout_seconds`"
                self._fail(partition, f"{text} still after {self._seconds:g} s. {remedy}")
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
    """Whether the router or a plan has asked for what a run executes, so that the run has to claim it."""
    return execution.id != f"run:{execution.run_id}"
