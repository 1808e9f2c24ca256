"""P3: define nodes up to the served snapshot, against the same graph written by hand with `@dg.asset`.

The graph: one external dataset for every ten nodes, all of region (ten declared values) by day. Node `i` reads the node
before it (an external dataset in each tenth case) and, if `i` is odd, the last seven days of an external dataset. Both
sides have the same keys, partitions definitions, mappings, backfill policy, description, group, kinds and metadata of
location, format and inputs. Owners and tags are nobody's here.

Ours has its sensors, run config and each asset's link to its code besides. The control goes without, though assets must
carry that link: by hand one adds it with `dg.with_source_code_references`, which reads source files, and few do. So the
reach is stricter than a like-for-like control would be. Both have a job over all assets. The control's functions have
no annotation: Dagster would compile a postponed one eight times an asset.

Measured: CPU seconds of a fresh process, imports left out, from the first declaration to what Dagster's code server
sends: `Definitions`, its repository and asset graph, `RepositorySnap` as its requests ask for it, serialised; the best
of three processes a side, taken in turns. Control: the hand-written graph. Reach: 1.3 of it. Checked: the two snapshots
have the same assets, parents, mappings and partitions.

    python benchmarks/p3_define_nodes.py                # 1,000 and 10,000 nodes; some minutes
    python benchmarks/p3_define_nodes.py --nodes 1000
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import itertools
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

REGIONS = [f"r{number}" for number in range(10)]
START = datetime(2024, 1, 1)
EACH, ROUNDS, RATIO = 10, 3, 1.3


def parents_of(number: int) -> tuple[str, str | None]:
    """Returns the parent that is read at the same day, and the one whose last seven days are."""
    first = f"x{number // EACH}" if number % EACH == 0 else f"node_{number - 1}"
    return first, f"x{number // EACH // 2}" if number % 2 else None


def ours(count: int) -> dg.Definitions:
    from rheo_assets import Application, DatetimeGranularity, NOOPCompute, S3Dataset
    from rheo_assets.platforms.local.platform import LocalPlatform

    spec = {"region": {"type": "STRING", "day": {"type": "DATETIME", "granularity": DatetimeGranularity.DAY}}}
    app = Application("bench", platform=LocalPlatform(Path("unused")), since=START)
    for number in range(count // EACH):
        dataset = S3Dataset("111222333444", "lake", f"x{number}", "{}", "{}")
        app.marshal_external_data(dataset, f"x{number}", spec, {region: {"*": {}} for region in REGIONS})
    for number in range(count):
        first, second = parents_of(number)
        inputs = [app[first], *([app[second]["*"][:-7]] if second is not None else [])]
        app.create_data(f"node_{number}", inputs, compute_targets=NOOPCompute, description=f"Node {number}.")
    return app.definitions()


def by_hand(count: int) -> dg.Definitions:
    import dagster as dg

    partitions = dg.MultiPartitionsDefinition(
        {
            "region": dg.StaticPartitionsDefinition(REGIONS),
            "day": dg.TimeWindowPartitionsDefinition(
                start=START, fmt="%Y-%m-%d", cron_schedule="0 0 * * *", timezone="UTC", end_offset=2
            ),
        }
    )
    week = dg.MultiPartitionMapping(
        {
            "region": dg.DimensionPartitionMapping("region", dg.IdentityPartitionMapping()),
            "day": dg.DimensionPartitionMapping(
                "day",
                dg.TimeWindowPartitionMapping(
                    start_offset=-6, end_offset=0, allow_nonexistent_upstream_partitions=True
                ),
            ),
        }
    )

    def external(number: int) -> dg.AssetSpec:
        return dg.AssetSpec(
            ["bench", f"x{number}"],
            partitions_def=partitions,
            group_name="bench",
            kinds={"s3", "parquet"},
            metadata={"dagster/uri": f"s3://lake/x{number}", "format": "parquet"},
        )

    def asset(number: int) -> dg.AssetsDefinition:
        first, second = parents_of(number)
        deps = [dg.AssetDep(["bench", first], partition_mapping=dg.IdentityPartitionMapping())]
        inputs = f"* `{first}`"
        if second is not None:
            deps.append(dg.AssetDep(["bench", second], partition_mapping=week))
            inputs += f"\n* `{second}`, seven days"

        @dg.asset(
            key=["bench", f"node_{number}"],
            deps=deps,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            description=f"Node {number}.",
            group_name="bench",
            kinds={"noop"},
            metadata={
                "dagster/uri": f"s3://bench/internal_data/node_{number}",
                "format": "parquet",
                "inputs": dg.MetadataValue.md(inputs),
            },
        )
        def made():  # type: ignore[no-untyped-def]
            ...

        return made

    return dg.Definitions(
        assets=[*map(external, range(count // EACH)), *map(asset, range(count))],
        jobs=[dg.define_asset_job("everything", dg.AssetSelection.groups("bench"))],
        executor=dg.in_process_executor,
    )


SIDES: dict[str, Callable[[int], dg.Definitions]] = {"ours": ours, "by hand": by_hand}


def measure(side: str, count: int) -> None:
    """Prints the CPU seconds of each step, and a digest of the graph that was served."""
    import dagster as dg
    from dagster._core.remote_representation.external_data import RepositorySnap

    import rheo_assets.bridge.definitions
    import rheo_assets.platforms.local.platform  # noqa: F401

    warnings.simplefilter("ignore", dg.BetaWarning)
    gc.collect()
    moments = [time.process_time()]
    definitions = SIDES[side](count)
    moments.append(time.process_time())
    repository = definitions.get_repository_def()
    assert repository.asset_graph is not None
    moments.append(time.process_time())
    snapshot = RepositorySnap.from_def(repository, defer_snapshots=True)  # what daemon and web server ask for
    served = dg.serialize_value(snapshot)
    moments.append(time.process_time())
    assert len(served) > count
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    digest = hashlib.sha256("\n".join(sorted(_lines(snapshot.asset_nodes))).encode()).hexdigest()
    print(json.dumps({"steps": steps, "total": moments[-1] - moments[0], "digest": digest}))


def _lines(nodes: object) -> Iterator[str]:
    import dagster as dg

    for node in nodes:  # type: ignore[attr-defined]
        if node.asset_key.path[-1].startswith(("node_", "x")):
            edges = sorted((edge.parent_asset_key.path, _text(edge.partition_mapping)) for edge in node.parent_edges)
            partitions = dg.serialize_value(node.partitions)
            shown = (node.description, node.group_name, str(node.backfill_policy), sorted(node.tags or {}))
            entries = [(name, name in node.metadata) for name in ("dagster/uri", "format", "inputs")]
            yield f"{node.asset_key.path} {edges} {partitions} {shown} {entries}"


def _text(mapping: object) -> str:
    by_dimension = getattr(mapping, "downstream_mappings_by_upstream_dimension", None)
    return repr(mapping if by_dimension is None else sorted(by_dimension.items(), key=lambda item: str(item[0])))


def compare(count: int) -> bool:
    best: dict[str, dict[str, object]] = {}
    digests = set()
    for _ in range(ROUNDS):
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, "--nodes", str(count)]
            child = subprocess.run(command, capture_output=True, text=True, check=False)
            assert child.returncode == 0, child.stderr
            found = json.loads(child.stdout.splitlines()[-1])
            digests.add(found["digest"])
            if side not in best or found["total"] < best[side]["total"]:
                best[side] = found
    assert len(digests) == 1, "the two graphs differ"
    print(f"P3 define {count:,} nodes: the same assets, parents, mappings and partitions: yes")
    for side, found in best.items():
        define, resolve, serve = found["steps"]  # type: ignore[misc]
        print(
            f"   {side}: {found['total']:.2f} s CPU (best of {ROUNDS}): declare {define:.2f}, "
            f"repository and asset graph {resolve:.2f}, snapshot {serve:.2f}"
        )
    ratio = best["ours"]["total"] / best["by hand"]["total"]  # type: ignore[operator]
    print(f"   ours / by hand = {ratio:.2f}; reach: {RATIO}: {'yes' if ratio <= RATIO else 'NO'}")
    return ratio <= RATIO


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, help="one size only")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.nodes)
        return 0
    sizes = [arguments.nodes] if arguments.nodes else [1_000, 10_000]
    reached = [compare(count) for count in sizes]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
