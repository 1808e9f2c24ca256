"""The driver that the sensors of one code location share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from rheo_assets.bridge.activation.activation import check_capabilities, record
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.loop.daemon import is_same, record_served
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.plans import Plans
from rheo_assets.model.nodes import DataNode

SCAN_BOX = 10.0  # seconds; the router waits for both source sensors, and Dagster stops it after 60


class DaemonDriver:
    """The driver that all sensors of one code location share; created at the first tick."""

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
        """Returns the plans, which remember their progress."""
        if self._plans is None:
            self._plans = Plans(driver, History(driver.binding, driver.log))
        elif self._plans.history.binding is not driver.binding:
            self._plans.reset()
        return self._plans

    def runs(self, node: DataNode) -> bool:
        """Returns whether this code location has the recorded version of a node."""
        now = self._driver.binding if self._driver is not None else self.binding
        return now.topology is self.binding.topology or is_same(node, self.binding.digests, now.digests)


def time_box(seconds: float) -> Callable[[], bool]:
    """Returns a function that tells whether a tick has taken too long: the next one continues."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline
