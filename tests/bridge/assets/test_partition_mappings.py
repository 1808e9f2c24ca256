"""Lineage: what Dagster is told of each edge."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

import rheo_assets as flow
from rheo_assets.bridge.assets.partition_mappings import lineage
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.model.signals import Signal, View, as_view

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


DECLARED = {"NA": {"*": {}}, "EU": {"*": {}}, "FE": {"*": {}}}
DAY = {"day": {"type": "DATETIME"}}


def parents(graph: dg.AssetGraph, child: str, key: str, parent: str = "orders") -> set[str]:
    """Returns which partitions of the parent Dagster believes that a partition reads."""
    mapping = graph.get_partition_mapping(dg.AssetKey(["app", child]), dg.AssetKey(["app", parent]))
    upstream = graph.get(dg.AssetKey(["app", parent])).partitions_def
    downstream = graph.get(dg.AssetKey(["app", child])).partitions_def
    subset = downstream.empty_subset().with_partition_keys([key])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, downstream, upstream)
    return set(found.partitions_subset.get_partition_keys())


def test_a_day_over_pinned_regions_follows_its_own_day_and_not_the_whole_history(app: flow.Application):
    x = orders(app, dimension_filter=DECLARED)
    inputs = {"na": x["NA"]["*"], "eu": x["EU"]["*"]}
    app.create_data("city", inputs, output_dimension_spec=DAY, compute_targets=[flow.NOOPCompute])
    graph = app.definitions().resolve_asset_graph()
    assert parents(graph, "city", "2024-03-05") == {f"2024-03-05|{region}" for region in DECLARED}
    shown = graph.get(dg.AssetKey(["app", "city"])).metadata["approximate lineage"]
    assert "`eu`, `na`" in shown.value


def test_a_partition_beside_its_own_week_is_one_window(app: flow.Application):
    x = orders(app, dimension_filter=DECLARED)
    app.create_data("both", inputs={"day": x, "week": x["*"][:-7]}, compute_targets=[flow.NOOPCompute])
    graph = app.definitions().resolve_asset_graph()
    assert parents(graph, "both", "2024-03-08|EU") == {f"2024-03-0{day}|EU" for day in range(2, 9)}


def test_days_that_begin_apart_are_the_same_days(app: flow.Application):
    dataset = flow.S3Dataset("1", "bucket", "rates", "{}")
    rates = app.marshal_external_data(dataset, "rates", {"day": {"type": "DATETIME", "min": "2024-02-01"}})
    app.create_data("priced", [orders(app, dimension_filter=DECLARED), rates], compute_targets=[flow.NOOPCompute])
    graph = app.definitions().resolve_asset_graph()
    assert parents(graph, "priced", "2024-03-05|NA", "rates") == {"2024-03-05"}


def test_a_look_up_by_region_follows_its_region_only(app: flow.Application):
    dataset = flow.S3Dataset("1", "bucket", "names", "{}")
    regions = {region: {} for region in DECLARED}
    names = app.marshal_external_data(dataset, "names", {"region": {"type": "STRING"}}, regions)
    app.create_data("named", [orders(app, dimension_filter=DECLARED), names], compute_targets=[flow.NOOPCompute])
    graph = app.definitions().resolve_asset_graph()
    assert parents(graph, "named", "2024-03-05|NA", "names") == {"NA"}


MONTH = {"type": "DATETIME", "format": "%Y-%m", "granularity": "MONTH"}
FEBRUARY = {f"2024-02-{day:02d}" for day in range(1, 30)}


def test_a_month_that_covers_its_days_follows_those_days(app: flow.Application):
    dataset = flow.S3Dataset("1", "bucket", "rates", "{}")
    rates = app.marshal_external_data(dataset, "rates", DAY)
    month = {"output_dimension_spec": {"month": MONTH}, "compute_targets": [flow.NOOPCompute]}
    app.create_data("monthly", {"days": rates.covering()}, **month)
    graph = app.definitions().resolve_asset_graph()
    assert parents(graph, "monthly", "2024-02-01", "rates") == FEBRUARY
    assert "approximate lineage" not in graph.get(dg.AssetKey(["app", "monthly"])).metadata


def test_a_month_of_a_region_follows_the_days_of_that_region(app: flow.Application):
    spec = {"region": {"type": "STRING", "month": MONTH}}
    days = orders(app, dimension_filter=DECLARED).covering()
    app.create_data("monthly", {"days": days}, output_dimension_spec=spec, compute_targets=[flow.NOOPCompute])
    graph = app.definitions().resolve_asset_graph()
    key = next(k for k in graph.get(dg.AssetKey(["app", "monthly"])).partitions_def.get_partition_keys() if "EU" in k)
    assert len(parents(graph, "monthly", key)) in {28, 29, 30, 31}
    assert {k.split("|")[1] for k in parents(graph, "monthly", key)} == {"EU"}
