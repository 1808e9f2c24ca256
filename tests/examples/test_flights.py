"""`make demo`, run as its user runs it, held to pandas over the package's own tables, to the last flight."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.examples import flights_truth as truth

pytestmark = [pytest.mark.demo, pytest.mark.spark]

TWO_WEEKS = [f"2013-01-{day:02d}" for day in range(1, 15)]
JANUARY = [f"2013-01-{day:02d}" for day in range(1, 32)]
MEASURES = ["carrier", "flights", "mean_dep_delay", "total_dep_delay"]


class Demo:
    """What the demo left behind."""

    def __init__(self, home: Path, spark_home: Path, printed: str) -> None:
        self.home = home
        self.spark_home = spark_home
        self.printed = printed

    def run(self) -> str:
        """Runs the demo and returns what it printed."""
        environment = {
            **os.environ,
            "RHEO_HOME": str(self.home),
            "RHEO_SPARK_HOME": str(self.spark_home),
            "RHEO_PLATFORM": "local",
            "COLUMNS": "200",
        }
        environment.pop("DAGSTER_HOME", None)
        ended = subprocess.run(
            [sys.executable, "-m", "examples.flights.demo"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def read(self, node: str, *partition: str) -> pd.DataFrame:
        """Returns a partition's rows."""
        folder = self.home.joinpath("s3", "rheo-flights", "internal_data", node, *partition)
        assert (folder / "_SUCCESS").exists(), f"{node}/{'/'.join(partition)} is not complete"
        return duckdb.execute("select * from read_parquet(?)", [f"{folder}/*.parquet"]).df()

    def ready(self, node: str) -> int:
        """Returns how many partitions of a node are complete."""
        return len(list(self.home.joinpath("s3", "rheo-flights", "internal_data", node).rglob("_SUCCESS")))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, spark_home: Path) -> Demo:
    """The demo after its first run."""
    made = Demo(tmp_path_factory.mktemp("flights"), spark_home, "")
    made.printed = made.run()
    return made


def same(found: pd.DataFrame, expected: pd.DataFrame, by: list[str]) -> None:
    """Asserts equal rows, whatever their order and integer types."""
    ordered = [frame.sort_values(by).reset_index(drop=True)[list(expected.columns)] for frame in (found, expected)]
    pd.testing.assert_frame_equal(*ordered, check_dtype=False, check_exact=False, rtol=1e-9)


@pytest.mark.parametrize("origin", truth.ORIGINS)
def test_every_departure_of_two_weeks_is_there(demo: Demo, origin: str):
    for day in TWO_WEEKS:
        found, expected = demo.read("departures", origin, day), truth.cleaned(origin, day)
        assert len(found) == len(expected)
        for column in ("dep_delay", "arr_delay", "air_time", "distance", "flight"):
            assert found[column].sum() == expected[column].sum(), (day, column)


@pytest.mark.parametrize("origin", truth.ORIGINS)
def test_the_delays_a_carrier_equal_pandas(demo: Demo, origin: str):
    for day in TWO_WEEKS:
        same(
            demo.read("delays_by_carrier", origin, day).drop(columns="day"),
            truth.delays_by_carrier(origin, day),
            ["carrier"],
        )


@pytest.mark.parametrize("origin", truth.ORIGINS)
def test_each_departure_has_the_weather_of_its_day_and_hour(demo: Demo, origin: str):
    for day in TWO_WEEKS:
        found, expected = demo.read("departures_with_weather", origin, day), truth.with_weather(origin, day, day)
        assert len(found) == len(expected)
        for column in truth.WEATHER_COLUMNS:
            assert found[column].sum() == pytest.approx(expected[column].sum()), (day, column)
            assert found[column].isna().sum() == expected[column].isna().sum(), (day, column)


@pytest.mark.parametrize("origin", truth.ORIGINS)
def test_a_rolling_week_runs_once_its_seven_days_are_there(demo: Demo, origin: str):
    for day in TWO_WEEKS[6:]:
        same(demo.read("rolling_week", origin, day), truth.rolling_week(origin, day), ["carrier"])
    first = demo.home / "s3" / "rheo-flights" / "internal_data" / "rolling_week" / origin / "2013-01-06"
    assert not first.exists()


def test_a_day_of_the_city_joins_three_airports(demo: Demo):
    for day in TWO_WEEKS:
        same(demo.read("city_day", day), truth.city_day(day), ["origin"])


def test_the_month_equals_pandas_to_the_last_flight(demo: Demo):
    found, expected = demo.read("monthly", "EWR", "2013-01"), truth.month("EWR")
    assert int(found["flights"].sum()) == int(expected["flights"].sum()) == truth.totals(expected)[0]
    same(found[MEASURES], expected, ["carrier"])
    assert demo.ready("departures") >= 2 * 14 + 31
    assert f"{truth.totals(expected)[0]:,} departures" in demo.printed


def test_the_report_leaves_a_chart_and_a_table(demo: Demo):
    folder = demo.home / "s3" / "rheo-flights" / "internal_data" / "month_report" / "EWR" / "2013-01"
    assert (folder / "delays.png").read_bytes().startswith(b"\x89PNG")
    assert "| UA |" in (folder / "delays.md").read_text()


def test_a_second_run_finds_everything_ready(demo: Demo):
    before = demo.ready("departures")
    assert "Everything was ready already" in demo.run()
    assert demo.ready("departures") == before
