"""The verbs that change nothing: they show what ran, what waits and why, and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rheo_assets.application.sessions import Sessions, recorded_node
from rheo_assets.application.workspace import Workspace
from rheo_assets.errors import NotActivated
from rheo_assets.model.executions import ComputeRecord, Execution
from rheo_assets.model.signals import View, as_view, check_own
from rheo_assets.platforms.data.paths import paths_of

if TYPE_CHECKING:
    from rheo_assets.bridge.inspection.inspection import PendingGroup, Reason
    from rheo_assets.bridge.inspection.staleness import StalePartition


class InspectVerbs:
    """Shows what an application has done, what it waits for, and its data."""

    name: str
    _space: Workspace
    _sessions: Sessions

    def history(self, node: Any = None) -> list[Execution]:
        """Returns the executions of one node or of all nodes, oldest first."""
        from rheo_assets.bridge.inspection.inspection import history

        chosen = self._space.own(node, "history") if node is not None else None
        session = self._sessions.recorded()
        return history(session, chosen) if session is not None else []

    def pending(self, node: Any = None) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        from rheo_assets.bridge.inspection.inspection import pending

        node_id, session = self._space.id_of(node, "pending"), self._sessions.recorded()
        return pending(session, node_id) if session is not None else []

    def why(self, view: Any) -> Reason:
        """Returns why a partition has run, is waiting, or will not run."""
        from rheo_assets.bridge.inspection.inspection import why

        found = self._sessions.find(view, "why")
        if found is None:
            raise NotActivated(self.name, "why")
        session, node, partition = found
        return why(session, recorded_node(session.binding, node, "why"), partition)

    def policies(self) -> dict[str, dict[str, Any]]:
        """Returns the IAM policy document of each role that the application needs on AWS; empty on a laptop.

        `driver` is for whoever runs it. The others are for the roles that its jobs and functions run as, by ARN, and
        `trust of <ARN>` says which services may assume them.
        """
        policies_of = getattr(self._space.platform, "policies", None)
        return policies_of(self._space.topology) if policies_of is not None else {}

    def stale(self, node: Any = None) -> list[StalePartition]:
        """Returns the partitions whose inputs were written again after their last execution read them. Runs nothing.

        Args:
            node: A data node or its id. The default is every data node.
        """
        from rheo_assets.bridge.inspection.staleness import stale

        wanted = self._space.own(node, "stale") if node is not None else None
        session = self._sessions.recorded()
        if session is None:
            return []
        nodes = session.binding.topology.data_nodes
        chosen = list(nodes.values()) if wanted is None else [recorded_node(session.binding, wanted, "stale")]
        return stale(session, chosen)

    def paths(self, view: Any, values: Sequence[Any] | None = None) -> list[str]:
        """Returns the paths of a view, tip first, without computing anything.

        Args:
            view: A view with every dimension subscripted. The paths need not exist. A `.nearest()` view has one path:
                that of the ready partition closest to the tip. Without `values`, a `'*'` or a range appears in the
                path as written.
            values: The tip, one value per dimension.

        Raises:
            ValueError: A dimension is not subscripted, or the values do not fit the view.
            FileNotFoundError: Nothing in the range of a `.nearest()` view is ready.
        """
        storage = self._space.platform.storage
        return [storage.location(uri) for uri in paths_of(storage, self._current(view, "paths"), values)]

    def materialize(self, view: Any, values: Sequence[Any] | None = None) -> list[str]:
        """Returns `paths(view, values)`, under RheocerOS's name."""
        return self.paths(view, values)

    def load_data(self, view: Any, values: Sequence[Any] | None = None, as_: str = "pandas") -> Any:
        """Returns the data of a view as one table: the same table that a node with this input gets.

        Args:
            view: A concrete partition, or a range: the union of its existing partitions. `.nearest()` reads only
                the ready partition closest to the tip; with `.range_check(True)` every partition must be ready.
            values: The tip of a range, one value per dimension. The default is the newest complete partition.
            as_: `"pandas"`, `"arrow"` or `"polars"`: the library of the returned table.

        Raises:
            FileNotFoundError: There is no data, or not all that `.range_check(True)` requires.
        """
        from rheo_assets.platforms.data.loading import load_data

        return load_data(self._space.platform, self._current(view, "load_data"), values, as_)

    def preview_data(self, view: Any, limit: int = 10, columns: Sequence[str] | None = None) -> None:
        """Prints the first rows of what `load_data` returns."""
        from rheo_assets.platforms.data.loading import preview_data

        preview_data(self._space.platform, self._current(view, "preview_data"), limit, columns)

    def get_active_routes(self) -> list[Execution]:
        """Returns the executions that have not finished."""
        return [execution for execution in self.history() if execution.status in {"QUEUED", "RUNNING"}]

    def get_active_compute_records(self) -> list[Execution]:
        """Returns the executions that have not finished."""
        return self.get_active_routes()

    def get_inactive_compute_records(self) -> list[ComputeRecord]:
        """Returns the records of every finished compute."""
        return [record for execution in self.history() for record in execution.records]

    def get_pending_nodes(self) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        return self.pending()

    def _current(self, view: Any, verb: str) -> View:
        """Returns the view on the node as it is declared now; a bare node is returned as given."""
        given = as_view(view)
        if isinstance(view, View):
            return replace(given, node=self._space.known_of(view, verb))
        check_own(given.node, self.name, f"{verb}({given.node.id})")
        return given
