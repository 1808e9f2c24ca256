"""Activation: a declaration recorded beside the data, and the session that drives it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.instance import open_instance
from rheo_assets.assets.session import Session
from rheo_assets.assets.state import declaration_uri, read_json
from rheo_assets.compute.targets import NoOp
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.recording import dump_topology, fingerprint, load_topology
from rheo_assets.runner.blobs import load_callable
from rheo_assets.topology import Topology


def recorded_topology(application: str, platform: Platform) -> Topology | None:
    """Returns the nodes that an earlier session activated, None when there are none.

    Raises:
        StateError: The record cannot be read.
    """
    uri = declaration_uri(platform, application)
    fields = read_json(platform.storage, uri)
    if fields is None:
        return None
    prefix = f"s3://{platform.bucket(application)}/blobs"

    def load(digest: str) -> Any:
        return load_callable(platform.storage.read(f"{prefix}/{digest}"))

    return load_topology(fields, load)


def open_session(topology: Topology, platform: Platform, since: datetime, records: bool) -> Session:
    """Activates an application and returns the session that drives it.

    Args:
        topology: Its nodes.
        platform: Where data lies and code runs.
        since: The first day that Dagster lists.
        records: Whether the declaration is this session's own, to be recorded.

    Raises:
        CapabilityMissing: A target that nothing here can run.
        DeclarationError: Something that cannot be recorded.
    """
    binding = Binding(topology, platform, since)
    if records:
        check_capabilities(topology, platform)
        record(binding)
    session = Session(binding, open_instance(getattr(platform, "root", None)))
    session.driver.activate(datetime.now(UTC))
    return session


def check_capabilities(topology: Topology, platform: Platform) -> None:
    """Checks that every target has an engine, before anything runs."""
    for node in topology.data_nodes.values():
        for target in node.targets:
            if not isinstance(target, NoOp):
                platform.engine(target)


def record(binding: Binding) -> bool:
    """Records the declaration if it is new; returns whether it was."""
    fields = dump_topology(binding.topology, binding.store_callable)
    uri = declaration_uri(binding.platform, binding.application)
    known = read_json(binding.platform.storage, uri)
    if known is not None and fingerprint(known) == fingerprint(fields):
        return False
    binding.platform.storage.write(uri, json.dumps(fields, indent=1).encode())
    return True
