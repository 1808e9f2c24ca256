"""AWS engines as Dagster resources, so that their settings are shown and set with those of other resources.

The definitions of an application on AWS have one resource per engine that its nodes use, with the platform's options.
`app.definitions(resources=…)` replaces them.
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

    region_name: str | None = Field(default=None, description="The AWS region. Defaults to the platform's.")
    endpoint_url: str | None = Field(default=None, description="A custom endpoint of the service.")

    def options(self) -> dict[str, Any]:
        """Returns the settings that are not defaults, by name."""
        return {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None and value != type(self).model_fields[name].default
        }


class GlueResource(EngineResource):
    """Spark code on AWS Glue: one job per target of a node, one job run per partition.

    A job run carries the token of its execution, so it is found again and never started twice. One loop polls all job
    runs of a process. Their output appears in Dagster's log while they run. The id, console page, DPU-seconds and cost
    estimate are in the asset's metadata. Terminating a Dagster run stops its Glue job runs.
    """

    engine = "glue"

    role: str | None = Field(default=None, description="The IAM role of the jobs. Defaults to the platform's.")
    worker_type: str = Field(default="G.1X", description="The worker type of nodes that set none.")
    workers: int = Field(default=10, description="The number of workers of nodes that set none.")
    arguments: dict[str, str] = Field(default={}, description="Additional arguments of every job run.")
    connections: list[str] = Field(default=[], description="Names of Glue connections, for access to a network.")
    security_configuration: str = Field(default="", description="The name of a security configuration. Empty for none.")
    tags: dict[str, str] = Field(default={}, description="Tags of the job definitions.")


class EmrServerlessResource(EngineResource):
    """Spark code on EMR Serverless. Job runs behave as described in `GlueResource`."""

    engine = "emr_serverless"

    role: str | None = Field(default=None, description="The ARN of the jobs' IAM role. Defaults to the platform's.")
    application_id: str = Field(default="", description="The EMR application; by default found by name, or created.")
    application_name: str = Field(default="rheo", description="The name of the EMR application to find or create.")
    release: str | None = Field(default=None, description="The release label of the EMR application.")
    spark: dict[str, str] = Field(default={}, description="Spark settings of every job.")
    tags: dict[str, str] = Field(default={}, description="Tags of applications and jobs.")


class EmrResource(EngineResource):
    """Spark code on EMR clusters that run one step and end. Steps behave as the job runs of `GlueResource`."""

    engine = "emr"

    role: str | None = Field(
        default=None, description="The instance profile of the clusters. Defaults to the platform's."
    )
    service_role: str = Field(default="EMR_DefaultRole_V2", description="The service role of EMR.")
    release: str | None = Field(default=None, description="The release label.")
    instance_type: str = Field(default="m5.xlarge", description="The instance type of all instances.")
    instances: int = Field(default=3, description="The number of instances, including the primary one.")
    subnet: str = Field(default="", description="The id of the subnet. By default EMR chooses.")
    tags: dict[str, str] = Field(default={}, description="Tags of the clusters.")


class AthenaResource(EngineResource):
    """Presto SQL on Athena. A query carries a request token, so a repeated start returns the same query."""

    engine = "athena"

    workgroup: str = Field(default="primary", description="The Athena workgroup.")
    output_location: str = Field(
        default="", description="The URI prefix of Athena's query results. Defaults to the application's bucket."
    )


class LambdaResource(EngineResource):
    """Inlined Python on Lambda: one function per set of code and requirements."""

    engine = "lambda"

    role: str | None = Field(default=None, description="The ARN of the functions' role. Defaults to the platform's.")
    memory: int = Field(default=1024, description="The memory of a function in MB.")
    disk: int = Field(default=2048, description="The size of /tmp in MB.")


_CLASSES: Mapping[str, type[EngineResource]] = {
    kind.engine: kind for kind in (AthenaResource, GlueResource, EmrResource, EmrServerlessResource, LambdaResource)
}


def resource_key(engine: str) -> str:
    """Returns the resource key of an engine; `lambda` is a keyword of Python."""
    return "lambda_" if engine == "lambda" else engine


def engines_of(node: DataNode, platform: Platform) -> list[str]:
    """Returns the engines of a node that have a resource on its platform."""
    if platform.name != "aws":
        return []
    used = {target.engine for target in node.targets if isinstance(target, Batch | Inlined)}
    return sorted(used & set(_CLASSES))


def engine_resources(nodes: Iterable[DataNode], platform: Platform) -> dict[str, EngineResource]:
    """Returns the resources of all engines that the nodes use, with the platform's options."""
    names = sorted({name for node in nodes for name in engines_of(node, platform)})
    options: Any = getattr(platform, "options", lambda _name: {})
    return {resource_key(name): _CLASSES[name](**options(name)) for name in names}


def configured(platform: Platform, node: DataNode, resources: Any) -> Platform:
    """Returns the platform with its engines set by the resources of a run."""
    options = {name: getattr(resources, resource_key(name)).options() for name in engines_of(node, platform)}
    if not options:
        return platform
    adjust: Any = platform
    changed: Platform = adjust.configured(options)
    return changed
