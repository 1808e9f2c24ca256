"""The laptop: everything under one folder, Spark in one shared worker."""

from __future__ import annotations

from dagster_pyspark import LazyPySparkResource

from rheo_assets import LocalPlatform
from rheo_assets.platforms.local.spark import local_spark_settings

platform = LocalPlatform()

resources = {
    # A team's own assets get the settings of the session that runs the nodes, s3:// paths included.
    "pyspark": LazyPySparkResource(spark_config=local_spark_settings(platform.root)),
}
