"""Staleness: inputs that were written again after an execution read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rheo_assets.errors import InvalidValue
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.data.readiness import Readiness


@dataclass(frozen=True)
class Staleness:
    """Compares what executions read with the storage now; checks each partition once.

    Attributes:
        readiness: Checks the storage.
    """

    readiness: Readiness
    _now: dict[tuple[str, Partition], str] = field(default_factory=dict, repr=False)

    def newer(self, node: DataNode, execution: Execution) -> tuple[str, ...]:
        """Returns the inputs written again since an execution read them; a missing input counts once it exists."""
        found = dict.fromkeys(name for alias in execution.versions for name in self._newer(node, execution, alias))
        return tuple(found)

    def _newer(self, node: DataNode, execution: Execution, alias: str) -> Iterator[str]:
        view = node.inputs.get(alias)
        read = execution.inputs.get(alias, [])
        if view is None or len(read) != len(execution.versions[alias]):
            return
        for values, version in zip(read, execution.versions[alias], strict=True):
            try:
                partition = view.node.spec.read(values)
            except InvalidValue:  # recorded by an earlier version of the node
                continue
            key = (view.node.id, partition)
            if key not in self._now:
                self._now[key] = self.readiness.version(view.node, partition)
            if self._now[key] not in {"", version}:
                yield view.node.describe(partition)
