"""The Dagster `Definitions` of an application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from rheo_assets.bridge.assets.assets import external_spec, node_asset, router_spec
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.dagster_internals import UnresolvedAssetJobDefinition
from rheo_assets.bridge.names import asset_key, dagster_name
from rheo_assets.bridge.resources import EngineResource, EngineResources
from rheo_assets.bridge.sensors.sensors import application_sensors
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Platform

_BRANCH_JOBS = 50
_JOB_BUDGET = 5_000  # branches x nodes: Dagster resolves all assets again for each job


def definitions(
    topology: Topology, platform: Platform, since: datetime, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Returns assets, sensors, jobs and resources. Records and starts nothing.

    It sets no executor; the code location chooses one.
    """
    binding = Binding(topology, platform, since)
    given = dict(resources or {})
    ours = [resource for resource in given.values() if isinstance(resource, EngineResource)]
    engines = EngineResources.of(topology.data_nodes.values(), platform, ours)
    assets = [
        node_asset(binding, node, resources=engines) if isinstance(node, DataNode) else external_spec(binding, node)
        for node in topology
    ]
    return dg.Definitions(
        assets=[*assets, router_spec(topology.application)],
        sensors=application_sensors(binding),
        jobs=list({job.name: job for job in _jobs(binding)}.values()),
        resources={**{key: given[key] for key in given if given[key] not in ours}, **engines.by_key},
    )


def _jobs(binding: Binding) -> Iterator[UnresolvedAssetJobDefinition]:
    """Yields jobs for all nodes, and for each branch: a node without consumers, and all its ancestors.

    A Dagster job holds assets of one partitions definition, so there is one job per definition. Any other selection is
    materialised or backfilled from the asset graph.
    """
    topology = binding.topology
    nodes = topology.data_nodes
    yield from _jobs_of(binding, "everything", list(nodes))
    last = [node_id for node_id in nodes if not topology.consumers.get(node_id)]
    if len(last) > _BRANCH_JOBS or len(last) * len(nodes) > _JOB_BUDGET:
        return  # the list would be too long to use: select the branch in the asset graph
    for node_id in last:
        branch = topology.ancestors(node_id) | {node_id}
        yield from _jobs_of(binding, f"branch__{node_id}", [other for other in nodes if other in branch])


def _jobs_of(binding: Binding, name: str, node_ids: Sequence[str]) -> Iterator[UnresolvedAssetJobDefinition]:
    groups: dict[dg.PartitionsDefinition | None, list[str]] = {}
    for node_id in node_ids:
        groups.setdefault(binding.codecs[node_id].definition, []).append(node_id)
    for members in groups.values():
        suffix = () if len(groups) == 1 else ("_".join(binding.topology[members[0]].spec.names) or "whole",)
        yield dg.define_asset_job(
            dagster_name(binding.application, name, *suffix),
            selection=dg.AssetSelection.assets(*(asset_key(binding.application, member) for member in members)),
        )
