"""Builds nodes from what the user writes, with every check that is possible without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from rheo_assets.errors import DeclarationError, InvalidValue
from rheo_assets.model.arguments import check_extras
from rheo_assets.model.compute.engines import EngineKind
from rheo_assets.model.compute.vocabulary import Lang
from rheo_assets.model.compute.wrappers import as_targets
from rheo_assets.model.datasets import (
    SUCCESS,
    DataFormat,
    Layout,
    S3Dataset,
    SignalIntegrityProtocol,
    check_columns,
    check_options,
)
from rheo_assets.model.dimensions import DatetimeGranularity, DimensionSpec, DimensionType
from rheo_assets.model.filters import Filter
from rheo_assets.model.key_lengths import WHILE_WRITTEN, check_key_lengths
from rheo_assets.model.links import Linkage
from rheo_assets.model.links.covers import settle_covers
from rheo_assets.model.links.pinned import check_pinned_apart
from rheo_assets.model.nodes import (
    DataNode,
    ExternalData,
    Projection,
    Timer,
    check_id,
    check_projection,
    input_links_of,
    read_inputs,
)
from rheo_assets.model.query_checks import check_arguments, options_of_presto
from rheo_assets.model.range_warnings import warn_of_ranges
from rheo_assets.model.signals import View, as_view, check_own

_HOOKS = frozenset({"execution_hook", "pending_node_hook"})
_ARGUMENTS = (
    "inputs",
    "input_dim_links",
    "output_dimension_spec",
    "output_dim_links",
    "compute_targets",
    "pending_node_expiration_ttl_in_secs",
    "auto_input_dim_linking_enabled",
    "auto_output_dim_linking_enabled",
    "protocol",
    "columns",
    "dataset_format",
    "delimiter",
    "header",
    "compression",
)
_FARTHEST_SHIFT = 1_000_000  # granules
_TIMER_ARGUMENTS = (
    "time_dimension_id",
    "time_dimension_format",
    "time_dimension_granularity",
    "time_dimension_shift",
)
_EXTERNAL_ARGUMENTS = ("dimension_spec", "dimension_filter", "protocol")
_PROJECTION_ARGUMENTS = ("output_dimension_spec", "output_dimension_filter")
_WRITER_OPTIONS = ("delimiter", "header", "compression")


def timer_node(
    application: str,
    node_id: str,
    expression: str,
    dimension_id: str = "time",
    time_format: str | None = None,
    granularity: DatetimeGranularity | str | None = None,
    shift: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Timer:
    """Returns a timer: one DATETIME dimension whose values are the scheduled times."""
    check_id("timer", node_id)
    check_extras(f"timer '{node_id}'", metadata or {}, _TIMER_ARGUMENTS)
    from rheo_assets.model.schedules import parse_schedule

    try:
        schedule = parse_schedule(expression)
    except ValueError as error:
        raise DeclarationError(f"timer '{node_id}'", str(error)) from None
    is_shift = isinstance(shift, int) and not isinstance(shift, bool) and abs(shift) <= _FARTHEST_SHIFT
    if shift is not None and not is_shift:
        raise DeclarationError(
            f"timer '{node_id}'", f"time_dimension_shift is {shift!r}", "Give a number of steps, e.g. -1"
        )
    if not isinstance(dimension_id, str):
        raise DeclarationError(
            f"timer '{node_id}'", f"time_dimension_id is {dimension_id!r}", 'Give a name, e.g. "day"'
        )
    level: dict[str, Any] = {"type": DimensionType.DATETIME, "format": time_format, "granularity": granularity}
    level = {name: value for name, value in level.items() if value is not None}
    spec = _spec_of({dimension_id: level}, f"timer '{node_id}'")
    return Timer(node_id, application, spec, Filter.open(spec), expression, schedule, shift or 0, dict(metadata or {}))


def external_node(
    application: str,
    node_id: str,
    dataset: S3Dataset,
    dimension_spec: DimensionSpec | Mapping[str, Any] | None = None,
    dimension_filter: Filter | Mapping[Any, Any] | None = None,
    protocol: SignalIntegrityProtocol | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ExternalData:
    """Returns an external dataset."""
    where = f"external data '{check_id('external data', node_id)}'"
    check_extras(where, metadata or {}, _EXTERNAL_ARGUMENTS)
    if not isinstance(dataset, S3Dataset):
        raise DeclarationError(where, f"the description is {dataset!r}", "Give an S3Dataset(...)")
    spec, among = _declared(_spec_of(dimension_spec, where), dimension_filter, where)
    dataset.check_spec(spec, where)
    _check_protocol(protocol, where)
    named = max((len(name.encode()) for name in protocol.files), default=1) if protocol is not None else 1
    check_key_lengths(where, dataset.layout, spec, among, added=named + 1)
    return ExternalData(
        node_id,
        application,
        spec,
        among,
        dataset.layout,
        dataset.format,
        dataset.options,
        protocol,
        dict(metadata or {}),
        dataset.columns,
    )


def projection_node(
    application: str,
    node_id: str,
    source: object,
    output_dimension_spec: DimensionSpec | Mapping[str, Any],
    output_dimension_filter: Filter | Mapping[Any, Any],
    metadata: Mapping[str, Any] | None = None,
) -> Projection:
    """Returns a projection of one signal over known values."""
    where = f"projection '{check_id('projection', node_id)}'"
    check_extras(where, metadata or {}, _PROJECTION_ARGUMENTS)
    view = as_view(source)
    _check_own_input(view, application, where)
    spec, fanned = _declared(_spec_of(output_dimension_spec, where), output_dimension_filter, where)
    check_projection(where, view, spec, fanned.branches)
    return Projection(node_id, application, spec, fanned, view, dict(metadata or {}))


def data_node(
    application: str,
    bucket: str,
    node_id: str,
    /,
    inputs: object = None,
    input_dim_links: object = None,
    output_dimension_spec: DimensionSpec | Mapping[str, Any] | None = None,
    output_dim_links: object = None,
    compute_targets: object = None,
    pending_node_expiration_ttl_in_secs: float | None = None,
    auto_input_dim_linking_enabled: bool = True,
    auto_output_dim_linking_enabled: bool = True,
    protocol: SignalIntegrityProtocol | None = None,
    columns: Mapping[str, str] | None = None,
    engine_kinds: Sequence[EngineKind] | None = None,
    **metadata: Any,
) -> DataNode:
    """Returns a data node; see `Application.create_data` for the arguments.

    `engine_kinds` are the engines that its targets may use, in order of preference. The default is all engines.

    Raises:
        DeclarationError: The declaration cannot work.
    """
    where = f"node '{check_id('node', node_id)}'"
    ours = {"application", "bucket", "node_id", "where", "engine_kinds"}
    declaration = {name: value for name, value in locals().items() if name not in {*ours, "ours"}}
    declaration.update(declaration.pop("metadata"))
    metadata = {name: value for name, value in metadata.items() if name not in _HOOKS or value is not None}
    check_extras(where, metadata, _ARGUMENTS)
    views = read_inputs(where, inputs)
    warn_of_ranges(where, views)
    for view in views.values():
        _check_own_input(view, application, where)
        if view.node.id == node_id:
            raise DeclarationError(where, "reads itself", "A node's inputs are other nodes")
    for name in ("auto_input_dim_linking_enabled", "auto_output_dim_linking_enabled"):
        if not isinstance(declaration[name], bool):
            raise DeclarationError(where, f"{name} is {declaration[name]!r}", "Give True or False")
    written = input_links_of(where, input_dim_links), input_links_of(where, output_dim_links)
    unspelled = _output_spec(output_dimension_spec, views, where)
    if output_dimension_spec is None:
        check_pinned_apart(where, views, unspelled, written[1])
    views, covers = settle_covers(where, views, unspelled, (*written[0], *written[1]))
    links = (*written, auto_input_dim_linking_enabled, auto_output_dim_linking_enabled, covers)
    linkage = Linkage(node_id, views, unspelled, *links)
    if views:
        linkage.check_determined()
    spec, _ = linkage.output_filter().settled(unspelled)
    if spec is not unspelled:
        linkage = Linkage(node_id, views, spec, *links)
    protocol = SUCCESS if protocol is None else protocol
    _check_protocol(protocol, where)
    ttl = pending_node_expiration_ttl_in_secs
    if ttl is not None and (not isinstance(ttl, int | float) or isinstance(ttl, bool) or not 0 < ttl < inf):
        raise DeclarationError(
            where, f"pending_node_expiration_ttl_in_secs is {ttl!r}", "Give a number of seconds above 0"
        )
    data_format = DataFormat.of(metadata.pop("dataset_format", DataFormat.PARQUET), where)
    options = {name: metadata.pop(name) for name in _WRITER_OPTIONS if name in metadata}
    targets = as_targets(compute_targets, where, engine_kinds)
    if any(getattr(target, "lang", "") == Lang.PRESTO_SQL for target in targets):
        options = options_of_presto(data_format, options, where)
    check_arguments(targets, spec, views, where)
    layout = Layout(f"s3://{bucket}/internal_data/{node_id}", ("{}",) * len(spec))
    check_key_lengths(where, layout, spec, linkage.output_filter(), added=WHILE_WRITTEN)
    return DataNode(
        node_id,
        application,
        spec,
        linkage.output_filter(),
        views,
        linkage,
        targets,
        layout,
        data_format,
        check_options(data_format, options, where),
        protocol,
        ttl,
        metadata,
        declaration,
        check_columns(data_format, columns, where),
    )


def _check_own_input(view: View, application: str, where: str) -> None:
    remedy = (
        f"Declare it in '{application}', too; the output of another application is external data, "
        "completed by '_SUCCESS'"
    )
    check_own(view.node, application, f"{where}: input '{view.node.id}'", remedy)


def _output_spec(declared: object, views: Mapping[str, Any], where: str) -> DimensionSpec:
    if declared is not None:
        return _spec_of(declared, where)
    first = next(iter(views.values()), None)
    return first.node.spec.as_declared if first is not None else DimensionSpec()


def _spec_of(declared: object, where: str) -> DimensionSpec:
    """Reads a spec; errors name its node."""
    if declared is not None and not isinstance(declared, DimensionSpec | Mapping):
        raise DeclarationError(
            where, f"the dimension spec is {declared!r}", 'Write {"day": {"type": DimensionType.DATETIME}}'
        )
    try:
        return DimensionSpec.of(declared).as_declared
    except InvalidValue as error:
        raise DeclarationError(where, str(error)) from None
    except DeclarationError as error:
        raise DeclarationError(f"{where}: {error.subject}", error.problem, error.remedy) from None


def _check_protocol(protocol: object, where: str) -> None:
    if protocol is not None and not isinstance(protocol, SignalIntegrityProtocol):
        raise DeclarationError(
            where, f"protocol is {protocol!r}", 'Write SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})'
        )


def _declared(
    spec: DimensionSpec, declared: Filter | Mapping[Any, Any] | None, where: str
) -> tuple[DimensionSpec, Filter]:
    """Returns a signal's spec and filter; an insensitive value gets the first spelling in the filter."""
    if declared is not None and not isinstance(declared, Filter | Mapping):
        raise DeclarationError(
            where, f"the dimension filter is {declared!r}", 'Write {"NA": {"*": {}}}, one dict per level'
        )
    among = declared if isinstance(declared, Filter) else Filter.of(spec, declared, where)
    return among.settled(spec)
