"""P2: plan a recursive backfill, against Dagster's first iteration over the same asset partitions.

The graph: 20 nodes in a chain, 10 regions by 365 days, each node reads the last 7 days of the one before it. Nothing
exists yet but the external data, and the last node is wanted for every region and day, so that 73,000 partitions are
planned. Dagster's side is what its daemon does first with such a backfill: the target partitions (`AssetBackfillData`)
and one `execute_asset_backfill_iteration_inner`, on an ephemeral instance. Times are CPU seconds of one process.

    python benchmarks/p2_plan_recursive.py            # both, and the ratio; about a minute
    python benchmarks/p2_plan_recursive.py --ours     # without Dagster
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from statistics import median

from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.plan import Plan
from rheo_assets.planning.recursive import plan_recursive

NODES, REGIONS, DAYS, RANGE = 20, [f"r{number}" for number in range(10)], 365, 7
MILLION_DAYS = 5_000
START = datetime(2010, 1, 1)
RATIO, SECONDS, MEGABYTES = 1 / 200, 4.0, 300.0


def our_graph() -> tuple[Topology, DataNode]:
    spec = {"region": {"type": "STRING", "day": {"type": "DATETIME", "min": START}}}
    parent = external_node("bench", "landing", S3Dataset("1", "landing", "data", "{}", "{}"), spec)
    nodes = {parent.id: parent}
    for number in range(NODES):
        parent = data_node("bench", "internal", f"node_{number}", [parent["*"][:-RANGE]], compute_targets=NOOPCompute)
        nodes[parent.id] = parent
    return Topology("bench", nodes), parent


def our_plan(topology: Topology, node: DataNode, days: int) -> Plan:
    targets = [(region, START + timedelta(days=day)) for day in range(days) for region in REGIONS]

    def exists(node_id: str, partitions: PartitionSet) -> PartitionSet:
        return partitions if node_id == "landing" else partitions - partitions

    return plan_recursive(topology, node, targets, exists)


def timed_plans(repeats: int) -> tuple[float, Plan]:
    topology, node = our_graph()
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        plan = our_plan(topology, node, DAYS)
        seconds.append(time.process_time() - started)
    return median(seconds), plan


def dagster_backfill() -> tuple[dict[str, float], dict[str, set[tuple[str, str]]]]:
    """Returns the CPU seconds of Dagster's two steps, and the partitions that it targets by asset."""
    import dagster as dg
    from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
    from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
    from dagster._core.execution.asset_backfill import AssetBackfillData, execute_asset_backfill_iteration_inner
    from dagster._core.test_utils import mock_workspace_from_repos

    warnings.simplefilter("ignore", dg.BetaWarning)
    end = START + timedelta(days=DAYS)
    partitions = dg.MultiPartitionsDefinition(
        {
            "region": dg.StaticPartitionsDefinition(REGIONS),
            "day": dg.DailyPartitionsDefinition(start_date=START, end_date=end),
        }
    )
    week = dg.MultiPartitionMapping(
        {
            "region": dg.DimensionPartitionMapping("region", dg.IdentityPartitionMapping()),
            "day": dg.DimensionPartitionMapping("day", dg.TimeWindowPartitionMapping(start_offset=1 - RANGE)),
        }
    )

    def asset(number: int) -> dg.AssetsDefinition:
        deps = [dg.AssetDep(f"node_{number - 1}", partition_mapping=week)] if number else []

        @dg.asset(name=f"node_{number}", partitions_def=partitions, deps=deps)
        def made() -> None: ...

        return made

    repository = dg.Definitions(assets=[asset(number) for number in range(NODES)]).get_repository_def()
    graph = RemoteWorkspaceAssetGraph.build(mock_workspace_from_repos([repository]))  # as the daemon sees it
    seconds = {}
    with dg.DagsterInstance.ephemeral() as instance:
        now = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
        started = time.process_time()
        data = AssetBackfillData.from_asset_partitions(
            asset_graph=graph,
            partition_names=partitions.get_partition_keys(),
            asset_selection=[dg.AssetKey(f"node_{number}") for number in range(NODES)],
            dynamic_partitions_store=instance,
            backfill_start_timestamp=now,
            all_partitions=False,
        )
        seconds["targets"] = time.process_time() - started
        context = TemporalContext(effective_dt=datetime.fromtimestamp(now, UTC), last_event_id=None)
        started = time.process_time()
        view = AssetGraphView(temporal_context=context, instance=instance, asset_graph=graph)
        logger = logging.getLogger("p2")
        logger.setLevel(logging.ERROR)
        result = execute_asset_backfill_iteration_inner("p2", data, view, now, logger, None)
        seconds["first iteration"] = time.process_time() - started
    assert result.run_requests, "Dagster asked for no run"
    targeted: dict[str, set[tuple[str, str]]] = {}
    for partition in data.target_subset.iterate_asset_partitions():
        key = partition.partition_key.keys_by_dimension
        targeted.setdefault(partition.asset_key.path[-1], set()).add((key["region"], key["day"]))
    return seconds, targeted


def check_small(plan: Plan) -> None:
    topology, _ = our_graph()
    for stage in plan.stages:
        spec = topology[stage.node].spec
        expected = {(region, START + timedelta(days=day)) for region in REGIONS for day in range(DAYS)}
        assert set(stage.partitions) == expected, f"{stage.node}: {stage.partitions} of {spec.names}"
    assert [stage.node for stage in plan.stages] == [f"node_{number}" for number in range(NODES)]


def million() -> None:
    """Plans a million partitions, walks through all of them, and prints seconds and peak memory."""
    topology, node = our_graph()
    started = time.process_time()
    plan = our_plan(topology, node, MILLION_DAYS)
    planned = time.process_time() - started
    count = sum(1 for _ in plan)
    walked = time.process_time() - started
    assert count == len(plan) == NODES * len(REGIONS) * MILLION_DAYS, count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"count": count, "plan": planned, "plan and walk": walked, "peak": peak}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", action="store_true", help="leave Dagster out")
    parser.add_argument("--million", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.million:
        million()
        return 0
    # First, while this process is small: a child's peak starts at its parent's size.
    child = subprocess.run([sys.executable, __file__, "--million"], capture_output=True, text=True, check=True)
    reached = []
    ours, plan = timed_plans(7)
    check_small(plan)
    print(f"P2 plan {len(plan):,} partitions: ours {ours * 1000:.1f} ms CPU (median of 7)")
    if not arguments.ours:
        seconds, targeted = dagster_backfill()
        topology, _ = our_graph()
        for stage in plan.stages:
            spec = topology[stage.node].spec
            assert {spec.render(partition) for partition in stage.partitions} == targeted[stage.node], stage.node
        assert set(targeted) == {stage.node for stage in plan.stages}
        print("   the same partitions of the same nodes as Dagster: yes")
        for step, theirs in [*seconds.items(), ("both", sum(seconds.values()))]:
            print(f"   Dagster, {step}: {theirs:.1f} s CPU; ours / theirs = 1 / {theirs / ours:,.0f}")
        reached.append(ours <= RATIO * seconds["first iteration"])
        print(f"   reach: 1 / {1 / RATIO:.0f} of the first iteration: {'yes' if reached[-1] else 'NO'}")
    found = json.loads(child.stdout)
    reached.append(found["plan and walk"] <= SECONDS and found["peak"] <= MEGABYTES)
    print(
        f"P2 plan {found['count']:,} partitions: {found['plan']:.2f} s CPU, {found['plan and walk']:.2f} s with a walk "
        f"through all of them, peak {found['peak']:.0f} MB in all"
    )
    print(f"   reach: {SECONDS:.0f} s and {MEGABYTES:.0f} MB: {'yes' if reached[-1] else 'NO'}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
