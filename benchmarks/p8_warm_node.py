"""P8: a node on warm engines, against the same code in a bare session of the same engine.

The world: twenty-one days of 300 JSON flights each. The node counts and averages them by carrier, and writes parquet.

Measured: seconds by the clock of one execution of one day: inputs resolved, the task run by the local platform's
engine, rows, schema and preview, the partition swapped in with its completion file; without Dagster, whose cost P5
measures. Control: the same PySpark or Spark SQL in one SparkSession with the same settings, which reads the day and
writes it; for Presto SQL, the same query on one DuckDB connection. Medians, taken in turns after some turns that are
not measured. Reach: 1.5 each. Checked first: all of them give the same rows for every day.

    python benchmarks/p8_warm_node.py          # about four minutes
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import duckdb

from rheo_assets import Application, LocalPlatform, PrestoSQL, S3Dataset, Spark, SparkSQL
from rheo_assets.nodes import DataNode
from rheo_assets.platforms.local.spark import SparkEngine, local_spark_settings
from rheo_assets.runner.execution import Request, Surroundings, run_execution

DAYS, ROWS, WARM_UP, ROUNDS, RATIO = 21, 300, 10, 11, 1.5
LAST = datetime(2024, 3, 1)
DATES = [LAST - timedelta(days=back) for back in range(DAYS)]
QUERY = "select carrier, count(*) as n, avg(delay) as mean from flights group by carrier order by carrier"
CODE = """
from pyspark.sql import functions as F
output = flights.groupBy("carrier").agg(F.count("*").alias("n"), F.avg("delay").alias("mean")).orderBy("carrier")
"""
TARGETS = {"PySpark": Spark(CODE), "Spark SQL": SparkSQL(QUERY), "Presto SQL": PrestoSQL(QUERY)}
Rows = list[tuple[Any, ...]]


class World:
    """Flights, a node an engine, and how each day is computed with and without us."""

    def __init__(self, root: Path) -> None:
        self.platform = LocalPlatform(root)
        self.app = Application("bench", platform=self.platform, since="2020-01-01")
        spec = {"day": {"type": "DATETIME", "format": "%Y-%m-%d"}}
        dataset = S3Dataset("1", "lake", "flights", "{}", dataset_format="json")
        self.flights = self.app.marshal_external_data(dataset, "flights", spec)
        self.nodes = {
            name: self.app.create_data(
                name.lower().replace(" ", "_"), {"flights": self.flights}, compute_targets=target
            )
            for name, target in TARGETS.items()
        }
        random = Random(2024)
        for day in DATES:
            lines = ({"id": n, "carrier": random.choice("ABCDE"), "delay": random.random()} for n in range(ROWS))
            content = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self.platform.storage.write(f"{self.landed(day)}/part-0.json", content)
        self.spark = _session(root)
        self.duckdb = duckdb.connect()

    def landed(self, day: datetime) -> str:
        return f"s3://lake/flights/{day:%Y-%m-%d}"

    def bare(self, name: str, day: datetime) -> str:
        return f"s3://lake/bare-{name.replace(' ', '-')}/{day:%Y-%m-%d}"

    def ours(self, name: str, day: datetime) -> None:
        """Executes the node for a day."""
        around = Surroundings(self.platform, lambda _: None, lambda: False, lambda *_: "")
        request = Request(f"{name}-{day:%Y-%m-%d}", (day,), {"flights": (day,)})
        outcome = run_execution(self.nodes[name], request, around)
        assert outcome.execution.error is None, outcome.execution.error
        assert outcome.results[0].rows == 5, outcome.results
        assert len(outcome.results[0].preview) == 5

    def theirs(self, name: str, day: datetime) -> None:
        """Computes the day in the bare session."""
        target = self.bare(name, day)
        if name == "Presto SQL":
            source, folder = self.platform.storage.path(self.landed(day)), self.platform.storage.path(target)
            folder.mkdir(parents=True, exist_ok=True)
            query = QUERY.replace("from flights", f"from read_json('{source}/*.json')")
            self.duckdb.execute(f"copy ({query}) to '{folder}/part-0.parquet' (format parquet)")
            return
        flights = self.spark.read.json(self.landed(day))
        if name == "PySpark":
            names: dict[str, Any] = {"flights": flights}
            exec(CODE, names)
            frame = names["output"]
        else:
            flights.createOrReplaceTempView("flights")
            frame = self.spark.sql(QUERY)
        frame.write.mode("overwrite").parquet(target)

    def rows(self, uri: str) -> Rows:
        pattern = f"{self.platform.storage.path(uri)}/*.parquet"
        found = duckdb.execute("select carrier, n, round(mean, 9) from read_parquet(?) order by carrier", [pattern])
        return found.fetchall()

    def result(self, node: DataNode, day: datetime) -> Rows:
        return self.rows(node.layout.uri(node.spec, (day,)))


def _session(root: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for setting, value in local_spark_settings(root).items():
        builder = builder.config(setting, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_node(world: World, name: str) -> bool:
    """Prints how one execution compares, after checking its rows."""
    for day in DATES[:WARM_UP]:
        world.ours(name, day)
        world.theirs(name, day)
        assert world.result(world.nodes[name], day) == world.rows(world.bare(name, day))
    ours, theirs = [], []
    for day in DATES[WARM_UP : WARM_UP + ROUNDS]:
        ours.append(seconds(lambda day=day: world.ours(name, day)))
        theirs.append(seconds(lambda day=day: world.theirs(name, day)))
    return _told(f"{name}, one day", median(ours), median(theirs))


def _told(what: str, ours: float, theirs: float) -> bool:
    reached = ours <= RATIO * theirs
    print(f"   {what}: ours {ours * 1000:.0f} ms, bare {theirs * 1000:.0f} ms", end="; ")
    print(f"ours / bare = {ours / theirs:.2f}; reach: {RATIO}: {'yes' if reached else 'NO'}", flush=True)
    return reached


def main() -> int:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    os.environ.pop("DAGSTER_HOME", None)
    os.environ.pop("RHEO_SPARK_HOME", None)
    root = Path(tempfile.mkdtemp(prefix="rheo-p8-", dir=os.environ.get("RHEO_BENCH_DIR")))
    world = World(root)
    try:
        print(f"P8 a node of {ROWS} rows on warm engines; the rows are the same every day: yes")
        reached = [one_node(world, name) for name in TARGETS]
    finally:
        SparkEngine(root).stop()
        world.spark.stop()
        shutil.rmtree(root, ignore_errors=True)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
