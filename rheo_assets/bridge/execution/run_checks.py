"""The blocking asset checks of one run: which ones decide about its executions, and what they came to."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.dagster_internals import blocking_checks, is_whole_run_here
from rheo_assets.bridge.eventlog.entries import AWAITS_CHECKS
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.execution.unchecked import Checks, Unchecked, record_unchecked, unchecked
from rheo_assets.bridge.execution.verdicts import State, Verdicts
from rheo_assets.bridge.names import EVENT_ENTRY, asset_key
from rheo_assets.model.executions import Execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.capabilities import Platform


class RunChecks:
    """The checks that a run evaluates after the step of a node's asset.

    Args:
        binding: The application.
        node: The node.
        platform: Where its data lies.
        context: Dagster's context of the step.
    """

    def __init__(self, binding: Binding, node: DataNode, platform: Platform, context: dg.AssetExecutionContext) -> None:
        self._binding = binding
        self._node = node
        self._platform = platform
        self._context = context
        self._deciding: set[str] = set()

    @cached_property
    def checks(self) -> Checks | None:
        """The checks; None without any."""
        names = blocking_checks(self._context)
        if not names:
            return None
        owner = self._binding.heartbeats.live_owner().text() if is_whole_run_here(self._context) else ""
        return Checks(self._context.run.run_id, owner, tuple(names))

    def begin(self, request: Request) -> Checks | None:
        """Returns the checks that decide about an execution of this run."""
        self._deciding.add(request.id)
        return self.checks

    def entries(self, execution: Execution) -> dict[str, Any]:
        """Returns what the materialisation of an execution says of its checks."""
        if self.checks is None or execution.id not in self._deciding:
            return {}
        fields = {"kind": AWAITS_CHECKS, "checks": list(self.checks.names), "owner": self.checks.owner}
        return {EVENT_ENTRY: dg.MetadataValue.json(fields)}

    def written(self, request: Request) -> Unchecked | None:
        """Returns what an earlier run wrote for an execution, if its checks have not passed."""
        return unchecked(self._node, request.partition, request.id, self._platform)

    def is_decided_elsewhere(self, request: Request, written: Unchecked) -> bool:
        """Returns whether the run that wrote the data evaluates its checks, or has: a driver records what they say."""
        key = self._binding.codecs[self._node.id].encode(request.partition) or None
        return self._verdicts.of(self._node, key, written.checks).state != State.LOST

    def adopt(self, request: Request, written: Unchecked) -> Execution | None:
        """Lets the checks of this run decide about what an earlier one wrote; None if this run has no checks."""
        checks = self.begin(request)
        if checks is None:
            return None
        record_unchecked(self._node, request.partition, Unchecked(written.execution, checks), self._platform)
        return written.execution

    def complete_parents(self) -> None:
        """Completes what this run has made of the node's inputs, as Dagster runs this step after their checks."""
        parents = {view.node.id for view in self._node.inputs.values() if isinstance(view.node, DataNode)}
        keys = {asset_key(self._node.application, node_id) for node_id in parents}
        if not keys & (self._context.run.asset_selection or keys):
            return
        for entry in self._journal.awaiting_checks(self._context.run.run_id):
            if entry.node in parents:
                self._verdicts.record(entry)

    @cached_property
    def _journal(self) -> Journal:
        return Journal(EventLog(self._context.instance), self._binding.topology, self._binding.since)

    @cached_property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self._binding, self._journal)
