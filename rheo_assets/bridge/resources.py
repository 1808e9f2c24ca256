"""AWS's engines as Dagster resources: their settings are seen, and set, where those of other resources are.

A definition of an application on AWS has one for each engine that its nodes use. `app.definitions(resources=…)` takes
the place of the ones that the platform's own options make.
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


@dataclass(frozen=True)
class EngineResources:
    """The resource of each engine that some nodes use, by the engine's name.

    Attributes:
        by_engine: The resources.
    """

    by_engine: Mapping[str, EngineResource]

    @classmethod
    def of(cls, nodes: Iterable[DataNode], platform: Platform, given: Iterable[EngineResource] = ()) -> EngineResources:
        """Returns the resources of nodes: those that were given, else what the platform's own options say."""
        names = sorted({name for node in nodes for name in _engines_of(node, platform)})
        options: Any = getattr(platform, "options", lambda _name: {})
        chosen = {resource.engine: resource for resource in given}
        return cls({name: chosen.get(name) or _resource(name, options(name)) for name in names})

    @property
    def by_key(self) -> dict[str, EngineResource]:
        """The resources by their keys in Dagster."""
        return {resource_key(resource): resource for resource in self.by_engine.values()}

    def keys_of(self, node: DataNode, platform: Platform) -> set[str]:
        """Returns the keys of the resources that a node needs."""
        return {resource_key(self.by_engine[name]) for name in _engines_of(node, platform)}

    def configured(self, platform: Platform, node: DataNode, resources: Any) -> Platform:
        """Returns the platform with a node's engines set as the resources of a run say."""
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
    """Returns the key of an engine's resource: `rheo_glue`, and `rheo_glue_1f2e3d4c` if its settings are not defaults.

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
    """Returns the engines of a node that are resources on its platform."""
    if platform.name != "aws":
        return []
    used = {target.engine for target in node.targets if isinstance(target, Batch | Inlined)}
    return sorted(used & set(_CLASSES))
