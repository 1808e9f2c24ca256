"""AWS's engines as Dagster resources: their settings are seen, and set, where those of other resources are.

A definition of an application on AWS has one for each engine that its nodes use. `app.definitions(resources=…)` takes
the place of the ones that the platform's own options make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import dagster as dg
from pydantic import Field

from rheo_assets.model.compute.targets import Batch, Inlined
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.capabilities import Platform


class EngineResource(dg.ConfigurableResource[Any]):
    """The settings of an engine.

    Attributes:
        engine: The engine's name, as in a node's declaration.
    """

    engine: ClassVar[str] = ""

    region_name: str | None = Field(default=None, description="The region; the platform's otherwise.")
    endpoint_url: str | None = Field(default=None, description="Another endpoint of the service.")

    def options(self) -> dict[str, Any]:
        """Returns what is set, by the names of the engine's own settings."""
        return {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None and value != type(self).model_fields[name].default
        }


class GlueResource(EngineResource):
    """Spark code on AWS Glue: one job for each target of a node, one run a partition.

    A run carries the token of its execution and is found again instead of being started twice. All runs of a process
    are looked at in one loop. What a run prints is in Dagster's log while it runs; its id, console page, DPU-seconds
    and cost estimate are in the asset's metadata. A run of Dagster that is terminated stops its runs of Glue.
    """

    engine = "glue"

    role: str | None = Field(default=None, description="The IAM role of the jobs; the platform's otherwise.")
    worker_type: str = Field(default="G.1X", description="The type of workers where a node names none.")
    workers: int = Field(default=10, description="How many where a node says nothing.")
    arguments: dict[str, str] = Field(default={}, description="Further arguments of every run.")
    connections: list[str] = Field(default=[], description="Names of Glue connections: how jobs reach a network.")
    security_configuration: str = Field(default="", description="The name of one; empty for none.")
    tags: dict[str, str] = Field(default={}, description="Tags of the job definitions.")


class EmrServerlessResource(EngineResource):
    """Spark code on EMR Serverless; what `GlueResource` says of runs holds here, too."""

    engine = "emr_serverless"

    role: str | None = Field(default=None, description="The ARN of the IAM role of the jobs; the platform's otherwise.")
    application_id: str = Field(default="", description="An application; one is made, or found by its name, otherwise.")
    application_name: str = Field(default="rheo", description="The name of the application that is made.")
    release: str | None = Field(default=None, description="Its release label.")
    spark: dict[str, str] = Field(default={}, description="Spark settings of every job.")
    tags: dict[str, str] = Field(default={}, description="Tags of applications and jobs.")


class EmrResource(EngineResource):
    """Spark code on EMR clusters that live as long as their one step; what `GlueResource` says holds here, too."""

    engine = "emr"

    role: str | None = Field(
        default=None, description="The instance profile of the clusters; the platform's otherwise."
    )
    service_role: str = Field(default="EMR_DefaultRole_V2", description="What EMR itself may do.")
    release: str | None = Field(default=None, description="The release label.")
    instance_type: str = Field(default="m5.xlarge", description="The type of all instances.")
    instances: int = Field(default=3, description="How many, the primary one among them.")
    subnet: str = Field(default="", description="The id of a subnet; EMR's choice otherwise.")
    tags: dict[str, str] = Field(default={}, description="Tags of the clusters.")


class AthenaResource(EngineResource):
    """Presto SQL on Athena. A query carries a request token, so that a repeated start answers with the same query."""

    engine = "athena"

    workgroup: str = Field(default="primary", description="The workgroup.")
    output_location: str = Field(
        default="", description="The URI prefix of Athena's own results; the application's bucket otherwise."
    )


class LambdaResource(EngineResource):
    """Inlined Python on Lambda: one function for each set of code and requirements."""

    engine = "lambda"

    role: str | None = Field(default=None, description="The ARN of the functions' role; the platform's otherwise.")
    memory: int = Field(default=1024, description="Megabytes of memory.")
    disk: int = Field(default=2048, description="Megabytes of /tmp.")


_CLASSES: Mapping[str, type[EngineResource]] = {
    kind.engine: kind for kind in (AthenaResource, GlueResource, EmrResource, EmrServerlessResource, LambdaResource)
}


def resource_key(engine: str) -> str:
    """Returns the key of an engine's resource; `lambda` is a word of Python."""
    return "lambda_" if engine == "lambda" else engine


def engines_of(node: DataNode, platform: Platform) -> list[str]:
    """Returns the engines of a node that are resources on its platform."""
    if platform.name != "aws":
        return []
    used = {target.engine for target in node.targets if isinstance(target, Batch | Inlined)}
    return sorted(used & set(_CLASSES))


def engine_resources(nodes: Iterable[DataNode], platform: Platform) -> dict[str, EngineResource]:
    """Returns the resources of all engines that the nodes use, as the platform's own options set them."""
    names = sorted({name for node in nodes for name in engines_of(node, platform)})
    options: Any = getattr(platform, "options", lambda _name: {})
    return {resource_key(name): _CLASSES[name](**options(name)) for name in names}


def configured(platform: Platform, node: DataNode, resources: Any) -> Platform:
    """Returns the platform with the engines as the resources of a run set them."""
    options = {name: getattr(resources, resource_key(name)).options() for name in engines_of(node, platform)}
    if not options:
        return platform
    adjust: Any = platform
    changed: Platform = adjust.configured(options)
    return changed
