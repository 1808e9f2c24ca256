"""A session: one process that drives an activated application, beside a daemon or without one."""

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
        instance: Where everything is recorded.
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
        """The application as it is declared now: as this session activated it, or another process since."""
        return self.driver.binding

    def follow(self) -> None:
        """Goes over to the declaration on record, where another process has activated another one."""
        self.driver.follow()

    def activate(self, binding: Binding) -> None:
        """Marks a declaration as activated, and goes over to it."""
        if binding is not self.binding:
            self.driver.bind(binding)
        self.driver.activate(datetime.now(UTC))

    def _redeclared(self) -> None:
        self.plans.reset()
        self._withdrawn |= self.runs.bind(self.binding)

    # the event loop -------------------------------------------------------------------------------------------

    def tick(self, now: datetime | None = None) -> None:
        """Takes one turn: arrivals, timers, readiness, lifetimes, launches; beside a daemon only the first two."""
        self.resume()
        self.driver.notice(now or datetime.now(UTC))
        self.turn(now)

    def turn(self, now: datetime | None = None, only: Callable[[Trigger], bool] | None = None) -> None:
        """Folds what is recorded and starts what may run, unless a daemon does; looks for no arrivals."""
        with self.driver.lock:  # what is emitted is started under the same declaration
            outbox = self._others_left() if self.is_passive() else self.driver.turn(now)
            if not self.is_paused():
                again = self._withdrawn
                self._launch([t for t in outbox if only is None or only(t) or self._identity(t) in again])

    def _others_left(self) -> list[Trigger]:
        """Returns what a daemon has emitted and does not run, as it knows another declaration of it."""
        self.driver.fold()
        outbox, nodes = self.driver.router.outbox(), self.binding.topology.data_nodes
        unserved = not_served(self.binding, self.driver.log, {nodes[trigger.node] for trigger in outbox})
        return [trigger for trigger in outbox if trigger.node in unserved]

    def _launch(self, triggers: Iterable[Trigger]) -> None:
        """Starts what is in the outbox and runs nowhere."""
        for node, requests in emitted(self.binding, triggers):
            self.start(node, requests, tells=True)

    def start(self, node: DataNode, requests: Sequence[Request], *, tells: bool = False) -> None:
        """Starts those executions of a node that run nowhere; `tells` logs the failure of one that nobody waits for."""
        with self.driver.lock:
            if self.binding.topology.data_nodes.get(node.id) is not node:
                return  # declared anew meanwhile: the next turn, or the plan's next step, asks for it as it is now
            free = [r for r in requests if self.runs.future(r.id) is None and not self._is_claimed(node, r)]
            if free:
                self.runs.submit(node, free, tells=tells)

    def _identity(self, trigger: Trigger) -> str:
        return trigger.execution_id(self.binding.application)

    def _is_claimed(self, node: DataNode, request: Request) -> bool:
        claim = self.binding.claims.newest(request.id)
        if claim is None:
            return False
        if not self.binding.claims.is_over(request.id, claim):
            return True
        if claim.owner != self.binding.heartbeats.owner:
            self.driver.mark_failed(str(claim.fields["run_id"]))
        if claim.attempt + 1 < MAX_ATTEMPTS:
            return False
        self.driver.give_up(node, request)
        return True

    def _after_run(self) -> None:
        self.turn()

    def _record_lost(self, node: DataNode, requests: Sequence[Request], error: str) -> None:
        """Ends what a broken run left without an end, so that nothing waits for it for ever."""
        ended = self.history.ended_as(node, {request.partition: request.id for request in requests})
        for request in requests:
            claim = self.binding.claims.newest(request.id)
            is_ours = claim is None or claim.owner == self.binding.heartbeats.owner
            if is_ours and request.partition not in ended:
                self.driver.end(node, request.partition, request.id, Status.FAILED, error)

    # what others left -----------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Takes over what dead processes left: their runs are buried, their plans carried on."""
        if not self._resumed:
            self._resumed = True
            for run in self.history.orphans():
                self.driver.mark_failed(run.run_id)
        if self.is_passive():
            return
        with self.driver.lock:  # one thread of this process takes them over
            left = [self.plans.files.adopt(plan) for plan in self.plans.left()]
        for plan in left:
            _log.warning("nobody carries out plan %s any more: it is carried on here", plan.id)
            self.conclude(plan)

    # plans ----------------------------------------------------------------------------------------------------

    def advance(self, run: PlanRecord) -> Step | None:
        """Starts what a plan asks for now; returns what that is, None when nothing is left.

        Raises:
            NotReady: The target's inputs are not ready.
            ExecutionFailed: A stage failed; later ones have not been started.
        """
        step = self.plans.step(run)
        if step is not None:
            self.start(step.stage.node, step.requests)
        return step

    def rest(self, step: Step, longest: float = 5.0) -> None:
        """Waits until a step has come on, or for a while."""
        futures = [future for r in step.requests if (future := self.runs.future(r.id)) is not None]
        if futures:
            wait(futures, timeout=longest)
            return
        time.sleep(LOOK_EVERY)
        if not step.requests:  # what was emitted before the plan held it, and perhaps left by a dead process
            mine = set(step.stage.partitions)
            self.turn(only=lambda trigger: trigger.node == step.stage.node.id and trigger.partition in mine)

    def conclude(self, run: PlanRecord) -> None:
        """Carries the rest of a plan out in the background."""

        def carry_on() -> None:
            try:
                try:
                    while (step := self.advance(run)) is not None:
                        self.rest(step)
                        if self.runs.is_closing:
                            return  # it stays open: who comes next carries it on
                except RheoError as error:
                    _log.warning("%s", error)
                if not self.runs.is_closing:
                    self.close(run)
            except BaseException:  # the disk is full, the database is locked: the next turn goes on with it
                self.plans.files.leave(run)
                raise

        self.runs.background(carry_on)

    def close(self, run: PlanRecord) -> None:
        """Lets a plan's partitions go and starts what that frees."""
        self.plans.finish(run)
        self.turn()

    # its state ------------------------------------------------------------------------------------------------

    def is_passive(self) -> bool:
        """Whether a daemon drives this application, so that this process only reports."""
        return daemon_drives(self.instance, self.binding.application)

    def is_paused(self) -> bool:
        """Whether the application is paused."""
        return self.driver.is_paused()

    def active(self, node: DataNode, partition: Partition | None = None) -> list[Execution]:
        """Returns the executions that have not ended: with a run, emitted, or planned."""
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
        """Waits until a partition is not being executed any more."""
        while self.active(node, partition):
            time.sleep(LOOK_EVERY)
            self.turn()

    def settle(self, timeout: float | None = None, progress: bool | None = None) -> None:
        """Ticks until nothing is running or can run.

        Raises:
            TimeoutError: Time is over; the message names what still runs.
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
                left = shown.every if deadline is None else max(0.0, min(shown.every, deadline - time.monotonic()))
                self._pause(left)

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
        """Whether another live process has executions of this application's outbox."""
        if self.is_paused():
            return False
        outbox = self.driver.router.outbox()
        if self.is_passive():
            return bool(outbox or self.driver.router.plans or self.driver.router.runnable)
        return any(self.binding.claims.is_held(self._identity(trigger)) for trigger in outbox)

    def _running_names(self) -> list[str]:
        nodes = self.binding.topology.data_nodes.values()
        return [node.describe(node.spec.read(e.partition)) for node in nodes for e in self.active(node)]

    # by hand --------------------------------------------------------------------------------------------------

    def inject(self, signal: Signal, partition: Partition, route: str | None, event_id: str | None) -> str:
        """Records an event and returns its identity."""
        identity = event_id or f"injected:{uuid.uuid4()}"
        self.driver.journal.inject(signal.id, partition, identity, route)
        return identity

    def await_caused(self, identity: str) -> None:
        """Starts the executions that an event completes, and waits for them."""
        self.resume()
        self.turn(only=lambda trigger: identity in trigger.identities)
        while not (self.is_passive() or self.is_paused()):
            with self.driver.lock:
                self.driver.fold()
                caused = [self._identity(t) for t in self.driver.router.outbox() if identity in t.identities]
            if not caused:
                return
            here = [future for i in caused if (future := self.runs.future(i)) is not None]
            if here:
                wait(here)
            else:
                time.sleep(LOOK_EVERY)
                self.turn(only=lambda trigger: identity in trigger.identities)
