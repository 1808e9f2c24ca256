"""Nodes as JSON: the arguments of their builders in `declaration.py`.

Loading calls these builders, so it validates and links exactly as a declaration does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rheo_assets.errors import DeclarationError, StateError, UnusableCallable
from rheo_assets.model.compute.plain import plain
from rheo_assets.model.datasets import Layout, S3Dataset, SignalIntegrityProtocol
from rheo_assets.model.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.model.nodes import DataNode, ExternalData, Projection, Timer
from rheo_assets.model.recording.document import check_version, header, unreadable
from rheo_assets.model.recording.functions import Load, Store
from rheo_assets.model.recording.links import dump_link, load_link
from rheo_assets.model.recording.specs import dump_filter, dump_spec, dump_view, load_filter, load_spec, load_view
from rheo_assets.model.recording.targets import dump_target, load_target
from rheo_assets.model.signals import Signal
from rheo_assets.model.topology import Topology


def dump_topology(topology: Topology, store: Store) -> dict[str, Any]:
    """Returns the declaration of an application: the arguments of its nodes, in declared order.

    Args:
        topology: The nodes.
        store: Stores a callable of a node and returns its hash. It is not called for the callables of a loaded
            declaration, whose blobs already exist.

    Raises:
        DeclarationError: JSON cannot hold a value; the message names the node and the key.
        UnusableCallable: A function cannot be recorded.
    """
    return {**header(topology.application), "nodes": [_dump_node(node, topology, store) for node in topology]}


def load_topology(fields: Mapping[str, Any], load_callable: Load) -> Topology:
    """Returns the nodes of a recorded declaration, built and checked as the source would build them.

    Inlined callables are not opened. Functions of links and formats are opened at their first call. That is during
    loading if a literal determines another dimension through them.

    Args:
        fields: The result of `dump_topology`.
        load_callable: Opens the callable with a hash.

    Raises:
        StateError: The record has another version, or is not a readable declaration.
        UnusableCallable: A needed function cannot be opened here.
    """
    check_version(fields, f"the recorded declaration of application '{fields.get('application')}'")
    return _Loader(fields, load_callable).topology()


def _dump_node(node: Signal, topology: Topology, store: Store) -> dict[str, Any]:
    if isinstance(node, ExternalData):
        return _dump_external(node, store)
    if isinstance(node, Timer):
        return _dump_timer(node, store)
    if isinstance(node, Projection):
        _check_known(node, node.source.node, topology)
        return {
            "id": node.id,
            "kind": "projection",
            "source": dump_view(node.source),
            "dimensions": dump_spec(node.spec, node.id, store),
            "filter": dump_filter(node.filter),
            **_shown(node, f"projection '{node.id}'"),
        }
    if isinstance(node, DataNode):
        for parent in node.parents:
            _check_known(node, parent, topology)
        return _dump_data(node, store)
    raise DeclarationError(f"node '{node.id}'", f"is a {type(node).__name__}, which cannot be recorded")


def _check_known(node: Signal, parent: Signal, topology: Topology) -> None:
    if parent.id not in topology:
        raise DeclarationError(
            f"node '{node.id}'", f"reads '{parent.id}', which application '{topology.application}' does not have"
        )


def _dump_external(node: ExternalData, store: Store) -> dict[str, Any]:
    where = f"external data '{node.id}'"
    return {
        "id": node.id,
        "kind": "external",
        "dimensions": dump_spec(node.spec, node.id, store),
        "filter": dump_filter(node.filter),
        "location": node.layout.root,
        "segments": list(node.layout.segments),
        "format": str(node.format),
        "options": _named(node.options, where),
        "protocol": _dump_protocol(node.protocol, where),
        "metadata": _named(_public(node.metadata), where),
        **_columns(node),
    }


def _dump_timer(node: Timer, store: Store) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": "timer",
        "expression": node.expression,
        "shift": node.shift,
        "dimensions": dump_spec(node.spec, node.id, store),
        **_shown(node, f"timer '{node.id}'"),
    }


def _shown(node: Timer | Projection, where: str) -> dict[str, Any]:
    """Returns the metadata entry; empty if there is no metadata, as in older documents."""
    shown = _named(_public(node.metadata), where)
    return {"metadata": shown} if shown else {}


def _dump_data(node: DataNode, store: Store) -> dict[str, Any]:
    where = f"node '{node.id}'"
    links = {
        name: [dump_link(link, node.id, node.inputs, store) for link in node.declaration.get(name) or ()]
        for name in ("input_dim_links", "output_dim_links")
    }
    return {
        "id": node.id,
        "kind": "data",
        "inputs": [{"alias": alias, **dump_view(view)} for alias, view in node.inputs.items()],
        "auto_input_dim_linking_enabled": bool(node.declaration.get("auto_input_dim_linking_enabled", True)),
        "auto_output_dim_linking_enabled": bool(node.declaration.get("auto_output_dim_linking_enabled", True)),
        **links,
        "dimensions": dump_spec(node.spec, node.id, store),
        "compute_targets": [dump_target(target, node.id, store) for target in node.targets],
        "location": node.layout.root,
        "format": str(node.format),
        "options": _named(node.options, where),
        "protocol": _dump_protocol(node.protocol, where),
        "ttl_in_secs": node.ttl,
        "metadata": _named(_public(node.metadata), where),
        **_columns(node),
    }


def _columns(node: ExternalData | DataNode) -> dict[str, Any]:
    """Returns the entry of the declared columns, in order; empty if there are none, as in older documents."""
    return {"columns": [list(column) for column in node.columns]} if node.columns else {}


def _public(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the user's metadata, without internal entries such as `_source`."""
    return {name: value for name, value in metadata.items() if not str(name).startswith("_")}


def _named(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {name: plain(value, where, name) for name, value in values.items()}


def _dump_protocol(protocol: SignalIntegrityProtocol | None, where: str) -> dict[str, Any] | None:
    if protocol is None:
        return None
    return {"type": protocol.type, "args": plain(protocol.args, where, "protocol")}


def _load_protocol(recorded: Mapping[str, Any] | None) -> SignalIntegrityProtocol | None:
    return SignalIntegrityProtocol(recorded["type"], recorded["args"]) if recorded else None


def _load_columns(record: Mapping[str, Any]) -> dict[str, str] | None:
    return dict(record["columns"]) if record.get("columns") else None


class _Loader:
    """Builds each node after its inputs: an updated node may read one that was declared later."""

    def __init__(self, fields: Mapping[str, Any], load: Load) -> None:
        self._open_blob = load
        self._refused: UnusableCallable | OSError | None = None
        try:
            self._application = str(fields["application"])
            self._records: dict[str, Mapping[str, Any]] = {record["id"]: record for record in fields["nodes"]}
        except (KeyError, TypeError) as error:
            raise StateError(
                f"the recorded declaration of application '{fields.get('application')}' cannot be read "
                f"({type(error).__name__}: {error}). Activate the application again from its source"
            ) from error
        self._built: dict[str, Signal] = {}
        self._open: list[str] = []

    def topology(self) -> Topology:
        return Topology(self._application, {node_id: self._node(node_id) for node_id in self._records})

    def _load(self, digest: str) -> Callable[..., Any]:
        # A linkage treats any error of a link function as a contradiction between values, so the cause is kept here.
        try:
            return self._open_blob(digest)
        except (UnusableCallable, OSError) as error:
            self._refused = error
            raise

    def _node(self, node_id: str) -> Signal:
        if node_id not in self._built:
            if node_id in self._open:
                raise self._unreadable(node_id, "it reads itself through " + " <- ".join(self._open))
            if node_id not in self._records:
                raise self._unreadable(self._open[-1], f"it reads '{node_id}', which is not recorded")
            self._open.append(node_id)
            self._built[node_id] = self._build(node_id)
            self._open.pop()
        return self._built[node_id]

    def _build(self, node_id: str) -> Signal:
        record = self._records[node_id]
        builders = {
            "external": self._external,
            "timer": self._timer,
            "projection": self._projection,
            "data": self._data,
        }
        if record.get("kind") not in builders:
            raise self._unreadable(node_id, f"its kind {record.get('kind')!r} is not known")
        try:
            node = builders[record["kind"]](node_id, record)
        except (StateError, UnusableCallable) as error:
            raise (self._refusal(node_id) or error) from error
        except (LookupError, TypeError, AttributeError, ValueError, StopIteration) as error:
            raise self._refusal(node_id) or self._unreadable(node_id, f"{type(error).__name__}: {error}") from error
        if refusal := self._refusal(node_id):  # the linkage only skipped the branches that needed the function
            raise refusal
        return node

    def _refusal(self, node_id: str) -> Exception | None:
        if isinstance(self._refused, UnusableCallable):
            subject = f"application '{self._application}': node '{node_id}': {self._refused.name}"
            return UnusableCallable(subject, self._refused.problem, self._refused.remedy)
        if self._refused is not None:
            return self._unreadable(node_id, f"the blob of one of its functions cannot be read: {self._refused}")
        return None

    def _unreadable(self, node_id: str, problem: str) -> StateError:
        return unreadable(self._application, node_id, problem)

    def _external(self, node_id: str, record: Mapping[str, Any]) -> Signal:
        spec = load_spec(record["dimensions"], node_id, self._load)
        bucket, _, folder = record["location"].removeprefix("s3://").partition("/")
        layout = Layout(record["location"], tuple(record["segments"]))
        options = {"dataset_format": record["format"], "columns": _load_columns(record), **record["options"]}
        dataset = S3Dataset("", bucket, folder, *layout.segments, **options)
        return external_node(
            self._application,
            node_id,
            dataset,
            spec,
            load_filter(spec, record["filter"]),
            _load_protocol(record["protocol"]),
            record["metadata"],
        )

    def _timer(self, node_id: str, record: Mapping[str, Any]) -> Signal:
        (dimension,) = load_spec(record["dimensions"], node_id, self._load)
        return timer_node(
            self._application,
            node_id,
            record["expression"],
            dimension.name,
            dimension.format,
            dimension.granularity,
            record["shift"],
            record.get("metadata"),
        )

    def _projection(self, node_id: str, record: Mapping[str, Any]) -> Signal:
        spec = load_spec(record["dimensions"], node_id, self._load)
        source = load_view(self._node(record["source"]["node"]), record["source"])
        among = load_filter(spec, record["filter"])
        return projection_node(self._application, node_id, source, spec, among, record.get("metadata"))

    def _data(self, node_id: str, record: Mapping[str, Any]) -> Signal:
        views = {fields["alias"]: load_view(self._node(fields["node"]), fields) for fields in record["inputs"]}
        return data_node(
            self._application,
            record["location"].removeprefix("s3://").partition("/")[0],
            node_id,
            views,
            [load_link(link, node_id, views, self._load) for link in record["input_dim_links"]],
            load_spec(record["dimensions"], node_id, self._load),
            [load_link(link, node_id, views, self._load) for link in record["output_dim_links"]],
            [load_target(target) for target in record["compute_targets"]],
            record["ttl_in_secs"],
            record["auto_input_dim_linking_enabled"],
            record["auto_output_dim_linking_enabled"],
            _load_protocol(record["protocol"]),
            _load_columns(record),
            dataset_format=record["format"],
            **record["options"],
            **record["metadata"],
        )
