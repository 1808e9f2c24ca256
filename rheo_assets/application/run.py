"""The verbs that run something: activation, events, executions, and the event loop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rheo_assets.application.sessions import Sessions, check_dimensions, concrete_partition, recorded_node
from rheo_assets.application.workspace import Workspace
from rheo_assets.errors import DeclarationError
from rheo_assets.model.executions import ComputeRecord, Execution
from rheo_assets.model.nodes import ExternalData, Timer
from rheo_assets.model.signals import as_view


class RunVerbs:
    """Activates and drives an application."""

    _space: Workspace
    _sessions: Sessions

    def activate(self, allow_concurrent_executions: bool = True) -> None:
        """Validates the declaration, records it for every session, and starts to accept events.

        Args:
            allow_concurrent_executions: If False, waits until executions of the previous declaration finish.
        """
        self._sessions.activate(allow_concurrent_executions)

    def process(self, event: Any, target_route_id: Any = None, event_id: str | None = None) -> list[Execution]:
        """Injects the event of a concrete partition, and returns the executions that it completed once they have ended.

        A failed one is among them and raises nothing. Beside a daemon, which runs them later, there are none.

        Args:
            event: A concrete view; a range means its tip. For a timer with a shift, give the scheduled time: the
                shift is applied, as it is to a tick.
            target_route_id: The only node that receives the event: a node or its id.
            event_id: The identity of a known event. By default, each call is a new event.

        Raises:
            RuntimeError: The application is not activated.
            ValueError: The view is not concrete, or the partition is not declared.
        """
        from rheo_assets.bridge.loop.caused import run_caused

        if event_id is not None and not (isinstance(event_id, str) and event_id.strip()):
            raise DeclarationError("process", f"`event_id` is {event_id!r}", "Give a non-empty string, or remove it")
        as_view(event).tip("process")
        session = self._sessions.active("process")
        known, target = self._space.known_of(event, "process"), self._space.id_of(target_route_id, "process")
        with session.driver.lock:
            session.follow()
            signal = recorded_node(session.binding, known, "process")
            partition = concrete_partition(event, signal, "process")
            if isinstance(signal, Timer):
                partition = signal.tick(partition[0])
            identity = session.inject(signal, partition, target, event_id)
        return run_caused(session, identity)

    def execute(
        self,
        target: Any,
        inputs: Any = None,
        wait: bool = True,
        recursive: bool = False,
        update_dependency_tree: bool = False,
        *,
        progress: bool | None = None,
    ) -> str:
        """Executes an output partition and returns its path.

        If a daemon is running, the daemon runs it and this process waits.

        Args:
            target: A concrete view of a data node, or the node itself if the inputs determine the output. With
                `update_dependency_tree`, external data is accepted too: everything built from it is executed.
            inputs: Concrete inputs; the others are inferred from the output.
            wait: Whether to wait until the execution has finished.
            recursive: Whether to execute every missing partition that it reads first.
            update_dependency_tree: Whether to execute everything that is built from it, too.
            progress: Whether to show progress on standard error: a bar on a terminal, a line in a notebook, elsewhere
                one log line per minute. The default is to show it unless `RHEO_PROGRESS` is `0`.

        Raises:
            RuntimeError: An execution failed, or could not be started.
            ValueError: The partition, the inputs or external data are wrong or missing.
        """
        from rheo_assets.bridge.loop.execute import execute

        if update_dependency_tree and (source := self._space.external(target, "execute")) is not None:
            return self._execute_readers(source, target, inputs, wait, recursive, progress)
        declared = self._space.own(target, "execute")
        if inputs is None:
            as_view(target).tip("execute")
        session = self._sessions.executing(declared)
        binding = session.binding
        node = recorded_node(binding, declared, "execute")
        check_dimensions(target, node, "execute")
        return execute(session, binding, node, target, inputs, wait, recursive, update_dependency_tree, progress)

    def _execute_readers(
        self, source: ExternalData, target: Any, inputs: Any, wait: bool, recursive: bool, progress: bool | None
    ) -> str:
        """Executes everything that is built from a partition of external data."""
        from rheo_assets.bridge.loop.execute import execute_readers

        as_view(target).tip("execute")
        if inputs is not None:
            problem = f"'{source.id}' is external data, which is not executed and has no inputs"
            raise DeclarationError(f"execute({target}, inputs=…)", problem, "Leave the inputs out")
        session = self._sessions.executing(source)
        recorded = recorded_node(session.binding, source, "execute")
        partition = concrete_partition(target, recorded, "execute")
        return execute_readers(session, recorded, partition, wait, recursive, progress)

    def land(self, view: Any, data: Any) -> str:
        """Writes a partition of external data on the local platform, its completion file last, and returns its folder.

        Args:
            view: The partition.
            data: A pandas or polars frame, an arrow table or a list of dicts; or paths of files, which are copied.

        Raises:
            ValueError: The view is not a concrete one of external data, or the data does not fit.
        """
        from rheo_assets.platforms.local.landing import land
        from rheo_assets.platforms.local.platform import LocalPlatform

        as_view(view).tip("land")
        node, platform = self._space.known_of(view, "land"), self._space.platform
        if not isinstance(node, ExternalData):
            raise DeclarationError(f"land({view})", f"'{node.id}' is {node.noun}", "Only external data is landed")
        if not isinstance(platform, LocalPlatform):
            remedy = f"Write the files below {node.layout.root}, or try it with RHEO_PLATFORM=local"
            raise DeclarationError(f"land({view})", f"the platform is {platform.name!r}", remedy)
        return land(platform, node, concrete_partition(view, node, "land"), data)

    def validate(self, target: Any, inputs: Any = None, readiness: bool = False) -> None:
        """Checks what `execute` checks, without running anything: that the partition and its inputs fit the links.

        Args:
            target: As `execute` takes it.
            inputs: As `execute` takes them.
            readiness: Whether to check also that the partitions that `range_check` and `nearest` wait for are ready.

        Raises:
            ValueError: The partition or the inputs are wrong.
            RuntimeError: With `readiness`: something is not ready.
        """
        from rheo_assets.bridge.binding import Binding
        from rheo_assets.bridge.loop.execute import plan_of

        space = self._space
        if inputs is None:
            as_view(target).tip("validate")
        binding = Binding(space.topology, space.platform, space.since)
        plan_of(binding, space.own(target, "validate"), target, inputs, checks_readiness=readiness)

    def poll(self, view: Any, wait: bool = True) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns `(path, records)` of the last execution; `(None, None)` if there was none.

        Raises:
            ValueError: The view is not of a data node of this application, or is not concrete.
        """
        from rheo_assets.bridge.loop.poll import poll

        found = self._sessions.find(view, "poll")
        return (None, None) if found is None else poll(*found, wait)

    def kill(self, view: Any) -> bool:
        """Stops the running execution of a partition; returns whether there was one."""
        from rheo_assets.bridge.loop.poll import kill

        found = self._sessions.find(view, "kill")
        return found is not None and kill(*found)

    def has_active_record(self, view: Any) -> bool:
        """Returns whether the partition is executing now."""
        found = self._sessions.find(view, "has_active_record")
        return found is not None and bool(found[0].active(found[1], found[2]))

    def tick(self, now: datetime | None = None) -> None:
        """Executes one turn of the event loop in this process.

        Args:
            now: Timers are due up to this time; a naive datetime means UTC.

        Raises:
            ValueError: `now` is not a datetime.
        """
        if now is not None and not isinstance(now, datetime):
            raise DeclarationError(f"tick(now={now!r})", "is not a datetime", "Give a datetime; a naive one means UTC")
        aware = now if now is None or now.tzinfo is not None else now.replace(tzinfo=UTC)
        self._sessions.active("tick").tick(aware)

    def settle(self, timeout: float | None = None, *, progress: bool | None = None) -> None:
        """Ticks until nothing is running or can run.

        Args:
            timeout: The maximum time, in seconds.
            progress: See `execute`.

        Raises:
            TimeoutError: Work is still running after `timeout` seconds; the message names it.
        """
        if timeout is not None and (not isinstance(timeout, int | float) or isinstance(timeout, bool)):
            raise DeclarationError(f"settle(timeout={timeout!r})", "is not a number of seconds", "E.g. timeout=60")
        self._sessions.active("settle").settle(timeout, progress)

    def pause(self) -> None:
        """Stops starting executions; events are still recorded."""
        self._sessions.active("pause").driver.state.pause(True)

    def resume(self) -> None:
        """Starts executions again."""
        self._sessions.active("resume").driver.state.pause(False)
