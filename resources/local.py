"""The laptop: everything under one folder, Spark in one shared worker."""

from __future__ import annotations

from dagster_pyspark import LazyPySparkResource

from rheo_assets import LocalPlatform
from rheo_assets.platforms.local.spark import local_spark_settings

platform = LocalPlatform()

resources = {
    # For a team's own assets: the Spark settings of the nodes, including s3:// paths.
    "pyspark": LazyPySparkResource(spark_config=local_spark_settings(platform.root)),
}
