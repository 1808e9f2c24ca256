"""An application bound to a platform: shared by asset bodies, sensors and drivers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Any

from rheo_assets.bridge.claims.claims import Claims
from rheo_assets.bridge.claims.heartbeats import Heartbeats
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.bridge.state.recorded import recorded_topology, recorded_version
from rheo_assets.errors import listed
from rheo_assets.model.compute.targets import Inlined, StoredCallable
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.recording import dump_topology
from rheo_assets.model.signals import Signal
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.platforms.data.readiness import Readiness


@dataclass
class Binding:
    """One application's nodes on one platform.

    Attributes:
        topology: The nodes.
        platform: Where its data is stored and its code runs.
        since: The first day that Dagster lists for time dimensions without a `min`.
        version: The version of the record that holds these nodes; None if the record is ignored.
    """

    topology: Topology
    platform: Platform
    since: datetime
    version: str | None = None
    _blobs: dict[int, tuple[Callable[..., Any], str]] = field(default_factory=dict, repr=False)
    _lock: Any = field(default_factory=Lock, repr=False)

    @property
    def application(self) -> str:
        """The application's name."""
        return self.topology.application

    # the declaration ------------------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Returns whether these nodes are still the recorded declaration."""
        return self.version is None or recorded_version(self.application, self.platform) in {self.version, None}

    def redeclared(self, topology: Topology, version: str | None) -> Binding:
        """Returns the application under another declaration, with the same heartbeats and claims."""
        other = replace(self, topology=topology, version=version)
        other.__dict__.update(heartbeats=self.heartbeats, claims=self.claims)
        return other

    def as_recorded(self) -> Binding:
        """Returns the application as it is recorded now.

        Raises:
            StateError: The record cannot be read.
        """
        found = recorded_topology(self.application, self.platform)
        return self if found is None else self.redeclared(found.topology, found.version)

    # what it is made of ---------------------------------------------------------------------------------------

    @cached_property
    def readiness(self) -> Readiness:
        """Readiness of partitions, as the storage shows it."""
        return Readiness(self.platform.storage)

    def is_ready(self, node_id: str, partition: Partition) -> bool:
        """Returns whether a node's partition is complete, as the storage shows it."""
        return self.readiness.is_ready(self.topology[node_id], partition)

    @cached_property
    def home(self) -> str:
        """The URI prefix of the application's own state."""
        return f"s3://{self.platform.bucket(self.application)}"

    @cached_property
    def claims(self) -> Claims:
        """The claims of executions."""
        return Claims(self.platform.storage, f"{self.home}/claims", self.heartbeats)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """The heartbeats of processes, including this one."""
        return Heartbeats(self.platform.storage, f"{self.home}/heartbeats")

    @cached_property
    def digests(self) -> dict[str, str]:
        """A hash of each node's declaration, by node id."""
        nodes = dump_topology(self.topology, self.store_callable)["nodes"]
        return {node["id"]: sha256(json.dumps(node, sort_keys=True).encode()).hexdigest() for node in nodes}

    def changes_since(self, before: Binding) -> str:
        """Returns which nodes changed, as text for a log line; empty if none did."""
        old, new = before.digests, self.digests
        shared = sorted(old.keys() & new.keys())
        changes = {
            "new": sorted(new.keys() - old.keys()),
            "changed": [name for name in shared if old[name] != new[name]],
            "removed": sorted(old.keys() - new.keys()),
        }
        return "; ".join(f"{what}: {listed(names)}" for what, names in changes.items() if names)

    @cached_property
    def codecs(self) -> dict[str, Codec]:
        """The partition keys of every node."""
        return {node.id: Codec(node, self.since) for node in self.topology}

    def codec(self, node: Signal) -> Codec:
        """Returns the partition keys of a node, also of an earlier version of it."""
        return self.codecs[node.id] if self.topology.nodes.get(node.id) is node else Codec(node, self.since)

    def blob_uri(self, digest: str) -> str:
        """Returns the URI of a callable's blob."""
        return f"{self.home}/blobs/{digest}"

    def store_callable(self, node_id: str, function: Callable[..., Any] | StoredCallable) -> str:
        """Stores a callable under its content hash, and returns the hash."""
        from rheo_assets.runner.blobs import blob_key, dump_callable

        if isinstance(function, StoredCallable):
            return function.digest
        with self._lock:
            known = self._blobs.get(id(function))
            if known is not None:
                return known[1]
            blob = dump_callable(function, node_id)
            digest = blob_key(blob)
            self.platform.save_private(self.blob_uri(digest), blob)
            self._blobs[id(function)] = (function, digest)  # kept alive, so that no other function gets its id
            return digest

    def callable_path(self, node: DataNode, position: int) -> str:
        """Returns the location of a callable target's blob: a local path, or the URI on AWS."""
        target = node.targets[position]
        assert isinstance(target, Inlined)
        return self.platform.storage.location(self.blob_uri(self.store_callable(node.id, target.callable)))
