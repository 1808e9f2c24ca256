"""Signal-driven, partitioned data assets on Dagster.

Declare what each dataset is built from; triggering, backfilling, alarms and sharing follow from that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rheo_assets.application import Application, AWSApplication
    from rheo_assets.application.logs import init_basic_logging
    from rheo_assets.model.compute.code import python_module, scala_module, scala_script, sql_module
    from rheo_assets.model.compute.permissions import Permission
    from rheo_assets.model.compute.targets import NOOPCompute
    from rheo_assets.model.compute.vocabulary import ABI, GlueVersion, GlueWorkerType, Lang
    from rheo_assets.model.compute.wrappers import EMR, BatchCompute, Glue, InlinedCompute, PrestoSQL, Spark, SparkSQL
    from rheo_assets.model.datasets import DataFormat, S3Dataset, SignalIntegrityProtocol
    from rheo_assets.model.dimensions import DatetimeGranularity, DimensionSpec, DimensionType
    from rheo_assets.model.executions import ComputeRecord, Execution
    from rheo_assets.model.links import EQUALS, LOWER, UPPER
    from rheo_assets.platforms.aws.platform import AwsPlatform
    from rheo_assets.platforms.local.platform import LocalPlatform

_HOME = {
    "ABI": "model.compute.vocabulary",
    "AWSApplication": "application",
    "Application": "application",
    "AwsPlatform": "platforms.aws.platform",
    "BatchCompute": "model.compute.wrappers",
    "ComputeRecord": "model.executions",
    "DataFormat": "model.datasets",
    "DatetimeGranularity": "model.dimensions",
    "DimensionSpec": "model.dimensions",
    "DimensionType": "model.dimensions",
    "EMR": "model.compute.wrappers",
    "EQUALS": "model.links",
    "Execution": "model.executions",
    "Glue": "model.compute.wrappers",
    "GlueVersion": "model.compute.vocabulary",
    "GlueWorkerType": "model.compute.vocabulary",
    "InlinedCompute": "model.compute.wrappers",
    "LOWER": "model.links",
    "Lang": "model.compute.vocabulary",
    "LocalPlatform": "platforms.local.platform",
    "NOOPCompute": "model.compute.targets",
    "Permission": "model.compute.permissions",
    "PrestoSQL": "model.compute.wrappers",
    "S3Dataset": "model.datasets",
    "SignalIntegrityProtocol": "model.datasets",
    "Spark": "model.compute.wrappers",
    "SparkSQL": "model.compute.wrappers",
    "UPPER": "model.links",
    "init_basic_logging": "application.logs",
    "python_module": "model.compute.code",
    "scala_module": "model.compute.code",
    "scala_script": "model.compute.code",
    "sql_module": "model.compute.code",
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
