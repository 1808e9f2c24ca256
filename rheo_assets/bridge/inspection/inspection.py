"""Inspection of an application: what ran, what waits, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rheo_assets.bridge.inspection.reported import reported_without_data
from rheo_assets.bridge.loop.session import Session
from rheo_assets.errors import Contradiction, LinkFailed, Undetermined, listed, subscripted
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.planning.one_execution import injected_tips, never_ready, unmet
from rheo_assets.platforms.data.staleness import Staleness
from rheo_assets.routing.failed_links import CORRECT
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.trigger_group import TriggerGroup

_UNRECORDED = (
    "its folder holds a complete partition, but no execution is recorded: it was not built here. Readers use it as it "
    "is; app.execute(view) rebuilds it"
)


def history(session: Session, node: DataNode | None) -> list[Execution]:
    """Returns the executions of one node, which may be no longer declared, or of all nodes. Oldest first."""
    nodes = session.binding.topology.data_nodes
    chosen = list(nodes.values()) if node is None else [nodes.get(node.id, node)]
    found = [e for node in chosen for e in (*session.history.ended(node), *session.active(node))]
    return (
        sorted(found, key=lambda e: (e.ended or datetime.max.replace(tzinfo=UTC), e.node)) if len(chosen) > 1 else found
    )


@dataclass(frozen=True, slots=True)
class PendingGroup:
    """A trigger group that waits.

    Attributes:
        node: The node's id.
        received: The tips of the inputs whose events have arrived, values as text.
        missing: The aliases whose events have not arrived.
        waiting_for: Partitions that are not ready, as `x[NA][2021-03-18]`.
        created: When its first event was stored, UTC.
        partition: The output partition, once it is known.
        failure: The error that a link's function raised for the received tips, so that the group is held; else empty.
    """

    node: str
    received: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]
    waiting_for: tuple[str, ...]
    created: datetime
    partition: tuple[str, ...] | None = None
    failure: str = ""


def pending(session: Session, node_id: str | None) -> list[PendingGroup]:
    """Returns the waiting groups, oldest first."""
    with session.driver.lock:
        session.driver.fold()
        router = session.driver.router
        ids = sorted(router.active) if node_id is None else [node_id]
        found = []
        for active in ids:
            if active in session.binding.topology.data_nodes:
                state = router.groups(active)
                found += [_pending(session, state, group) for group in state.groups.values()]
        return sorted(found, key=lambda group: group.created)


def _pending(session: Session, state: NodeGroups, group: TriggerGroup) -> PendingGroup:
    node = state.node
    topology = session.binding.topology
    waits = [topology[source].describe(partition) for source, partition in sorted(group.unready, key=repr)]
    for alias, candidates in group.candidates.items():
        if not any((state.sources[alias], p) in group.found for p in candidates):
            view = node.inputs[alias]
            waits.append(f"any of {view} at {view.node.describe(candidates[0])}" if candidates else str(view))
    return PendingGroup(
        node.id,
        {alias: node.inputs[alias].node.spec.render(tip) for alias, tip in group.received.items()},
        tuple(alias for alias, view in node.inputs.items() if view.needs_event and alias not in group.received),
        tuple(waits),
        datetime.fromtimestamp(group.created, UTC),
        node.spec.render(group.output) if group.output is not None else None,
        group.failure,
    )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a partition ran, waits, or will not run; `str()` gives the text for people.

    Attributes:
        partition: `n[NA][2021-03-18]`.
        status: `COMPLETED`, `FAILED`, `KILLED`, `QUEUED`, `RUNNING`, `WAITING`, `NOT_TRIGGERED` or `NEVER`.
        sentences: The explanation.
        executions: The executions that ended.
        groups: The trigger groups that wait.
        unready: The inputs that are not ready, so that `execute` would raise.
        newer: The inputs that were written again after the last execution read them, as `x[NA][2021-03-18]`.
    """

    partition: str
    status: str
    sentences: tuple[str, ...]
    executions: tuple[Execution, ...] = ()
    groups: tuple[PendingGroup, ...] = ()
    unready: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.partition}: {self.status}", *(f"  {sentence}" for sentence in self.sentences)])

    def to_fields(self) -> dict[str, Any]:
        """Returns the reason as JSON fields."""
        fields = asdict(self)
        fields["executions"] = [execution.to_fields() for execution in self.executions]
        return fields


def why(session: Session, node: DataNode, partition: Partition) -> Reason:
    """Explains one partition."""
    active = session.active(node, partition)
    ended = session.history.ended(node, partition)
    waiting = [g for g in pending(session, node.id) if _may_become(node, g, partition)]
    groups, held = tuple(g for g in waiting if not g.failure), [g for g in waiting if g.failure]
    unready, impossible = _unready(session, node, partition), _impossible(node, partition)
    is_held_up = not active and _is_held_up(session, node, partition)
    sentences: list[str] = []
    if active:
        sentences.append(_runs(session, node, partition, active[-1]))
    if is_held_up:
        sentences.append("the application is paused; it will run after app.resume()")
    if ended:
        sentences.append(_ran(ended[-1]))
    is_done = bool(ended) and ended[-1].status == Status.COMPLETED
    if is_done and not active and not session.binding.is_ready(node.id, partition):
        sentences.append("its completion file was deleted since: the partition counts as missing until it runs again")
    newer = Staleness(session.binding.readiness).newer(node, ended[-1]) if is_done else ()
    if newer:
        sentences.append(f"these inputs are newer than it: {listed(newer)}. app.execute(view) rebuilds it")
    for group in groups:
        sentences += _waits(group)
    sentences += _held(node, held)
    sentences += reported_without_data(session, node, partition)
    if impossible is not None:
        sentences, unready = [*sentences, f"it will never run: {impossible}"], ()
    elif not (active or waiting or is_held_up or is_done):
        sentences += _starts(session, node, partition, is_new=not ended)
        if not ended and session.binding.is_ready(node.id, partition):
            sentences.append(_UNRECORDED)
        sentences += _refused(node, partition, unready)
    if is_held_up:
        status = str(Status.QUEUED)
    elif active or (ended and not groups):
        status = (active or ended)[-1].status
    else:
        status = "NEVER" if impossible is not None and not ended else "WAITING" if waiting else "NOT_TRIGGERED"
    return Reason(node.describe(partition), status, tuple(sentences), tuple(ended), tuple(waiting), unready, newer)


def _starts(session: Session, node: DataNode, partition: Partition, is_new: bool) -> list[str]:
    """Returns what would start the partition, and what happened to the trigger groups that could have started it."""
    needed = [f"an event of {view}" for view in node.inputs.values() if view.needs_event]
    dropped = _dropped(session, node, partition)
    if not needed or not is_new:
        return dropped
    waits = "no trigger group is waiting for it now" if dropped else "none has arrived yet"
    return [f"it runs after {' and '.join(needed)}; {waits}", *dropped]


def _is_held_up(session: Session, node: DataNode, partition: Partition) -> bool:
    """Returns whether the partition would run now if the application were not paused."""
    with session.driver.lock:
        state = session.driver.groups_of(node)
        return state is not None and session.is_paused() and partition in state.in_flight


def _runs(session: Session, node: DataNode, partition: Partition, execution: Execution) -> str:
    if (names := _checks_left(session, node, partition)) is not None:
        return f"its data is written, and nothing reads it until blocking asset check {names} has passed"
    if execution.run_id is not None:
        return f"run {execution.run_id} is executing it"
    if session.plans.holders(node, partition):
        return "it is part of an execute() in progress and runs when its inputs are built"
    return "it is about to start"


def _checks_left(session: Session, node: DataNode, partition: Partition) -> str | None:
    """Returns the blocking asset checks that decide how a partition's last execution ends; None without any."""
    with session.driver.lock:
        checked = session.driver.router.checked_executions()
    entry = next((e for e in reversed(checked) if (e.node, e.partition) == (node.id, partition)), None)
    return None if entry is None else listed(f"'{name}'" for name in entry.checks)


def _dropped(session: Session, node: DataNode, partition: Partition) -> list[str]:
    """Returns the dropped trigger groups that could have built the partition, and how many could never complete."""
    with session.driver.lock:
        state = session.driver.groups_of(node)
        if state is None:
            return []
        lately, never = list(state.lately), state.counts["dropped"]
    sentences = []
    for each in lately:
        if each.reason == "expired" and _may_be(node, each.received, partition):
            had = listed(node.inputs[alias].node.describe(tip) for alias, tip in each.received.items())
            sentences.append(
                f"a trigger group with {had} was dropped after waiting longer than {node.ttl:g} s "
                "(pending_node_expiration_ttl_in_secs). app.process(view) reports an event again"
            )
    if never:
        sentences.append(
            f"{never} trigger groups of '{node.id}' were dropped because they could never complete: a literal, a link "
            "or `min` excludes them"
        )
    return list(dict.fromkeys(sentences))


def _may_become(node: DataNode, group: PendingGroup, partition: Partition) -> bool:
    if group.partition is not None:
        return group.partition == node.spec.render(partition)
    tips = {alias: node.inputs[alias].node.spec.read(values) for alias, values in group.received.items()}
    return _may_be(node, tips, partition)


def _may_be(node: DataNode, tips: Mapping[str, Partition], partition: Partition) -> bool:
    try:
        node.linkage.solve(tips, partition)
    except LinkFailed:
        return True  # only the corrected function can tell which partition it belongs to
    except Contradiction:
        return False
    return True


def _ran(execution: Execution) -> str:
    assert execution.ended is not None  # it comes from the ended executions
    when = execution.ended.strftime("%Y-%m-%d %H:%M:%S UTC")
    cause = f": {execution.error}" if execution.error else ""
    return f"its last execution ended {when} as {execution.status} in run {execution.run_id}{cause}"


def _waits(group: PendingGroup) -> list[str]:
    sentences = [f"a trigger group waits for an event of input '{alias}'" for alias in group.missing]
    sentences += [f"a trigger group waits until {text} is ready" for text in group.waiting_for]
    return sentences or ["a trigger group is complete: it starts with the next tick"]


def _held(node: DataNode, held: Sequence[PendingGroup]) -> list[str]:
    """Returns the first failure of the held groups, and a few of their names."""
    if not held:
        return []
    events = dict.fromkeys(
        subscripted(node.inputs[alias].node.id, tip) for group in held for alias, tip in group.received.items()
    )
    what = f"an event that may belong to this partition is held ({listed(events, limit=3)})"
    return [f"{what}: {held[0].failure}. {CORRECT}: the event is then routed again"]


def _impossible(node: DataNode, partition: Partition) -> str | None:
    """Returns why the partition can never run; None if it can."""
    try:
        tips = node.linkage.resolve_output(partition)
    except (Undetermined, LinkFailed):  # it can still be solved from its inputs, or with a corrected function
        return None
    except Contradiction as error:
        return str(error)
    return never_ready(node, tips)


def _refused(node: DataNode, partition: Partition, unready: Sequence[str]) -> list[str]:
    """Returns why `execute` would raise now."""
    try:
        node.linkage.resolve_output(partition)
    except (Undetermined, LinkFailed) as error:
        return [f"execute() cannot run it by its partition alone: {error}"]
    return [f"execute() raises NotReady until {text} is ready" for text in unready]


def _unready(session: Session, node: DataNode, partition: Partition) -> tuple[str, ...]:
    """Returns what `execute` would report as not ready."""
    try:
        tips = node.linkage.resolve_output(partition)
    except (Undetermined, Contradiction) as error:
        return (str(error),)
    conditions = unmet(node, tips, session.binding.is_ready, injected_tips(node, tips))
    return tuple(conditions.waiting_for(node))
