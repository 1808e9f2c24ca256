"""The body of a node's asset: what runs inside a Dagster run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.eventlog.batches import store_in_batches
from rheo_assets.bridge.eventlog.entries import execution_entry
from rheo_assets.bridge.eventlog.history import History, owner_of
from rheo_assets.bridge.eventlog.instance import EventLog
from rheo_assets.bridge.execution.attempts import Backoff
from rheo_assets.bridge.execution.execution import (
    Outcome,
    Request,
    Superseded,
    Surroundings,
    recorded_success,
    run_execution,
)
from rheo_assets.bridge.execution.execution_log import CappedLog, failure_text
from rheo_assets.bridge.execution.manual_runs import ManualRun, Requested
from rheo_assets.bridge.execution.metadata import describe
from rheo_assets.bridge.execution.retries import Retry
from rheo_assets.bridge.execution.run_checks import RunChecks
from rheo_assets.bridge.names import EVENT_ENTRY
from rheo_assets.bridge.resources import EngineResources
from rheo_assets.model.compute.targets import NoOp
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution, Status
from rheo_assets.model.nodes import DataNode

_LOOK_EVERY = 1.0
_CANCELLED = [dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED]
_OLD = 86400.0


class Body:
    """Runs the executions of one node that a Dagster run is for.

    Args:
        binding: The application.
        node: The node.
        context: Dagster's context of the step.
        engines: The resources of the node's engines.
    """

    def __init__(
        self, binding: Binding, node: DataNode, context: dg.AssetExecutionContext, engines: EngineResources
    ) -> None:
        self.binding = binding
        self.node = node
        self.context = context
        self.run_id = context.run.run_id
        self.codec = binding.codecs[node.id]
        self.config: Mapping[str, Any] = context.op_execution_context.op_config or {}
        self.platform = engines.configured(binding.platform, node, context.resources)
        self._checked = time.monotonic()
        store_in_batches(context.instance)  # a range of partitions is recorded at once, and the router sees all of it
        self._cancelled = False
        self.checks = RunChecks(binding, node, self.platform, context)
        self._taken: list[str] = []
        self._lost: list[Request] = []

    def run(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Runs everything and yields the result; yields none if another driver runs some of it.

        Raises:
            dg.Failure: An execution failed. Those that succeeded are recorded anyway.
        """
        try:
            self.checks.complete_parents()
            yield from self._results()
        finally:
            for identity in self._taken:
                self.binding.claims.release(identity)

    def _results(self) -> Iterator[dg.MaterializeResult[Any]]:
        outcomes, skipped = self._outcomes()
        failed = [o for o in outcomes if o.execution.status != Status.COMPLETED]
        done = [o for o in outcomes if o.execution.status == Status.COMPLETED]
        if not failed and not skipped:
            yield self._result(done)
            return
        for outcome in done:
            self.context.log_event(
                dg.AssetMaterialization(
                    self.context.asset_key, partition=self._key(outcome), metadata=self._metadata(outcome)
                )
            )
        for outcome in failed:
            self._record_failure(outcome.execution)
        if failed:
            raise dg.Failure(failure_text(self.node, failed), allow_retries=False)

    def _result(self, done: Sequence[Outcome]) -> dg.MaterializeResult[Any]:
        if not self.codec.is_partitioned:
            return dg.MaterializeResult(metadata=self._metadata(done[0])) if done else dg.MaterializeResult()
        for outcome in done:
            self.context.add_asset_metadata(self._metadata(outcome), partition_key=self._key(outcome))
        return dg.MaterializeResult()

    def _metadata(self, outcome: Outcome) -> dict[str, Any]:
        return {**describe(self.node, outcome, self.platform), **self.checks.entries(outcome.execution)}

    def _key(self, outcome: Outcome) -> str | None:
        return self.codec.encode(self.node.spec.read(outcome.execution.partition)) or None

    # requested executions -------------------------------------------------------------------------------------

    def _outcomes(self) -> tuple[list[Outcome], int]:
        """Runs everything; returns the outcomes, and how many executions were skipped as others have or had them."""
        log = EventLog(self.context.instance)
        history = History(self.binding, log)
        retry = Retry(self.node, self.context.run, history)
        log_info = self.context.log.info
        manual = ManualRun(self.binding, self.node, self.context.run, log, self.config, log_info, self._is_cancelled)
        manual.claimed = self._taken
        routed = [self._read(item) for item in self.config.get("executions") or ()]
        if routed:
            ended = retry.ended({request.partition: request.id for request in routed})
            mine = [r for r in routed if r.partition not in ended and self._is_ours(r, history)]
            requested = [
                Requested(r.partition, r.tips, had_events=True)
                for r in routed
                if r.partition in ended and retry.is_wanted(ended[r.partition])
            ]
            wanted = len(routed)
        else:
            partitions = self._partitions()
            mine, requested, wanted = [], manual.resolve(partitions), len(partitions)
        made = retry.succeeded([each.partition for each in requested])
        requested = [each for each in requested if each.partition not in made]
        for partition in made:
            self.context.log.info(f"{self.node.describe(partition)} is skipped: the retried run has built it")
        outcomes = self._run_all(mine)
        for batch in manual.batches(requested):
            outcomes += self._run_all(batch)
        outcomes += map(Outcome, manual.failures)
        return outcomes, wanted - len(outcomes)

    def _partitions(self) -> list[Partition]:
        keys = list(self.context.partition_keys) if self.context.has_partition_key_range else []
        if self.context.has_partition_key:
            keys = [self.context.partition_key]
        return [self._decoded(str(key)) for key in keys] if self.codec.is_partitioned else [()]

    def _decoded(self, key: str) -> Partition:
        """Returns the partition of a Dagster partition key.

        Raises:
            dg.Failure: The key is not the canonical key of its partition; it was added in the UI.
        """
        partition = self.codec.decode(key)
        if (right := self.codec.encode(partition)) != key:
            self.codec.register(self.context.instance, [partition])
            raise dg.Failure(
                f"{self.node.id}: {key!r} means {self.node.describe(partition)}, whose partition key is {right!r}. "
                f"Materialise {right!r}, and delete the key {key!r}",
                allow_retries=False,
            )
        return partition

    def _read(self, item: Mapping[str, Any]) -> Request:
        """Reads one execution of the run's config.

        Raises:
            dg.Failure: It belongs to an earlier version of the node.
        """

        def tips(texts: Mapping[str, Sequence[str]]) -> dict[str, Partition]:
            return {alias: self.node.inputs[alias].node.spec.read(values) for alias, values in texts.items()}

        try:
            request = Request(
                item["id"], self.node.spec.read(item["partition"]), tips(item["tips"]), tips(item["nearest"])
            )
        except (LookupError, TypeError, ValueError):
            request = None
        if request is None or request.tips.keys() != self.node.inputs.keys():
            name = f"{self.node.id}[{'/'.join(map(str, item.get('partition', ())))}]"
            raise dg.Failure(
                f"{name}: this run was requested for an earlier version of '{self.node.id}', whose inputs are now "
                f"{sorted(self.node.inputs)}. If the execution is still needed, the router requests it again; "
                "to build the partition now, materialise it",
                allow_retries=False,
            )
        return request

    def _is_ours(self, request: Request, history: History) -> bool:
        name = self.node.describe(request.partition)
        if not self.binding.claims.take(request.id, self.run_id):
            self.context.log.info(f"{name} is skipped: another driver has claimed it")
            return False
        self._taken.append(request.id)
        if self._has_ended(request, history):
            self.context.log.info(f"{name} is skipped: another driver has executed it")
            return False
        return True

    def _has_ended(self, request: Request, history: History) -> bool:
        """Whether another process executed it and ended, while this run was in the queue."""
        claim = self.binding.claims.newest(request.id)
        if claim is None or (claim.attempt == 0 and not self._is_old):
            return False
        return bool(history.ended_as(self.node, {request.partition: request.id}))

    @cached_property
    def _is_old(self) -> bool:
        """Whether the run was queued for so long that the first claim may have been removed."""
        if owner_of(self.context.run) is not None:
            return False  # it was not queued
        record = self.context.instance.get_run_record_by_id(self.run_id)
        return record is None or time.time() - record.create_timestamp.timestamp() > _OLD

    # running --------------------------------------------------------------------------------------------------

    def _run_all(self, requests: Sequence[Request]) -> list[Outcome]:
        is_trivial = all(isinstance(target, NoOp) for target in self.node.targets)
        if len(requests) < 2 or is_trivial or self.platform.concurrency < 2:
            return [outcome for request in requests if (outcome := self._run(request)) is not None]
        with ThreadPoolExecutor(self.platform.concurrency) as pool:
            try:
                return [outcome for outcome in pool.map(self._run, requests) if outcome is not None]
            except BaseException:  # the run is interrupted: also stop what runs elsewhere
                self._cancelled = True
                pool.shutdown(cancel_futures=True)
                raise

    def _run(self, request: Request) -> Outcome | None:
        """Runs one execution; None if another process took it over meanwhile and records its end."""
        outcome = self._execute(request)
        if outcome is not None and outcome.execution.status != Status.COMPLETED and self._is_superseded(request):
            outcome = None
        if outcome is None:
            self._lost.append(request)
        if outcome is None and self._is_superseded(request):
            text = self.node.describe(request.partition)
            self.context.log.warning(f"{text} is skipped: another process took it over, as this one seemed dead")
        return outcome

    def _is_superseded(self, request: Request) -> bool:
        return self.binding.claims.is_superseded(request.id)

    def _execute(self, request: Request) -> Outcome | None:
        earlier = recorded_success(self.node, request.partition, request.id, self.platform)
        if earlier is not None:
            return Outcome(earlier)
        if (written := self.checks.written(request)) is not None:
            if self.checks.is_decided_elsewhere(request, written):
                self.context.log.info(f"{self.node.describe(request.partition)} is left to its blocking asset checks")
                return None
            if (adopted := self.checks.adopt(request, written)) is not None:
                return Outcome(adopted)
        log = CappedLog(self.context.log.info)
        around = Surroundings(
            self.platform,
            log,
            self._is_cancelled,
            self.binding.callable_path,
            self.run_id,
            partial(self._is_superseded, request),
            backoff=Backoff(retry_for=self.platform.retry_for),
            cancelled_now=self._is_cancelled_now,
            checks=self.checks.begin(request),
        )
        try:
            return run_execution(self.node, request, around)
        except Superseded:
            return None
        except Exception as error:  # a bug or a disk error: the execution ends anyway
            self.context.log.exception(f"{self.node.describe(request.partition)} could not be executed")
            rendered, text = self.node.spec.render(request.partition), f"{type(error).__name__}: {error}"
            return Outcome(
                Execution(request.id, self.node.id, rendered, str(Status.FAILED), run_id=self.run_id, error=text)
            )
        finally:
            log.end(self.node.describe(request.partition))

    def _is_cancelled(self) -> bool:
        is_due = time.monotonic() - self._checked >= _LOOK_EVERY
        return self._is_cancelled_now() if is_due else self._cancelled

    def _is_cancelled_now(self) -> bool:
        if not self._cancelled:
            self._checked = time.monotonic()
            mine = dg.RunsFilter(run_ids=[self.run_id], statuses=_CANCELLED)
            self._cancelled = self.context.instance.get_runs_count(mine) > 0  # loads no run config
        return self._cancelled

    def _record_failure(self, execution: Execution) -> None:
        key = self.codec.encode(self.node.spec.read(execution.partition)) or None
        entries = {EVENT_ENTRY: dg.MetadataValue.json({"kind": "ended"}), **execution_entry(self.node.spec, execution)}
        self.context.log_event(dg.AssetObservation(self.context.asset_key, partition=key, metadata=entries))
