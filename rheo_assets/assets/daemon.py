"""Whether a daemon drives an application: its router sensor is running and has just ticked."""

from __future__ import annotations

import time

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus, SensorInstigatorData

from rheo_assets.assets.keys import dagster_name

_FRESH = 60.0


def router_sensor_name(application: str) -> str:
    """Returns the name of an application's router sensor."""
    return dagster_name(application, "router")


def daemon_drives(instance: dg.DagsterInstance, application: str) -> bool:
    """Returns whether the router sensor is on and its last tick is fresh (60 s and two intervals).

    Heartbeats would not do: they stay healthy for half an hour after a kill.
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
