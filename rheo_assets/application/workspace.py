"""What one `Application` object knows: its platform, the nodes that it declares, and those that are recorded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rheo_assets.errors import DeclarationError, KeyTaken, UnknownNode
from rheo_assets.model.compute.engines import read_kinds
from rheo_assets.model.declaration import data_node
from rheo_assets.model.nodes import DataNode, ExternalData, check_id
from rheo_assets.model.signals import Signal, as_view, check_own
from rheo_assets.model.subscripts import Subscriptable
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.platforms.selection import chosen_platform

if TYPE_CHECKING:
    from rheo_assets.bridge.state.recorded import Recorded

_YEARS_LISTED = 3
_HERE = str(Path(__file__).parents[1])
S = TypeVar("S", bound=Signal)


class Workspace:
    """The nodes of one application as this session sees them.

    Args:
        name: The application's name.
        region: The AWS region.
        platform: Where data is stored and code runs. The default is the platform that `RHEO_PLATFORM` names.
        since: The first day that Dagster lists.
        engines: The names of the engines that nodes may use.

    Attributes:
        declared: What this session declares, by id.
        unrecorded: The ids of those nodes that no activation has recorded yet.
        is_attached: Whether this session uses recorded nodes, and so adds to the recorded application.
    """

    def __init__(
        self,
        name: str,
        region: str,
        platform: Platform | None,
        since: datetime | str | None,
        engines: Sequence[str] | None,
    ) -> None:
        self.name = check_id("application", name)
        self.region = region
        self._kinds = read_kinds(engines, f"application '{name}'")
        if isinstance(platform, str):
            raise DeclarationError(
                f"application '{name}'",
                f"platform is {platform!r}",
                "Give a LocalPlatform() or AwsPlatform(), or set RHEO_PLATFORM",
            )
        self._platform = platform
        self.since = _read_since(since)
        self.declared: dict[str, Signal] = {}
        self._steps: dict[str, str] = {}
        self.unrecorded: set[str] = set()
        self.is_attached = False
        self._recorded: Recorded | None = None
        self._version: str | None = None

    @cached_property
    def platform(self) -> Platform:
        """Where data is stored and code runs."""
        if self._platform is not None:
            return self._platform
        return chosen_platform(self.region)

    # declaring ------------------------------------------------------------------------------------------------

    def add(self, node: S, replaces: bool = False) -> S:
        """Adds a declaration and returns it.

        Raises:
            KeyTaken: This session already declares the id, or an id that Dagster cannot tell from it.
        """
        if node.id in self.declared and not replaces:
            raise KeyTaken(f"'{self.name}' declares '{node.id}' twice: use update_data, or another id")
        twin = self._steps.setdefault(node.id.replace("-", "_"), node.id) if isinstance(node, DataNode) else node.id
        if twin != node.id:
            raise KeyTaken(
                f"'{self.name}' declares '{node.id}' and '{twin}'. Both have the same step name in Dagster, "
                "because '-' becomes '_': use another id"
            )
        self.declared[node.id] = node
        self.unrecorded.add(node.id)
        return node

    def data_node(self, node_id: str, inputs: Any, declaration: Mapping[str, Any]) -> DataNode:
        """Returns a data node of this application."""
        options = {"_source": caller(), **declaration}
        if inputs is not None:
            options["inputs"] = inputs
        return data_node(self.name, self.platform.bucket(self.name), node_id, engine_kinds=self._kinds, **options)

    # finding --------------------------------------------------------------------------------------------------

    @property
    def recorded(self) -> Recorded | None:
        """The activated application as it is recorded now; None if nothing is recorded."""
        from rheo_assets.bridge.state.recorded import recorded_topology, recorded_version

        known = self._recorded
        if known is None or known.version != recorded_version(self.name, self.platform):
            self._recorded = recorded_topology(self.name, self.platform)
        return self._recorded

    def known(self, node_id: str) -> Signal:
        """Returns a node of this session if its declaration is current, else of the activated application.

        Raises:
            UnknownNode: There is no such node; the message suggests similar names.
        """
        if not isinstance(node_id, str):
            raise UnknownNode(self.name, repr(node_id), self.declared)
        recorded = {} if self._is_current(node_id) else self._recorded_nodes
        if node_id in recorded:
            self.is_attached |= node_id not in self.declared
            return recorded[node_id]
        if node_id in self.declared:
            return self.declared[node_id]
        known = {*self.declared, *recorded}
        state = self.platform.storage.location(f"s3://{self.platform.bucket(self.name)}/state")
        raise UnknownNode(self.name, node_id, known, state)

    def id_of(self, node: Any, verb: str) -> str | None:
        """Returns the id of a known node, given as the node or its id; None for None."""
        if node is None:
            return None
        return (self.known_of(node, verb) if isinstance(node, Signal) else self.known(node)).id

    def known_of(self, target: Any, verb: str) -> Signal:
        """Returns the node of a view, as this application declares it now.

        Raises:
            DeclarationError: The node belongs to another application.
            UnknownNode: The node no longer exists.
        """
        given = as_view(target).node
        check_own(given, self.name, f"{verb}({given.id})")
        return self.known(given.id)

    def own(self, target: Any, verb: str) -> DataNode:
        """Returns a data node of this application, given as a view of it or its id."""
        node = self.known_of(target, verb) if isinstance(target, Subscriptable) else self.known(target)
        if not isinstance(node, DataNode):
            raise DeclarationError(
                f"{verb}({node.id})",
                f"'{node.id}' is {node.noun}: '{self.name}' does not build it",
                "Give a node that create_data returned",
            )
        return node

    def external(self, target: Any, verb: str) -> ExternalData | None:
        """Returns the external data of a view; None if the view is of another kind of node."""
        node = self.known_of(target, verb) if isinstance(target, Subscriptable) else None
        return node if isinstance(node, ExternalData) else None

    @property
    def topology(self) -> Topology:
        """The nodes as activation would record them: this session's, and recorded ones if it has used any."""
        others = self._recorded_nodes if self.is_attached or not self.declared else {}
        return Topology(self.name, {**others, **self.declared})

    def are_recorded(self, version: str | None) -> None:
        """Notes the version under which an activation has recorded what this session declares."""
        self.unrecorded.clear()
        self._version = version

    def _is_current(self, node_id: str) -> bool:
        """Whether this session declares a node and no session has recorded another declaration since."""
        from rheo_assets.bridge.state.recorded import recorded_version

        if node_id not in self.declared or node_id in self.unrecorded or self._version is None:
            return node_id in self.declared
        return recorded_version(self.name, self.platform) in {self._version, None}

    @property
    def _recorded_nodes(self) -> Mapping[str, Signal]:
        recorded = self.recorded
        return recorded.topology.nodes if recorded is not None else {}


def caller() -> tuple[str, int] | None:
    """Returns the file and line of the declaration in the user's code."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<"):
        return None
    return frame.f_code.co_filename, frame.f_lineno


def _read_since(since: datetime | str | None) -> datetime:
    if since is None:
        return datetime(datetime.now(UTC).year - _YEARS_LISTED, 1, 1)  # naive means UTC
    try:
        read = datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError:
        read = None
    if not isinstance(read, date):
        raise DeclarationError("application", f"since is {since!r}", "Give a date, such as '2024-01-01'")
    return datetime(read.year, read.month, read.day)  # naive means UTC
