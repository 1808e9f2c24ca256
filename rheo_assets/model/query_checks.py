"""Checks of SQL targets: formats that the engine cannot write, and arguments that hide something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.targets import Batch, Target
from rheo_assets.model.compute.vocabulary import Lang
from rheo_assets.model.datasets import DataFormat
from rheo_assets.model.dimensions import DimensionSpec


def options_of_presto(data_format: DataFormat, options: dict[str, Any], where: str) -> dict[str, Any]:
    """Returns the output options of Presto SQL; csv has no header, because UNLOAD cannot write one.

    Presto SQL cannot write orc: Athena could, but the local engine cannot.
    """
    if data_format is DataFormat.ORC:
        raise DeclarationError(
            where, "asks Presto SQL for orc, which only Spark can write", "Use parquet, or SparkSQL(…)"
        )
    if data_format is not DataFormat.CSV:
        return options
    if options.get("header"):
        raise DeclarationError(
            where, "asks Presto SQL for csv with a header, which Athena cannot write", "Remove header=, or use Spark"
        )
    return {**options, "header": False}


def check_arguments(targets: Sequence[Target], spec: DimensionSpec, views: Mapping[str, Any], where: str) -> None:
    """Raises for arguments of SQL whose `{name}` already means something else."""
    for target in targets:
        if isinstance(target, Batch) and target.lang in {Lang.SPARK_SQL, Lang.PRESTO_SQL}:
            for kind, names in (("dimension", spec.names), ("input", views)):
                if taken := sorted(set(target.args) & set(names)):
                    raise DeclarationError(
                        where, f"has both an argument and {kind} {taken[0]!r}", "Give the argument another name"
                    )
