"""Activation of one declaration: its checks, and its record next to the data."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rheo_assets.bridge.activation.authors import check_author
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.state.application_state import declaration_uri, read_json
from rheo_assets.bridge.state.recorded import stored_callables
from rheo_assets.errors import CapabilityMissing, DeclarationError, StateError, listed
from rheo_assets.model.compute.engines import title_of
from rheo_assets.model.compute.permissions import Permission
from rheo_assets.model.compute.targets import Batch, Inlined, Target
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.recording import dump_topology, fingerprint, load_topology
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Engine, Platform

_log = logging.getLogger("rheo_assets")


def activated(binding: Binding, extends: bool) -> Binding:
    """Activates a declaration: checks that it can run here, records it, and returns it as recorded.

    Args:
        binding: What this session declares.
        extends: Whether it adds to the recorded declaration instead of replacing it.

    Raises:
        CapabilityMissing: No engine here can run a target.
        DeclarationError: Something cannot be recorded, or a node no longer fits its inputs.
        KeyTaken: Another live process declares this application from another source.
    """
    topology = _joined(binding)
    for line in check_capabilities(binding.topology, binding.platform):
        print(line, file=sys.stderr)
    recorded = binding.redeclared(topology, record(binding, extends))
    if not extends:
        _forget_gone(topology, binding.platform)
    return recorded


def _forget_gone(topology: Topology, platform: Platform) -> None:
    """Lets a platform that can delete what it keeps for targets that are not declared any more."""
    forget = getattr(platform, "forget_gone", None)
    if forget is not None:
        kept = {(node.id, place) for node in topology.data_nodes.values() for place in range(len(node.targets))}
        gone = forget(topology.application, kept)
        if gone:
            _log.info("deleted what is not declared any more: %s", listed(gone))


def _joined(binding: Binding) -> Topology:
    """Returns the nodes with their inputs as declared now: a parent may have been declared again since.

    Raises:
        DeclarationError: A node does not fit its inputs.
    """
    topology = binding.topology
    if topology.is_joined:
        return topology
    fields = dump_topology(topology, binding.store_callable)
    try:
        return load_topology(fields, stored_callables(binding.application, binding.platform))
    except StateError as error:
        problem = f"a node no longer fits its inputs, which were declared again: {error.__cause__ or error}"
        remedy = "Declare the node that reads them again, too, with its inputs taken from the application: app['id']"
        raise DeclarationError(f"application '{topology.application}'", problem, remedy) from error


def check_capabilities(topology: Topology, platform: Platform) -> list[str]:
    """Prepares the platform, and checks that an engine here can run each target.

    Returns:
        One line per engine with its nodes, and one per node with the permissions that its role needs.

    Raises:
        CapabilityMissing: No engine here can run a target, or a package that the engine needs is missing.
    """
    platform.prepare(topology.application)
    needed: dict[int, tuple[Engine, str]] = {}
    served: dict[str, dict[str, None]] = {}
    for node in topology.data_nodes.values():
        for target in node.targets:
            if isinstance(target, Batch | Inlined):
                name = f"{target.title} of '{node.id}'"
                try:
                    engine = platform.engine(target)
                    _check_target(target, engine, topology.application)
                except CapabilityMissing as error:
                    raise CapabilityMissing(f"{name} cannot run here: {error}") from None
                _check_libraries(target, node.id)
                needed.setdefault(id(engine), (engine, name))
                served.setdefault(_described(target, engine), {})[node.id] = None
    for engine, name in needed.values():
        check = getattr(engine, "check", None)  # optional: see `Engine`
        try:
            if check is not None:
                check()
        except (ImportError, RuntimeError) as error:
            raise CapabilityMissing(f"{name} cannot run here: {error}") from error
    lines = [f"{title} runs {listed(nodes)}" for title, nodes in served.items()]
    if platform.name != "local":  # the local platform has no roles
        lines += [_permissions_line(node) for node in topology.data_nodes.values() if _permissions(node)]
    return [f"{topology.application}: {line}" for line in lines]


def _permissions(node: DataNode) -> list[Permission]:
    return [permission for target in node.targets for permission in getattr(target, "permissions", ())]


def _permissions_line(node: DataNode) -> str:
    needed = (f"{', '.join(each.action)} on {', '.join(each.resource)}" for each in _permissions(node))
    return f"the role of '{node.id}' must allow {'; '.join(needed)}. Add this to the role: rheo-assets does not"


def _check_target(target: Target, engine: Engine, application: str) -> None:
    """Lets the engine check this target: its packages, not its code."""
    check = getattr(engine, "check_target", None)
    if check is not None:
        check(target, application)


def _check_libraries(target: Target, node: str) -> None:
    """Checks that local libraries exist; remote ones may be uploaded later."""
    for path in getattr(target, "libraries", ()):
        if "://" not in path and not Path(path).is_file():
            raise CapabilityMissing(f"library {path!r} of '{node}' does not exist. Build it, or correct the path")


def _described(target: Batch | Inlined, engine: Engine) -> str:
    """Returns the engine that a target names, and the one that replaces it here: `Glue (here: Spark)`."""
    title, here = title_of(target.engine), getattr(engine, "title", "")
    return title if here in {"", title} else f"{title} (here: {here})"


def record(binding: Binding, extends: bool = False) -> str:
    """Records the declaration if it has changed; returns the version of its record, see `Storage.version`.

    Raises:
        KeyTaken: Another live process declares this application from another source.
    """
    storage = binding.platform.storage
    fields = dump_topology(binding.topology, binding.store_callable)
    uri = declaration_uri(binding.platform, binding.application)
    version = storage.version(uri)
    try:
        known = read_json(storage, uri, "")
    except StateError as error:
        aside = f"{uri}.damaged"
        storage.write(aside, storage.read(uri))
        _log.warning("%sThis activation replaces it; a copy is kept as %s", error, aside)
        known = None
    if version is not None and known is not None and fingerprint(known) == fingerprint(fields):
        return version
    check_author(binding, extends=extends or known is None)
    for line in _changes(known, fields):
        _log.warning("application '%s': %s", binding.application, line)
    content = json.dumps(fields, indent=1).encode()
    storage.write(uri, content)
    version = storage.version(uri)
    is_ours = storage.read(uri) == content  # else two sessions wrote at once: the other's record won
    return version if version is not None and is_ours else ""


def _changes(known: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields a warning for state of the earlier declaration that no longer fits."""
    before, now = ({node.get("id"): node for node in (each or {}).get("nodes", ())} for each in (known, fields))
    gone = sorted(str(name) for name in before.keys() - now.keys())
    if gone:
        yield (
            f"no longer declared: {listed(gone)}. Their data stays where it is. Their waiting trigger groups and "
            "their executions that have not started are dropped"
        )
    for name in sorted(before.keys() & now.keys()):
        old, new = (_dimensions(nodes[name]) for nodes in (before, now))
        if old != new:
            yield (
                f"the dimensions of '{name}' changed from {old} to {new}. Its old partitions are no longer read or "
                "routed. Their data stays where it is, and history() still lists them"
            )


def _dimensions(node: Mapping[str, Any]) -> str:
    found = [str(level.get("name")) for level in node.get("dimensions", ()) if isinstance(level, Mapping)]
    return ", ".join(found) or "none"
