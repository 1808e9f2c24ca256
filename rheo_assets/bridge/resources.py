"""AWS engines as Dagster resources, so that their settings are shown and set with those of other resources.

The definitions of an application on AWS have one resource per engine that its nodes use, with the platform's options.
`app.definitions(resources=…)` replaces them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
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


@dataclass(frozen=True)
class EngineResources:
    """The resource of each engine that some nodes use, by the engine's name.

    Attributes:
        by_engine: The resources.
    """

    by_engine: Mapping[str, EngineResource]

    @classmethod
    def of(cls, nodes: Iterable[DataNode], platform: Platform, given: Iterable[EngineResource] = ()) -> EngineResources:
        """Returns the resources of nodes: the given ones, else resources with the platform's options."""
        names = sorted({name for node in nodes for name in _engines_of(node, platform)})
        options: Any = getattr(platform, "options", lambda _name: {})
        chosen = {resource.engine: resource for resource in given}
        return cls({name: chosen.get(name) or _resource(name, options(name)) for name in names})

    @property
    def by_key(self) -> dict[str, EngineResource]:
        """The resources by resource key."""
        return {resource_key(resource): resource for resource in self.by_engine.values()}

    def keys_of(self, node: DataNode, platform: Platform) -> set[str]:
        """Returns the keys of the resources that a node needs."""
        return {resource_key(self.by_engine[name]) for name in _engines_of(node, platform)}

    def configured(self, platform: Platform, node: DataNode, resources: Any) -> Platform:
        """Returns the platform with a node's engines set by the resources of a run."""
        options = {
            name: getattr(resources, resource_key(self.by_engine[name])).options()
            for name in _engines_of(node, platform)
        }
        if not options:
            return platform
        adjust: Any = platform
        changed: Platform = adjust.configured(options)
        return changed


def resource_key(resource: EngineResource) -> str:
    """Returns the key of an engine's resource: `rheo_glue`, or `rheo_glue_1f2e3d4c` if a setting is not the default.

    A team's own `glue` resource keeps its name. Applications with the same settings share one resource.
    """
    options = resource.options()
    digest = sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return f"rheo_{resource.engine}_{digest}" if options else f"rheo_{resource.engine}"


_shared: dict[str, EngineResource] = {}


def _resource(engine: str, options: Mapping[str, Any]) -> EngineResource:
    """Returns one object per settings: Dagster merges definitions whose resources are the same objects."""
    resource = _CLASSES[engine](**options)
    return _shared.setdefault(resource_key(resource), resource)


def _engines_of(node: DataNode, platform: Platform) -> list[str]:
    """Returns the engines of a node that have a resource on its platform."""
    if platform.name != "aws":
        return []
    used = {target.engine for target in node.targets if isinstance(target, Batch | Inlined)}
    return sorted(used & set(_CLASSES))
