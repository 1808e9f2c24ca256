"""What the router cannot decide by itself, as it looks at nothing but the log: a driver finds out and records it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from rheo_assets.bridge.claims.owners import Owner
from rheo_assets.bridge.execution.verdicts import State, Verdicts
from rheo_assets.bridge.loop.reports import identity_of
from rheo_assets.model.executions import Status
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.routing.entries import AwaitsChecks, Trigger, planned_id

if TYPE_CHECKING:
    from rheo_assets.bridge.loop.driver import Driver

_log = logging.getLogger("rheo_assets")
_LONGEST: Final = 10.0  # of a turn: a run over a range may have a thousand executions that wait for their checks


class Unresolved:
    """Runs that are over without a word, executions that wait for blocking checks, and reported data.

    Args:
        driver: The driver that asks.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._lost: set[str] = set()

    def resolve(self) -> bool:
        """Records what becomes of them; returns whether it recorded anything."""
        has_recorded = [self._record_verdicts(), self._look_for_reported(), self._end_lost()]
        return any(has_recorded)

    def awaits_checks(self, trigger: Trigger) -> bool:
        """Returns whether an emitted execution wrote its data, and only its blocking checks are left."""
        identity = trigger.execution_id(self._driver.binding.application)
        return self.is_checked(trigger.node, identity)

    def is_checked(self, node_id: str, identity: str) -> bool:
        """Returns whether only the blocking checks of an execution are left."""
        router = self._driver.router
        return node_id in router.checked and identity in router.groups(node_id).checked and identity not in self._lost

    # blocking checks ------------------------------------------------------------------------------------------

    def _record_verdicts(self) -> bool:
        driver, self._lost, has_recorded = self._driver, set(), False
        verdicts = Verdicts(driver.binding, driver.journal)
        deadline = time.monotonic() + _LONGEST
        for entry in driver.router.checked_executions():
            if time.monotonic() > deadline:
                break
            node = driver.binding.topology.data_nodes[entry.node]
            verdict = verdicts.record(entry)
            if verdict.state == State.LOST and self._is_asked_for(entry):
                driver.recovery.mark_failed(entry.run)
                self._lost.add(entry.execution)
            elif verdict.state == State.LOST:
                verdicts.fail(node, entry, "its run ended before its blocking asset checks were evaluated")
            elif verdict.state == State.FAILED:
                _log.warning("%s failed: %s. Nothing starts from it", node.describe(entry.partition), verdict.reason)
            has_recorded |= verdict.state != State.OPEN and entry.execution not in self._lost
        return has_recorded

    def _is_asked_for(self, entry: AwaitsChecks) -> bool:
        """Returns whether the router or a plan asks for an execution until it has ended."""
        router, application = self._driver.router, self._driver.binding.application
        trigger = router.groups(entry.node).in_flight.get(entry.partition)
        if trigger is not None and trigger.execution_id(application) == entry.execution:
            return True
        return any(planned_id(plan, entry.node, entry.partition) == entry.execution for plan in router.plans)

    # reports --------------------------------------------------------------------------------------------------

    def _look_for_reported(self) -> bool:
        reported = list(self._driver.router.reported)
        for node_id, partition in reported:
            node = self._driver.binding.topology[node_id]
            assert isinstance(node, DataNode | ExternalData)  # the journal takes no others
            identity = identity_of(self._driver.binding, node, partition)
            self._driver.journal.looked_at(node_id, partition, identity)
            if identity is None:
                name, folder = node.describe(partition), self._driver.binding.readiness.folder(node, partition)
                _log.warning("%s was reported, but %s holds no complete data: it starts nothing", name, folder)
        return bool(reported)

    # lost runs ------------------------------------------------------------------------------------------------

    def _end_lost(self) -> bool:
        """Fails the executions of manual runs that are over without a recorded end."""
        driver = self._driver
        runs = {other.run: other.owner for _, _, other in driver.router.manual_executions()}
        lost = {run for run, owner in runs.items() if self._is_over(run, owner)}
        if not lost:
            return False
        driver.loop.fold()  # read the ends that a run recorded before it was over
        error = "its run is over, but recorded no end of this execution: see the run's log"
        has_recorded = False
        for node_id, partition, other in driver.router.manual_executions():
            if other.run in lost and not self.is_checked(node_id, other.execution):
                node = driver.binding.topology.data_nodes[node_id]
                # If its process is only asleep, it can publish nothing from here on.
                driver.binding.claims.take(other.execution, "lost")
                driver.recovery.end(node, partition, other.execution, Status.FAILED, error, other.run)
                driver.binding.claims.release(other.execution)
                driver.recovery.mark_failed(other.run)
                has_recorded = True
        return has_recorded

    def _is_over(self, run_id: str, owner: str) -> bool:
        driver = self._driver
        run = driver.instance.get_run_by_id(run_id)
        return run is None or run.is_finished or driver.binding.heartbeats.is_dead(Owner.of_text(owner))
