"""Departures from New York's three airports: from landed files to a monthly report.

`examples.flights.landing` lands the data as an upstream team would, `_SUCCESS` last. This module only declares.
`make demo` runs it from a script, `make dev` from Dagster's daemon and UI.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import rheo_assets as flow
from resources import local
from rheo_assets import (
    DataFormat,
    DatetimeGranularity,
    DimensionType,
    InlinedCompute,
    PrestoSQL,
    S3Dataset,
    SignalIntegrityProtocol,
    Spark,
    SparkSQL,
)

ACCOUNT = "111222333444"
BUCKET = "nyc-flights"
FIRST_DAY = datetime(2013, 1, 1)  # naive means UTC
SUCCESS = SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})
ORIGINS: dict[str, Any] = {"EWR": {"*": {}}, "JFK": {"*": {}}, "LGA": {"*": {}}}
DAY = {"type": DimensionType.DATETIME, "format": "%Y-%m-%d", "min": FIRST_DAY}
MONTH = {"type": DimensionType.DATETIME, "format": "%Y-%m", "granularity": DatetimeGranularity.MONTH, "min": FIRST_DAY}
ORIGIN_DAY = {"origin": {"type": DimensionType.STRING, "day": DAY}}
ORIGIN_MONTH = {"origin": {"type": DimensionType.STRING, "month": MONTH}}

app = flow.Application("flights", platform=local.platform)

# External data ------------------------------------------------------------------------------------------------

flights = app.marshal_external_data(
    S3Dataset(ACCOUNT, BUCKET, "flights", "{}", "{}", dataset_format=DataFormat.JSON),
    id="flights",
    dimension_spec=ORIGIN_DAY,
    dimension_filter=ORIGINS,
    protocol=SUCCESS,
    description="Every scheduled departure of an airport and day, cancelled ones too.",
)
weather = app.marshal_external_data(
    S3Dataset(ACCOUNT, BUCKET, "weather", "{}", "{}", dataset_format=DataFormat.CSV, header=True),
    id="weather",
    dimension_spec=ORIGIN_DAY,
    dimension_filter=ORIGINS,
    protocol=SUCCESS,
    description="Hourly weather at an airport.",
)
carriers = app.marshal_external_data(
    S3Dataset(ACCOUNT, BUCKET, "carriers", dataset_format=DataFormat.CSV, header=True),
    id="carriers",
    protocol=SUCCESS,
    description="The carriers' names by their two-letter code.",
)
planes = app.marshal_external_data(
    S3Dataset(ACCOUNT, BUCKET, "planes", dataset_format=DataFormat.CSV, header=True),
    id="planes",
    protocol=SUCCESS,
    description="The planes by tail number.",
)

# Data nodes ---------------------------------------------------------------------------------------------------

departures = app.create_data(
    "departures",
    inputs=[flights],
    compute_targets=[
        Spark(
            """
            from pyspark.sql.functions import col, lit

            output = (
                flights.where(col("dep_time").isNotNull())
                .select(
                    "carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "dep_time", "dep_delay",
                    "arr_delay", "air_time", "distance", "hour",
                )
                .withColumn("day", lit(dimensions["day"]).cast("date"))
            )
            """
        )
    ],
    description="The departures that happened.",
)

delays = app.create_data(
    "delays_by_carrier",
    inputs=[departures, carriers.ref],
    compute_targets=[
        PrestoSQL(
            """
            select d.carrier, c.name, count(*) as flights, avg(d.dep_delay) as mean_dep_delay,
                   sum(d.dep_delay) as total_dep_delay, date '{day}' as day
            from departures d left join carriers c on c.carrier = d.carrier
            group by d.carrier, c.name
            """
        )
    ],
    description="How late each carrier left.",
)

with_weather = app.create_data(
    "departures_with_weather",
    inputs={"departures": departures, "weather": weather["*"][:-3].nearest()},
    compute_targets=[
        SparkSQL(
            """
            create or replace temporary view hourly as
            select hour, first(temp) as temp, first(wind_speed) as wind_speed, first(precip) as precip,
                   first(visib) as visib
            from weather group by hour;
            select d.*, h.temp, h.wind_speed, h.precip, h.visib from departures d left join hourly h on h.hour = d.hour
            """
        )
    ],
    description="Departures with the nearest weather of the last three days.",
)

rolling_week = app.create_data(
    "rolling_week",
    inputs={"week": departures["*"][:-7].range_check(True)},
    compute_targets=[
        SparkSQL(
            """
            select carrier, count(*) as flights, avg(dep_delay) as mean_dep_delay, sum(dep_delay) as total_dep_delay
            from week group by carrier
            """
        )
    ],
    description="How late each carrier left in the seven days that end with this one.",
)

city_day = app.create_data(
    "city_day",
    inputs={"ewr": departures["EWR"]["*"], "jfk": departures["JFK"]["*"], "lga": departures["LGA"]["*"]},
    output_dimension_spec={"day": DAY},
    compute_targets=[
        PrestoSQL(
            """
            select origin, count(*) as flights, avg(dep_delay) as mean_dep_delay, sum(dep_delay) as total_dep_delay
            from (select * from ewr union all select * from jfk union all select * from lga)
            group by origin
            """
        )
    ],
    description="All three airports on one day, as soon as the last of them is there.",
)

month_end = app.add_timer(
    "month_end",
    "cron(0 6 1 * ? *)",
    time_dimension_id="month",
    time_dimension_format="%Y-%m",
    time_dimension_granularity=DatetimeGranularity.MONTH,
    time_dimension_shift=-1,
)
origin_month_end = app.project("origin_month_end", month_end, ORIGIN_MONTH, ORIGINS)

monthly = app.create_data(
    "monthly",
    inputs={"month_end": origin_month_end, "daily": delays.ref.covering()},
    compute_targets=[
        PrestoSQL(
            """
            select carrier, name, sum(flights) as flights,
                   cast(sum(total_dep_delay) as double) / sum(flights) as mean_dep_delay,
                   sum(total_dep_delay) as total_dep_delay
            from daily
            group by carrier, name
            """
        )
    ],
    description="An airport's month, from the daily delays.",
)


def draw_month(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
    """Draws a chart and a table of the month's delays per carrier."""
    import io
    from pathlib import Path

    import duckdb
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    source = f"{inputs['monthly'].local_paths[0]}/*.parquet"
    rows = duckdb.execute(
        "select carrier, name, flights, mean_dep_delay from read_parquet(?) order by flights desc", [source]
    ).fetchall()
    figure, axes = pyplot.subplots(figsize=(8, 3.5), layout="constrained")
    axes.bar([row[0] for row in rows], [row[3] for row in rows])
    axes.set_ylabel("mean departure delay (min)")
    axes.set_title(" ".join(output.dimensions.values()))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    lines = ["| carrier | name | flights | mean delay (min) |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {carrier} | {name} | {flights:,} | {mean:.1f} |" for carrier, name, flights, mean in rows]
    folder = Path(output.local_paths[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "delays.png").write_bytes(picture.getvalue())
    (folder / "delays.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "chart": {"type": "png", "value": picture.getvalue()},
        "table": {"type": "markdown", "value": "\n".join(lines)},
        "flights": int(sum(row[2] for row in rows)),
    }


report = app.create_data(
    "month_report",
    inputs=[monthly],
    compute_targets=[InlinedCompute(draw_month)],
    description="The month as a chart and a table.",
)

weekly = app.add_timer("weekly", "rate(7 days)", time_dimension_id="day")
fleet = app.create_data(
    "fleet",
    inputs=[weekly, planes.ref],
    compute_targets=[
        PrestoSQL("select manufacturer, count(*) as planes, max(seats) as most_seats from planes group by manufacturer")
    ],
    description="The fleet by manufacturer, once a week.",
)

defs = app.definitions(local.resources)
