"""Activation: a declaration that can run here, recorded beside the data."""

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
    """Activates a declaration: checks that it can run here, records it, and returns it as it stands on record.

    Args:
        binding: What this session declares.
        extends: Whether it adds to the recorded one instead of replacing it.

    Raises:
        CapabilityMissing: A target that nothing here can run.
        DeclarationError: Something that cannot be recorded, or a node that does not fit what it reads any more.
        KeyTaken: A live process declares another application of this name.
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
    """Returns the nodes, each made from those that are declared now: a parent may have been declared anew since.

    Raises:
        DeclarationError: A node does not fit them.
    """
    topology = binding.topology
    if topology.is_joined:
        return topology
    fields = dump_topology(topology, binding.store_callable)
    try:
        return load_topology(fields, stored_callables(binding.application, binding.platform))
    except StateError as error:
        problem = f"its nodes do not fit each other as they are declared now: {error.__cause__ or error}"
        remedy = "Declare the node that reads it anew, too: take what it reads from the application, as app['id']"
        raise DeclarationError(f"application '{topology.application}'", problem, remedy) from error


def check_capabilities(topology: Topology, platform: Platform) -> list[str]:
    """Prepares the platform and checks that every target has an engine that can run here, before anything runs.

    Returns:
        A line for each engine, what runs on it; and one for each node whose role needs what nobody grants it.

    Raises:
        CapabilityMissing: A target that nothing here can run, or a package that its engine needs.
    """
    platform.prepare(topology.application)
    needed: dict[int, tuple[Engine, str]] = {}
    served: dict[str, dict[str, None]] = {}
    for node in topology.data_nodes.values():
        for target in node.targets:
            if isinstance(target, Batch | Inlined):
                who = f"{target.title} of '{node.id}'"
                try:
                    engine = platform.engine(target)
                    _check_target(target, engine, topology.application)
                except CapabilityMissing as error:
                    raise CapabilityMissing(f"{who} cannot run here: {error}") from None
                _check_libraries(target, node.id)
                needed.setdefault(id(engine), (engine, who))
                served.setdefault(_described(target, engine), {})[node.id] = None
    for engine, who in needed.values():
        check = getattr(engine, "check", None)  # an engine without needs has none
        try:
            if check is not None:
                check()
        except (ImportError, RuntimeError) as error:
            raise CapabilityMissing(f"{who} cannot run here: {error}") from error
    lines = [f"{name} runs {listed(nodes)}" for name, nodes in served.items()]
    if platform.name != "local":  # which asks nobody
        lines += [_asked_of_roles(node) for node in topology.data_nodes.values() if _permissions(node)]
    return [f"{topology.application}: {line}" for line in lines]


def _permissions(node: DataNode) -> list[Permission]:
    return [permission for target in node.targets for permission in getattr(target, "permissions", ())]


def _asked_of_roles(node: DataNode) -> str:
    asked = (f"{', '.join(each.action)} on {', '.join(each.resource)}" for each in _permissions(node))
    return f"the role of '{node.id}' must allow {'; '.join(asked)}. Add it to the role: it is not granted from here"


def _check_target(target: Target, engine: Engine, application: str) -> None:
    """Asks an engine that can tell whether it could run this very target: its packages, not its code."""
    check = getattr(engine, "check_target", None)
    if check is not None:
        check(target, application)


def _check_libraries(target: Target, node: str) -> None:
    """Looks for the libraries that lie on this machine; those elsewhere may come later."""
    for path in getattr(target, "libraries", ()):
        if "://" not in path and not Path(path).is_file():
            raise CapabilityMissing(f"library {path!r} of '{node}' is not there. Build it, or correct the path")


def _described(target: Batch | Inlined, engine: Engine) -> str:
    """Returns the engine that a target names and, where another stands for it, which: `Glue (here: Spark)`."""
    title, here = title_of(target.engine), getattr(engine, "title", "")
    return title if here in {"", title} else f"{title} (here: {here})"


def record(binding: Binding, extends: bool = False) -> str:
    """Records the declaration if it is new; returns the version of its record, see `Storage.version`.

    Raises:
        KeyTaken: A live process declares another application of this name.
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
        _log.warning("%sThis activation replaces it; what it held is kept as %s", error, aside)
        known = None
    if version is not None and known is not None and fingerprint(known) == fingerprint(fields):
        return version
    check_author(binding, extends=extends or known is None)
    for line in _changes(known, fields):
        _log.warning("application '%s': %s", binding.application, line)
    content = json.dumps(fields, indent=1).encode()
    storage.write(uri, content)
    version = storage.version(uri)
    is_ours = storage.read(uri) == content  # two at once: the other's record stands, and this session goes over to it
    return version if version is not None and is_ours else ""


def _changes(known: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields what becomes of state that was made under the earlier declaration, where it no longer fits."""
    before, now = ({node.get("id"): node for node in (said or {}).get("nodes", ())} for said in (known, fields))
    gone = sorted(str(name) for name in before.keys() - now.keys())
    if gone:
        yield (
            f"not declared any more: {listed(gone)}. Their data stays where it is; what waited for them, and what of "
            "them had not begun, is dropped"
        )
    for name in sorted(before.keys() & now.keys()):
        old, new = (_dimensions(said[name]) for said in (before, now))
        if old != new:
            yield (
                f"'{name}' has other dimensions: {new}, and no longer {old}. Partitions of before are not read or "
                "routed any more; their data stays where it is, and history() still has them"
            )


def _dimensions(node: Mapping[str, Any]) -> str:
    found = [str(level.get("name")) for level in node.get("dimensions", ()) if isinstance(level, Mapping)]
    return ", ".join(found) or "none"
