"""What the complete groups of a node need in storage before they run."""

from __future__ import annotations

from hashlib import blake2b

from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.trigger_group import Key, TriggerGroup


class GroupReadiness:
    """The partitions that one node's groups need: all of each range-checked input, one of each nearest input.

    Attributes:
        sources: The node that each input reads.
    """

    def __init__(self, node: DataNode) -> None:
        self.sources = {alias: view.node.id for alias, view in node.inputs.items()}
        self._inputs = node.inputs
        self._specs = {view.node.id: view.node.spec for view in node.inputs.values()}
        data = {alias: view for alias, view in node.inputs.items() if view.node.holds_data}
        self._nearest = [alias for alias, view in data.items() if view.is_nearest]
        self._ranged = [alias for alias, view in data.items() if view.checks_range and not view.is_nearest]

    def is_range_checked(self, source: str) -> bool:
        """Returns whether an input that reads a node checks its range."""
        return any(self.sources[alias] == source for alias in self._ranged)

    def note(self, group: TriggerGroup) -> bool:
        """Stores in a newly complete group what it needs; returns False if that can never be ready.

        It can never be ready if the range starts before the dimension's `min`.
        """
        self.note_nearest(group)
        needed = self.ranged(group)
        if not all(self._specs[source].can_exist(partition) for source, partition in needed):
            return False
        group.unready |= needed - {(self.sources[alias], partition) for alias, partition in group.received.items()}
        return True

    def note_nearest(self, group: TriggerGroup) -> None:
        """Stores in a complete group the partitions that its nearest inputs choose from."""
        assert group.tips is not None
        for alias in self._nearest:
            group.candidates[alias] = self._inputs[alias].partitions(group.tips[alias])

    def of(self, group: TriggerGroup) -> set[Key]:
        """Returns the partitions whose state in storage matters to a group."""
        return self.ranged(group) | self.nearest(group)

    def ranged(self, group: TriggerGroup) -> set[Key]:
        """Returns the partitions of a group's range-checked inputs; empty until the group is complete."""
        if group.tips is None:
            return set()
        return {
            (self.sources[alias], partition)
            for alias in self._ranged
            if alias in group.tips
            for partition in self._inputs[alias].partitions(group.tips[alias])
        }

    def mark(self, group: TriggerGroup) -> str:
        """Returns a short text that identifies the group's range-checked partitions; empty if there are none."""
        needed = sorted(map(repr, self.ranged(group)))
        return blake2b("\n".join(needed).encode(), digest_size=6).hexdigest() if needed else ""

    def nearest(self, group: TriggerGroup) -> set[Key]:
        """Returns the partitions that a group's nearest inputs choose from."""
        return {
            (self.sources[alias], partition)
            for alias, partitions in group.candidates.items()
            for partition in partitions
        }

    def are_met(self, group: TriggerGroup) -> bool:
        """Returns whether a group can run."""
        return group.tips is not None and not group.unready and group.chosen(self.sources) is not None

    def wait_for(self, group: TriggerGroup, key: Key) -> bool:
        """Returns whether a group waits for a partition to be found in storage."""
        if key in group.unready:
            return True
        return not self.are_met(group) and key not in group.found and key in self.nearest(group)
