"""Acts as the owners of Example 3's inputs: a Glue table with a day of orders, and a team's jar.

    python -m examples.scala_python.landing

The table is registered in the local catalog, from which `definitions/scala_python.py` reads its dimensions and format.
"""

import subprocess
from pathlib import Path

from rheo_assets import LocalPlatform
from rheo_assets.model.glue.tables import GlueTable
from rheo_assets.platforms.local.spark import scala_compiler

DAY = "2021-01-14"
ROWS = 150
TABLE = "s3://dex-ml/d_ad_orders_na"


def register(platform: LocalPlatform) -> None:
    """Registers the table in the local catalog."""
    columns = [("order_id", "bigint"), ("asin", "string"), ("quantity", "int")]
    described = GlueTable(TABLE, columns, [("order_day", "date")], description="Advertised orders")
    platform.catalog.register("dex_ml_catalog", "d_ad_orders_na", described)


def land(platform: LocalPlatform, day: str = DAY) -> None:
    """Writes one day of the table."""
    import duckdb

    folder = Path(platform.storage.location(f"{TABLE}/order_day={day}"))
    folder.mkdir(parents=True, exist_ok=True)
    columns = "range AS order_id, 'B' || (range % 12) AS asin, (range % 5 + 1)::INTEGER AS quantity"
    duckdb.execute(f"COPY (SELECT {columns} FROM range({ROWS})) TO '{folder / 'part-0.parquet'}' (FORMAT parquet)")


def build_jar(platform: LocalPlatform) -> Path:
    """Compiles the team's library with Spark's own Scala compiler. Needs no build tool."""
    jar = Path(platform.storage.location("s3://dex-ml-jars/trend-features.jar"))
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("TrendFeaturesJob.scala")
        subprocess.run([*scala_compiler(), "-d", str(jar), str(source)], check=True)
    return jar


if __name__ == "__main__":
    platform = LocalPlatform()
    register(platform)
    land(platform)
    build_jar(platform)
    print(f"d_ad_orders_na of {DAY} and the jar are in {platform.root}")
