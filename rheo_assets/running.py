"""The verbs that run something: they find the session that drives the application and hand it what is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rheo_assets.dimensions import Partition
from rheo_assets.errors import DeclarationError, NotActivated
from rheo_assets.executions import ComputeRecord
from rheo_assets.nodes import DataNode
from rheo_assets.signals import as_view
from rheo_assets.workspace import Workspace

if TYPE_CHECKING:
    from rheo_assets.assets.driving.session import Session


class Running:
    """The sessions of one `Application` object, and the verbs on them. See `Application` for what each verb does.

    Args:
        space: The application's nodes.
    """

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._session: Session | None = None
        self._viewer: Session | None = None

    # sessions -------------------------------------------------------------------------------------------------

    def activate(self, allow_concurrent_executions: bool = True) -> None:
        """Records what is declared and opens the session that drives it."""
        from rheo_assets.assets.declared import open_session

        if not allow_concurrent_executions and self._session is not None:
            self._session.settle()
        space = self._space
        self._session = open_session(
            space.topology, space.platform, space.since, records=bool(space.unrecorded), extends=space.is_attached
        )
        self._viewer = None
        space.are_recorded()

    def active(self, verb: str) -> Session:
        """Returns the session that this process activated; one that declared nothing joins the recorded application.

        Raises:
            NotActivated: There is neither.
        """
        found = None if self._session is None and self._space.declared else self.looking()
        if found is None:
            raise NotActivated(self._space.name, verb)
        return found

    def looking(self) -> Session | None:
        """Returns a session to look with, and changes no declaration; None where nothing was ever activated."""
        from rheo_assets.assets.declared import open_session

        if self._session is not None:
            return self._session
        space = self._space
        if self._viewer is None and space.recorded is not None:
            self._viewer = open_session(space.recorded, space.platform, space.since, records=False)
        return self._viewer

    def found(self, view: Any, verb: str) -> tuple[Session, DataNode, Partition] | None:
        """Returns a data node's partition as the activated application has it; None where it has none of it."""
        self._space.own(view, verb)
        tip = as_view(view).tip(verb)
        session = self.looking()
        node = session.binding.topology.data_nodes.get(as_view(view).node.id) if session is not None else None
        return None if session is None or node is None else (session, node, node.spec.read(tip))

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
        view = as_view(event)
        signal = self._space.known_of(view, "process")
        session.process(signal, view.tip("process"), self._space.id_of(route, "process"), event_id)

    def execute(self, target: Any, inputs: Any, wait: bool, recursive: bool, tree: bool, progress: bool | None) -> str:
        """Executes an output partition and returns its path."""
        from rheo_assets.assets.driving.execute import execute

        node = self._space.own(target, "execute")
        session = self._executing(node)
        node = session.binding.topology.data_nodes[node.id]
        return execute(session, node, target, inputs, wait, recursive, tree, progress)

    def validate(self, target: Any, inputs: Any) -> None:
        """Makes the checks of `execute`."""
        from rheo_assets.assets.binding import Binding
        from rheo_assets.assets.driving.execute import plan_of

        space = self._space
        binding = Binding(space.topology, space.platform, space.since)
        plan_of(binding, space.own(target, "validate"), target, inputs, recursive=False)

    def poll(self, view: Any, wait: bool) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns path and records of the last execution."""
        from rheo_assets.assets.driving.polling import poll

        found = self.found(view, "poll")
        return (None, None) if found is None else poll(*found, wait)

    def kill(self, view: Any) -> bool:
        """Ends the running execution of a partition."""
        from rheo_assets.assets.driving.polling import kill

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
        self.active(verb).driver.state.change(lambda fields: fields.update(paused=is_paused))
