"""The asset of each node: data nodes are materialised, all others are external assets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from rheo_assets.bridge.assets.partition_mappings import lineage
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.dagster_internals import CheckError, disable_dagster_warnings
from rheo_assets.bridge.execution.body import Body
from rheo_assets.bridge.names import asset_key, dagster_name, op_name, router_key
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.bridge.resources import EngineResources
from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.engines import title_of
from rheo_assets.model.compute.targets import Batch, Inlined
from rheo_assets.model.nodes import DataNode, ExternalData, Projection, Timer
from rheo_assets.model.signals import Signal, View

_CONFIG_FIELDS = {
    "executions": dg.Field(
        [dict], is_required=False, description="Set by the router: executions with resolved inputs. Leave it empty."
    ),
    "wait": dg.Field(
        bool,
        is_required=False,
        description="Wait for range-checked and nearest inputs that are not ready. By default, the run fails.",
    ),
    "wait_timeout_seconds": dg.Field(
        int, is_required=False, description="How many seconds to wait. The default is 3600."
    ),
}
# All nodes share these objects: Dagster processes each new object again.
_CONFIG = dg.Field(_CONFIG_FIELDS)
_PARENT = dg.In(dg.Nothing)
_RESULT = dg.Out(dg.Any, is_required=False)
_ONE_RUN = dg.BackfillPolicy.single_run()


def node_asset(
    binding: Binding, node: DataNode, codec: Codec | None = None, resources: EngineResources | None = None
) -> dg.AssetsDefinition:
    """Returns the asset of a data node.

    It is built from an op and a spec, as `@dg.asset` does. `@dg.asset` inspects the signature of each function a dozen
    times, and all of ours have the same one.

    Args:
        binding: The application.
        node: The node.
        codec: Replaces the codec of the binding; the asset then has no parents.
        resources: The resources of its engines. By default they have the platform's options.
    """
    key = asset_key(node.application, node.id)
    engines = resources or EngineResources.of([node], binding.platform)
    with disable_dagster_warnings(), _naming(node):  # code references and most mappings are marked beta
        edges = list(_edges(binding, node)) if codec is None else []
        spec = dg.AssetSpec(
            key,
            deps=[edge.dependency for edge in edges] or None,
            partitions_def=(codec or binding.codecs[node.id]).definition,
            **_shown(node, sorted(alias for edge in edges if not edge.exact for alias in edge.aliases)),
        )
        parents = _input_names(spec.deps)
        op = dg.OpDefinition(
            _compute(binding, node, engines),
            name=op_name(node.application, node.id),
            ins=dict.fromkeys(parents, _PARENT),
            outs={"result": _RESULT},
            description=spec.description,
            config_schema=_CONFIG,
            required_resource_keys=engines.keys_of(node, binding.platform),
        )
        return dg.AssetsDefinition(
            keys_by_input_name=parents,
            keys_by_output_name={"result": key},
            node_def=op,
            specs=[spec],
            backfill_policy=_ONE_RUN if spec.partitions_def is not None else None,
        )


def _compute(binding: Binding, node: DataNode, engines: EngineResources) -> Callable[..., Any]:
    def materialise(context, _inputs):  # type: ignore[no-untyped-def]  # Dagster reads no postponed annotations
        yield from Body(binding, node, context, engines).run()

    return materialise


def _input_names(parents: Iterable[dg.AssetDep]) -> dict[str, dg.AssetKey]:
    """Returns the parents by the names of the op's inputs, which allow fewer characters than ids."""
    names: dict[str, dg.AssetKey] = {}
    for parent in parents:
        name = dagster_name(*parent.asset_key.path)
        names[name if name not in names else f"{name}_{len(names)}"] = parent.asset_key
    return names


def external_spec(binding: Binding, node: Signal) -> dg.AssetSpec:
    """Returns the external asset of a dataset, timer or projection."""
    source = [node.source.node] if isinstance(node, Projection) else []
    with disable_dagster_warnings(), _naming(node):  # code references are marked beta
        return dg.AssetSpec(
            asset_key(node.application, node.id),
            deps=[asset_key(parent.application, parent.id) for parent in source],
            partitions_def=binding.codecs[node.id].definition,
            **_shown(node),
        )


@contextmanager
def _naming(node: Signal) -> Iterator[None]:
    """Names the node if Dagster refuses its metadata."""
    try:
        yield
    except (dg.DagsterInvalidDefinitionError, CheckError, TypeError) as error:
        raise DeclarationError(
            f"'{node.id}'",
            f"Dagster refuses its metadata: {error}",
            "`description` and `group` are strings, `owners` a list of e-mail addresses and 'team:name', `tags` a dict "
            "of strings",
        ) from error


def router_spec(application: str) -> dg.AssetSpec:
    """Returns the external asset that holds the observations of the router."""
    return dg.AssetSpec(
        router_key(application),
        group_name=dagster_name(application),
        description="The decisions of this application's router: its turns and plans, as observations.",
    )


@dataclass(frozen=True)
class _Edge:
    """A node's dependency on one parent: the aliases that read it, and whether Dagster's mapping is exact."""

    aliases: tuple[str, ...]
    dependency: dg.AssetDep
    exact: bool


def _edges(binding: Binding, node: DataNode) -> Iterator[_Edge]:
    used: dict[str, dict[str, View]] = {}
    for alias, view in node.inputs.items():
        used.setdefault(view.node.id, {})[alias] = view
    for parent, views in used.items():
        drawn = lineage(list(views.values()), binding.codecs[node.id], binding.codecs[parent])
        dependency = dg.AssetDep(asset_key(node.application, parent), partition_mapping=drawn.mapping)
        yield _Edge(tuple(views), dependency, drawn.exact)


def _shown(node: Signal, approximate: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what the UI shows of a node: description, group, owners, tags, kinds, a link to its code."""
    given = dict(getattr(node, "metadata", {}) or {})
    source = given.pop("_source", None)
    metadata: dict[str, Any] = {}
    if isinstance(node, DataNode | ExternalData):
        metadata["dagster/uri"] = node.layout.root
        metadata["format"] = str(node.format)
    if isinstance(node, Timer):
        metadata["schedule"] = node.expression
    if isinstance(node, Projection):
        metadata["projects"] = f"{node.source}, over {len(node.filter.branches)} values"
    if isinstance(node, DataNode):
        metadata["inputs"] = dg.MetadataValue.md(
            "\n".join(f"* `{a}` = `{view}`" for a, view in node.inputs.items()) or "none"
        )
        code = [target for target in node.targets if isinstance(target, Batch)]
        if engines := sorted(
            {title_of(target.engine) for target in node.targets if isinstance(target, Batch | Inlined)}
        ):
            metadata["engine"] = ", ".join(engines)
        if code:
            metadata["code"] = dg.MetadataValue.md("\n\n".join(f"```\n{target.code.strip()}\n```" for target in code))
        if approximate:
            names = ", ".join(f"`{alias}`" for alias in approximate)
            metadata["approximate lineage"] = dg.MetadataValue.md(f"{names}: each materialisation lists what it read")
    if source is not None:
        reference = dg.LocalFileCodeReference(file_path=source[0], line_number=source[1], label=node.id)
        metadata["dagster/code_references"] = dg.CodeReferencesMetadataValue(code_references=[reference])
    metadata.update(given.get("metadata") or {})
    return {
        "description": given.get("description"),
        "owners": given.get("owners"),
        "tags": given.get("tags"),
        "group_name": dagster_name(given.get("group") or node.application),
        "kinds": _kinds(node),
        "metadata": metadata,
    }


def _kinds(node: Signal) -> set[str]:
    if isinstance(node, ExternalData):
        return {"s3", str(node.format)}
    if not isinstance(node, DataNode):
        return {type(node).__name__.lower()}
    kinds = {dagster_name(target.kind) for target in node.targets if isinstance(target, Batch | Inlined)}
    kinds.add(str(node.format) if kinds else "noop")
    return set(sorted(kinds)[:3])
