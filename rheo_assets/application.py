"""The application: declares nodes and hands every verb to the room that does it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheo_assets.compute.engines import read_kinds
from rheo_assets.datasets import S3Dataset, SignalIntegrityProtocol
from rheo_assets.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.dimensions import DimensionSpec, Partition
from rheo_assets.errors import CapabilityMissing, DeclarationError, KeyTaken, NotActivated, UnknownNode
from rheo_assets.executions import ComputeRecord, Execution
from rheo_assets.materialize import paths_of
from rheo_assets.nodes import DataNode, Projection, Timer, check_id
from rheo_assets.platforms.local.platform import LocalPlatform
from rheo_assets.signals import Signal, View, as_view
from rheo_assets.topology import Topology

if TYPE_CHECKING:
    import dagster as dg

    from rheo_assets.assets.inspect import PendingGroup, Reason
    from rheo_assets.assets.session import Session
    from rheo_assets.platforms.capabilities import Platform

_YEARS_LISTED = 3
_HERE = str(Path(__file__).parent)


class Application:
    """Signal-driven data assets under one name.

    Nothing is read, written or started until a verb needs it.

    Args:
        name: The application's name: letters, digits, `_` and `-`.
        region: The AWS region.
        platform: Where data lies and code runs; what `RHEO_PLATFORM` says otherwise (`local` unless set).
        since: The first day that Dagster lists for time dimensions; a dimension's own `min` goes before it.
        engines: The names of the engines that its nodes may use, in order of preference: `["emr", "athena"]`. All
            that there are otherwise, in the order of `rheo_assets.compute.engines.PREFERENCE`.

    Raises:
        DeclarationError: The name cannot stand in keys and paths.
    """

    def __init__(
        self,
        name: str,
        region: str = "us-east-1",
        *,
        platform: Platform | None = None,
        since: datetime | str | None = None,
        engines: Sequence[str] | None = None,
    ) -> None:
        self.name = check_id("application", name)
        self._kinds = read_kinds(engines, f"application '{name}'")
        self.region = region
        if isinstance(platform, str):
            raise DeclarationError(
                f"application '{name}'", f"platform is {platform!r}", "Give a LocalPlatform(), or set RHEO_PLATFORM"
            )
        self._platform = platform
        self._since = _read_since(since)
        self._declared: dict[str, Signal] = {}
        self._attached = False
        self._unrecorded: set[str] = set()
        self._session: Session | None = None
        self._viewer: Session | None = None

    @cached_property
    def platform(self) -> Platform:
        """Where data lies and code runs."""
        if self._platform is not None:
            return self._platform
        named = os.environ.get("RHEO_PLATFORM", "local")
        if named == "local":
            return LocalPlatform()
        raise CapabilityMissing(f"RHEO_PLATFORM is {named!r}: this version runs on 'local' only")

    # declaring ------------------------------------------------------------------------------------------------

    def _declare(self, node: Signal, replaces: bool = False) -> Signal:
        if node.id in self._declared and not replaces:
            raise KeyTaken(f"'{self.name}' declares '{node.id}' twice: use update_data, or another id")
        self._declared[node.id] = node
        self._unrecorded.add(node.id)
        return node

    def add_timer(
        self,
        id: str,  # noqa: A002  # RheocerOS's name
        schedule_expression: str,
        time_dimension_id: str = "time",
        time_dimension_format: str | None = None,
        time_dimension_granularity: Any = None,
        time_dimension_shift: int | None = None,
    ) -> Timer:
        """Declares a timer: `rate(1 day)` or EventBridge's six-field `cron(0 0 1 * ? *)`.

        Raises:
            ValueError: The expression is neither; the message names the field.
        """
        node = timer_node(
            self.name,
            id,
            schedule_expression,
            time_dimension_id,
            time_dimension_format,
            time_dimension_granularity,
            time_dimension_shift,
        )
        self._declare(node)
        return node

    def marshal_external_data(
        self,
        external_data_desc: S3Dataset,
        id: str | None = None,  # noqa: A002
        dimension_spec: DimensionSpec | Mapping[str, Any] | None = None,
        dimension_filter: Mapping[Any, Any] | None = None,
        protocol: SignalIntegrityProtocol | None = None,
        **metadata: Any,
    ) -> Signal:
        """Declares a dataset that somebody else writes."""
        folder = getattr(external_data_desc, "folder", "data").rsplit("/", 1)[-1]
        said = {**metadata, "_source": _caller()}
        node = external_node(
            self.name, id or folder, external_data_desc, dimension_spec, dimension_filter, protocol, said
        )
        return self._declare(node)

    def glue_table(
        self,
        database: str,
        table_name: str,
        id: str | None = None,  # noqa: A002
        dimension_spec: DimensionSpec | Mapping[str, Any] | None = None,
        dimension_filter: Mapping[Any, Any] | None = None,
        protocol: SignalIntegrityProtocol | None = None,
        **metadata: Any,
    ) -> Signal:
        """Declares a table of the Glue Data Catalog; its spec and format come from there.

        Raises:
            LookupError: The catalog has no such table; the message has near misses.
        """
        from rheo_assets.glue_tables import dataset_of

        dataset, spec = dataset_of(self.platform.catalog.table(database, table_name), dimension_spec)
        return self.marshal_external_data(dataset, id or table_name, spec, dimension_filter, protocol, **metadata)

    def create_data(self, id: str, inputs: Any = None, **declaration: Any) -> DataNode:  # noqa: A002
        """Declares a dataset that this application makes.

        Args:
            id: Its name.
            inputs: A list of nodes and views, or a dict by alias.
            **declaration: `input_dim_links`, `output_dimension_spec`, `output_dim_links`, `compute_targets`,
                `pending_node_expiration_ttl_in_secs`, `auto_input_dim_linking_enabled`,
                `auto_output_dim_linking_enabled`, `protocol`; `dataset_format`, `header`, `delimiter` say how the
                output is written; `description`, `owners`, `tags`, `group` and anything else is shown on the asset.

        Raises:
            ValueError: A declaration that could never work, naming the node and what to change.
        """
        node = self._data_node(id, inputs, declaration)
        self._declare(node)
        return node

    def update_data(self, id: str, inputs: Any = None, **declaration: Any) -> DataNode:  # noqa: A002
        """Replaces the declaration of a data node."""
        self._known(id)
        node = self._data_node(id, inputs, declaration)
        self._declare(node, replaces=True)
        return node

    def patch_data(self, id: str, **changes: Any) -> DataNode:  # noqa: A002
        """Changes part of the declaration of a data node."""
        known = self._known(id)
        if not isinstance(known, DataNode):
            raise DeclarationError(f"'{id}'", "is not a data node", "Only data nodes are patched")
        node = self._data_node(id, None, {**known.declaration, **changes})
        self._declare(node, replaces=True)
        return node

    def _data_node(self, node_id: str, inputs: Any, declaration: Mapping[str, Any]) -> DataNode:
        said = {"_source": _caller(), **declaration}
        if inputs is not None:
            said["inputs"] = inputs
        return data_node(self.name, self.platform.bucket(self.name), node_id, kinds=self._kinds, **said)

    def project(
        self,
        id: str,  # noqa: A002
        input: Any,  # noqa: A002
        output_dimension_spec: DimensionSpec | Mapping[str, Any],
        output_dimension_filter: Mapping[Any, Any],
    ) -> Projection:
        """Declares a projection: one event of the input fans out over the values of the filter."""
        node = projection_node(self.name, id, input, output_dimension_spec, output_dimension_filter)
        self._declare(node)
        return node

    # finding --------------------------------------------------------------------------------------------------

    @cached_property
    def _recorded(self) -> Topology | None:
        from rheo_assets.assets.declared import recorded_topology

        return recorded_topology(self.name, self.platform)

    def _known(self, node_id: str) -> Signal:
        if node_id in self._declared:
            return self._declared[node_id]
        recorded = self._recorded
        if recorded is not None and node_id in recorded:
            self._attached = True
            return recorded[node_id]
        known = {*self._declared, *(recorded.nodes if recorded is not None else ())}
        raise UnknownNode(self.name, str(node_id), known)

    def __getitem__(self, id: str) -> Signal:  # noqa: A002
        """Returns a node of this session, else of the activated application.

        Raises:
            ValueError: There is none; the message has near misses.
        """
        return self._known(id)

    def data(self, id: str) -> Signal:  # noqa: A002
        """Returns a data node or external dataset."""
        node = self._known(id)
        if not node.holds_data:
            raise DeclarationError(f"'{id}'", f"is a {type(node).__name__.lower()}, not data")
        return node

    def timer(self, id: str) -> Timer:  # noqa: A002
        """Returns a timer."""
        node = self._known(id)
        if not isinstance(node, Timer):
            raise DeclarationError(f"'{id}'", "is not a timer")
        return node

    @property
    def topology(self) -> Topology:
        """The nodes as activate() would record them: this session's, and recorded ones where it used any of them."""
        if not self._declared:
            return self._recorded or Topology(self.name, {})
        if not self._attached or self._recorded is None:
            return Topology(self.name, dict(self._declared))
        return Topology(self.name, {**self._recorded.nodes, **self._declared})

    def definitions(self) -> dg.Definitions:
        """Returns the Dagster `Definitions`: assets, sensors, jobs. Pure: it records and starts nothing."""
        from rheo_assets.assets.definitions import definitions

        return definitions(self.topology, self.platform, self._since)

    # driving --------------------------------------------------------------------------------------------------

    def activate(self, allow_concurrent_executions: bool = True) -> None:
        """Validates, records the declaration that other sessions find, and begins to take events.

        Args:
            allow_concurrent_executions: False waits until executions of the earlier declaration have ended.
        """
        from rheo_assets.assets.declared import open_session

        if not allow_concurrent_executions and self._session is not None:
            self._session.settle()
        self._session = open_session(
            self.topology, self.platform, self._since, records=bool(self._unrecorded), extends=self._attached
        )
        self._unrecorded.clear()
        self._viewer = None
        self.__dict__.pop("_recorded", None)

    def _active(self, verb: str) -> Session:
        """Returns the session that this process activated; one that declared nothing joins the recorded application."""
        found = None if self._session is None and self._declared else self._looking()
        if found is None:
            raise NotActivated(self.name, verb)
        return found

    def _looking(self) -> Session | None:
        """Returns a session to look with, and changes no declaration; None where nothing was ever activated."""
        from rheo_assets.assets.declared import open_session

        if self._session is not None:
            return self._session
        if self._viewer is None and self._recorded is not None:
            self._viewer = open_session(self._recorded, self.platform, self._since, records=False)
        return self._viewer

    def _executing(self, node: DataNode) -> Session:
        """Returns the session that executes a node; activates what this session declared around it."""
        topology = self.topology
        around = {node.id, *topology.ancestors(node.id), *topology.descendants(node.id)}
        if around & self._unrecorded:
            self.activate()
        session = self._looking()
        assert session is not None  # a node is declared here or recorded
        return session

    def process(self, event: Any, target_route_id: Any = None, event_id: str | None = None) -> None:
        """Injects the event of a concrete partition and waits for the executions that it completes.

        Args:
            event: A concrete view; a range means its tip.
            target_route_id: The only node it is offered to: a node or its id.
            event_id: The identity of a known event; each call is a new one otherwise.

        Raises:
            RuntimeError: The application is not activated.
            ValueError: The view is not concrete, or the partition is not declared.
        """
        session = self._active("process")
        view = as_view(event)
        signal = self._known(view.node.id)
        route = None if target_route_id is None else self._known(getattr(target_route_id, "id", target_route_id)).id
        session.process(signal, view.tip("process"), route, event_id)

    def execute(
        self,
        target: Any,
        inputs: Any = None,
        wait: bool = True,
        recursive: bool = False,
        update_dependency_tree: bool = False,
    ) -> str:
        """Makes an execution of this output partition happen and returns its path.

        Args:
            target: A concrete view of a data node; the node itself where the inputs determine the output.
            inputs: Concrete inputs; the others are inferred from the output.
            wait: Whether to return only when it has ended.
            recursive: Execute every missing partition that it reads first.
            update_dependency_tree: Execute what is made from it, too.

        Raises:
            RuntimeError: An execution failed, or could not be started.
            ValueError: The partition, the inputs or external data are wrong or missing.
        """
        from rheo_assets.assets.execute import execute

        node = self._own(target, "execute")
        session = self._executing(node)
        node = session.binding.topology.data_nodes[node.id]
        return execute(session, node, target, inputs, wait, recursive, update_dependency_tree)

    def _own(self, target: Any, verb: str) -> DataNode:
        asked = as_view(target).node
        if asked.application != self.name:
            raise UnknownNode(self.name, f"{asked.application}.{asked.id}", self._declared)
        node = self._known(asked.id)
        if not isinstance(node, DataNode):
            raise DeclarationError(
                f"{verb}({node.id})", f"is a {type(node).__name__}, not a data node of '{self.name}'"
            )
        return node

    def validate(self, target: Any, inputs: Any = None) -> None:
        """Makes the checks of `execute` without any effect."""
        from rheo_assets.assets.binding import Binding
        from rheo_assets.assets.execute import plan_of

        node = self._own(target, "validate")
        plan_of(Binding(self.topology, self.platform, self._since), node, target, inputs, recursive=False)

    def poll(self, view: Any, wait: bool = True) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns `(path, records)` of the last execution; `(None, None)` where there was none.

        Raises:
            ValueError: Not a data node of this application, or not concrete.
        """
        from rheo_assets.assets.polling import poll

        found = self._found(view, "poll")
        return (None, None) if found is None else poll(*found, wait)

    def kill(self, view: Any) -> bool:
        """Ends the running execution of a partition; returns whether there was one."""
        from rheo_assets.assets.polling import kill

        found = self._found(view, "kill")
        return found is not None and kill(*found)

    def has_active_record(self, view: Any) -> bool:
        """Returns whether the partition is executing now."""
        found = self._found(view, "has_active_record")
        if found is None:
            return False
        session, node, partition = found
        return bool(session.active(node, partition))

    def _found(self, view: Any, verb: str) -> tuple[Session, DataNode, Partition] | None:
        """Returns a data node's partition as the activated application has it; None where it has none of it."""
        self._own(view, verb)
        tip = as_view(view).tip(verb)
        session = self._looking()
        node = session.binding.topology.data_nodes.get(as_view(view).node.id) if session is not None else None
        return None if session is None or node is None else (session, node, node.spec.read(tip))

    def tick(self, now: datetime | None = None) -> None:
        """Takes one turn of the event loop in this process."""
        self._active("tick").tick(now)

    def settle(self, timeout: float | None = None) -> None:
        """Ticks until nothing is running or can run.

        Raises:
            TimeoutError: After `timeout` seconds; it names what still runs.
        """
        self._active("settle").settle(timeout)

    def pause(self) -> None:
        """Stops starting executions; events are still taken in."""
        self._active("pause").driver.state.change(lambda fields: fields.update(paused=True))

    def resume(self) -> None:
        """Starts executions again."""
        self._active("resume").driver.state.change(lambda fields: fields.update(paused=False))

    # looking --------------------------------------------------------------------------------------------------

    def history(self, node: Any = None) -> list[Execution]:
        """Returns executions, oldest first; of one node or of all."""
        from rheo_assets.assets.inspect import history

        node_id, session = self._id_of(node), self._looking()
        return history(session, node_id) if session is not None else []

    def pending(self, node: Any = None) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        from rheo_assets.assets.inspect import pending

        node_id, session = self._id_of(node), self._looking()
        return pending(session, node_id) if session is not None else []

    def _id_of(self, node: Any) -> str | None:
        return None if node is None else self._known(getattr(node, "id", node)).id

    def why(self, view: Any) -> Reason:
        """Returns why a partition has run, is waiting, or will not run."""
        from rheo_assets.assets.inspect import why

        found = self._found(view, "why")
        if found is None:
            raise NotActivated(self.name, "why")
        return why(*found)

    def materialize(self, view: Any, values: Sequence[Any] | None = None) -> list[str]:
        """Returns the paths of a view, tip first, without computing anything."""
        known = as_view(view)
        if isinstance(view, View):
            known = View(self._known(known.node.id), known.constraints)
        return [self.platform.storage.location(uri) for uri in paths_of(known, values)]

    def load_data(self, view: Any) -> Any:
        """Returns the data of a view as a pandas DataFrame."""
        from rheo_assets.assets.inspect import load_data

        return load_data(self.platform, as_view(view))

    def preview_data(self, view: Any, limit: int = 10, columns: Sequence[str] | None = None) -> None:
        """Prints the first rows of a view."""
        from rheo_assets.assets.inspect import preview_data

        preview_data(self.platform, as_view(view), limit, columns)

    def get_active_routes(self) -> list[Execution]:
        """Returns the executions that have not ended."""
        return [execution for execution in self.history() if execution.status in {"QUEUED", "RUNNING"}]

    def get_active_compute_records(self) -> list[Execution]:
        """Returns the executions that have not ended."""
        return self.get_active_routes()

    def get_inactive_compute_records(self) -> list[ComputeRecord]:
        """Returns the records of everything that has ended."""
        return [record for execution in self.history() for record in execution.records]

    def get_pending_nodes(self) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        return self.pending()


def AWSApplication(  # noqa: N802  # RheocerOS's name
    name: str,
    region: str = "us-east-1",
    access_id: str | None = None,
    access_key: str | None = None,
    dev_role_account_id: str | None = None,
    **params: Any,
) -> Application:
    """Returns an application on AWS; `RHEO_PLATFORM=local` runs the same file on a laptop.

    Credentials are never stored, and are ignored on the local platform.

    Raises:
        RuntimeError: The AWS platform is asked for: it comes with a later version.
    """
    del access_id, access_key, dev_role_account_id
    if os.environ.get("RHEO_PLATFORM") != "local":
        raise CapabilityMissing(
            f"application '{name}' asks for AWS, which this version does not serve yet. Set RHEO_PLATFORM=local to run "
            "the same file on this machine"
        )
    return Application(name, region, **params)


def _caller() -> tuple[str, int] | None:
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
        raise DeclarationError("application", f"since is {since!r}", "A date, such as '2024-01-01'") from None
    return read.replace(tzinfo=None)
