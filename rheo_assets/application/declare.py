"""The verbs that declare nodes and look them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rheo_assets.application.workspace import Workspace, caller
from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import S3Dataset, SignalIntegrityProtocol
from rheo_assets.model.declaration import external_node, projection_node, timer_node
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.nodes import DataNode, Projection, Timer
from rheo_assets.model.signals import Signal
from rheo_assets.model.topology import Topology

if TYPE_CHECKING:
    import dagster as dg


class DeclareVerbs:
    """Declares nodes. Nothing is read, written or started."""

    name: str
    _space: Workspace

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

        The catalog shows `description`, `owners`, `tags`, `group` and `metadata={…}`.

        Raises:
            ValueError: The expression is not valid; the message names the field.
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
        """Declares external data: a dataset that someone else writes."""
        folder = getattr(external_data_desc, "folder", "data").rsplit("/", 1)[-1]
        details = {**metadata, "_source": caller()}
        node = external_node(
            self.name, id or folder, external_data_desc, dimension_spec, dimension_filter, protocol, details
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
        """Declares a table of the Glue Data Catalog; its dimensions and format come from the catalog.

        Raises:
            LookupError: The catalog has no such table; the message suggests similar names.
        """
        from rheo_assets.model.glue.tables import dataset_of

        dataset, spec = dataset_of(self._space.platform.catalog.table(database, table_name), dimension_spec)
        return self.marshal_external_data(dataset, id or table_name, spec, dimension_filter, protocol, **metadata)

    def create_data(self, id: str, inputs: Any = None, **declaration: Any) -> DataNode:  # noqa: A002
        """Declares a dataset that this application builds.

        Args:
            id: The dataset's name.
            inputs: A list of nodes and views, or a dict by alias.
            **declaration: `input_dim_links`, `output_dimension_spec`, `output_dim_links`, `compute_targets`,
                `pending_node_expiration_ttl_in_secs`, `auto_input_dim_linking_enabled`,
                `auto_output_dim_linking_enabled`, `protocol`. `dataset_format`, `header` and `delimiter` set how the
                output is written; `columns` sets its columns and their types. The catalog shows `description`,
                `owners`, `tags`, `group` and `metadata={…}`.

        Raises:
            ValueError: The declaration cannot work; the message names the node and what to change.
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
            raise DeclarationError(f"'{id}'", "is not a data node", "Only a data node can be patched")
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

        The catalog shows `description`, `owners`, `tags`, `group` and `metadata={…}`.
        """
        details = {**metadata, "_source": caller()}
        node = projection_node(self.name, id, input, output_dimension_spec, output_dimension_filter, details)
        return self._space.add(node)

    def __getitem__(self, id: str) -> Signal:  # noqa: A002
        """Returns a node of this session or of the activated application.

        Raises:
            ValueError: There is no such node; the message suggests similar names.
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
        """The nodes as activate() would record them: this session's, and recorded ones if it has used any."""
        return self._space.topology

    def definitions(self, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
        """Returns the Dagster `Definitions`: assets, sensors, jobs, resources. Pure: it records and starts nothing.

        Args:
            resources: More resources, also for a team's own assets. On AWS, `glue`, `athena`, `emr`,
                `emr_serverless` and `lambda_` replace the resources that the platform's options create.
        """
        from rheo_assets.bridge.definitions import definitions

        return definitions(self.topology, self._space.platform, self._space.since, resources)
