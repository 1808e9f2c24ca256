"""The sensors of an application, which the daemon evaluates."""

from __future__ import annotations

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.sensors.daemon_driver import DaemonDriver
from rheo_assets.bridge.sensors.router import router_sensor
from rheo_assets.bridge.sensors.sources import source_sensors


def application_sensors(binding: Binding) -> list[dg.SensorDefinition]:
    """Returns the router sensor and the source sensors; all share one driver."""
    shared = DaemonDriver(binding)
    return [router_sensor(binding, shared), *source_sensors(binding, shared)]
