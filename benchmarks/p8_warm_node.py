"""P8: a node on warm engines, against the same code in a bare session of the same engine.

The world: sixty-four days of flights, in parquet. A node reads the last five days, sums up the delays by carrier and
airport, and writes one day of parquet: 200 rows. A day has 20,000 flights for Spark and 500,000 for Presto SQL: what
an execution costs in any case, some 7 ms, is more than DuckDB takes for a few rows. A second node of Presto SQL keeps
half of the rows that it reads, and writes 1,250,000.

Measured: seconds by the clock of one execution of one day: inputs resolved, the task run by the local platform's
engine, rows, columns and first rows told, the partition swapped in with its completion file; without Dagster, whose
cost P5 measures. Control, for PySpark, Scala and Spark SQL: one SparkSession with the same settings. It reads the same
five folders, runs the same code (Scala: compiled to a jar beforehand), writes parquet over the old one and counts the
rows of what it wrote. For Presto SQL: one DuckDB connection runs the same query as `COPY (…) TO` a parquet file, which
answers the number of rows. It writes straight to the place, tells no first rows and records nothing. Medians, taken in
turns after some turns that are not measured.

Then sixty days of the PySpark node by `app.execute(…, recursive=True)`, now with Dagster and all it records, against
sixty calls of the control, one after the other. Reach: 1.5 each. Checked: all give the same rows for every day.

    python benchmarks/p8_warm_node.py          # six minutes on two cores that have other work
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from rheo_assets import (
    Application,
    Lang,
    LocalPlatform,
    NOOPCompute,
    PrestoSQL,
    S3Dataset,
    Spark,
    SparkSQL,
)
from rheo_assets.bridge.execution.execution import Request, Surroundings, run_execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.local.spark import SparkEngine, local_spark_settings, scala_compiler

DAYS, READ, ROWS, ROWS_OF_PRESTO, GROUPS, WARM_UP, ROUNDS, RATIO = 60, 5, 20_000, 500_000, 200, 6, 9, 1.5
LAST = datetime(2024, 3, 31)
DATES = [LAST - timedelta(days=back) for back in range(DAYS)]
QUERY = """
select carrier, airport, count(*) as n, avg(delay) as mean, max(delay) as worst from flights
group by carrier, airport order by carrier, airport
"""
HALF = "select id, carrier, airport, delay from flights where id % 2 = 0"
PYTHON = """
from pyspark.sql import functions as F
summed = [F.count("*").alias("n"), F.avg("delay").alias("mean"), F.max("delay").alias("worst")]
output = flights.groupBy("carrier", "airport").agg(*summed).orderBy("carrier", "airport")
"""
SCALA = """flights.groupBy("carrier", "airport")
  .agg(count("*").as("n"), avg("delay").as("mean"), max("delay").as("worst")).orderBy("carrier", "airport")"""
ROWS_OF = "select carrier, airport, n, round(mean, 6), worst from read_parquet(?) order by carrier, airport"
SUMS_OF = "select carrier, count(*), sum(id), round(sum(delay)) from read_parquet(?) group by carrier order by carrier"
BARE_SCALA = f"""
package bare

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.functions._

object Node {{
  def run(spark: SparkSession, from: Array[String], to: String): Long = {{
    val flights = spark.read.parquet(from: _*)
    val output = {SCALA}
    output.write.mode("overwrite").parquet(to)
    spark.read.parquet(to).count()
  }}
}}
"""
TARGETS = {
    "PySpark": Spark(PYTHON),
    "Scala": Spark(SCALA, Lang.SCALA),
    "Spark SQL": SparkSQL(QUERY),
    "Presto SQL": PrestoSQL(QUERY),
    "Presto SQL, half the rows": PrestoSQL(HALF),
}
WRITTEN = {name: READ * ROWS_OF_PRESTO // 2 if "half" in name else GROUPS for name in TARGETS}
Rows = list[tuple[Any, ...]]


class World:
    """Flights, a node an engine, and how each day is computed with and without us."""

    def __init__(self, root: Path) -> None:
        self.platform = LocalPlatform(root)
        self.app = Application("bench", platform=self.platform, since="2020-01-01")
        spec = {"day": {"type": "DATETIME", "format": "%Y-%m-%d"}}
        datasets = {
            name: self.app.marshal_external_data(
                S3Dataset("1", "lake", table(name), "{}", dataset_format="parquet"), table(name), spec
            )
            for name in ("Spark", "Presto SQL")
        }
        self.flights = datasets["Spark"]
        self.nodes = {
            name: self.app.create_data(
                name.lower().replace(" ", "_").replace(",", ""),
                {"flights": datasets["Presto SQL" if "Presto" in name else "Spark"][:-READ]},
                compute_targets=target,
            )
            for name, target in TARGETS.items()
        }
        self.duckdb = duckdb.connect(config={"threads": 2})
        for back in range(DAYS + READ - 1):
            self._land("Spark", LAST - timedelta(days=back), ROWS)
        for back in range(WARM_UP + ROUNDS + READ - 1):
            self._land("Presto SQL", LAST - timedelta(days=back), ROWS_OF_PRESTO)
        self.spark = _session(root)
        self.bare = {
            "PySpark": self._python,
            "Scala": self._scala,
            "Spark SQL": self._sql,
            "Presto SQL": partial(self._presto, QUERY),
            "Presto SQL, half the rows": partial(self._presto, HALF),
        }

    def _land(self, name: str, day: datetime, rows: int) -> None:
        folder = self.platform.storage.path(landed(name, day))
        folder.mkdir(parents=True)
        values = f"""i AS id, chr((65 + hash(i, {day.day}) % 5)::INT) AS carrier,
            'A' || hash({day.day}, i, 1) % 40 AS airport, hash({day.day}, i, 2) / 1e17 AS delay"""
        self.duckdb.execute(f"COPY (SELECT {values} FROM range({rows}) r(i)) TO '{folder}/part-0.parquet'")

    def ours(self, name: str, day: datetime) -> None:
        """Executes the node for a day."""
        around = Surroundings(self.platform, lambda _: None, lambda: False, lambda *_: "")
        request = Request(f"{name}-{day:%Y-%m-%d}", (day,), {"flights": (day,)})
        outcome = run_execution(self.nodes[name], request, around)
        assert outcome.execution.error is None, outcome.execution.error
        assert (outcome.results[0].rows, len(outcome.results[0].preview)) == (WRITTEN[name], 10), outcome.results

    def theirs(self, name: str, day: datetime) -> None:
        """Computes the day in the bare session."""
        assert self.bare[name](read_by(name, day), bare(name, day)) == WRITTEN[name]

    def _python(self, paths: list[str], to: str) -> int:
        names: dict[str, Any] = {"flights": self.spark.read.parquet(*paths)}
        exec(PYTHON, names)
        return self._written(names["output"], to)

    def _sql(self, paths: list[str], to: str) -> int:
        self.spark.read.parquet(*paths).createOrReplaceTempView("flights")
        return self._written(self.spark.sql(QUERY), to)

    def _written(self, frame: Any, to: str) -> int:
        frame.write.mode("overwrite").parquet(to)
        return int(self.spark.read.parquet(to).count())

    def _scala(self, paths: list[str], to: str) -> int:
        jvm = self.spark._jvm
        array = self.spark.sparkContext._gateway.new_array(jvm.java.lang.String, len(paths))
        for place, path in enumerate(paths):
            array[place] = path
        return int(jvm.bare.Node.run(self.spark._jsparkSession, array, to))

    def _presto(self, sql: str, paths: list[str], to: str) -> int:
        folder = self.platform.storage.path(to)
        folder.mkdir(parents=True, exist_ok=True)
        files = [f"{self.platform.storage.path(path)}/*.parquet" for path in paths]
        query = sql.replace("from flights", f"from read_parquet({files})")
        (count,) = self.duckdb.execute(f"COPY ({query}) TO '{folder}/part-0.parquet' (FORMAT parquet)").fetchone()
        return int(count)

    def rows(self, name: str, uri: str) -> Rows:
        pattern = f"{self.platform.storage.path(uri)}/*.parquet"
        found = duckdb.execute(SUMS_OF if "half" in name else ROWS_OF, [pattern])
        return list(found.fetchall())

    def same_rows(self, name: str, day: datetime) -> bool:
        node: DataNode = self.nodes[name]
        return self.rows(name, node.layout.uri(node.spec, (day,))) == self.rows(name, bare(name, day))


def table(name: str) -> str:
    return "many_flights" if "Presto" in name else "flights"


def landed(name: str, day: datetime) -> str:
    return f"s3://lake/{table(name)}/{day:%Y-%m-%d}"


def read_by(name: str, day: datetime) -> list[str]:
    return [landed(name, day - timedelta(days=back)) for back in range(READ)]


def bare(name: str, day: datetime) -> str:
    return f"s3://lake/bare-{name.replace(' ', '-')}/{day:%Y-%m-%d}"


def _session(root: Path) -> Any:
    from pyspark.sql import SparkSession

    settings = local_spark_settings(root)
    jar, source = root / "bare.jar", root / "Bare.scala"
    source.write_text(BARE_SCALA)
    subprocess.run([*scala_compiler(), "-d", str(jar), str(source)], check=True)
    settings["spark.driver.extraClassPath"] += f"{os.pathsep}{jar}"
    builder = SparkSession.builder
    for setting, value in settings.items():
        builder = builder.config(setting, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def seconds(work: Callable[..., object], *args: object) -> float:
    started = time.perf_counter()
    work(*args)
    return time.perf_counter() - started


def one_node(world: World, name: str) -> bool:
    """Prints how one execution compares, after checking its rows."""
    for day in DATES[:WARM_UP]:
        world.ours(name, day)
        world.theirs(name, day)
        assert world.same_rows(name, day)
    ours, theirs = [], []
    for day in DATES[WARM_UP : WARM_UP + ROUNDS]:
        ours.append(seconds(world.ours, name, day))
        theirs.append(seconds(world.theirs, name, day))
        assert world.same_rows(name, day)
    return _told(f"{name}, one day", median(ours), median(theirs))


def sixty_days(world: World) -> bool:
    """Prints how sixty days of a node, with Dagster, compare to sixty calls in a session."""
    app, node = world.app, world.nodes["PySpark"]
    every = app.create_data("every", [world.flights, node[:-DAYS].ref], compute_targets=NOOPCompute)
    shutil.rmtree(world.platform.storage.path(node.layout.uri(node.spec, (LAST,))).parent)
    app.activate()
    ours = seconds(lambda: app.execute(every[LAST], recursive=True, progress=False))
    theirs = sum(seconds(world.theirs, "PySpark", day) for day in DATES)
    assert all(world.same_rows("PySpark", day) for day in DATES)
    return _told(f"PySpark, {DAYS} days with Dagster, each", ours / DAYS, theirs / DAYS)


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
        print(f"P8 a node that reads {READ} days of {ROWS:,} rows (Presto SQL: {ROWS_OF_PRESTO:,}), on warm engines;")
        print("   all give the same rows: checked for every day")
        reached = [one_node(world, name) for name in TARGETS]
        reached.append(sixty_days(world))
    finally:
        SparkEngine(root).stop()
        world.spark.stop()
        shutil.rmtree(root, ignore_errors=True)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
