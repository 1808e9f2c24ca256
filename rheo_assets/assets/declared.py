"""Activation: a declaration recorded beside the data, and the session that drives it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rheo_assets.assets.authors import check_author
from rheo_assets.assets.binding import Binding
from rheo_assets.assets.driving.session import Session
from rheo_assets.assets.eventlog.instance import open_instance
from rheo_assets.assets.state import declaration_uri, read_json
from rheo_assets.compute.engines import title_of
from rheo_assets.compute.permissions import Permission
from rheo_assets.compute.targets import Batch, Inlined, Target
from rheo_assets.errors import CapabilityMissing, StateError, listed
from rheo_assets.nodes import DataNode
from rheo_assets.platforms.capabilities import Engine, Platform
from rheo_assets.recording import dump_topology, fingerprint, load_topology
from rheo_assets.runner.blobs import load_callable
from rheo_assets.topology import Topology

_log = logging.getLogger("rheo_assets")
_REPAIR = "Activate the application again from its source"


def recorded_topology(application: str, platform: Platform) -> Topology | None:
    """Returns the nodes that an earlier session activated, None when there are none.

    Raises:
        StateError: The record cannot be read.
    """
    uri = declaration_uri(platform, application)
    fields = read_json(platform.storage, uri, _REPAIR)
    if fields is None:
        return None
    prefix = f"s3://{platform.bucket(application)}/blobs"

    def load(digest: str) -> Any:
        return load_callable(platform.storage.read(f"{prefix}/{digest}"))

    return load_topology(fields, load)


def open_session(
    topology: Topology, platform: Platform, since: datetime, records: bool, extends: bool = False
) -> Session:
    """Activates an application and returns the session that drives it.

    Args:
        topology: Its nodes.
        platform: Where data lies and code runs.
        since: The first day that Dagster lists.
        records: Whether the declaration is this session's own, to be recorded.
        extends: Whether it adds to the recorded one instead of replacing it.

    Raises:
        CapabilityMissing: A target that nothing here can run.
        DeclarationError: Something that cannot be recorded.
        KeyTaken: A live process declares another application of this name.
    """
    binding = Binding(topology, platform, since)
    if records:
        for line in check_capabilities(topology, platform):
            print(line, file=sys.stderr)
        record(binding, extends)
    session = Session(binding, open_instance(getattr(platform, "root", None)))
    session.driver.activate(datetime.now(UTC))
    return session


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


def record(binding: Binding, extends: bool = False) -> bool:
    """Records the declaration if it is new; returns whether it was.

    Raises:
        KeyTaken: A live process declares another application of this name.
    """
    storage = binding.platform.storage
    fields = dump_topology(binding.topology, binding.store_callable)
    uri = declaration_uri(binding.platform, binding.application)
    try:
        known = read_json(storage, uri, "")
    except StateError as error:
        aside = f"{uri}.damaged"
        storage.write(aside, storage.read(uri))
        _log.warning("%sThis activation replaces it; what it held is kept as %s", error, aside)
        known = None
    if known is not None and fingerprint(known) == fingerprint(fields):
        return False
    check_author(binding, extends=extends or known is None)
    for line in _changes(known, fields):
        _log.warning("application '%s': %s", binding.application, line)
    storage.write(uri, json.dumps(fields, indent=1).encode())
    return True


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
