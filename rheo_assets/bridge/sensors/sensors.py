"""Sensors: the daemon's faces of the event loop. One arrival sensor a kind of source, one router an application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

import dagster as dg

from rheo_assets.bridge.activation.activation import check_capabilities, record
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.daemon import is_same, record_served, router_sensor_name
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.loop.plans import Plans
from rheo_assets.bridge.names import asset_key, dagster_name
from rheo_assets.bridge.sensors.run_requests import planned, run_requests
from rheo_assets.errors import listed
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology

_ARRIVALS_EVERY = 30
_ROUTER_EVERY = 5
_ROUTER_BOX = 20.0
_NOTICE_BOX = 10.0  # the router waits for both of those who notice, and Dagster gives it 60 s


class DaemonDriver:
    """The driver that all sensors of one code location share; made at the first tick."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self._driver: Driver | None = None
        self._plans: Plans | None = None

    def on(self, instance: dg.DagsterInstance) -> Driver:
        """Returns the driver; the first call records the declaration as `activate()` would."""
        if self._driver is None:
            check_capabilities(self.binding.topology, self.binding.platform)
            driver = Driver(self.binding.redeclared(self.binding.topology, record(self.binding)), instance)
            driver.activate(datetime.now(UTC))
            record_served(self.binding, driver.log)
            self._driver = driver
        return self._driver

    def plans(self, driver: Driver) -> Plans:
        """Returns the plans, which remember how far they have come."""
        if self._plans is None:
            self._plans = Plans(driver, History(driver.binding, driver.log))
        elif self._plans.history.binding is not driver.binding:
            self._plans.reset()
        return self._plans

    def runs(self, node: DataNode) -> bool:
        """Returns whether this code location runs a node as it is declared on record."""
        now = self._driver.binding if self._driver is not None else self.binding
        return now.topology is self.binding.topology or is_same(node, self.binding.digests, now.digests)


def application_sensors(binding: Binding) -> list[dg.SensorDefinition]:
    """Returns the sensors of an application."""
    shared = DaemonDriver(binding)
    sensors = [_router_sensor(binding, shared)]
    external = [node.id for node in binding.topology.external_data.values()]
    timers = [node.id for node in binding.topology.timers.values()]
    if external:
        sensors.append(_noticing_sensor(binding, shared, "arrivals", external, _ARRIVALS_EVERY))
    if timers:
        sensors.append(_noticing_sensor(binding, shared, "timers", timers, _ARRIVALS_EVERY))
    return sensors


def _noticing_sensor(
    binding: Binding, shared: DaemonDriver, kind: str, nodes: Sequence[str], interval: int
) -> dg.SensorDefinition:
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        driver = shared.on(context.instance)
        driver.follow()
        topology, before = driver.binding.topology, driver.log.last_position()
        watched = list(topology.timers if kind == "timers" else topology.external_data)
        left = driver.notice(datetime.now(UTC), watched, time_box(_NOTICE_BOX))
        return dg.SkipReason(_noticed(driver, before, len(watched), kind, left))

    return dg.SensorDefinition(
        name=dagster_name(binding.application, kind),
        evaluation_fn=look,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Records {kind} of {', '.join(nodes)} as events; the router starts what follows from them.",
    )


def _noticed(driver: Driver, before: int, watched: int, kind: str, left: Sequence[str]) -> str:
    if left:
        return f"recorded new {kind}; the next tick records what is left at {listed(left)}"
    if driver.log.last_position() == before:
        return f"no new {kind} at {watched} sources"
    return f"recorded new {kind}"


def time_box(seconds: float) -> Callable[[], bool]:
    """Returns a function that tells whether a tick has taken that long since now: what is left is for the next one."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def _router_sensor(binding: Binding, shared: DaemonDriver) -> dg.SensorDefinition:
    nodes = list(binding.topology.data_nodes.values())

    def route(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        driver = shared.on(context.instance)
        driver.follow()
        if unwatched := _unwatched(binding.topology, driver.binding.topology):
            driver.notice(datetime.now(UTC), unwatched, time_box(_NOTICE_BOX))
        is_enough = time_box(_ROUTER_BOX)
        outbox = driver.turn(datetime.now(UTC), is_enough)
        is_paused = driver.is_paused()
        wanted = planned(shared.plans(driver))  # asked for by hand: also while the application is paused
        if not is_paused:
            wanted = chain(wanted, emitted(driver.binding, outbox))
        others: dict[str, None] = {}
        wanted = _own(wanted, shared, others)
        requests = list(_until(is_enough, run_requests(driver.binding, driver, wanted, is_enough)))
        if not requests and others:
            return dg.SkipReason(_declared_otherwise(others))
        if not requests:
            return dg.SkipReason("the application is paused" if is_paused else _idle(driver, len(outbox)))
        return dg.SensorResult(run_requests=requests)

    return dg.SensorDefinition(
        name=router_sensor_name(binding.application),
        evaluation_fn=route,
        asset_selection=dg.AssetSelection.assets(*(asset_key(n.application, n.id) for n in nodes)) if nodes else None,
        job_name=None,
        minimum_interval_seconds=_ROUTER_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Routes events to trigger groups and starts the executions that are complete and ready.",
    )


def _until(is_enough: Callable[[], bool], requests: Iterator[dg.RunRequest]) -> Iterator[dg.RunRequest]:
    """Ends a tick in time: what is left stays in the outbox for the next one."""
    for request in requests:
        yield request
        if is_enough():
            return


def _own(
    wanted: Iterable[tuple[DataNode, list[Request]]], shared: DaemonDriver, others: dict[str, None]
) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields what this code location can run; notes the nodes that it knows otherwise, or not at all."""
    for node, requests in wanted:
        if shared.runs(node):
            yield node, requests
        elif requests:
            others[node.id] = None


def _unwatched(loaded: Topology, now: Topology) -> list[str]:
    """Returns the sources of a kind for which this code location has no sensor, as it declares none of them."""
    return [*(() if loaded.external_data else now.external_data), *(() if loaded.timers else now.timers)]


def _declared_otherwise(node_ids: Iterable[str]) -> str:
    return (
        f"to start and not started here: {listed(node_ids)}. The application was activated since with other "
        "declarations than this code location has loaded. Reload it; until then scripts run what it does not know"
    )


def _idle(driver: Driver, running: int) -> str:
    groups = sum(len(driver.router.groups(node_id).groups) for node_id in driver.router.active)
    return f"nothing to start: {running} executions in flight, {groups} trigger groups waiting"
