"""Lineage: what Dagster is told of each edge."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

import rheo_assets as flow
from rheo_assets.assets.mappings import lineage
from rheo_assets.assets.partitions import Codec
from rheo_assets.signals import Signal, View, as_view

SINCE = datetime(2024, 1, 1)
REGION_DAY = {"region": {"type": "STRING", "day": {"type": "DATETIME"}}}


def orders(app: flow.Application, **declaration: object) -> Signal:
    dataset = flow.S3Dataset("1", "bucket", "orders", "{}", "{}")
    return app.marshal_external_data(dataset, id="orders", dimension_spec=REGION_DAY, **declaration)


def edge(view: Signal | View, downstream: Signal | None = None):
    used = as_view(view)
    upstream = Codec(used.node, SINCE)
    return lineage([used], Codec(downstream, SINCE) if downstream is not None else upstream, upstream)


def test_the_same_dimensions_are_an_identity(app: flow.Application):
    found = edge(orders(app))
    assert found.mapping == dg.IdentityPartitionMapping()
    assert found.exact


def test_a_range_moves_the_day_and_keeps_the_region_of_declared_values(app: flow.Application):
    found = edge(orders(app, dimension_filter={"NA": {"*": {}}, "EU": {"*": {}}})["*"][:-7])
    assert isinstance(found.mapping, dg.MultiPartitionMapping)
    by_dimension = found.mapping.downstream_mappings_by_upstream_dimension
    assert by_dimension["region"].partition_mapping == dg.IdentityPartitionMapping()
    window = by_dimension["day"].partition_mapping
    assert (window.start_offset, window.end_offset) == (-6, 0)


def test_a_pinned_value_is_drawn_as_that_value(app: flow.Application):
    found = edge(orders(app, dimension_filter={"NA": {"*": {}}, "EU": {"*": {}}})["NA"]["*"])
    assert isinstance(found.mapping, dg.MultiPartitionMapping)
    region = found.mapping.downstream_mappings_by_upstream_dimension["region"].partition_mapping
    assert region == dg.SpecificPartitionsPartitionMapping(["NA"])


def test_a_nearest_input_is_marked_as_approximate(app: flow.Application):
    assert not edge(orders(app)["*"][:-3].nearest()).exact
