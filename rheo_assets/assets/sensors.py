"""Sensors: the daemon's faces of the event loop. One arrival sensor a kind of source, one router an application."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain

import dagster as dg

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.claims import MAX_ATTEMPTS
from rheo_assets.assets.daemon import note_served, router_sensor_name
from rheo_assets.assets.declared import check_capabilities, record
from rheo_assets.assets.driver import Driver
from rheo_assets.assets.history import History
from rheo_assets.assets.keys import TRIGGER_TAG, asset_key, dagster_name, op_name
from rheo_assets.assets.plans import Plans
from rheo_assets.assets.runs import request_config, run_tags
from rheo_assets.dimensions import Partition
from rheo_assets.errors import RheoError
from rheo_assets.nodes import DataNode
from rheo_assets.routing.journal import Trigger
from rheo_assets.runner.execution import Request

_log = logging.getLogger("rheo_assets")
_ARRIVALS_EVERY = 30
_ROUTER_EVERY = 5
_TIME_BOX = 20.0


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
            record(self.binding)
            driver = Driver(self.binding, instance)
            driver.activate(datetime.now(UTC))
            note_served(self.binding, driver.log)
            self._driver = driver
        return self._driver

    def plans(self, driver: Driver) -> Plans:
        """Returns the plans, which remember how far they have come."""
        if self._plans is None:
            self._plans = Plans(driver, History(self.binding, driver.log))
        return self._plans


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
        before = driver.log.last_position()
        driver.notice(datetime.now(UTC), nodes)
        return dg.SkipReason(_noticed(driver, before, len(nodes), kind))

    return dg.SensorDefinition(
        name=dagster_name(binding.application, kind),
        evaluation_fn=look,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Records {kind} of {', '.join(nodes)} as events; the router starts what follows from them.",
    )


def _noticed(driver: Driver, before: int, watched: int, kind: str) -> str:
    if driver.log.last_position() == before:
        return f"no new {kind} at {watched} sources"
    return f"recorded new {kind}"


def _router_sensor(binding: Binding, shared: DaemonDriver) -> dg.SensorDefinition:
    nodes = list(binding.topology.data_nodes.values())

    def route(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        driver = shared.on(context.instance)
        outbox = driver.turn(datetime.now(UTC))
        is_paused = driver.is_paused()
        wanted = _planned(shared.plans(driver))  # asked for by hand: also while the application is paused
        if not is_paused:
            wanted = chain(wanted, _emitted(binding, outbox))
        requests = list(_within(_TIME_BOX, _run_requests(binding, driver, wanted)))
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


def _within(seconds: float, requests: Iterator[dg.RunRequest]) -> Iterator[dg.RunRequest]:
    """Ends a tick in time: what is left stays in the outbox for the next one."""
    deadline = time.monotonic() + seconds
    for request in requests:
        yield request
        if time.monotonic() > deadline:
            return


def _idle(driver: Driver, running: int) -> str:
    groups = sum(len(driver.router.groups(node_id).groups) for node_id in driver.router.active)
    return f"nothing to start: {running} executions in flight, {groups} trigger groups waiting"


def _emitted(binding: Binding, outbox: Sequence[Trigger]) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields what the router has asked for, by node."""
    by_node: dict[str, list[Request]] = {}
    for trigger in outbox:
        identity = trigger.execution_id(binding.application)
        request = Request(identity, trigger.partition, trigger.tips, trigger.nearest)
        by_node.setdefault(trigger.node, []).append(request)
    for node_id, requests in by_node.items():
        yield binding.topology.data_nodes[node_id], requests


def _planned(plans: Plans) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields what the plans ask for that nobody else carries out, and closes those that are over."""
    for run in plans.left():
        try:
            step = plans.step(run)
        except RheoError as error:  # its caller, if it still waits, is told the same
            _log.warning("%s", error)
            step = None
        if step is None:
            plans.finish(run)
        else:
            yield step.stage.node, list(step.requests)


def _run_requests(
    binding: Binding, driver: Driver, wanted: Iterable[tuple[DataNode, list[Request]]]
) -> Iterator[dg.RunRequest]:
    for node, requests in wanted:
        yield from _node_requests(binding, driver, node, requests)


def _node_requests(
    binding: Binding, driver: Driver, node: DataNode, wanted: Sequence[Request]
) -> Iterator[dg.RunRequest]:
    codec = binding.codecs[node.id]
    attempts = _Attempts(driver, node)
    startable: dict[Partition, tuple[Request, str]] = {}
    for request in wanted:
        mark = attempts.next(request)
        if mark is not None:
            startable[request.partition] = (request, mark)
    codec.register(driver.instance, list(startable))
    for partitions in codec.runs_of(list(startable)):
        batch = [startable[partition] for partition in partitions]
        requests = [request for request, _ in batch]
        marks = [mark for _, mark in batch]
        attempts.asked(requests)
        yield dg.RunRequest(
            run_key=marks[0] if len(marks) == 1 else f"{marks[0]}+{len(marks)}:{marks[-1]}",
            partition_key=codec.encode(partitions[0]) if len(partitions) == 1 and codec.is_partitioned else None,
            asset_selection=[asset_key(node.application, node.id)],
            run_config={"ops": {op_name(node.application, node.id): {"config": request_config(node, requests)}}},
            tags={**run_tags(codec, partitions), TRIGGER_TAG: requests[0].id},
        )


class _Attempts:
    """Which executions need a run now: those without one, and those whose run is dead."""

    def __init__(self, driver: Driver, node: DataNode) -> None:
        self._driver = driver
        self._node = node
        self._claims = driver.binding.claims

    def next(self, request: Request) -> str | None:
        """Returns the name of the run that is due, None when one is under way.

        Dagster starts no two runs of one name. So it has the number of the attempt, which the claims tell, and how
        often a run was asked for since: one may end before it claims anything.
        """
        claim = self._claims.newest(request.id)
        if claim is not None:
            if not self._claims.is_over(request.id, claim):
                return None
            self._driver.bury(str(claim.fields["run_id"]))
        if request.id in self._with_a_run:
            return None
        attempt = 0 if claim is None else claim.attempt + 1
        asked, at = self._asked(request, attempt)
        if time.monotonic() - at < _ARRIVALS_EVERY:
            return None  # its run is not there yet, or its request was lost with the tick
        if attempt + asked >= MAX_ATTEMPTS:
            self._driver.give_up(self._node, request)
            return None
        self._driver.asked[request.id] = (attempt, asked, at)
        return f"{request.id}.{attempt}.{asked}" if asked else f"{request.id}.{attempt}"

    def _asked(self, request: Request, attempt: int) -> tuple[int, float]:
        """Returns how often and when a run was last asked for since the last claim."""
        before, asked, at = self._driver.asked.get(request.id, (attempt, 0, -math.inf))
        return (asked, at) if before == attempt else (0, -math.inf)

    @cached_property
    def _with_a_run(self) -> set[str]:
        return History(self._driver.binding, self._driver.log).about_to_begin(self._node)

    def asked(self, requests: Iterable[Request]) -> None:
        """Takes note of what has been asked for."""
        for request in requests:
            attempt, asked, _ = self._driver.asked[request.id]
            self._driver.asked[request.id] = (attempt, asked + 1, time.monotonic())
