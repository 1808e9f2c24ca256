"""The inputs and the output as the code of a node sees them: paths and dimension values as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rheo_assets.runner.task import TaskInput


@dataclass(frozen=True, slots=True)
class InlinedSignal:
    """An input or the output as code sees it.

    Attributes:
        alias: The alias of the input; for the output, the node id.
        paths: The URIs of its partitions, tip first, whether or not they exist; empty for a value.
        missing: The `paths` that have no data.
        partition: The dimension values of the first partition that is read, rendered as in the path.
        partitions: The dimension values of each partition that is read; also for a timer, which has no paths.
        dimensions: The dimension values of the tip, by name.
        value: For a timer, alarm or metric: the text of the first partition that is read. None for data.
        format: `parquet`, `json`, `csv` or `orc`.
        local_paths: The local folders of `paths`. On AWS, an input is downloaded at the first access, and the
            output's folder is uploaded at the end.
    """

    alias: str
    paths: list[str]
    missing: list[str]
    partition: tuple[str, ...]
    partitions: list[tuple[str, ...]]
    dimensions: dict[str, str]
    value: str | None = None
    format: str = "parquet"
    _locate: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    @property
    def local_paths(self) -> list[str] | None:
        """The local folders of `paths`; None if there are none."""
        return None if self._locate is None else [self._locate(uri) for uri in self.paths]

    def get_materialized_resource_paths(self) -> list[str]:
        """Returns `paths`; this is RheocerOS's name for it."""
        return list(self.paths)

    def dimension_values_map(self) -> dict[str, list[str]]:
        """Returns the distinct values of each dimension over all partitions, tip first."""
        partitions = self.partitions or [self.partition]
        return {
            name: list(dict.fromkeys(values[place] for values in partitions if place < len(values)))
            for place, name in enumerate(self.dimensions)
        }


def input_signal(item: TaskInput, locate: Callable[[str], str] | None = None) -> InlinedSignal:
    """Returns an input as code sees it."""
    partition = item.partitions[0] if item.partitions else tuple(item.dimensions.values())
    return InlinedSignal(
        alias=item.alias,
        paths=list(item.paths),
        missing=list(item.missing),
        partition=partition,
        partitions=list(item.partitions) or [partition],
        dimensions=dict(item.dimensions),
        value=item.value,
        format=item.format,
        _locate=locate,
    )
