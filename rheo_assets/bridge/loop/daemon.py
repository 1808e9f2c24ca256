"""The daemon as a script sees it: whether it drives an application, and which versions of nodes it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.dagster_internals import InstigatorStatus, InstigatorType, SensorInstigatorData
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.names import dagster_name
from rheo_assets.model.nodes import DataNode

_FRESH = 60.0


def router_sensor_name(application: str) -> str:
    """Returns the name of an application's router sensor."""
    return dagster_name(application, "router")


def daemon_drives(instance: dg.DagsterInstance, application: str) -> bool:
    """Returns whether the router sensor is on and its last tick is recent (60 s and two intervals).

    Dagster's heartbeats are no help: they stay healthy for half an hour after a kill.
    """
    name = router_sensor_name(application)
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if state.name != name or state.status == InstigatorStatus.STOPPED:
            continue
        data = state.instigator_data
        if isinstance(data, SensorInstigatorData) and data.last_tick_start_timestamp is not None:
            interval = float(data.min_interval or 30)
            if time.time() - data.last_tick_start_timestamp < _FRESH + 2 * interval:
                return True
    return False


def record_served(binding: Binding, log: EventLog) -> None:
    """Records which versions of nodes the daemon's code location runs."""
    log.put_rows({_row(binding): json.dumps(binding.digests)})


def not_served(binding: Binding, log: EventLog, nodes: Iterable[DataNode]) -> set[str]:
    """Returns the nodes of which the daemon has another version, or another version of an input."""
    wanted = list(nodes)
    if not wanted:
        return set()
    row = _row(binding)
    try:
        served = json.loads(log.rows([row]).get(row) or "{}")
    except ValueError:
        served = {}
    return {node.id for node in wanted if not is_same(node, served, binding.digests)}


def is_same(node: DataNode, before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Returns whether a node and its inputs have the same version in both; see `Binding.digests`."""
    names = (node.id, *(view.node.id for view in node.inputs.values()))
    return all(name in now and before.get(name) == now[name] for name in names)


def _row(binding: Binding) -> str:
    return f"rheo/{binding.application}/served"
