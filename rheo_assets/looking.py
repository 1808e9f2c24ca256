"""The verbs that look: what ran, what waits and why, and the data itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rheo_assets.errors import NotActivated
from rheo_assets.executions import Execution
from rheo_assets.materialize import paths_of
from rheo_assets.running import Running, standing
from rheo_assets.signals import View, as_view, check_own
from rheo_assets.workspace import Workspace

if TYPE_CHECKING:
    from rheo_assets.assets.inspect import PendingGroup, Reason


class Looking:
    """The looking verbs of one `Application` object. See `Application` for what each verb does.

    Args:
        space: The application's nodes.
        running: Its sessions.
    """

    def __init__(self, space: Workspace, running: Running) -> None:
        self._space = space
        self._running = running

    def history(self, node: Any) -> list[Execution]:
        """Returns executions, oldest first."""
        from rheo_assets.assets.inspect import history

        asked = self._space.own(node, "history") if node is not None else None
        session = self._running.looking()
        return history(session, asked) if session is not None else []

    def pending(self, node: Any) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        from rheo_assets.assets.inspect import pending

        node_id, session = self._space.id_of(node, "pending"), self._running.looking()
        return pending(session, node_id) if session is not None else []

    def why(self, view: Any) -> Reason:
        """Explains one partition."""
        from rheo_assets.assets.inspect import why

        found = self._running.found(view, "why")
        if found is None:
            raise NotActivated(self._space.name, "why")
        session, node, partition = found
        return why(session, standing(session.binding, node, "why"), partition)

    def materialize(self, view: Any, values: Sequence[Any] | None) -> list[str]:
        """Returns the paths of a view."""
        storage = self._space.platform.storage
        return [storage.location(uri) for uri in paths_of(storage, self._present(view, "materialize"), values)]

    def load_data(self, view: Any, values: Sequence[Any] | None, as_: str) -> Any:
        """Returns the data of a view."""
        from rheo_assets.assets.loading import load_data

        return load_data(self._space.platform, as_view(self._present(view, "load_data")), values, as_)

    def preview_data(self, view: Any, limit: int, columns: Sequence[str] | None) -> None:
        """Prints the first rows of a view."""
        from rheo_assets.assets.loading import preview_data

        preview_data(self._space.platform, as_view(self._present(view, "preview_data")), limit, columns)

    def _present(self, view: Any, verb: str) -> View:
        """Returns a view of the node as it is declared now; a bare node is taken as it is."""
        asked = as_view(view)
        if isinstance(view, View):
            return replace(asked, node=self._space.known_of(view, verb))
        check_own(asked.node, self._space.name, f"{verb}({asked.node.id})")
        return asked
