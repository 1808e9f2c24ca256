"""The user's Examples 1 and 3, as their document tells them: each session is a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.spark

ROOT = Path(__file__).parents[2]
NEEDED = ("addressId", "requestId", "asin", "entityId", "deliveryOption")
SELECTED = (
    *("datestamp", "entityId", "requestId", "marketplaceId", "asin", "sessionId"),
    *("merchant_id", "client_id", "addressId", "offerSku"),
)


DAYS = 60 if os.environ.get("RHEO_FULL") else 12


def run(module: str, home: Path, spark_home: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env={
            **environment,
            "RHEO_HOME": str(home),
            "RHEO_PLATFORM": "local",
            "RHEO_SPARK_HOME": str(spark_home),
            "DAYS": str(DAYS),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def expected(day: str) -> list[tuple[object, ...]]:
    """What the Scala snippet must give, computed from the landed rows in Python."""
    landing = importlib.import_module("examples.dxg_proto.landing")
    rows = json.loads(json.dumps(landing.rows("NA", day)))
    whole = [row for row in rows if all(row[name] is not None for name in NEEDED)]
    return sorted({tuple(row[name] for name in SELECTED) for row in whole})


def test_example_1_waits_for_the_file_and_a_second_session_backfills_the_days_that_follow(
    tmp_path: Path, spark_home: Path
) -> None:
    home = tmp_path / "home"
    told = run("examples.dxg_proto.first_session", home, spark_home)
    assert "blocked, waiting for ('pdex[NA][2021-09-20]',)" in told
    assert f"{DAYS} days of tpdex are ready" in run("examples.dxg_proto.second_session", home, spark_home)

    made = home / "s3" / "rheo-dxg-proto" / "internal_data" / "tpdex" / "NA"
    days = sorted(folder.name for folder in made.iterdir() if (folder / "_SUCCESS").exists())
    last = datetime(2021, 9, 21) + timedelta(DAYS)
    assert (days[0], days[-1], len(days)) == ("2021-09-20", f"{last:%Y-%m-%d}", DAYS + 2)
    for day in (days[0], days[1], days[-1]):
        files = f"{made / day}/*.parquet"
        found = duckdb.execute(f"SELECT {', '.join(SELECTED)} FROM read_parquet('{files}')").fetchall()
        assert sorted(found) == expected(day)
        assert 0 < len(found) < 40


def test_example_3_gives_the_same_rows_in_scala_and_python_and_runs_a_teams_jar(
    tmp_path: Path, spark_home: Path
) -> None:
    home = tmp_path / "home"
    assert "have the same 100 rows" in run("examples.scala_python.twins", home, spark_home)
    made = home / "s3" / "rheo-scala-python" / "internal_data" / "REPEAT_AD_ORDERS_IN_SCALA_COMPLEX" / "2021-01-14"
    found = duckdb.execute(
        f"SELECT count(*), sum(orders), sum(quantity), min(my_param) FROM read_parquet('{made}/*.parquet')"
    ).fetchone()
    assert found == (12, 150, sum(number % 5 + 1 for number in range(150)), "PARAM1")
