"""The router sensor: every five seconds it routes new events and requests the runs that can start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.daemon import router_sensor_name
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import emitted
from rheo_assets.bridge.names import asset_key
from rheo_assets.bridge.sensors.daemon_driver import SCAN_BOX, DaemonDriver, time_box
from rheo_assets.bridge.sensors.run_requests import planned, run_requests
from rheo_assets.errors import listed
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology

_ROUTER_EVERY = 5
_ROUTER_BOX = 20.0
_LAUNCH_BOX = 20.0  # of its own: a range for which a long turn had left no time would be cut


def router_sensor(binding: Binding, shared: DaemonDriver) -> dg.SensorDefinition:
    """Returns the sensor that routes events and requests the runs that follow from them."""
    nodes = list(binding.topology.data_nodes.values())

    def route(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        driver = shared.on(context.instance)
        driver.follow()
        if unwatched := _unwatched(binding.topology, driver.binding.topology):
            driver.scan_sources(datetime.now(UTC), unwatched, time_box(SCAN_BOX), is_idle=True)
        outbox = driver.turn(datetime.now(UTC), time_box(_ROUTER_BOX))
        is_enough = time_box(_LAUNCH_BOX)
        is_paused = driver.is_paused()
        wanted = planned(shared.plans(driver))  # users requested these: run them also while the application is paused
        if not is_paused:
            wanted = chain(wanted, emitted(driver.binding, driver.without_unfinished(outbox)))
        others: dict[str, None] = {}
        wanted = _own(wanted, shared, others)
        requests = list(_until(is_enough, run_requests(driver.binding, driver, wanted, is_enough)))
        if not requests and others:
            return dg.SkipReason(_declared_otherwise(others))
        if not requests:
            return dg.SkipReason("the application is paused" if is_paused else _idle(driver, len(outbox)))
        return dg.SensorResult(run_requests=_in_one_process(context, requests))

    return dg.SensorDefinition(
        name=router_sensor_name(binding.application),
        evaluation_fn=route,
        asset_selection=dg.AssetSelection.assets(*(asset_key(n.application, n.id) for n in nodes)) if nodes else None,
        job_name=None,
        minimum_interval_seconds=_ROUTER_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Routes events to trigger groups and starts the executions that are complete and ready.",
    )


def _in_one_process(context: dg.SensorEvaluationContext, requests: Sequence[dg.RunRequest]) -> list[dg.RunRequest]:
    """Returns the requests, executed in the run's own process unless the code location sets an executor.

    A run has one step, so that a second process for it would be useless.
    """
    repository = context.repository_def
    if repository is None or not requests:
        return list(requests)
    executor = repository.get_implicit_global_asset_job_def().executor_def
    if executor is not dg.multi_or_in_process_executor:
        return list(requests)
    chosen: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
    return [request._replace(run_config={**request.run_config, **chosen}) for request in requests]


def _until(is_enough: Callable[[], bool], requests: Iterator[dg.RunRequest]) -> Iterator[dg.RunRequest]:
    """Ends a tick in time: the other requests stay in the outbox for the next one."""
    for request in requests:
        yield request
        if is_enough():
            return


def _own(
    wanted: Iterable[tuple[DataNode, list[Request]]], shared: DaemonDriver, others: dict[str, None]
) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields what this code location can run; adds the nodes of which it has another version, or none, to `others`."""
    for node, requests in wanted:
        if shared.runs(node):
            yield node, requests
        elif requests:
            others[node.id] = None


def _unwatched(loaded: Topology, now: Topology) -> list[str]:
    """Returns the sources without a sensor: this code location declares no source of their kind."""
    return [*(() if loaded.external_data else now.external_data), *(() if loaded.timers else now.timers)]


def _declared_otherwise(node_ids: Iterable[str]) -> str:
    return (
        f"not started: {listed(node_ids)}. Another session has activated other versions of these nodes than this code "
        "location has loaded. Reload it. Until then, only scripts run them"
    )


def _idle(driver: Driver, running: int) -> str:
    groups = sum(len(driver.router.groups(node_id).groups) for node_id in driver.router.active)
    return f"nothing to start: {running} executions in flight, {groups} trigger groups waiting"
