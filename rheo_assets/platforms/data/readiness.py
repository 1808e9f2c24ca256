"""Readiness: whether a partition's data may be read, according to the storage."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from hashlib import blake2b

from rheo_assets.errors import DeclarationError, NoData, listed
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import Signal, View
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.platforms.data.partition_folder import partition_folder

_log = logging.getLogger("rheo_assets")


class Readiness:
    """Checks the storage. A node's completion file is its recorded success: it is written last and removed first."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._refused: set[str] = set()

    def is_ready(self, signal: Signal, partition: Partition) -> bool:
        """Returns whether the partition is complete; timers, alarms, metrics and projections always are."""
        if not isinstance(signal, DataNode | ExternalData):
            return True
        folder = signal.layout.uri(signal.spec, partition)
        try:
            folder = self.folder(signal, partition)
            if signal.protocol is None:
                return self._storage.has_objects(folder)
            return any(self._storage.version(f"{folder}/{name}") is not None for name in signal.protocol.files)
        except ValueError as error:  # a link that leads outside the storage: one folder must not stop everything else
            if folder not in self._refused:
                self._refused.add(folder)
                _log.warning("a partition of '%s' is never ready: %s", signal.id, error)
            return False

    def version(self, signal: Signal, partition: Partition) -> str:
        """Returns a short text that changes whenever the partition is written again; empty if it is not complete.

        It is the version of the completion file, or of all objects if there is no protocol.
        """
        if not isinstance(signal, DataNode | ExternalData):
            return ""
        try:
            folder = self.folder(signal, partition)
            if signal.protocol is None:
                found = [version for _, version in sorted(self._storage.find(folder, 0, None))]
            else:
                found = [self._storage.version(f"{folder}/{name}") or "" for name in signal.protocol.files]
        except ValueError:  # a link that leads outside the storage: `is_ready` logs it
            return ""
        return blake2b(repr((folder, found)).encode(), digest_size=6).hexdigest() if any(found) else ""

    def was_written_since(self, signal: Signal, partition: Partition, moment: float) -> bool:
        """Returns whether the partition's completion file is newer than a moment, epoch seconds; False without one."""
        written = self.written_at(signal, partition)
        return written is not None and written > moment

    def written_at(self, signal: Signal, partition: Partition) -> float | None:
        """Returns when the partition's completion file was written, epoch seconds; None without one."""
        if not isinstance(signal, DataNode | ExternalData) or signal.protocol is None:
            return None
        folder = self.folder(signal, partition)
        found = (self._storage.modified(f"{folder}/{name}") for name in signal.protocol.files)
        return max((at for at in found if at is not None), default=None)

    def folder(self, signal: DataNode | ExternalData, partition: Partition) -> str:
        """Returns the URI of the folder that is read for a partition."""
        return partition_folder(self._storage, signal, partition)

    def has_data(self, signal: Signal, partition: Partition) -> bool:
        """Returns whether the partition has any data, complete or not."""
        if not isinstance(signal, DataNode | ExternalData):
            return True
        return self._storage.has_objects(self.folder(signal, partition))

    def partitions(self, view: View, tip: Partition) -> tuple[Partition, ...]:
        """Returns the partitions that a view reads for a tip now, tip first; for a nearest view, the ready one.

        Raises:
            NoData: Nothing in the range of a nearest view is ready.
            DeclarationError: A covering view does not name its period.
        """
        if view.is_covering and view.cover is None:
            raise DeclarationError(str(view), "does not name the period that it covers", 'Write .covering("MONTH")')
        partitions = view.partitions(tip)
        if not view.is_nearest:
            return partitions
        chosen = next((partition for partition in partitions if self.is_ready(view.node, partition)), None)
        if chosen is None:
            named = listed([view.node.describe(partition) for partition in partitions] or ["(no partition)"])
            raise NoData(f"{view} has nothing to read: none of {named} is ready. Build or land one, or widen the range")
        return (chosen,)

    def is_readable(self, signal: Signal, partition: Partition, tip: Partition | None) -> bool:
        """Returns whether a reader of a range finds the partition: it is ready, or it is the tip and has data."""
        return self.is_ready(signal, partition) or (partition == tip and self.has_data(signal, partition))

    def ready_of(self, signal: Signal, partitions: Iterable[Partition]) -> set[Partition]:
        """Returns the partitions that are ready."""
        return {partition for partition in partitions if self.is_ready(signal, partition)}
