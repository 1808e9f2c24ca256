"""A session: one process that drives an activated application, beside a daemon or without one."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime

import dagster as dg

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.claims import Owner
from rheo_assets.assets.daemon import daemon_drives
from rheo_assets.assets.driver import Driver
from rheo_assets.assets.history import History
from rheo_assets.assets.plans import PlanRun, Plans, raise_failed
from rheo_assets.assets.runs import LocalRuns
from rheo_assets.dimensions import Partition
from rheo_assets.errors import NotReady
from rheo_assets.executions import ComputeRecord, Execution, Status
from rheo_assets.nodes import DataNode
from rheo_assets.planning.plan import Plan
from rheo_assets.routing.journal import Trigger
from rheo_assets.runner.execution import Request
from rheo_assets.signals import Signal

_log = logging.getLogger("rheo_assets")
_POLL_EVERY = 0.2


class Session:
    """Drives one activated application from this process.

    Args:
        binding: The application.
        instance: Where everything is recorded.
    """

    def __init__(self, binding: Binding, instance: dg.DagsterInstance) -> None:
        self.binding = binding
        self.instance = instance
        self.driver = Driver(binding, instance)
        self.runs = LocalRuns(binding, instance, self._after_run, self._record_lost)
        self.history = History(binding, self.driver.log)
        self.plans = Plans(self.driver, self.runs, self.history)
        self._launched: set[str] = set()
        self._resumed = False

    # the event loop -------------------------------------------------------------------------------------------

    def tick(self, now: datetime | None = None) -> None:
        """Takes one turn: arrivals, timers, readiness, lifetimes, launches."""
        self._resume()
        if self.is_passive():
            return
        self.driver.notice(now or datetime.now(UTC))
        self._turn(now)

    def _turn(self, now: datetime | None = None, only: Callable[[Trigger], bool] | None = None) -> list[Future[None]]:
        outbox = self.driver.turn(now)
        if self.is_paused():
            return []
        return self._launch([trigger for trigger in outbox if only is None or only(trigger)])

    def _launch(self, triggers: Iterable[Trigger]) -> list[Future[None]]:
        """Starts what is in the outbox and has not been started here."""
        with self.driver.lock:
            fresh = [t for t in triggers if t.execution_id(self.binding.application) not in self._launched]
            by_node: dict[str, list[Request]] = {}
            for trigger in fresh:
                identity = trigger.execution_id(self.binding.application)
                self._launched.add(identity)
                if self._is_claimed(identity):
                    continue
                request = Request(identity, trigger.partition, trigger.tips, trigger.nearest)
                by_node.setdefault(trigger.node, []).append(request)
            futures = []
            for node_id, requests in by_node.items():
                futures += self.runs.submit(self.binding.topology.data_nodes[node_id], requests)
            return futures

    def _is_claimed(self, execution_id: str) -> bool:
        claim = self.binding.claims.newest(execution_id)
        return claim is not None and not claim.owner.is_dead()

    def _after_run(self) -> None:
        if not self.is_passive():
            self._turn()

    def _record_lost(self, node: DataNode, requests: Sequence[Request], error: str) -> None:
        """Ends what a broken run left without an end, so that nothing waits for it for ever."""
        for request in requests:
            claim = self.binding.claims.newest(request.id)
            if claim is not None and claim.owner != Owner.this_process():
                continue
            if any(execution.id == request.id for execution in self.history.ended(node, request.partition)):
                continue
            rendered = node.spec.render(request.partition)
            execution = Execution(request.id, node.id, rendered, str(Status.FAILED), error=error, ended=datetime.now(UTC))
            self.driver.journal.failed(execution, request.partition)

    def _resume(self) -> None:
        """Takes over what dead processes left: their runs are buried, their plans carried on."""
        if self._resumed:
            return
        self._resumed = True
        for run in self.history.orphans():
            self.instance.report_run_failed(run, "The process that ran it is gone; what it had not finished runs again.")
        for plan in self.plans.abandoned():
            _log.warning("resuming the plan of a process that is gone: %s executions", sum(len(s.partitions) for s in plan.stages))
            try:
                self.plans.carry_out(plan)
            except NotReady as error:
                _log.warning("%s", error)
            finally:
                self.plans.finish(plan)

    def is_passive(self) -> bool:
        """Whether a daemon drives this application, so that this process only reports."""
        return daemon_drives(self.instance, self.binding.application)

    def is_paused(self) -> bool:
        """Whether the application is paused."""
        return bool(self.driver.state.fields().get("paused"))

    def settle(self, timeout: float | None = None) -> None:
        """Ticks until nothing is running or can run.

        Raises:
            TimeoutError: Time is over; the message names what still runs.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.tick()
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            waiting = self.runs.waiting()
            if waiting:
                wait(waiting, timeout=left if left is not None else 5.0)
            elif not self._others_run():
                before = self.driver.router.cursor
                self.tick()
                if not self.runs.waiting() and self.driver.router.cursor == before:
                    return
            else:
                time.sleep(_POLL_EVERY)
                self._turn_unless_passive()
            if deadline is not None and time.monotonic() >= deadline and self.runs.waiting():
                raise TimeoutError(f"still running after {timeout} s: {', '.join(self._running_names()) or 'a run'}")

    def _turn_unless_passive(self) -> None:
        if self.is_passive():
            self.driver.fold()
        else:
            self._turn()

    def _others_run(self) -> bool:
        """Whether another live process has executions of this application's outbox."""
        if self.is_paused():
            return False
        return any(
            self._is_claimed(trigger.execution_id(self.binding.application)) or self.is_passive()
            for trigger in self.driver.router.outbox()
        )

    def _running_names(self) -> list[str]:
        names = []
        for node in self.binding.topology.data_nodes.values():
            names += [f"{node.id}[{'/'.join(e.partition)}]" for e in self.history.active(node)]
        return names

    # by hand --------------------------------------------------------------------------------------------------

    def process(self, signal: Signal, partition: Partition, route: str | None = None, event_id: str | None = None) -> None:
        """Injects an event and waits for the executions that it completed."""
        identity = event_id or f"injected:{uuid.uuid4()}"
        self._resume()
        self.driver.journal.inject(signal.id, partition, identity, route)
        if self.is_passive():
            return
        wait(self._turn(only=lambda trigger: identity in trigger.identities))

    def execute(self, plan: Plan, node: DataNode, partition: Partition, waits: bool) -> None:
        """Carries a plan out; see `Application.execute`."""
        self._resume()
        run = PlanRun.of(self.binding.topology, plan)
        running = self.history.active(node, partition)
        if running:
            self._await_running(node, partition)
            raise_failed([e for e in [self.history.last(node, partition)] if e is not None])
            return
        self.plans.start(run)
        last = max(index for index, stage in enumerate(run.stages) if stage.node is node)
        try:
            for stage in run.stages[: last if not waits else len(run.stages)]:
                raise_failed(self.plans.run_stage(run, stage))
            if waits:
                return
            futures = self.plans.submit_stage(run, run.stages[last])
        finally:
            if waits:
                self._finish(run)
        self._finish_after(run, futures, run.stages[last + 1 :])

    def _finish_after(self, run: PlanRun, futures: list[Future[None]], rest: tuple[object, ...]) -> None:
        def conclude() -> None:
            wait(futures)
            for stage in run.stages[len(run.stages) - len(rest) :]:
                self.plans.run_stage(run, stage)
            self._finish(run)

        self.runs.background(conclude)

    def _finish(self, run: PlanRun) -> None:
        self.plans.finish(run)
        if not self.is_passive():
            self._turn()

    def _await_running(self, node: DataNode, partition: Partition) -> None:
        while self.history.active(node, partition):
            time.sleep(_POLL_EVERY)

    def poll(self, node: DataNode, partition: Partition, waits: bool) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns the path and records of the last execution; see `Application.poll`."""
        self.tick()
        while True:
            active = self._active(node, partition)
            if not active:
                break
            if not waits:
                return None, list(active)
            time.sleep(_POLL_EVERY)
            self._turn_unless_passive()
        last = self.history.last(node, partition)
        if last is None:
            return None, None
        if last.status == Status.COMPLETED:
            location = self.binding.platform.storage.location(node.layout.uri(node.spec, partition))
            return location, list(last.records)
        failed = [record for record in last.records if record.status != Status.COMPLETED]
        return None, failed or [_whole_record(node, last)]

    def _active(self, node: DataNode, partition: Partition) -> list[ComputeRecord]:
        running = [_whole_record(node, execution) for execution in self.history.active(node, partition)]
        if running:
            return running
        with self.driver.lock:
            waiting = [t for t in self.driver.router.outbox() if t.node == node.id and t.partition == partition]
        if waiting and not self.is_paused():
            return [_whole_record(node, Execution("", node.id, node.spec.render(partition), str(Status.QUEUED)))]
        return []

    def kill(self, node: DataNode, partition: Partition) -> bool:
        """Ends the running executions of a partition; returns whether there was one."""
        runs = self.history.active_runs(node, partition)
        for run in runs:
            self.instance.report_run_canceling(run, "killed by app.kill()")
        return bool(runs)


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
