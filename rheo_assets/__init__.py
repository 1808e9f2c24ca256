"""Signal-driven, partitioned data assets on Dagster.

Say what a dataset is made from; triggering, backfilling, alarms and sharing follow from that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheo_assets.application import Application, AWSApplication
    from rheo_assets.compute.targets import (
        ABI,
        BatchCompute,
        GlueVersion,
        GlueWorkerType,
        InlinedCompute,
        Lang,
        NOOPCompute,
        PrestoSQL,
        Spark,
        SparkSQL,
    )
    from rheo_assets.datasets import DataFormat, S3Dataset, SignalIntegrityProtocol
    from rheo_assets.dimensions import DatetimeGranularity, DimensionSpec, DimensionType
    from rheo_assets.executions import ComputeRecord, Execution
    from rheo_assets.links import EQUALS, LOWER, UPPER
    from rheo_assets.logs import init_basic_logging
    from rheo_assets.platforms.local.platform import LocalPlatform

_HOME = {
    "ABI": "compute.targets",
    "AWSApplication": "application",
    "Application": "application",
    "BatchCompute": "compute.targets",
    "ComputeRecord": "executions",
    "DataFormat": "datasets",
    "DatetimeGranularity": "dimensions",
    "DimensionSpec": "dimensions",
    "DimensionType": "dimensions",
    "EQUALS": "links",
    "Execution": "executions",
    "GlueVersion": "compute.targets",
    "GlueWorkerType": "compute.targets",
    "InlinedCompute": "compute.targets",
    "LOWER": "links",
    "Lang": "compute.targets",
    "LocalPlatform": "platforms.local.platform",
    "NOOPCompute": "compute.targets",
    "PrestoSQL": "compute.targets",
    "S3Dataset": "datasets",
    "SignalIntegrityProtocol": "datasets",
    "Spark": "compute.targets",
    "SparkSQL": "compute.targets",
    "UPPER": "links",
    "init_basic_logging": "logs",
}

__all__ = [
    "ABI",
    "EQUALS",
    "LOWER",
    "UPPER",
    "AWSApplication",
    "Application",
    "BatchCompute",
    "ComputeRecord",
    "DataFormat",
    "DatetimeGranularity",
    "DimensionSpec",
    "DimensionType",
    "Execution",
    "GlueVersion",
    "GlueWorkerType",
    "InlinedCompute",
    "Lang",
    "LocalPlatform",
    "NOOPCompute",
    "PrestoSQL",
    "S3Dataset",
    "SignalIntegrityProtocol",
    "Spark",
    "SparkSQL",
    "init_basic_logging",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rheo_assets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rheo_assets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
