"""Executions that nobody routed: a person, a job or a backfill asks Dagster for partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.eventlog.history import History
from rheo_assets.assets.eventlog.instance import EventLog
from rheo_assets.assets.eventlog.journal import Journal
from rheo_assets.dimensions import Partition
from rheo_assets.errors import Contradiction, RheoError, Undetermined, listed
from rheo_assets.executions import Execution, Status
from rheo_assets.nodes import DataNode
from rheo_assets.planning.execution import injected_tips, unmet
from rheo_assets.planning.plan import Tips
from rheo_assets.runner.execution import Request

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


class Unrouted:
    """The partitions that one run was asked for: resolved, waited for, and handed out when they can run.

    Args:
        binding: The application.
        node: The node.
        run_id: The run.
        log: The instance's event log.
        config: The run config: `wait`, `wait_timeout_seconds`.
        is_cancelled: Whether the run is to end.

    Attributes:
        failures: What cannot be run.
    """

    def __init__(
        self,
        binding: Binding,
        node: DataNode,
        run_id: str,
        log: EventLog,
        config: Mapping[str, Any],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.failures: list[Execution] = []
        self._binding = binding
        self._node = node
        self._run_id = run_id
        self._history = History(binding, log)
        self._instance = log.instance
        self._journal = Journal(log, binding.topology, binding.since)
        self._waits = bool(config.get("wait"))
        self._seconds = float(config.get("wait_timeout_seconds", _LONGEST))
        self._is_cancelled = is_cancelled

    def resolve(self, partitions: Sequence[Partition]) -> list[Asked]:
        """Returns partitions with the tips that they tell; those that tell none are failures."""
        return [asked for partition in partitions if (asked := self._resolve(partition)) is not None]

    def batches(self, asked_for: Sequence[Asked]) -> Iterator[list[Request]]:
        """Yields what can run, as it comes to be ready; everything at once where the run does not wait."""
        waiting = list(asked_for)
        deadline = time.monotonic() + self._seconds
        while waiting:
            ready, unready = self._split(waiting)
            waiting = [asked for asked, _ in unready]
            if ready:
                self._begin(ready)
                yield ready
            if not self._waits or self._is_cancelled() or time.monotonic() > deadline:
                self._give_up(unready)
                return
            if waiting and not ready:
                time.sleep(_LOOK_EVERY)

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

    def _split(self, waiting: Sequence[Asked]) -> tuple[list[Request], list[tuple[Asked, str]]]:
        """Returns what can run now, and what cannot, with the reason."""
        others = self._others()
        ready, unready = [], []
        for asked in waiting:
            given = injected_tips(self._node, asked.tips) if asked.had_events else frozenset()
            found = unmet(self._node, asked.tips, self._binding.is_ready, given)
            if asked.partition in others:
                run = others[asked.partition]
                unready.append((asked, f"the end of run {run}, which executes it (terminate that run if it is dead)"))
            elif found.are_met:
                ready.append(Request(self._id(asked.partition), asked.partition, asked.tips, found.nearest))
            else:
                unready.append((asked, listed(found.waiting_for(self._node))))
        return ready, unready

    def _others(self) -> dict[Partition, str | None]:
        """Returns the partitions that other runs execute, with the run.

        Of two runs that nobody routed, the one that started later waits; a routed one never waits for either.
        """
        started = self._started()
        return {
            self._node.spec.read(execution.partition): execution.run_id
            for execution in self._history.active(self._node)
            if execution.run_id != self._run_id
            and (
                execution.id != f"run:{execution.run_id}"
                or (execution.started is not None and (execution.started, str(execution.run_id)) < started)
            )
        }

    def _started(self) -> tuple[datetime, str]:
        record = self._instance.get_run_record_by_id(self._run_id)
        at = datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else datetime.now(UTC)
        return at, self._run_id

    def _begin(self, requests: Sequence[Request]) -> None:
        ids = {request.partition: request.id for request in requests}
        self._journal.began(self._node.id, self._run_id, self._binding.beats.living().text(), ids)

    def _give_up(self, unready: Sequence[tuple[Asked, str]]) -> None:
        for asked, reason in unready:
            text = f"{self._node.describe(asked.partition)} is not ready to run: waiting for {reason}"
            if not self._waits:
                remedy = "Land or materialise what is missing first, or launch with run config `wait: true` to wait"
                self._fail(asked.partition, f"{text}. {remedy}")
            elif self._is_cancelled():
                self._fail(asked.partition, f"{text} when the run was cancelled", Status.KILLED)
            else:
                remedy = "Launch it again once that is there, or with a longer `wait_timeout_seconds`"
                self._fail(asked.partition, f"{text} still after {self._seconds:g} s. {remedy}")

    def _fail(self, partition: Partition, error: str, status: Status = Status.FAILED) -> None:
        rendered = self._node.spec.render(partition)
        self.failures.append(
            Execution(self._id(partition), self._node.id, rendered, str(status), run_id=self._run_id, error=error)
        )

    def _id(self, partition: Partition) -> str:
        return unrouted_id(self._run_id, self._node, partition)


def unrouted_id(run_id: str, node: DataNode, partition: Partition) -> str:
    """Returns the id of the execution of a partition that a run was asked for."""
    return str(uuid5(NAMESPACE_URL, f"rheo:{run_id}|{node.id}|{partition!r}"))
