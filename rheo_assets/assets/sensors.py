"""Sensors: the daemon's faces of the event loop. One arrival sensor a kind of source, one router an application."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster import RunsFilter

from rheo_assets.assets.binding import Binding
from rheo_assets.assets.claims import MAX_ATTEMPTS
from rheo_assets.assets.daemon import router_sensor_name
from rheo_assets.assets.declared import check_capabilities, record
from rheo_assets.assets.driver import Driver
from rheo_assets.assets.history import History
from rheo_assets.assets.keys import TRIGGER_TAG, asset_key, dagster_name
from rheo_assets.assets.runs import op_name, request_config, run_tags
from rheo_assets.dimensions import Partition
from rheo_assets.nodes import DataNode
from rheo_assets.routing.journal import Trigger
from rheo_assets.runner.execution import Request

_ARRIVALS_EVERY = 30
_ROUTER_EVERY = 5
_TIME_BOX = 20.0


class DaemonDriver:
    """The driver that all sensors of one code location share; made at the first tick."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self._driver: Driver | None = None

    def on(self, instance: dg.DagsterInstance) -> Driver:
        """Returns the driver; the first call records the declaration as `activate()` would."""
        if self._driver is None:
            check_capabilities(self.binding.topology, self.binding.platform)
            record(self.binding)
            driver = Driver(self.binding, instance)
            driver.activate(datetime.now(UTC))
            self._driver = driver
        return self._driver


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
        if driver.state.fields().get("paused"):
            return dg.SkipReason("the application is paused")
        requests = list(_within(_TIME_BOX, _run_requests(binding, driver, outbox)))
        if not requests:
            return dg.SkipReason(_idle(driver, len(outbox)))
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


def _run_requests(binding: Binding, driver: Driver, outbox: Sequence[Trigger]) -> Iterator[dg.RunRequest]:
    by_node: dict[str, list[Trigger]] = {}
    for trigger in outbox:
        by_node.setdefault(trigger.node, []).append(trigger)
    for node_id, triggers in by_node.items():
        node = binding.topology.data_nodes[node_id]
        yield from _node_requests(binding, driver, node, triggers)


def _node_requests(
    binding: Binding, driver: Driver, node: DataNode, triggers: Sequence[Trigger]
) -> Iterator[dg.RunRequest]:
    codec = binding.codecs[node.id]
    attempts = _Attempts(binding, driver)
    startable: dict[Partition, tuple[Trigger, int]] = {}
    for trigger in triggers:
        attempt = attempts.next(trigger)
        if attempt is not None:
            startable[trigger.partition] = (trigger, attempt)
    codec.register(driver.instance, list(startable))
    for partitions in codec.runs_of(list(startable)):
        batch = [startable[partition] for partition in partitions]
        requests = [_request(binding, trigger) for trigger, _ in batch]
        marks = [f"{request.id}.{attempt}" for request, (_, attempt) in zip(requests, batch, strict=True)]
        attempts.started(marks)
        yield dg.RunRequest(
            run_key=marks[0] if len(marks) == 1 else f"{marks[0]}+{len(marks)}:{marks[-1]}",
            partition_key=codec.encode(partitions[0]) if len(partitions) == 1 and codec.is_partitioned else None,
            asset_selection=[asset_key(node.application, node.id)],
            run_config={"ops": {op_name(node): {"config": request_config(node, requests)}}},
            tags={**run_tags(codec, partitions), TRIGGER_TAG: requests[0].id},
        )


def _request(binding: Binding, trigger: Trigger) -> Request:
    return Request(trigger.execution_id(binding.application), trigger.partition, trigger.tips, trigger.nearest)


class _Attempts:
    """Which emitted executions need a run now: those without one, and those whose run is dead."""

    def __init__(self, binding: Binding, driver: Driver) -> None:
        self._binding = binding
        self._driver = driver
        self._instance = driver.instance
        self._started: dict[str, float] = driver.started
        self._history = History(binding, driver.log)

    def next(self, trigger: Trigger) -> int | None:
        """Returns the number of the attempt that is due, None when one is under way."""
        identity = trigger.execution_id(self._binding.application)
        claim = self._binding.claims.newest(identity)
        if claim is not None:
            run = self._instance.get_run_by_id(claim.run_id)
            is_over = claim.owner.is_dead() or (run is not None and run.is_finished)
            return self._after(trigger, claim.attempt) if is_over else None
        since = self._started.get(f"{identity}.0")
        if since is None:
            return 0
        return self._after_silence(identity, since)

    def _after(self, trigger: Trigger, attempt: int) -> int | None:
        if attempt + 1 < MAX_ATTEMPTS:
            return attempt + 1
        self._driver.give_up(trigger)
        return None

    def _after_silence(self, identity: str, since: float) -> int | None:
        """A run that never claimed: it failed before its body, or its request was lost with the tick."""
        if time.monotonic() - since < _ARRIVALS_EVERY:
            return None
        records = self._instance.get_run_records(RunsFilter(tags={TRIGGER_TAG: identity}))
        if any(not record.dagster_run.is_finished for record in records):
            return None
        return len(records) if len(records) < MAX_ATTEMPTS else None

    def started(self, marks: Sequence[str]) -> None:
        """Takes note of what has been asked for."""
        for mark in marks:
            self._started[mark] = time.monotonic()
            self._started[f"{mark.rsplit('.', 1)[0]}.0"] = time.monotonic()
