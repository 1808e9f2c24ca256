"""Reports: materialisations that a person or another tool told Dagster of, and the data that they mean."""

from __future__ import annotations

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.execution.execution import completed
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, ExternalData


def identity_of(binding: Binding, node: DataNode | ExternalData, partition: Partition) -> str | None:
    """Returns what makes a partition's present data one event; None if there is no complete data.

    It is the identity that the arrival of the same file has, or the execution that wrote the data.
    """
    if isinstance(node, DataNode) and (execution := completed(node, partition, binding.platform)) is not None:
        return execution.id
    if not binding.readiness.is_ready(node, partition):
        return None
    storage, folder = binding.platform.storage, binding.readiness.folder(node, partition)
    if node.protocol is None:
        found = {f"{folder}/{'/'.join(path)}": version for path, version in storage.find(folder, 0, None)}
    else:
        uris = [f"{folder}/{name}" for name in node.protocol.files]
        found = {uri: version for uri in uris if (version := storage.version(uri)) is not None}
    return next((f"{uri}@{version}" for uri, version in found.items()), None)
