"""Spark on one machine: a long-lived worker process, shared by the runs of one root."""

from rheo_assets.platforms.local.spark.engine import SparkEngine
from rheo_assets.platforms.local.spark.scalac import scala_compiler
from rheo_assets.platforms.local.spark.session import local_spark_settings

__all__ = ["SparkEngine", "local_spark_settings", "scala_compiler"]
