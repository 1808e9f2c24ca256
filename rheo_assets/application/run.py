"""The verbs that run something: they find the session that drives the application and hand it what is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rheo_assets.application.workspace import Workspace
from rheo_assets.errors import DeclarationError, NotActivated
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import ComputeRecord
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal, as_view
from rheo_assets.model.topology import Topology

if TYPE_CHECKING:
    from rheo_assets.bridge.binding import Binding
    from rheo_assets.bridge.loop.session import Session


S = TypeVar("S", bound=Signal)


class Running:
    """The sessions of one `Application` object, and the verbs on them. See `Application` for what each verb does.

    Args:
        space: The application's nodes.
    """

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._session: Session | None = None
        self._has_activated = False

    # sessions -------------------------------------------------------------------------------------------------

    def activate(self, allow_concurrent_executions: bool = True) -> None:
        """Records what is declared and opens the session that drives it."""
        from rheo_assets.bridge.activation.activation import activated

        space, session = self._space, self._session
        if not allow_concurrent_executions and self._has_activated and session is not None:
            session.settle()
        binding = self._binding(space.topology)
        if space.declared:  # who declares nothing joins what is recorded
            binding = activated(binding, extends=space.is_attached)
        self._open(binding)
        self._has_activated = True
        space.are_recorded(binding.version)

    def _binding(self, topology: Topology, version: str | None = None) -> Binding:
        from rheo_assets.bridge.binding import Binding

        space = self._space
        if self._session is None:
            return Binding(topology, space.platform, space.since, version)
        return self._session.binding.redeclared(topology, version)

    def _open(self, binding: Binding) -> Session:
        """Opens the session, or lets the one that is open go over to a declaration."""
        from rheo_assets.bridge.eventlog.instance import open_instance
        from rheo_assets.bridge.loop.session import Session

        if self._session is None:
            self._session = Session(binding, open_instance(getattr(binding.platform, "root", None)))
        self._session.activate(binding)
        return self._session

    def active(self, verb: str) -> Session:
        """Returns the session, if this process activated; one that declared nothing joins the recorded application.

        Raises:
            NotActivated: There is neither.
        """
        found = None if self._space.declared and not self._has_activated else self.looking()
        if found is None:
            raise NotActivated(self._space.name, verb)
        return found

    def looking(self) -> Session | None:
        """Returns the session under what is recorded now, changing no declaration; None where nothing is."""
        if self._session is not None:
            self._session.follow()
            return self._session
        recorded = self._space.recorded
        return None if recorded is None else self._open(self._binding(recorded.topology, recorded.version))

    def found(self, view: Any, verb: str) -> tuple[Session, DataNode, Partition] | None:
        """Returns a data node's partition as the activated application has it; None where nothing is activated.

        A node that the application has no more is taken as it was: an execution of it may still run.
        """
        asked = self._space.own(view, verb)
        session = self.looking()
        if session is None:
            return None
        node = session.binding.topology.data_nodes.get(asked.id, asked)
        return session, node, _tip(view, node, verb)

    def _executing(self, node: DataNode) -> Session:
        """Returns the session that executes a node; activates what this session declared around it."""
        topology = self._space.topology
        around = {node.id, *topology.ancestors(node.id), *topology.descendants(node.id)}
        if around & self._space.unrecorded:
            self.activate()
        session = self.looking()
        assert session is not None  # a node is declared here or recorded
        return session

    # verbs ----------------------------------------------------------------------------------------------------

    def process(self, event: Any, route: Any, event_id: str | None) -> None:
        """Injects an event."""
        if event_id is not None and not (isinstance(event_id, str) and event_id.strip()):
            raise DeclarationError("process", f"`event_id` is {event_id!r}", "Give non-empty text, or leave it out")
        session = self.active("process")
        known, target = self._space.known_of(event, "process"), self._space.id_of(route, "process")
        with session.driver.lock:
            session.follow()
            signal = recorded_node(session.binding, known, "process")
            identity = session.inject(signal, _tip(event, signal, "process"), target, event_id)
        session.await_caused(identity)

    def execute(self, target: Any, inputs: Any, wait: bool, recursive: bool, tree: bool, progress: bool | None) -> str:
        """Executes an output partition and returns its path."""
        from rheo_assets.bridge.loop.execute import execute

        node = self._space.own(target, "execute")
        session = self._executing(node)
        binding = session.binding
        node = recorded_node(binding, node, "execute")
        _check_dimensions(target, node, "execute")
        return execute(session, binding, node, target, inputs, wait, recursive, tree, progress)

    def validate(self, target: Any, inputs: Any) -> None:
        """Makes the checks of `execute`."""
        from rheo_assets.bridge.binding import Binding
        from rheo_assets.bridge.loop.execute import plan_of

        space = self._space
        binding = Binding(space.topology, space.platform, space.since)
        plan_of(binding, space.own(target, "validate"), target, inputs, recursive=False)

    def poll(self, view: Any, wait: bool) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns path and records of the last execution."""
        from rheo_assets.bridge.loop.poll import poll

        found = self.found(view, "poll")
        return (None, None) if found is None else poll(*found, wait)

    def kill(self, view: Any) -> bool:
        """Ends the running execution of a partition."""
        from rheo_assets.bridge.loop.poll import kill

        found = self.found(view, "kill")
        return found is not None and kill(*found)

    def has_active_record(self, view: Any) -> bool:
        """Returns whether the partition is executing now."""
        found = self.found(view, "has_active_record")
        return found is not None and bool(found[0].active(found[1], found[2]))

    def tick(self, now: datetime | None) -> None:
        """Takes one turn."""
        if now is not None and not isinstance(now, datetime):
            raise DeclarationError(f"tick(now={now!r})", "is no datetime", "Give a datetime; a naive one means UTC")
        aware = now if now is None or now.tzinfo is not None else now.replace(tzinfo=UTC)
        self.active("tick").tick(aware)

    def settle(self, timeout: float | None, progress: bool | None) -> None:
        """Ticks until nothing is running or can run."""
        if timeout is not None and (not isinstance(timeout, int | float) or isinstance(timeout, bool)):
            raise DeclarationError(f"settle(timeout={timeout!r})", "is no number of seconds", "E.g. settle(timeout=60)")
        self.active("settle").settle(timeout, progress)

    def pause(self, verb: str, is_paused: bool) -> None:
        """Records whether the application starts executions by itself."""
        self.active(verb).driver.state.pause(is_paused)


def recorded_node(binding: Binding, node: S, verb: str) -> S:
    """Returns a node as the activated application has it.

    Raises:
        DeclarationError: It has no such node any more, since it was activated anew elsewhere.
    """
    now = binding.topology.nodes.get(node.id)
    if not isinstance(now, type(node)):
        raise DeclarationError(
            f"{verb}({node.id})",
            f"application '{node.application}' was activated anew elsewhere, without '{node.id}'",
            "activate() puts what this session declares back",
        )
    return now


def _tip(view: Any, node: Signal, verb: str) -> Partition:
    """Returns the concrete partition that a view names, as its node is declared now."""
    tip = as_view(view).tip(verb)
    _check_dimensions(view, node, verb)
    return node.spec.read(tip)


def _check_dimensions(view: Any, node: Signal, verb: str) -> None:
    """Checks that a node has the dimensions with which a view of it was made.

    Raises:
        DeclarationError: It was declared anew since.
    """
    asked = as_view(view)
    before, now = (", ".join(spec.kinds) for spec in (asked.node.spec, node.spec))
    if before != now:
        raise DeclarationError(
            f"{verb}({asked})",
            f"'{node.id}' was declared anew since: its dimensions are {now}, and no longer {before}",
            f"Take it from the application again, as app[{node.id!r}]",
        )
