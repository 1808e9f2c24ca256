"""Signal-driven, partitioned data assets on Dagster.

Say what a dataset is made from; triggering, backfilling, alarms and sharing follow from that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheo_assets.application import Application, AWSApplication
    from rheo_assets.compute.code import python_module, scala_module, scala_script, sql_module
    from rheo_assets.compute.permissions import Permission
    from rheo_assets.compute.targets import NOOPCompute
    from rheo_assets.compute.vocabulary import ABI, GlueVersion, GlueWorkerType, Lang
    from rheo_assets.compute.wrappers import EMR, BatchCompute, Glue, InlinedCompute, PrestoSQL, Spark, SparkSQL
    from rheo_assets.datasets import DataFormat, S3Dataset, SignalIntegrityProtocol
    from rheo_assets.dimensions import DatetimeGranularity, DimensionSpec, DimensionType
    from rheo_assets.executions import ComputeRecord, Execution
    from rheo_assets.links import EQUALS, LOWER, UPPER
    from rheo_assets.logs import init_basic_logging
    from rheo_assets.platforms.aws.platform import AwsPlatform
    from rheo_assets.platforms.local.platform import LocalPlatform

_HOME = {
    "ABI": "compute.vocabulary",
    "AWSApplication": "application",
    "Application": "application",
    "AwsPlatform": "platforms.aws.platform",
    "BatchCompute": "compute.wrappers",
    "ComputeRecord": "executions",
    "DataFormat": "datasets",
    "DatetimeGranularity": "dimensions",
    "DimensionSpec": "dimensions",
    "DimensionType": "dimensions",
    "EMR": "compute.wrappers",
    "EQUALS": "links",
    "Execution": "executions",
    "Glue": "compute.wrappers",
    "GlueVersion": "compute.vocabulary",
    "GlueWorkerType": "compute.vocabulary",
    "InlinedCompute": "compute.wrappers",
    "LOWER": "links",
    "Lang": "compute.vocabulary",
    "LocalPlatform": "platforms.local.platform",
    "NOOPCompute": "compute.targets",
    "Permission": "compute.permissions",
    "PrestoSQL": "compute.wrappers",
    "S3Dataset": "datasets",
    "SignalIntegrityProtocol": "datasets",
    "Spark": "compute.wrappers",
    "SparkSQL": "compute.wrappers",
    "UPPER": "links",
    "init_basic_logging": "logs",
    "python_module": "compute.code",
    "scala_module": "compute.code",
    "scala_script": "compute.code",
    "sql_module": "compute.code",
}

__all__ = [
    "ABI",
    "EMR",
    "EQUALS",
    "LOWER",
    "UPPER",
    "AWSApplication",
    "Application",
    "AwsPlatform",
    "BatchCompute",
    "ComputeRecord",
    "DataFormat",
    "DatetimeGranularity",
    "DimensionSpec",
    "DimensionType",
    "Execution",
    "Glue",
    "GlueVersion",
    "GlueWorkerType",
    "InlinedCompute",
    "Lang",
    "LocalPlatform",
    "NOOPCompute",
    "Permission",
    "PrestoSQL",
    "S3Dataset",
    "SignalIntegrityProtocol",
    "Spark",
    "SparkSQL",
    "init_basic_logging",
    "python_module",
    "scala_module",
    "scala_script",
    "sql_module",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rheo_assets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rheo_assets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
