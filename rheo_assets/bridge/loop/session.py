"""A session: it drives an activated application from one process, with or without a daemon."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from datetime import UTC, datetime

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.already_read import skip_if_read
from rheo_assets.bridge.loop.daemon import daemon_drives, not_served
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import LocalRuns, emitted
from rheo_assets.bridge.loop.plan_records import PlanRecord
from rheo_assets.bridge.loop.plans import Plans, Step
from rheo_assets.bridge.loop.progress import Counts, Progress
from rheo_assets.errors import RheoError
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal
from rheo_assets.routing.entries import Trigger

_log = logging.getLogger("rheo_assets")
LOOK_EVERY = 0.2


class Session:
    """Drives one activated application from this process.

    Args:
        binding: The application.
        instance: The Dagster instance.
    """

    def __init__(self, binding: Binding, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._withdrawn: set[str] = set()
        self.driver = Driver(binding, instance, self._redeclared)
        self.runs = LocalRuns(binding, instance, self._after_run, self._record_lost)
        self.history = History(binding, self.driver.log)
        self.plans = Plans(self.driver, self.history)
        self._resumed = False

    # which declaration ----------------------------------------------------------------------------------------

    @property
    def binding(self) -> Binding:
        """The application with its current declaration: of this session, or of a process that activated it later."""
        return self.driver.binding

    def follow(self) -> None:
        """Switches to the recorded declaration, if another process activated another one."""
        self.driver.follow()

    def activate(self, binding: Binding) -> None:
        """Switches to a declaration, and marks it as activated."""
        if binding is not self.binding:
            self.driver.bind(binding)
        self.driver.activate(datetime.now(UTC))

    def _redeclared(self) -> None:
        self.plans.reset()
        self._withdrawn |= self.runs.bind(self.binding)

    # the event loop -------------------------------------------------------------------------------------------

    def tick(self, now: datetime | None = None) -> None:
        """Takes one turn: arrivals, timers, readiness, expiry and launches. With a daemon, only the first two."""
        self.resume()
        self.driver.scan_sources(now or datetime.now(UTC))
        self.turn(now)

    def turn(self, now: datetime | None = None, only: Callable[[Trigger], bool] | None = None) -> None:
        """Reads new entries and starts what can run, unless a daemon does. Does not look for arrivals."""
        with self.driver.lock:  # start under the declaration that was routed
            outbox = self._unserved() if self.is_passive() else self.driver.turn(now)
            if not self.is_paused():
                again = self._withdrawn
                self._launch([t for t in outbox if only is None or only(t) or self._identity(t) in again])

    def _unserved(self) -> list[Trigger]:
        """Returns the triggers that the daemon does not run, as it has another version of their node."""
        self.driver.fold()
        outbox, nodes = self.driver.router.outbox(), self.binding.topology.data_nodes
        unserved = not_served(self.binding, self.driver.log, {nodes[trigger.node] for trigger in outbox})
        return [trigger for trigger in outbox if trigger.node in unserved]

    def _launch(self, triggers: Iterable[Trigger]) -> None:
        """Starts the executions of the outbox that run nowhere."""
        for node, requests in emitted(self.binding, triggers):
            self.start(node, requests, logs_failures=True)

    def start(self, node: DataNode, requests: Sequence[Request], *, logs_failures: bool = False) -> None:
        """Starts the executions that run nowhere; `logs_failures` is for those that no caller waits for."""
        with self.driver.lock:
            if self.binding.topology.data_nodes.get(node.id) is not node:
                return  # declared again meanwhile: the next turn, or the plan's next step, starts the new version
            free = [r for r in requests if self.runs.future(r.id) is None and not self._is_claimed(node, r)]
            free = [r for r in free if not skip_if_read(self.driver, node, r)]
            if free:
                self.runs.submit(node, free, logs_failures=logs_failures)

    def _identity(self, trigger: Trigger) -> str:
        return trigger.execution_id(self.binding.application)

    def _is_claimed(self, node: DataNode, request: Request) -> bool:
        claim = self.binding.claims.newest(request.id)
        if claim is None:
            return False
        if not self.binding.claims.is_over(request.id, claim):
            return True
        if claim.owner != self.binding.heartbeats.owner:
            self.driver.recovery.mark_failed(str(claim.fields["run_id"]))
        if claim.attempt + 1 < MAX_ATTEMPTS:
            return False
        self.driver.recovery.give_up(node, request)
        return True

    def _after_run(self) -> None:
        self.turn()

    def _record_lost(self, node: DataNode, requests: Sequence[Request], error: str) -> None:
        """Records an end for the executions of a broken run that have none, so that nothing waits for them forever."""
        ended = self.history.ended_as(node, {request.partition: request.id for request in requests})
        for request in requests:
            claim = self.binding.claims.newest(request.id)
            is_ours = claim is None or claim.owner == self.binding.heartbeats.owner
            if is_ours and request.partition not in ended:
                self.driver.recovery.end(node, request.partition, request.id, Status.FAILED, error)

    # abandoned work -------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Takes over from dead processes: fails their runs, and continues their plans."""
        if not self._resumed:
            self._resumed = True
            for run in self.history.orphans():
                self.driver.recovery.mark_failed(run.run_id)
        if self.is_passive():
            return
        with self.driver.lock:  # one thread of this process takes them over
            adopted = [self.plans.files.adopt(plan) for plan in self.plans.abandoned()]
        for plan in adopted:
            _log.warning("the process that executed plan %s has ended: this session continues the plan", plan.id)
            self.conclude(plan)

    # plans ----------------------------------------------------------------------------------------------------

    def advance(self, run: PlanRecord) -> Step | None:
        """Starts the next executions of a plan; returns them, or None if the plan is finished.

        Raises:
            NotReady: The target's inputs are not ready.
            ExecutionFailed: A stage failed. Later stages have not started.
        """
        step = self.plans.step(run)
        if step is not None:
            self.start(step.stage.node, step.requests)
        return step

    def rest(self, step: Step, longest: float = 5.0) -> None:
        """Waits until the executions of a step have ended, but not longer than `longest` seconds."""
        futures = [future for r in step.requests if (future := self.runs.future(r.id)) is not None]
        if futures:
            wait(futures, timeout=longest)
            return
        time.sleep(LOOK_EVERY)
        if not step.requests:  # triggers from before the plan, perhaps of a dead process
            mine = set(step.stage.partitions)
            self.turn(only=lambda trigger: trigger.node == step.stage.node.id and trigger.partition in mine)

    def conclude(self, run: PlanRecord) -> None:
        """Carries out the rest of a plan in the background."""

        def carry_on() -> None:
            try:
                try:
                    while (step := self.advance(run)) is not None:
                        self.rest(step)
                        if self.runs.is_closing:
                            return  # the plan stays open: the next session continues it
                except RheoError as error:
                    _log.warning("%s", error)
                if not self.runs.is_closing:
                    self.close(run)
            except BaseException:  # a full disk, a locked database: the next turn continues it
                self.plans.files.release(run)
                raise

        self.runs.background(carry_on)

    def close(self, run: PlanRecord) -> None:
        """Closes a plan, and starts the executions that waited for it."""
        self.plans.finish(run)
        self.turn()

    # state ----------------------------------------------------------------------------------------------------

    def is_passive(self) -> bool:
        """Whether a daemon drives this application, so that this process starts nothing."""
        return daemon_drives(self.instance, self.binding.application)

    def is_paused(self) -> bool:
        """Whether the application is paused."""
        return self.driver.is_paused()

    def active(self, node: DataNode, partition: Partition | None = None) -> list[Execution]:
        """Returns the executions that have not ended: with a run, in the outbox, or in a plan."""
        with self.driver.lock:
            self.driver.fold()
            state = None if self.is_paused() else self.driver.groups_of(node)
            emitted = state.in_flight if state is not None else {}
            queued = {p: self._identity(t) for p, t in emitted.items() if partition is None or p == partition}
        queued.update(self.plans.unfinished(node, partition))
        running = self.history.active(node, partition)
        begun = {execution.partition for execution in running}
        waiting = [Execution(i, node.id, node.spec.render(p), str(Status.QUEUED)) for p, i in queued.items()]
        return [*running, *(execution for execution in waiting if execution.partition not in begun)]

    def await_end(self, node: DataNode, partition: Partition) -> None:
        """Waits until a partition is no longer being executed."""
        while self.active(node, partition):
            time.sleep(LOOK_EVERY)
            self.turn()

    def settle(self, timeout: float | None = None, progress: bool | None = None) -> None:
        """Ticks until nothing runs or can run.

        Raises:
            TimeoutError: The time is over; the message names what still runs.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        already = self.driver.router.ended
        with Progress(f"{self.binding.application} settles", progress) as shown:
            self.tick()
            while not self._is_settled():
                if deadline is not None and time.monotonic() >= deadline:
                    names = ", ".join(self._running_names()) or "a plan"
                    raise TimeoutError(f"still running after {timeout:g} s: {names}")
                shown.look(lambda: self._counts(already))
                rest = shown.every if deadline is None else max(0.0, min(shown.every, deadline - time.monotonic()))
                self._pause(rest)

    def _pause(self, longest: float) -> None:
        waiting = self.runs.waiting()
        if waiting:
            wait(waiting, timeout=longest)
            return
        time.sleep(min(LOOK_EVERY, longest))
        self.turn()

    def _counts(self, already: int) -> Counts:
        with self.driver.lock:
            router = self.driver.router
            return Counts(max(0, router.ended - already), None, len(router.outbox()))

    def _is_settled(self) -> bool:
        if self.runs.waiting() or self._others_run():
            return False
        before = self.driver.router.cursor
        self.tick()
        return not self.runs.waiting() and self.driver.router.cursor == before

    def _others_run(self) -> bool:
        """Whether another live process runs executions of this application's outbox."""
        if self.is_paused():
            return False
        outbox = self.driver.router.outbox()
        if self.is_passive():
            return bool(outbox or self.driver.router.plans or self.driver.router.runnable)
        return any(self.binding.claims.is_held(self._identity(trigger)) for trigger in outbox)

    def _running_names(self) -> list[str]:
        nodes = self.binding.topology.data_nodes.values()
        return [node.describe(node.spec.read(e.partition)) for node in nodes for e in self.active(node)]

    # manual events --------------------------------------------------------------------------------------------

    def inject(self, signal: Signal, partition: Partition, route: str | None, event_id: str | None) -> str:
        """Records an injected event and returns its identity."""
        identity = event_id or f"injected:{uuid.uuid4()}"
        self.driver.journal.inject(signal.id, partition, identity, route)
        return identity
