"""Warnings for legal ranges that are often a mistake."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from rheo_assets.model.dimensions import DatetimeGranularity, Dimension
from rheo_assets.model.filters import Window
from rheo_assets.model.signals import View

_log = logging.getLogger("rheo_assets")


def warn_of_ranges(where: str, views: Mapping[str, View]) -> None:
    """Logs a warning for each suspicious range of a node's inputs."""
    for alias, view in views.items():
        for dimension, constraint in zip(view.node.spec, view.constraints, strict=False):
            if isinstance(constraint, Window):
                for warning in _warnings(dimension, constraint):
                    _log.warning("%s: input '%s', %s: %s", where, alias, view, warning)


def _warnings(dimension: Dimension, window: Window) -> Iterator[str]:
    if window.is_open and window.shift < -1:
        back = -window.shift
        yield (
            f"[-{back}:] is one partition, {back} steps before the tip. The last {back} are [:-{back}]; if one is what "
            f"you mean, write [-{back}:-1]"
        )
    is_day = dimension.granularity in {None, DatetimeGranularity.DAY}
    if dimension.is_granularity_implied and not is_day and not window.is_tip:
        yield (
            f"'{dimension.name}' counts in steps of one {dimension.granularity}, as its format {dimension.format!r} "
            f"implies (RheocerOS takes DAY there). Write the granularity into its spec: "
            f"'granularity': DatetimeGranularity.{dimension.granularity}"
        )
