"""The router's state as JSON rows. A group that no longer fits the declaration loses only itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rheo_assets.errors import Contradiction, LinkFailed, StateError
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.routing.bucketed_dict import BucketedDict
from rheo_assets.routing.entries import AwaitsChecks, ManualExecution, PlanOpened, Trigger
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.router import Router, readable
from rheo_assets.routing.trigger_group import Dropped, Key, TriggerGroup

_log = logging.getLogger("rheo_assets")

V = TypeVar("V")
STATE_VERSION = 1


def dump_node(state: NodeGroups, topology: Topology, cursor: int, whole: bool = False) -> dict[str, str]:
    """Returns the changed rows of a node: its head (named ``) and its later buckets (`g1`, `f2`).

    Args:
        state: The node's routing state, which counts as saved afterwards.
        topology: The application's nodes.
        cursor: The position up to which entries have been replayed.
        whole: Whether to return every row.
    """
    groups = _dump_buckets(state.groups, whole, lambda group: _text_of(_dump_group(state, topology, group)))
    in_flight = _dump_buckets(state.in_flight, whole, lambda trigger: _text_of(_dump_trigger(state, trigger)))
    head = {
        "version": STATE_VERSION,
        "cursor": cursor,
        "next": state.next_number,
        "buckets": [state.groups.buckets, state.in_flight.buckets],
        "injected": _dump_keys(topology, state.injected),
        "counts": dict(state.counts),
        "lately": [
            [each.reason, {alias: _text(state, alias, tip) for alias, tip in each.received.items()}]
            for each in state.lately
        ],
        "manual": [
            [list(state.node.spec.render(partition)), other.execution, other.run, other.owner]
            for partition, other in state.manual.items()
        ],
        "checked": [_dump_checked(state, entry) for entry in state.checked.values()],
    }
    first = f',"groups":{groups.pop(0)},"in_flight":{in_flight.pop(0)}}}'
    rows = {"": _text_of(head)[:-1] + first}
    rows.update({f"g{number}": text for number, text in groups.items()})
    rows.update({f"f{number}": text for number, text in in_flight.items()})
    return rows


def _dump_buckets(shelf: BucketedDict[Any, V], whole: bool, dump: Callable[[V], str]) -> dict[int, str]:
    """Returns the changed buckets, and always the first one, which is part of the head."""
    numbers = {0, *(range(shelf.buckets) if whole else shelf.dirty)}
    shelf.dirty.clear()
    return {number: f"[{','.join(shelf.texts(number, dump))}]" for number in sorted(numbers)}


def _text_of(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _dump_keys(topology: Topology, found: set[Key]) -> list[list[Any]]:
    return sorted([source, list(topology[source].spec.render(partition))] for source, partition in found)


def _dump_group(state: NodeGroups, topology: Topology, group: TriggerGroup) -> dict[str, Any]:
    return {
        "number": group.number,
        "created": group.created,
        "received": {alias: _text(state, alias, partition) for alias, partition in group.received.items()},
        "identities": group.identities,
        "unready": _dump_keys(topology, group.unready),
        "found": _dump_keys(topology, group.found),
        "needs": state.mark_of(group),
        **({"failure": group.failure} if group.failure else {}),
    }


def _text(state: NodeGroups, alias: str, partition: Partition) -> list[str]:
    return list(state.node.inputs[alias].node.spec.render(partition))


def head_of(node_id: str, text: str) -> dict[str, Any]:
    """Reads a node's head row.

    Raises:
        StateError: The row is not readable, or has another version.
    """
    return _versioned(text, f"routing state of '{node_id}'")


def later_buckets(head: dict[str, Any]) -> list[str]:
    """Returns the names of the rows that belong to a head."""
    return [f"{letter}{n}" for letter, count in zip("gf", head["buckets"], strict=True) for n in range(1, count)]


def load_node(node: DataNode, topology: Topology, rows: Mapping[str, str]) -> NodeGroups:
    """Reads what `dump_node` wrote, under the current declaration of the node.

    Raises:
        StateError: A row is not readable.
    """
    head = head_of(node.id, rows[""])
    state = NodeGroups(node, head["cursor"])
    state.counts.update(head["counts"])
    for reason, texts in head.get("lately", ()):
        received = _read_tips(state, topology, texts)
        if received:
            state.lately.append(Dropped(reason, received))
    state.next_number = head["next"]
    state.injected = _read_keys(topology, head["injected"])
    for values, *fields in head.get("manual", ()):
        partition = readable(topology, node.id, tuple(values))
        if partition is not None:
            state.manual[partition] = ManualExecution(*fields)
    for item in head.get("checked", ()):
        if (entry := _read_checked(state, topology, item)) is not None:
            state.checked[entry.execution] = entry
    dropped = lost = 0
    for number in range(head["buckets"][1]):
        items = head["in_flight"] if number == 0 else json.loads(rows[f"f{number}"])
        triggers = [_read_trigger(state, topology, item) for item in items]
        lost += triggers.count(None)
        state.in_flight.restore(number, [(trigger.partition, trigger) for trigger in triggers if trigger is not None])
    for number in range(head["buckets"][0]):
        items = head["groups"] if number == 0 else json.loads(rows[f"g{number}"])
        groups = [_read_group(state, topology, item) for item in items]
        state.counts["dropped"] += groups.count(None)
        dropped += groups.count(None)
        state.restore(number, [group for group in groups if group is not None])
    state.offer_again()
    if dropped or lost:
        state.take_as_changed()
        _log.warning(
            "the declaration of '%s' has changed since its state was saved: dropped %d trigger groups and %d "
            "unfinished executions that no longer fit. app.process(view) reports an event again, "
            "app.execute(view) builds a partition",
            node.id,
            dropped,
            lost,
        )
    return state


def _dump_checked(state: NodeGroups, entry: AwaitsChecks) -> list[Any]:
    partition = list(state.node.spec.render(entry.partition))
    return [entry.position, partition, entry.execution, entry.run, entry.owner, list(entry.checks)]


def _read_checked(state: NodeGroups, topology: Topology, item: list[Any]) -> AwaitsChecks | None:
    position, values, execution, run, owner, checks = item
    partition = readable(topology, state.node.id, tuple(values))
    if partition is None:
        return None
    return AwaitsChecks(position, state.node.id, partition, execution, run, owner, tuple(checks))


def _dump_trigger(state: NodeGroups, trigger: Trigger) -> dict[str, Any]:
    return {
        "partition": list(state.node.spec.render(trigger.partition)),
        "tips": {alias: _text(state, alias, tip) for alias, tip in trigger.tips.items()},
        "nearest": {alias: _text(state, alias, tip) for alias, tip in trigger.nearest.items()},
        "identities": list(trigger.identities),
        "turn": trigger.turn,
    }


def _read_trigger(state: NodeGroups, topology: Topology, item: dict[str, Any]) -> Trigger | None:
    node, identities = state.node, tuple(item["identities"])
    partition = readable(topology, node.id, tuple(item["partition"]))
    tips, nearest = (_read_tips(state, topology, item[part]) for part in ("tips", "nearest"))
    if partition is None or tips is None or nearest is None:
        return None
    resolved = _resolved(state, tips, partition)  # its node may have a new declaration: solve its events again
    if resolved is None or any(p not in node.inputs[alias].partitions(resolved[alias]) for alias, p in nearest.items()):
        return None
    if any(view.is_nearest and alias not in {*tips, *nearest} for alias, view in node.inputs.items()):
        return None
    return Trigger(node.id, partition, resolved, nearest, identities, item["turn"])


def _read_tips(state: NodeGroups, topology: Topology, texts: dict[str, list[str]]) -> dict[str, Partition] | None:
    """Returns the tips of the inputs that the node still has; None if one of them cannot be read."""
    found = {}
    for alias, values in texts.items():
        if alias in state.node.inputs:
            tip = readable(topology, state.node.inputs[alias].node.id, tuple(values))
            if tip is None:
                return None
            found[alias] = tip
    return found


def _resolved(state: NodeGroups, tips: dict[str, Partition], output: Partition) -> dict[str, Partition] | None:
    """Returns every input's tip, solved from the received ones; None if one is undetermined or the output differs.

    If a link's function fails, the tips stay as they were.
    """
    node = state.node
    events = {alias: tip for alias, tip in tips.items() if node.inputs[alias].needs_event}
    if any(view.needs_event and alias not in events for alias, view in node.inputs.items()):
        return None
    try:
        solution = node.linkage.solve(events, allow_guesses=True)
        if solution.output is None:
            solution = node.linkage.solve(events, output, allow_guesses=True)
    except LinkFailed:
        return tips if tips.keys() == node.inputs.keys() else None
    except Contradiction:
        return None
    found = {alias: tip for alias, tip in solution.tips.items() if tip is not None}
    return found if found.keys() == node.inputs.keys() and solution.output == output else None


def _read_group(state: NodeGroups, topology: Topology, item: dict[str, Any]) -> TriggerGroup | None:
    group = TriggerGroup(item["number"], item["created"])
    for alias, values in item["received"].items():
        view = state.node.inputs.get(alias)
        partition = readable(topology, view.node.id, tuple(values)) if view is not None and view.needs_event else None
        if partition is None:
            return None
        group.received[alias] = partition
    group.identities = dict(item["identities"])
    group.found = _read_keys(topology, item["found"])
    unready = _read_keys(topology, item["unready"])
    if failure := item.get("failure", ""):
        group.failure, group.unready = failure, unready
    elif not state.resume(group, unready, item.get("needs", "")):
        return None
    return group


def _read_keys(topology: Topology, rows: list[list[Any]]) -> set[Key]:
    keys = {(source, readable(topology, source, tuple(values))) for source, values in rows}
    return {(source, partition) for source, partition in keys if partition is not None}


def dump_plans(router: Router) -> str:
    """Returns the row of the open plans and of the reports that no driver has looked for yet."""
    plans = {
        name: {
            node_id: [list(router.topology[node_id].spec.render(partition)) for partition in partitions]
            for node_id, partitions in plan.holds.items()
            if node_id in router.topology
        }
        for name, plan in router.plans.items()
    }
    positions = {name: plan.position for name, plan in router.plans.items()}
    reported = [
        [node_id, list(router.topology[node_id].spec.render(partition)), position]
        for (node_id, partition), position in router.reported.items()
        if node_id in router.topology
    ]
    return _text_of({"version": STATE_VERSION, "plans": plans, "positions": positions, "reported": reported})


def load_reported(topology: Topology, text: str) -> dict[Key, int]:
    """Reads the reports that no driver has looked for yet from the row of `dump_plans`."""
    rows = _versioned(text, "open plans").get("reported", ())
    found = {(node_id, readable(topology, node_id, tuple(values))): position for node_id, values, position in rows}
    return {(node_id, partition): position for (node_id, partition), position in found.items() if partition is not None}


def load_plans(topology: Topology, text: str) -> dict[str, PlanOpened]:
    """Reads the open plans from the row of `dump_plans`."""
    row = _versioned(text, "open plans")
    plans = {}
    for name, holds in row["plans"].items():
        read = {
            node_id: frozenset(
                partition for values in rows if (partition := readable(topology, node_id, tuple(values))) is not None
            )
            for node_id, rows in holds.items()
        }
        plans[name] = PlanOpened(row["positions"][name], name, read)
    return plans


def dump_header(cursor: int, edition: int) -> str:
    """Returns the header row; `edition` counts the loads that dropped state, so that each is reported once."""
    return _text_of({"version": STATE_VERSION, "cursor": cursor, "edition": edition})


def load_header(text: str) -> tuple[int, int]:
    """Returns the cursor and the edition of a header row."""
    row = _versioned(text, "routing state")
    return int(row["cursor"]), int(row.get("edition", 0))


def _versioned(text: str, what: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
        version = row["version"]
    except (ValueError, KeyError, TypeError):
        raise StateError(f"the {what} is not readable JSON") from None
    if version != STATE_VERSION:
        raise StateError(f"the {what} has version {version}; this library reads {STATE_VERSION}")
    return dict(row)
