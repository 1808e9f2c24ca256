"""The source sensors: they find arrivals and due timers, and record them as events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.names import dagster_name
from rheo_assets.bridge.sensors.daemon_driver import SCAN_BOX, DaemonDriver, time_box
from rheo_assets.errors import listed

_EVERY = 30


def source_sensors(binding: Binding, shared: DaemonDriver) -> list[dg.SensorDefinition]:
    """Returns a sensor for the external data of an application and one for its timers, if it declares any."""
    kinds = {"arrivals": binding.topology.external_data, "timers": binding.topology.timers}
    return [_source_sensor(binding, shared, kind, list(nodes)) for kind, nodes in kinds.items() if nodes]


def _source_sensor(binding: Binding, shared: DaemonDriver, kind: str, nodes: Sequence[str]) -> dg.SensorDefinition:
    def scan(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        driver = shared.on(context.instance)
        driver.follow()
        topology, before = driver.binding.topology, driver.log.last_position()
        watched = list(topology.timers if kind == "timers" else topology.external_data)
        unfinished = driver.scan_sources(datetime.now(UTC), watched, time_box(SCAN_BOX), is_idle=True)
        return dg.SkipReason(_report(driver, before, len(watched), kind, unfinished))

    return dg.SensorDefinition(
        name=dagster_name(binding.application, kind),
        evaluation_fn=scan,
        minimum_interval_seconds=_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Records {kind} of {', '.join(nodes)} as events. The router starts what follows from them.",
    )


def _report(driver: Driver, before: int, watched: int, kind: str, unfinished: Sequence[str]) -> str:
    if unfinished:
        return f"recorded new {kind}; the next tick continues with {listed(unfinished)}"
    if driver.log.last_position() == before:
        return f"no new {kind} in {watched} sources"
    return f"recorded new {kind}"
