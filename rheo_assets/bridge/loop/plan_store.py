"""Plans in storage: one object per plan, which names the process that carries it out."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from rheo_assets.bridge.claims.heartbeats import Heartbeats
from rheo_assets.bridge.loop.plan_records import PlanRecord
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.capabilities import Storage

_log = logging.getLogger("rheo_assets")


class PlanStore:
    """The recorded plans of one application.

    Args:
        storage: Where they are stored.
        prefix: Their URI prefix.
        heartbeats: The live processes, including this one.
    """

    def __init__(self, storage: Storage, prefix: str, heartbeats: Heartbeats) -> None:
        self._storage = storage
        self._prefix = prefix
        self._heartbeats = heartbeats

    def write(self, run: PlanRecord) -> None:
        """Records a plan. If this process owns it, it carries it out from now on."""
        self._storage.write(self._uri(run.id), run.to_json().encode())
        if run.owner == self._heartbeats.owner:
            self._heartbeats.thread.hold(run.id)

    def delete(self, run: PlanRecord) -> None:
        """Removes a plan that has ended."""
        self._storage.delete(self._uri(run.id))

    def adopt(self, run: PlanRecord) -> PlanRecord:
        """Takes over an abandoned plan; returns it with this process as its owner."""
        if not self._is_abandoned(run):
            return run
        adopted = replace(run, owner=self._heartbeats.live_owner())
        self.write(adopted)
        return adopted

    def release(self, run: PlanRecord) -> None:
        """Stops carrying a plan out in this process; the next turn of a driver continues it."""
        self._heartbeats.thread.drop(run.id)

    def abandoned(self, topology: Topology) -> tuple[list[PlanRecord], list[str]]:
        """Returns the plans that no live process carries out, and the ids of damaged plans.

        A damaged plan is moved aside, so that it is logged once.
        """
        found, damaged = [], []
        for name in self._storage.children(self._prefix):
            if not name.endswith(".json"):
                continue
            plan = name.removesuffix(".json")
            try:
                content = self._storage.read(self._uri(plan))
            except FileNotFoundError:
                continue  # it has just ended
            try:
                run = PlanRecord.of_fields(topology, json.loads(content))
            except (ValueError, LookupError, TypeError) as error:
                self._put_aside(plan, content, error)
                damaged.append(plan)
                continue
            if self._is_abandoned(run):
                found.append(run)
        return found, damaged

    def _uri(self, plan: str) -> str:
        return f"{self._prefix}/{plan}.json"

    def _is_abandoned(self, run: PlanRecord) -> bool:
        if run.owner == self._heartbeats.owner:
            return not self._heartbeats.thread.holds(run.id)
        return run.owner is None or self._heartbeats.is_dead(run.owner)

    def _put_aside(self, plan: str, content: bytes, error: Exception) -> None:
        uri = self._uri(plan)
        _log.warning(
            "the plan %s is damaged (%s) and was dropped. A copy is kept as %s.damaged. For the executions that it had "
            "not run, call execute() again",
            uri,
            error,
            uri,
        )
        self._storage.write(f"{uri}.damaged", content)
        self._storage.delete(uri)
