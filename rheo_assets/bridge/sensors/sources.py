"""The sensors that look for arrivals and due timers, and record them as events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.names import dagster_name
from rheo_assets.bridge.sensors.daemon_driver import NOTICE_BOX, DaemonDriver, time_box
from rheo_assets.errors import listed

_EVERY = 30


def source_sensors(binding: Binding, shared: DaemonDriver) -> list[dg.SensorDefinition]:
    """Returns a sensor for the external data of an application and one for its timers, if it declares any."""
    kinds = {"arrivals": binding.topology.external_data, "timers": binding.topology.timers}
    return [_source_sensor(binding, shared, kind, list(nodes)) for kind, nodes in kinds.items() if nodes]


def _source_sensor(binding: Binding, shared: DaemonDriver, kind: str, nodes: Sequence[str]) -> dg.SensorDefinition:
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        driver = shared.on(context.instance)
        driver.follow()
        topology, before = driver.binding.topology, driver.log.last_position()
        watched = list(topology.timers if kind == "timers" else topology.external_data)
        left = driver.notice(datetime.now(UTC), watched, time_box(NOTICE_BOX), is_idle=True)
        return dg.SkipReason(_noticed(driver, before, len(watched), kind, left))

    return dg.SensorDefinition(
        name=dagster_name(binding.application, kind),
        evaluation_fn=look,
        minimum_interval_seconds=_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Records {kind} of {', '.join(nodes)} as events; the router starts what follows from them.",
    )


def _noticed(driver: Driver, before: int, watched: int, kind: str, left: Sequence[str]) -> str:
    if left:
        return f"recorded new {kind}; the next tick records what is left at {listed(left)}"
    if driver.log.last_position() == before:
        return f"no new {kind} at {watched} sources"
    return f"recorded new {kind}"
