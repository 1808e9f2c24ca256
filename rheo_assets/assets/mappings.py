"""Lineage: which built-in partition mapping shows an input best. Exact resolution is ours; Dagster only draws it."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
from dagster._utils.warnings import disable_dagster_warnings

from rheo_assets.assets.partitions import Codec
from rheo_assets.filters import Window
from rheo_assets.signals import View


@dataclass(frozen=True)
class Lineage:
    """One edge as Dagster can draw it.

    Attributes:
        mapping: A built-in mapping; None where the default is right.
        exact: Whether the mapping is what really is read.
    """

    mapping: dg.PartitionMapping | None
    exact: bool


_APPROXIMATE = Lineage(dg.AllPartitionMapping(), False)


def lineage(views: list[View], downstream: Codec, upstream: Codec) -> Lineage:
    """Returns the edge from a node to one of its parents; several views of one parent are one edge."""
    if upstream.definition is None or downstream.definition is None:
        return Lineage(None, True)
    with disable_dagster_warnings():  # mappings of two dimensions and of windows are marked beta
        edges = [_edge(view, downstream, upstream) for view in views]
        if len(edges) == 1 or all(edge == edges[0] for edge in edges[1:]):
            return edges[0]
        return _covering(views, downstream, upstream)


def _edge(view: View, downstream: Codec, upstream: Codec) -> Lineage:
    window = _window(view, upstream)
    exact = not view.is_nearest and not any(
        w is not None and not w.is_tip
        for d, w in zip(view.node.spec, view.windows(), strict=True)
        if d is not upstream.time
    )
    same_shape = downstream.definition == upstream.definition
    if same_shape and window is None and not _pin(view, upstream):
        return Lineage(dg.IdentityPartitionMapping(), exact)
    time = _time_mapping(window, upstream, downstream)
    if isinstance(upstream.definition, dg.MultiPartitionsDefinition):
        if isinstance(downstream.definition, dg.MultiPartitionsDefinition):
            return _multi_to_multi(view, downstream, upstream, time, exact)
        return _one_dimension(view, downstream, upstream, exact)
    if upstream.time is not None and isinstance(downstream.definition, dg.TimeWindowPartitionsDefinition):
        return Lineage(time, exact)
    if isinstance(downstream.definition, dg.MultiPartitionsDefinition):
        return _one_dimension(view, downstream, upstream, exact)
    return _APPROXIMATE


def _window(view: View, upstream: Codec) -> Window | None:
    for dimension, window in zip(view.node.spec, view.windows(), strict=True):
        if dimension is upstream.time and window is not None and not window.is_tip:
            return window
    return None


def _time_mapping(window: Window | None, upstream: Codec, downstream: Codec) -> dg.PartitionMapping:
    same = upstream.time and downstream.time and upstream.time.granularity == downstream.time.granularity
    if window is None or not same:
        return dg.TimeWindowPartitionMapping()
    offsets = window.offsets()
    return dg.TimeWindowPartitionMapping(
        start_offset=min(offsets), end_offset=max(offsets), allow_nonexistent_upstream_partitions=True
    )


def _pin(view: View, upstream: Codec) -> list[str] | None:
    """Returns the composite keys that a view's literals pin, None where they are open or all that are declared."""
    keys = upstream.composites(view.narrowed)
    return None if keys is None or keys == upstream.composites(view.node.filter) else list(keys)


def _multi_to_multi(view: View, downstream: Codec, upstream: Codec, time: dg.PartitionMapping, exact: bool) -> Lineage:
    mappings: dict[str, dg.DimensionPartitionMapping] = {}
    assert upstream.time is not None
    if downstream.time is not None:
        mappings[upstream.time.name] = dg.DimensionPartitionMapping(downstream.time.name, time)
    pinned = _pin(view, upstream)
    names = {d.name for d in upstream.others}
    if pinned is not None:
        mapping: dg.PartitionMapping = dg.SpecificPartitionsPartitionMapping(pinned)
        mappings[upstream.composite_name] = dg.DimensionPartitionMapping(downstream.composite_name, mapping)
    elif names == {d.name for d in downstream.others}:
        mapping = dg.IdentityPartitionMapping()
        mappings[upstream.composite_name] = dg.DimensionPartitionMapping(downstream.composite_name, mapping)
    else:
        exact = False
    return Lineage(dg.MultiPartitionMapping(mappings), exact) if mappings else _APPROXIMATE


def _one_dimension(view: View, downstream: Codec, upstream: Codec, exact: bool) -> Lineage:
    if _window(view, upstream) is not None or _pin(view, upstream):
        return _APPROXIMATE
    if upstream.time and downstream.time and upstream.time.granularity == downstream.time.granularity:
        name = (
            upstream.time.name
            if isinstance(upstream.definition, dg.MultiPartitionsDefinition)
            else downstream.time.name
        )
        return Lineage(dg.MultiToSingleDimensionPartitionMapping(name), exact)
    return _APPROXIMATE


def _covering(views: list[View], downstream: Codec, upstream: Codec) -> Lineage:
    windows = [_window(view, upstream) for view in views]
    offsets = [offset for window in windows for offset in (window.offsets() if window else (0,))]
    if isinstance(upstream.definition, dg.TimeWindowPartitionsDefinition) and isinstance(
        downstream.definition, dg.TimeWindowPartitionsDefinition
    ):
        mapping = dg.TimeWindowPartitionMapping(
            start_offset=min(offsets), end_offset=max(offsets), allow_nonexistent_upstream_partitions=True
        )
        return Lineage(mapping, False)
    return _APPROXIMATE
