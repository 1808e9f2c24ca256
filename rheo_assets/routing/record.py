"""The router's state as JSON: one row a node, and a header. A row that no longer fits the declaration loses only itself."""

from __future__ import annotations

import json
from typing import Any

from rheo_assets.dimensions import Partition
from rheo_assets.errors import StateError
from rheo_assets.nodes import DataNode
from rheo_assets.routing.groups import Key, NodeGroups, TriggerGroup
from rheo_assets.routing.journal import PlanOpened, Trigger
from rheo_assets.routing.router import Router, readable
from rheo_assets.topology import Topology

STATE_VERSION = 1


def dump_node(state: NodeGroups, topology: Topology, cursor: int) -> str:
    """Returns a node's row."""

    def keys(found: set[Key]) -> list[list[Any]]:
        return sorted([source, list(topology[source].spec.render(partition))] for source, partition in found)

    groups = [
        {
            "number": group.number,
            "created": group.created,
            "received": {alias: _text(state, alias, partition) for alias, partition in group.received.items()},
            "identities": group.identities,
            "unready": keys(group.unready),
            "found": keys(group.found),
        }
        for group in state.groups.values()
    ]
    return json.dumps(
        {
            "version": STATE_VERSION,
            "cursor": cursor,
            "next": state.next_number,
            "groups": groups,
            "injected": keys(state.injected),
            "in_flight": [_dump_trigger(state, trigger) for trigger in state.in_flight.values()],
            "counts": dict(state.counts),
        },
        separators=(",", ":"),
    )


def _text(state: NodeGroups, alias: str, partition: Partition) -> list[str]:
    return list(state.node.inputs[alias].node.spec.render(partition))


def load_node(node: DataNode, topology: Topology, text: str) -> NodeGroups:
    """Reads what `dump_node` wrote, under the present declaration of the node."""
    row = _versioned(text, f"routing state of '{node.id}'")
    state = NodeGroups(node, row["cursor"])
    state.counts.update(row["counts"])
    state.next_number = row["next"]
    state.injected = _read_keys(topology, row["injected"])
    for item in row["in_flight"]:
        trigger = _read_trigger(state, topology, item)
        if trigger is not None:
            state.in_flight[trigger.partition] = trigger
    for item in row["groups"]:
        group = _read_group(state, topology, item)
        if group is None:
            state.counts["dropped"] += 1
        else:
            state.restore(group)
    return state


def _dump_trigger(state: NodeGroups, trigger: Trigger) -> dict[str, Any]:
    return {
        "partition": list(state.node.spec.render(trigger.partition)),
        "tips": {alias: _text(state, alias, tip) for alias, tip in trigger.tips.items()},
        "nearest": {alias: _text(state, alias, tip) for alias, tip in trigger.nearest.items()},
        "identities": list(trigger.identities),
        "turn": trigger.turn,
    }


def _read_trigger(state: NodeGroups, topology: Topology, item: dict[str, Any]) -> Trigger | None:
    partition = readable(topology, state.node.id, tuple(item["partition"]))
    read: dict[str, dict[str, Partition]] = {"tips": {}, "nearest": {}}
    for part, found in read.items():
        for alias, values in item[part].items():
            view = state.node.inputs.get(alias)
            tip = readable(topology, view.node.id, tuple(values)) if view is not None else None
            if tip is None:
                return None
            found[alias] = tip
    if partition is None:
        return None
    return Trigger(
        state.node.id, partition, read["tips"], read["nearest"], tuple(item["identities"]), item["turn"]
    )


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
    if not state.resume(group, _read_keys(topology, item["unready"])):
        return None
    return group


def _read_keys(topology: Topology, rows: list[list[Any]]) -> set[Key]:
    keys = {(source, readable(topology, source, tuple(values))) for source, values in rows}
    return {(source, partition) for source, partition in keys if partition is not None}


def dump_header(router: Router) -> str:
    """Returns the header row: the cursor, the nodes with groups, the open plans."""
    plans = {
        name: {
            node_id: [list(router.topology[node_id].spec.render(partition)) for partition in partitions]
            for node_id, partitions in plan.holds.items()
            if node_id in router.topology
        }
        for name, plan in router.plans.items()
    }
    return json.dumps(
        {
            "version": STATE_VERSION,
            "cursor": router.cursor,
            "active": sorted(router.active),
            "runnable": sorted(router.runnable),
            "busy": sorted(router.busy),
            "plans": plans,
        },
        separators=(",", ":"),
    )


def load_header(topology: Topology, text: str) -> dict[str, Any]:
    """Reads what `dump_header` wrote, as the arguments of `Router`: cursor, plans, active, runnable, busy."""
    row = _versioned(text, "routing state")
    plans = {}
    for name, holds in row["plans"].items():
        read = {
            node_id: frozenset(
                partition for values in rows if (partition := readable(topology, node_id, tuple(values))) is not None
            )
            for node_id, rows in holds.items()
        }
        plans[name] = PlanOpened(0, name, read)
    return {"cursor": row["cursor"], "plans": plans, "active": row["active"], "runnable": row["runnable"], "busy": row["busy"]}


def _versioned(text: str, what: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
        version = row["version"]
    except (ValueError, KeyError, TypeError):
        raise StateError(f"the {what} is not readable JSON") from None
    if version != STATE_VERSION:
        raise StateError(f"the {what} has version {version}; this library reads {STATE_VERSION}")
    return dict(row)
