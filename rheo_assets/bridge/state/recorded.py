"""The recorded declaration: what another process reads of an application, and its version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rheo_assets.bridge.state.application_state import declaration_uri, read_json
from rheo_assets.model.recording import load_topology
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.runner.blobs import load_callable

_REPAIR = "Activate the application again from its source"


@dataclass(frozen=True)
class Recorded:
    """The nodes that an activation recorded.

    Attributes:
        topology: The nodes.
        version: The version of the record; see `Storage.version`.
    """

    topology: Topology
    version: str


def recorded_version(application: str, platform: Platform) -> str | None:
    """Returns the version of an application's record; None if it has none."""
    return platform.storage.version(declaration_uri(platform, application))


def recorded_topology(application: str, platform: Platform) -> Recorded | None:
    """Returns the nodes that the last activation recorded; None if there is no record.

    Raises:
        StateError: The record cannot be read.
    """
    version = recorded_version(application, platform)  # first: a record that changes in between is read again
    fields = read_json(platform.storage, declaration_uri(platform, application), _REPAIR)
    if version is None or fields is None:
        return None
    return Recorded(load_topology(fields, stored_callables(application, platform)), version)


def stored_callables(application: str, platform: Platform) -> Callable[[str], Any]:
    """Returns a function that loads the callable of a hash."""
    prefix = f"s3://{platform.bucket(application)}/blobs"
    return lambda digest: load_callable(platform.storage.read(f"{prefix}/{digest}"))
