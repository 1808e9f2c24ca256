"""The entries of the journal, which the router replays in the order in which they were stored."""

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
        partition: The partition that changed.
        identity: What identifies this change: object key and version, run id, tick. A repeat has the same identity.
        at: When it was stored, epoch seconds.
        has_data: Whether the event means completed data; False for an event injected by `app.process()`.
        route: The only node that receives the event; None for every consumer.
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
    """A driver closed a turn: everything runnable by now is emitted, in one batch per node.

    Attributes:
        position: The entry's storage id.
        at: The driver's clock, epoch seconds; trigger groups expire by this clock.
        ready: Awaited partitions that were found complete in storage.
        gone: Partitions that were complete and no longer are.
    """

    position: int
    at: float
    ready: tuple[tuple[str, Partition], ...] = ()
    gone: tuple[tuple[str, Partition], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOpened:
    """A plan holds partitions: events that would start them are absorbed until it closes.

    Attributes:
        holds: Partitions by node id.
    """

    position: int
    plan: str
    holds: Mapping[str, frozenset[Partition]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class PlanClosed:
    """A plan finished, with or without success."""

    position: int
    plan: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution failed or was stopped. Success is the node's own event, whose identity is the execution's id.

    Attributes:
        execution: The id of the execution.
    """

    position: int
    node: str
    partition: Partition
    execution: str | None


@dataclass(frozen=True, slots=True)
class Began:
    """A manual run started executions.

    Attributes:
        node: The id of the data node.
        run: The id of the run.
        owner: The process that it runs in, as text.
        executions: The ids of the executions by partition; each ends like any other.
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
        owner: The process that executes the whole run, as text; empty if each step has its own process.
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
    """A user reported data of a partition, which a driver has to look for."""

    position: int
    node: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A driver looked for reported data.

    Attributes:
        event: What it found; None if that is already known, or if there is no complete data.
    """

    position: int
    node: str
    partition: Partition
    event: Event | None


@dataclass(frozen=True, slots=True)
class ManualExecution:
    """A running execution of a manual run.

    Attributes:
        execution: The id of the execution.
        run: The id of its run.
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
        nearest: For each nearest input, the ready partition that was chosen.
        identities: The identities of the events that caused it, sorted.
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
        """Returns the id of the execution, which is the same for any driver that replays the same journal."""
        name = "|".join([application, self.node, repr(self.partition), *self.identities, str(self.turn)])
        return str(uuid5(NAMESPACE_URL, f"rheo:{name}"))
