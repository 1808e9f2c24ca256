"""The application: declares nodes and hands every verb to the room that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rheo_assets.absences import ABSENT
from rheo_assets.datasets import S3Dataset, SignalIntegrityProtocol
from rheo_assets.declaration import external_node, projection_node, timer_node
from rheo_assets.dimensions import DimensionSpec
from rheo_assets.errors import DeclarationError, listed
from rheo_assets.executions import ComputeRecord, Execution
from rheo_assets.looking import Looking
from rheo_assets.nodes import DataNode, Projection, Timer
from rheo_assets.platforms.choosing import is_local_forced
from rheo_assets.running import Running
from rheo_assets.signals import Signal
from rheo_assets.topology import Topology
from rheo_assets.workspace import Workspace, caller

if TYPE_CHECKING:
    import dagster as dg

    from rheo_assets.assets.inspect import PendingGroup, Reason
    from rheo_assets.platforms.capabilities import Platform

_OF_AWS = {"role", "bucket", "kms_key", "engine_options", "concurrency", "session_token", "profile", "endpoint_url"}


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
        self.name = name
        self.region = region
        self._space = Workspace(name, region, platform, since, engines)
        self._running = Running(self._space)
        self._looking = Looking(self._space, self._running)

    @property
    def platform(self) -> Platform:
        """Where data lies and code runs."""
        return self._space.platform

    def __getattr__(self, name: str) -> Any:
        """Says of a verb of RheocerOS that is not here what to do; Python asks for names that it does not find."""
        advice = ABSENT.get(name)
        if advice is None:
            raise AttributeError(f"'Application' object has no attribute {name!r}", name=name, obj=self)
        raise AttributeError(f"app.{name} is not there yet: {advice}")

    def __repr__(self) -> str:
        return f"<Application {self.name}: declares {listed(self._space.declared) or 'nothing yet'}>"

    # declaring ------------------------------------------------------------------------------------------------

    def add_timer(
        self,
        id: str,  # noqa: A002  # RheocerOS's name
        schedule_expression: str,
        time_dimension_id: str = "time",
        time_dimension_format: str | None = None,
        time_dimension_granularity: Any = None,
        time_dimension_shift: int | None = None,
        **metadata: Any,
    ) -> Timer:
        """Declares a timer: `rate(1 day)` or EventBridge's six-field `cron(0 0 1 * ? *)`.

        `description`, `owners`, `tags`, `group` and anything else is shown on the asset.

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
            {**metadata, "_source": caller()},
        )
        return self._space.add(node)

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
        said = {**metadata, "_source": caller()}
        node = external_node(
            self.name, id or folder, external_data_desc, dimension_spec, dimension_filter, protocol, said
        )
        return self._space.add(node)

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
                output is written, `columns` which columns it has and of which types; `description`, `owners`, `tags`,
                `group` and anything else is shown on the asset.

        Raises:
            ValueError: A declaration that could never work, naming the node and what to change.
        """
        return self._space.add(self._space.data_node(id, inputs, declaration))

    def update_data(self, id: str, inputs: Any = None, **declaration: Any) -> DataNode:  # noqa: A002
        """Replaces the declaration of a data node."""
        self._space.known(id)
        return self._space.add(self._space.data_node(id, inputs, declaration), replaces=True)

    def patch_data(self, id: str, **changes: Any) -> DataNode:  # noqa: A002
        """Changes part of the declaration of a data node."""
        known = self._space.known(id)
        if not isinstance(known, DataNode):
            raise DeclarationError(f"'{id}'", "is not a data node", "Only data nodes are patched")
        return self._space.add(self._space.data_node(id, None, {**known.declaration, **changes}), replaces=True)

    def project(
        self,
        id: str,  # noqa: A002
        input: Any,  # noqa: A002
        output_dimension_spec: DimensionSpec | Mapping[str, Any],
        output_dimension_filter: Mapping[Any, Any],
        **metadata: Any,
    ) -> Projection:
        """Declares a projection: one event of the input fans out over the values of the filter.

        `description`, `owners`, `tags`, `group` and anything else is shown on the asset.
        """
        said = {**metadata, "_source": caller()}
        node = projection_node(self.name, id, input, output_dimension_spec, output_dimension_filter, said)
        return self._space.add(node)

    # finding --------------------------------------------------------------------------------------------------

    def __getitem__(self, id: str) -> Signal:  # noqa: A002
        """Returns a node of this session, else of the activated application.

        Raises:
            ValueError: There is none; the message has near misses.
        """
        return self._space.known(id)

    def data(self, id: str) -> Signal:  # noqa: A002
        """Returns a data node or external dataset."""
        node = self._space.known(id)
        if not node.holds_data:
            raise DeclarationError(f"'{id}'", f"is {node.noun}, not data")
        return node

    def timer(self, id: str) -> Timer:  # noqa: A002
        """Returns a timer."""
        node = self._space.known(id)
        if not isinstance(node, Timer):
            raise DeclarationError(f"'{id}'", "is not a timer")
        return node

    @property
    def topology(self) -> Topology:
        """The nodes as activate() would record them: this session's, and recorded ones where it used any of them."""
        return self._space.topology

    def definitions(self, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
        """Returns the Dagster `Definitions`: assets, sensors, jobs, resources. Pure: it records and starts nothing.

        Args:
            resources: Further resources, for a team's own assets too. On AWS `glue`, `athena`, `emr`,
                `emr_serverless` and `lambda_` take the place of those that the platform's options make.
        """
        from rheo_assets.assets.definitions import definitions

        return definitions(self.topology, self.platform, self._space.since, resources)

    # driving --------------------------------------------------------------------------------------------------

    def activate(self, allow_concurrent_executions: bool = True) -> None:
        """Validates, records the declaration that other sessions find, and begins to take events.

        Args:
            allow_concurrent_executions: False waits until executions of the earlier declaration have ended.
        """
        self._running.activate(allow_concurrent_executions)

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
        self._running.process(event, target_route_id, event_id)

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
        """Makes an execution of this output partition happen and returns its path.

        Beside a daemon, the daemon runs it, and this process waits.

        Args:
            target: A concrete view of a data node; the node itself where the inputs determine the output.
            inputs: Concrete inputs; the others are inferred from the output.
            wait: Whether to return only when it has ended.
            recursive: Execute every missing partition that it reads first.
            update_dependency_tree: Execute what is made from it, too.
            progress: Whether to show on standard error how far it is: a bar on a terminal, a line in a notebook, a log
                line a minute elsewhere. None does so unless `RHEO_PROGRESS` is `0`.

        Raises:
            RuntimeError: An execution failed, or could not be started.
            ValueError: The partition, the inputs or external data are wrong or missing.
        """
        return self._running.execute(target, inputs, wait, recursive, update_dependency_tree, progress)

    def validate(self, target: Any, inputs: Any = None) -> None:
        """Makes the checks of `execute` without any effect."""
        self._running.validate(target, inputs)

    def poll(self, view: Any, wait: bool = True) -> tuple[str | None, list[ComputeRecord] | None]:
        """Returns `(path, records)` of the last execution; `(None, None)` where there was none.

        Raises:
            ValueError: Not a data node of this application, or not concrete.
        """
        return self._running.poll(view, wait)

    def kill(self, view: Any) -> bool:
        """Ends the running execution of a partition; returns whether there was one."""
        return self._running.kill(view)

    def has_active_record(self, view: Any) -> bool:
        """Returns whether the partition is executing now."""
        return self._running.has_active_record(view)

    def tick(self, now: datetime | None = None) -> None:
        """Takes one turn of the event loop in this process.

        Args:
            now: The time up to which timers are due; a naive one is UTC.

        Raises:
            ValueError: It is no datetime.
        """
        self._running.tick(now)

    def settle(self, timeout: float | None = None, *, progress: bool | None = None) -> None:
        """Ticks until nothing is running or can run.

        Args:
            timeout: The longest that it may take, seconds.
            progress: See `execute`.

        Raises:
            TimeoutError: After `timeout` seconds; it names what still runs.
        """
        self._running.settle(timeout, progress)

    def pause(self) -> None:
        """Stops starting executions; events are still taken in."""
        self._running.pause("pause", True)

    def resume(self) -> None:
        """Starts executions again."""
        self._running.pause("resume", False)

    # looking --------------------------------------------------------------------------------------------------

    def history(self, node: Any = None) -> list[Execution]:
        """Returns executions, oldest first; of one node or of all."""
        return self._looking.history(node)

    def pending(self, node: Any = None) -> list[PendingGroup]:
        """Returns the trigger groups that wait."""
        return self._looking.pending(node)

    def why(self, view: Any) -> Reason:
        """Returns why a partition has run, is waiting, or will not run."""
        return self._looking.why(view)

    def materialize(self, view: Any, values: Sequence[Any] | None = None) -> list[str]:
        """Returns the paths of a view, tip first, without computing anything.

        Args:
            view: Every dimension subscripted. The paths are given whether or not they exist; of a `.nearest()` view
                only that of the ready partition closest to the tip. Without values, a `'*'` or a range stands in the
                path as it is spelled.
            values: The tip, one value a dimension.

        Raises:
            ValueError: A dimension is not subscripted, or the values do not fit the view.
            FileNotFoundError: Nothing in the range of a `.nearest()` view is ready.
        """
        return self._looking.materialize(view, values)

    def load_data(self, view: Any, values: Sequence[Any] | None = None, as_: str = "pandas") -> Any:
        """Returns the data of a view as one table, as the code of a node that reads the view gets it.

        Args:
            view: A concrete partition, or a range: the union of its partitions that are there. `.nearest()` is only
                the ready one closest to the tip; with `.range_check(True)` all of them must be ready.
            values: The tip of a range, one value a dimension; the newest complete partition that fits it otherwise.
            as_: `"pandas"`, `"arrow"` or `"polars"`: a DataFrame or a table of that library.

        Raises:
            FileNotFoundError: There is no data, or not all that `.range_check(True)` asks for.
        """
        return self._looking.load_data(view, values, as_)

    def preview_data(self, view: Any, limit: int = 10, columns: Sequence[str] | None = None) -> None:
        """Prints the first rows of what `load_data` returns."""
        self._looking.preview_data(view, limit, columns)

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

    Credentials are boto3's own unless they are given. They are never stored, and ignored on the local platform. They
    are needed when the application is activated, not here.

    Args:
        name: The application's name.
        region: The AWS region.
        access_id: An access key's id.
        access_key: Its secret.
        dev_role_account_id: The account; that of the credentials unless said otherwise.
        **params: What `Application` takes, and what `AwsPlatform` does: `role`, `bucket`, `engine_options`, …

    Raises:
        DeclarationError: Half an access key, or an account or region that AWS cannot have.
    """
    of_aws = {option: params.pop(option) for option in sorted(_OF_AWS & params.keys())}
    if is_local_forced():
        return Application(name, region, **params)
    if "platform" in params:
        if of_aws:
            raise DeclarationError(
                "AWSApplication", f"has a platform and {listed(of_aws)}", "Give them to the platform"
            )
        return Application(name, region, **params)
    from rheo_assets.platforms.aws.platform import AwsPlatform

    platform = AwsPlatform(dev_role_account_id, region, access_id=access_id, access_key=access_key, **of_aws)
    return Application(name, region, platform=platform, **params)
