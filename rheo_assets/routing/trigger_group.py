"""A trigger group: a linked set of received events of one node, waiting or ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rheo_assets.model.dimensions import Partition

Key = tuple[str, Partition]
"""A node id and one of its partitions, values in comparable form."""


@dataclass(slots=True)
class TriggerGroup:
    """A consistent set of received events of one node.

    Attributes:
        number: Its number in the node, from 0.
        created: When its first event was stored, epoch seconds.
        received: The tips of the plain inputs that have come.
        identities: The identities of those events.
        tips: Once complete: every input's tip, refs and nearest inferred.
        output: Once complete: the output partition.
        unready: Once complete: partitions of range-checked inputs that are not known to be ready.
        candidates: Once complete: for each nearest input its partitions, closest first.
        found: Those candidates that were found ready in storage.
        failure: How a link's function failed on what has come: the group is held back, takes no event and does not
            run; what it has is offered again when the node is loaded the next time. Empty for all others.
        causes: The identities of further events that it took or waited for. They are not recorded: who reports an event
            and runs what it completes is one process.
    """

    number: int
    created: float
    received: dict[str, Partition] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    tips: Mapping[str, Partition] | None = None
    output: Partition | None = None
    unready: set[Key] = field(default_factory=set)
    candidates: dict[str, tuple[Partition, ...]] = field(default_factory=dict)
    found: set[Key] = field(default_factory=set)
    failure: str = ""
    causes: set[str] = field(default_factory=set)

    def chosen(self, sources: Mapping[str, str]) -> dict[str, Partition] | None:
        """Returns the partition chosen for each nearest input; None while an input has no partition."""
        chosen = {}
        for alias, partitions in self.candidates.items():
            best = next((p for p in partitions if (sources[alias], p) in self.found), None)
            if best is None:
                return None
            chosen[alias] = best
        return chosen


@dataclass(frozen=True, slots=True)
class Dropped:
    """A trigger group that has been dropped without an execution.

    Attributes:
        reason: `dropped` (it could never complete) or `expired`.
        received: The tips of the inputs whose events had come.
    """

    reason: str
    received: Mapping[str, Partition] = field(hash=False)
