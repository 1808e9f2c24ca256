"""What the router folds: entries of the journal, in the order in which they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from rheo_assets.model.dimensions import Partition


@dataclass(frozen=True, slots=True)
class Event:
    """A partition of a signal changed.

    Attributes:
        position: The entry's storage id; later entries have higher ones.
        node: The id of the signal.
        partition: Which partition.
        identity: What makes this change itself: object key and version, run id, tick. A repeat has the same.
        at: When it was stored, epoch seconds.
        has_data: Whether completed data exists for it; false for an event that was injected by hand.
        route: The only node it is offered to; None: every consumer.
    """

    position: int
    node: str
    partition: Partition
    identity: str
    at: float
    has_data: bool = True
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A driver closed a turn: everything runnable by now is emitted, in one batch a node.

    Attributes:
        position: The entry's storage id.
        at: The driver's clock, epoch seconds; lifetimes are counted on it.
        ready: Partitions that were waited for and found complete in storage.
        gone: Partitions that were complete and are no longer.
    """

    position: int
    at: float
    ready: tuple[tuple[str, Partition], ...] = ()
    gone: tuple[tuple[str, Partition], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOpened:
    """A plan holds partitions: pushes that would start them are absorbed until it closes.

    Attributes:
        holds: Partitions by node id.
    """

    position: int
    plan: str
    holds: Mapping[str, frozenset[Partition]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class PlanClosed:
    """A plan ended, in whatever way."""

    position: int
    plan: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution ended without success (success is the node's own event, whose identity is the execution's id).

    Attributes:
        execution: The id of the execution.
    """

    position: int
    node: str
    partition: Partition
    execution: str | None


@dataclass(frozen=True, slots=True)
class Began:
    """A run that nobody routed began executions: a person asked for it, or a backfill.

    Attributes:
        node: The id of the data node.
        run: The run.
        owner: The process that it runs in, as text.
        executions: The ids of the executions by partition; each ends as any other.
    """

    position: int
    node: str
    run: str
    owner: str
    executions: Mapping[Partition, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class AwaitsChecks:
    """An execution wrote its data; blocking checks decide whether it succeeded.

    Attributes:
        execution: The id of the execution.
        run: The run that evaluates the checks.
        owner: The process that executes the whole run, as text; empty if its steps have processes of their own.
        checks: The names of the checks.
    """

    position: int
    node: str
    partition: Partition
    execution: str
    run: str
    owner: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """Somebody reported data of a partition, which a driver has to look for."""

    position: int
    node: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A driver looked for data that was reported.

    Attributes:
        event: What it found, unless that is known already; None if there is no complete data.
    """

    position: int
    node: str
    partition: Partition
    event: Event | None


@dataclass(frozen=True, slots=True)
class ManualExecution:
    """An execution that runs and that nobody routed.

    Attributes:
        execution: Its id.
        run: Its run.
        owner: The process that it runs in, as text.
    """

    execution: str
    run: str
    owner: str


def planned_id(plan: str, node_id: str, partition: Partition) -> str:
    """Returns the id of one of a plan's executions."""
    return str(uuid5(NAMESPACE_URL, f"rheo:{plan}|{node_id}|{partition!r}"))


Entry = Event | Turn | PlanOpened | PlanClosed | Began | Ended | AwaitsChecks | Reported | LookedAt


@dataclass(frozen=True, slots=True)
class Trigger:
    """One execution that the router requests.

    Attributes:
        node: The data node's id.
        partition: The output partition.
        tips: The tip of each input.
        nearest: For each nearest input the ready partition that was chosen.
        identities: The identities of the events that made it, sorted.
        turn: The position of the turn that emitted it.
        causes: The identities of those events, and of those that completed it otherwise, as far as this process knows.
    """

    node: str
    partition: Partition
    tips: Mapping[str, Partition] = field(hash=False)
    nearest: Mapping[str, Partition] = field(hash=False)
    identities: tuple[str, ...]
    turn: int
    causes: frozenset[str] = field(default=frozenset(), compare=False)

    def is_caused_by(self, identity: str) -> bool:
        """Returns whether an event made or completed it."""
        return identity in self.identities or identity in self.causes

    def execution_id(self, application: str) -> str:
        """Returns the id of the execution: the same for everyone who folds the same journal."""
        name = "|".join([application, self.node, repr(self.partition), *self.identities, str(self.turn)])
        return str(uuid5(NAMESPACE_URL, f"rheo:{name}"))
