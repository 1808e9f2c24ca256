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
        received: The tips of the plain inputs whose events have been received.
        identities: The identities of those events.
        tips: Once complete: every input's tip, with refs and nearest inputs inferred.
        output: Once complete: the output partition.
        unready: Once complete: partitions of range-checked inputs that are not known to be ready.
        candidates: Once complete: for each nearest input, its partitions, closest first.
        found: The candidates that were found ready in storage.
        failure: How a link's function failed on the received events. The group is then held back: it accepts no event
            and does not run. Its events are offered again when the node is next loaded. Empty if nothing failed.
        causes: The identities of further events that it took or waited for. They are not recorded: the process that
            reports an event also runs what it completes.
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
        """Returns the partition chosen for each nearest input; None if one has no ready partition yet."""
        chosen = {}
        for alias, partitions in self.candidates.items():
            best = next((p for p in partitions if (sources[alias], p) in self.found), None)
            if best is None:
                return None
            chosen[alias] = best
        return chosen


@dataclass(frozen=True, slots=True)
class Dropped:
    """A trigger group that was dropped without an execution.

    Attributes:
        reason: `dropped` (it could never complete) or `expired`.
        received: The tips of the inputs whose events it had received.
    """

    reason: str
    received: Mapping[str, Partition] = field(hash=False)
