"""Opens the session of an `Application` object and keeps it on the declaration on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rheo_assets.application.workspace import Workspace
from rheo_assets.errors import DeclarationError, NotActivated
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import Signal, as_view
from rheo_assets.model.topology import Topology

if TYPE_CHECKING:
    from rheo_assets.bridge.binding import Binding
    from rheo_assets.bridge.loop.session import Session


S = TypeVar("S", bound=Signal)


class Sessions:
    """Opens the session of one `Application` object when a verb needs it.

    Args:
        space: The application's nodes.
    """

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._session: Session | None = None
        self._has_activated = False

    def activate(self, allow_concurrent_executions: bool) -> None:
        """Records the declaration and opens the session that drives it."""
        from rheo_assets.bridge.activation.activation import activated

        space, session = self._space, self._session
        if not allow_concurrent_executions and self._has_activated and session is not None:
            session.settle()
        binding = self.binding(space.topology)
        if space.declared:  # a session that declares nothing joins the recorded application
            binding = activated(binding, extends=space.is_attached)
        self._open(binding)
        self._has_activated = True
        space.are_recorded(binding.version)

    def binding(self, topology: Topology, version: str | None = None) -> Binding:
        """Returns a topology bound to the platform, reusing what the open session has loaded."""
        from rheo_assets.bridge.binding import Binding

        space = self._space
        if self._session is None:
            return Binding(topology, space.platform, space.since, version)
        return self._session.binding.redeclared(topology, version)

    def _open(self, binding: Binding) -> Session:
        """Opens the session, or moves the open one to another declaration."""
        from rheo_assets.bridge.eventlog.instance import open_instance
        from rheo_assets.bridge.loop.session import Session

        if self._session is None:
            self._session = Session(binding, open_instance(getattr(binding.platform, "root", None)))
        self._session.activate(binding)
        return self._session

    def active(self, verb: str) -> Session:
        """Returns the session of the activated application.

        Raises:
            NotActivated: This session declares nodes and has not activated them, or nothing is on record.
        """
        found = None if self._space.declared and not self._has_activated else self.recorded()
        if found is None:
            raise NotActivated(self._space.name, verb)
        return found

    def recorded(self) -> Session | None:
        """Returns the session under the declaration on record, unchanged; None if nothing is recorded."""
        if self._session is not None:
            self._session.follow()
            return self._session
        recorded = self._space.recorded
        return None if recorded is None else self._open(self.binding(recorded.topology, recorded.version))

    def find(self, view: Any, verb: str) -> tuple[Session, DataNode, Partition] | None:
        """Returns the partition of a data node in the activated application; None if nothing is activated.

        A removed node is returned as it was declared: one of its executions may still be running.
        """
        wanted = self._space.own(view, verb)
        as_view(view).tip(verb)
        session = self.recorded()
        if session is None:
            return None
        node = session.binding.topology.data_nodes.get(wanted.id, wanted)
        return session, node, concrete_partition(view, node, verb)

    def executing(self, node: DataNode | ExternalData) -> Session:
        """Returns the session that executes a node or its readers; activates the declarations around it if needed."""
        topology = self._space.topology
        around = {node.id, *topology.ancestors(node.id), *topology.descendants(node.id)}
        if around & self._space.unrecorded:
            self.activate(allow_concurrent_executions=True)
        session = self.recorded()
        assert session is not None  # the node is declared here or recorded
        return session


def recorded_node(binding: Binding, node: S, verb: str) -> S:
    """Returns a node as the activated application declares it.

    Raises:
        DeclarationError: Another session activated the application without this node.
    """
    now = binding.topology.nodes.get(node.id)
    if not isinstance(now, type(node)):
        raise DeclarationError(
            f"{verb}({node.id})",
            f"another session activated '{node.application}' without '{node.id}'",
            "Call activate() to restore what this session declares",
        )
    return now


def concrete_partition(view: Any, node: Signal, verb: str) -> Partition:
    """Returns the concrete partition that a view names, as its node is declared now."""
    tip = as_view(view).tip(verb)
    check_dimensions(view, node, verb)
    return node.spec.read(tip)


def check_dimensions(view: Any, node: Signal, verb: str) -> None:
    """Checks that a node still has the dimensions of a view.

    Raises:
        DeclarationError: The node has since been declared with other dimensions.
    """
    given = as_view(view)
    before, now = (", ".join(spec.kinds) for spec in (given.node.spec, node.spec))
    if before != now:
        raise DeclarationError(
            f"{verb}({given})",
            f"the dimensions of '{node.id}' have changed from {before} to {now}",
            f"Take the node from the application again: app[{node.id!r}]",
        )
