"""Lineage: the built-in partition mapping that shows an input best. Dagster only draws it; inputs are resolved here."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from rheo_assets.bridge.dagster_internals import disable_dagster_warnings
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.model.filters import Window
from rheo_assets.model.signals import View


@dataclass(frozen=True)
class Lineage:
    """One edge of the asset graph, as Dagster can draw it.

    Attributes:
        mapping: A built-in mapping; None if the default is right.
        exact: Whether the mapping is exactly what is read.
    """

    mapping: dg.PartitionMapping | None
    exact: bool


_APPROXIMATE = Lineage(dg.AllPartitionMapping(), False)


def lineage(views: list[View], downstream: Codec, upstream: Codec) -> Lineage:
    """Returns the edge from a node to one of its parents; one edge covers all views of the parent."""
    if upstream.definition is None or downstream.definition is None:
        return Lineage(None, True)
    with disable_dagster_warnings():  # multi-dimension and window mappings are marked beta
        return _edge(_Reads(views, upstream), downstream, upstream)


class _Reads:
    """What several views read from one parent, in the two dimensions that Dagster has.

    Attributes:
        offsets: The first and last offset in time; None if all read only the tip.
        pinned: The composite keys that literals pin in all views.
        is_open: Whether no view pins a key.
        exact: Whether this is exactly what each view reads.
    """

    def __init__(self, views: list[View], upstream: Codec) -> None:
        windows = [_window(view, upstream) for view in views]
        pins = [_pin(view, upstream) for view in views]
        found = [offset for window in windows for offset in (window.offsets() if window else (0,))]
        self.offsets = (min(found), max(found)) if any(windows) else None
        self.is_open = all(pin is None for pin in pins)
        is_pinned = all(pin is not None for pin in pins)
        self.pinned = list(dict.fromkeys(key for pin in pins for key in pin or ())) if is_pinned else []
        self.exact = (
            not any(view.is_nearest or _ranges_elsewhere(view, upstream) for view in views)
            and all(window == windows[0] for window in windows)
            and (self.is_open or is_pinned)
        )


def _ranges_elsewhere(view: View, upstream: Codec) -> bool:
    dimensions = zip(view.node.spec, view.windows(), strict=True)
    return any(w is not None and not w.is_tip for d, w in dimensions if d is not upstream.time)


def _edge(reads: _Reads, downstream: Codec, upstream: Codec) -> Lineage:
    if downstream.definition == upstream.definition and reads.offsets is None and reads.is_open:
        return Lineage(dg.IdentityPartitionMapping(), reads.exact)
    time = _time_mapping(reads, upstream, downstream)
    here = isinstance(downstream.definition, dg.MultiPartitionsDefinition)
    there = isinstance(upstream.definition, dg.MultiPartitionsDefinition)
    if here and there:
        return _multi_to_multi(reads, downstream, upstream, time)
    if here or there:
        return _one_dimension(reads, downstream, upstream)
    if upstream.time is not None and isinstance(downstream.definition, dg.TimeWindowPartitionsDefinition):
        return Lineage(time, reads.exact)
    return _APPROXIMATE


def _window(view: View, upstream: Codec) -> Window | None:
    for dimension, window in zip(view.node.spec, view.windows(), strict=True):
        if dimension is upstream.time and window is not None and not window.is_tip:
            return window
    return None


def _time_mapping(reads: _Reads, upstream: Codec, downstream: Codec) -> dg.PartitionMapping:
    same = upstream.time and downstream.time and upstream.time.granularity == downstream.time.granularity
    if reads.offsets is None or not same:
        return dg.TimeWindowPartitionMapping()
    first, last = reads.offsets
    return dg.TimeWindowPartitionMapping(
        start_offset=first, end_offset=last, allow_nonexistent_upstream_partitions=True
    )


def _pin(view: View, upstream: Codec) -> list[str] | None:
    """Returns the composite keys that a view's literals pin; None if they are open or are all declared keys."""
    if view.narrowed is view.node.filter:
        return None
    keys = upstream.composites(view.narrowed)
    return None if not keys or keys == upstream.composites(view.node.filter) else list(keys)


def _multi_to_multi(reads: _Reads, downstream: Codec, upstream: Codec, time: dg.PartitionMapping) -> Lineage:
    mappings: dict[str, dg.DimensionPartitionMapping] = {}
    assert upstream.time is not None
    exact = reads.exact
    if downstream.time is not None:
        mappings[upstream.time.name] = dg.DimensionPartitionMapping(downstream.time.name, time)
    if reads.pinned:
        mapping: dg.PartitionMapping = dg.SpecificPartitionsPartitionMapping(reads.pinned)
        mappings[upstream.composite_name] = dg.DimensionPartitionMapping(downstream.composite_name, mapping)
    elif reads.is_open and {d.name for d in upstream.others} == {d.name for d in downstream.others}:
        mapping = dg.IdentityPartitionMapping()
        mappings[upstream.composite_name] = dg.DimensionPartitionMapping(downstream.composite_name, mapping)
    else:
        exact = False
    return Lineage(dg.MultiPartitionMapping(mappings), exact) if mappings else _APPROXIMATE


def _one_dimension(reads: _Reads, downstream: Codec, upstream: Codec) -> Lineage:
    """Returns the edge between one and two dimensions: the same key of the shared dimension.

    Dagster cannot draw a range or a literal there. Too few days are better than all days: a backfill that includes
    downstream assets would rebuild the whole history.
    """
    shared = _shared(downstream, upstream)
    if shared is None:
        return _APPROXIMATE
    exact = reads.exact and reads.offsets is None and reads.is_open
    return Lineage(dg.MultiToSingleDimensionPartitionMapping(shared), exact)


def _shared(downstream: Codec, upstream: Codec) -> str | None:
    """Returns the dimension of the wider definition that is the only one of the other."""
    wide, narrow = (upstream, downstream) if upstream.time and upstream.others else (downstream, upstream)
    assert wide.time is not None
    if narrow.time is not None:
        return wide.time.name if wide.time.granularity == narrow.time.granularity else None
    return wide.composite_name if wide.composite_definition == narrow.definition else None
