"""What Dagster is told of each node."""

from __future__ import annotations

from typing import Any

import dagster as dg

from rheo_assets import Application, SparkSQL
from rheo_assets.model.signals import Signal
from tests.cases.topologies import S3, node


def asset(app: Application, signal: Signal) -> Any:
    return app.definitions().resolve_asset_graph().get(dg.AssetKey([app.name, signal.id]))


def test_an_asset_carries_what_its_user_said_and_a_link_to_the_code(app: Application):
    said = {
        "description": "All orders.",
        "owners": ["team:a"],
        "tags": {"tier": "gold"},
        "group": "sales",
        "metadata": {"sla": 3},
    }
    made = app.create_data("orders", [S3(app, "x", "day")], compute_targets=[SparkSQL("select 1")], **said)
    shown = asset(app, made)
    assert (shown.description, shown.group_name, shown.owners) == ("All orders.", "sales", ["team:a"])
    assert shown.tags["tier"] == "gold"
    assert "parquet" in shown.kinds
    assert shown.metadata["sla"] == 3
    (reference,) = shown.metadata["dagster/code_references"].code_references
    assert reference.file_path == __file__
    assert shown.assets_def.op.description == "All orders."


def test_parents_whose_ids_differ_only_in_a_dash_are_both_drawn(app: Application):
    one, other = S3(app, "a-b", "day"), S3(app, "a_b", "day")
    made = node(app, "n", {"x": one, "y": other})
    shown = asset(app, made)
    assert {key.path[-1] for key in shown.parent_keys} == {"a-b", "a_b"}
    assert set(shown.assets_def.keys_by_input_name.values()) == shown.parent_keys


def test_nodes_of_the_same_partitions_share_one_definition_and_one_filter(app: Application):
    source = S3(app, "x", "region", "day", only={"NA": {"*": {}}, "EU": {"*": {}}})
    first = node(app, "a", [source])
    last = node(app, "b", [first, source["*"][:-7]])
    assert asset(app, last).partitions_def is asset(app, source).partitions_def
    assert last.filter is source.filter
