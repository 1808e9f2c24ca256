"""Names in Dagster: asset keys, tags and metadata entries, defined once."""

from __future__ import annotations

import re

import dagster as dg

EVENT_ENTRY = "rheo/event"
EXECUTION_ENTRY = "execution"
NODE_TAG = "rheo/node"
APPLICATION_TAG = "rheo/application"
PARTITIONS_TAG = "rheo/partitions"
OWNER_TAG = "rheo/owner"
TRIGGER_TAG = "rheo/trigger"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def asset_key(application: str, node_id: str) -> dg.AssetKey:
    """Returns the asset key of a node."""
    return dg.AssetKey([application, node_id])


def router_key(application: str) -> dg.AssetKey:
    """Returns the asset key of the router's observations; no node's key has three parts."""
    return dg.AssetKey([application, "rheo", "router"])


def dagster_name(*parts: str) -> str:
    """Returns a name for sensors, jobs and groups, which allow only letters, digits and `_`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", "__".join(parts))


def op_name(application: str, node_id: str) -> str:
    """Returns the name of the op of a node's asset."""
    return dagster_name(application, node_id)


def node_of(key: dg.AssetKey, application: str) -> str | None:
    """Returns the node id of an asset key; None if the key belongs to another application."""
    path = key.path
    return path[1] if len(path) == 2 and path[0] == application else None
