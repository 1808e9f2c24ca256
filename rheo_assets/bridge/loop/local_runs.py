"""Local runs: executions as Dagster runs in this process, on a small worker pool."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from rheo_assets.bridge.assets.assets import node_asset
from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.already_read import is_arrival
from rheo_assets.bridge.names import (
    APPLICATION_TAG,
    NODE_TAG,
    OWNER_TAG,
    PARTITIONS_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    asset_key,
    op_name,
)
from rheo_assets.bridge.partition_keys import Codec, time_key
from rheo_assets.bridge.resources import EngineResources
from rheo_assets.model.dimensions import Partition, utc_naive
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.entries import Trigger

_log = logging.getLogger("rheo_assets")
_WORKERS = 4
_FARTHEST = 3650  # time partitions ahead: Dagster counts up to the last one several times per run
_EARLIEST = 1000  # year: Dagster writes earlier ones with fewer digits
_SILENT_WAIT = 2.0  # seconds that the interpreter's exit waits before it logs a warning
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def emitted(binding: Binding, outbox: Iterable[Trigger]) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields the executions that the router requests, by node, without those of earlier versions of a node."""
    by_node: dict[str, list[Request]] = {}
    for trigger in outbox:
        node = binding.topology.data_nodes.get(trigger.node)
        if node is None or node.inputs.keys() != trigger.tips.keys():
            continue
        identity = trigger.execution_id(binding.application)
        request = Request(identity, trigger.partition, trigger.tips, trigger.nearest, is_arrival(trigger.identities))
        by_node.setdefault(trigger.node, []).append(request)
    for node_id, requests in by_node.items():
        yield binding.topology.data_nodes[node_id], requests


def run_config(node: DataNode, requests: Sequence[Request]) -> dict[str, Any]:
    """Returns the run config that holds the executions of a run."""

    def texts(partitions: Mapping[str, Partition]) -> dict[str, list[str]]:
        return {alias: list(node.inputs[alias].node.spec.render(p)) for alias, p in partitions.items()}

    executions = [
        {
            "id": request.id,
            "partition": list(node.spec.render(request.partition)),
            "tips": texts(request.tips),
            "nearest": texts(request.nearest),
        }
        for request in requests
    ]
    return {"ops": {op_name(node.application, node.id): {"config": {"executions": executions}}}}


def run_tags(codec: Codec, partitions: Sequence[Partition]) -> dict[str, str]:
    """Returns the tags of a run: its application, node and partitions."""
    signal = codec.signal
    tags = {APPLICATION_TAG: signal.application, NODE_TAG: signal.id}
    keys = [codec.encode(partition) for partition in partitions]
    if len(keys) > 1:
        tags[RANGE_START_TAG], tags[RANGE_END_TAG] = keys[0], keys[-1]
    if codec.is_partitioned:
        first, last = signal.spec.render(partitions[0]), signal.spec.render(partitions[-1])
        tags[PARTITIONS_TAG] = " … ".join("/".join(texts) for texts in dict.fromkeys((first, last)))
        if len(partitions) == 1:
            tags.update({f"rheo.dimension/{name}": text for name, text in zip(signal.spec.names, first, strict=True)})
    return tags


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """Returns the innermost error of a run that failed."""
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None) if event.is_failure else None
        if error is not None:
            while error.cause is not None:
                error = error.cause
            return str(error.message).strip()
    return "see the run's log"


class LocalRuns:
    """Runs executions in this process.

    Args:
        binding: The application.
        instance: Where runs are recorded.
        on_end: Called after each run, from the worker's thread.
        on_lost: Called with the executions of a run that broke down, which may have no recorded end, and why.
    """

    def __init__(
        self,
        binding: Binding,
        instance: dg.DagsterInstance,
        on_end: Callable[[], None],
        on_lost: Callable[[DataNode, Sequence[Request], str], None],
    ) -> None:
        self._on_lost = on_lost
        self.binding = binding
        self.instance = instance
        self._on_end = on_end
        self._pool = ThreadPoolExecutor(max(_WORKERS, binding.platform.concurrency), thread_name_prefix="rheo-run")
        self._jobs: dict[tuple[int, str, datetime, int, tuple[str, ...]], dg.JobDefinition] = {}
        self._lock = threading.Lock()
        self._futures: dict[str, Future[None]] = {}
        self._withdrawn: set[str] = set()
        self.is_closing = False
        _ALL.add(self)

    def submit(self, node: DataNode, requests: Sequence[Request], *, logs_failures: bool = False) -> list[Future[None]]:
        """Starts executions on the pool, in as few runs as Dagster's partition ranges allow.

        Args:
            node: The node of the executions.
            requests: The executions.
            logs_failures: Whether to log a failure, because no caller waits for it.
        """
        if self.is_closing:
            return []
        by_partition: dict[Partition, Request] = {request.partition: request for request in requests}
        binding, futures = self.binding, []
        for partitions in binding.codec(node).runs_of(list(by_partition)):
            batch = [by_partition[partition] for partition in partitions]
            with self._lock:  # the run removes its futures, which must not happen before they are added
                future = self._pool.submit(self._run, binding, node, batch, logs_failures)
                self._futures.update({request.id: future for request in batch})
            futures.append(future)
        return futures

    def bind(self, binding: Binding) -> set[str]:
        """Switches to another declaration; returns the ids of the executions that were queued under the earlier one.

        Started executions continue under the earlier declaration. Queued ones are withdrawn, to be submitted again.
        """
        with self._lock:
            self.binding = binding
            self._jobs.clear()
            queued = {identity for identity, future in self._futures.items() if future.cancel()}
            for identity in queued:
                del self._futures[identity]
        return queued

    def background(self, work: Callable[[], None]) -> None:
        """Runs `work` on a separate thread. The interpreter's exit waits for it."""
        key = f"background:{uuid.uuid4()}"
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._futures[key] = future

        def carry_out() -> None:
            try:
                work()
            except Exception:
                _log.exception("background work failed")
            finally:
                future.set_result(None)
                with self._lock:
                    self._futures.pop(key, None)

        threading.Thread(target=carry_out, name="rheo-plan").start()

    def future(self, execution_id: str) -> Future[None] | None:
        """Returns the running or queued future of an execution in this process; None if there is none."""
        with self._lock:
            return self._futures.get(execution_id)

    def waiting(self) -> list[Future[None]]:
        """Returns the futures that have not ended."""
        with self._lock:
            return list({id(f): f for f in self._futures.values() if not f.done()}.values())

    def withdraw(self, execution_id: str) -> bool:
        """Prevents a queued execution from running; returns whether it was queued here."""
        with self._lock:
            self._withdrawn.add(execution_id)
            return execution_id in self._futures

    def close(self) -> None:
        """Starts no more executions: queued ones stay in the outbox, for the next session."""
        self.is_closing = True

    def drain(self) -> None:
        """Waits until all executions have ended, including downstream ones unless it is closed."""
        wait(self.waiting(), timeout=_SILENT_WAIT)
        if self.waiting():
            rest = "It starts no new ones" if self.is_closing else "That includes downstream executions"
            _log.warning(
                "'%s' is still executing: this process exits after the last execution. %s. Ctrl-C exits now, and the "
                "next session runs unfinished executions again",
                self.binding.application,
                rest,
            )
        while waiting := self.waiting():
            wait(waiting)

    def _run(self, binding: Binding, node: DataNode, requests: Sequence[Request], logs_failures: bool) -> None:
        try:
            wanted = () if self.is_closing else requests
            kept = [request for request in wanted if request.id not in self._withdrawn]
            self._run_batch(binding, node, kept, logs_failures)
        finally:
            try:
                self._on_end()
            except Exception:
                _log.exception("the turn after a run of '%s' failed", node.id)
            with self._lock:
                for request in requests:
                    self._futures.pop(request.id, None)
                    self._withdrawn.discard(request.id)

    def _run_batch(self, binding: Binding, node: DataNode, requests: Sequence[Request], logs_failures: bool) -> None:
        if not requests:
            return
        try:
            error = self._run_now(binding, node, requests)
            if error is not None and logs_failures:
                _log.warning("%s", error.partition("\n")[0])
            if error is not None:
                self._on_lost(node, requests, f"its run failed outside the targets: {error}")
        except Exception as error:
            _log.exception("a run of '%s' broke down", node.id)
            self._on_lost(node, requests, f"its run broke down: {type(error).__name__}: {error}")

    def _run_now(self, binding: Binding, node: DataNode, requests: Sequence[Request]) -> str | None:
        """Runs one batch (one composite key, contiguous time) in the calling thread; returns why it failed."""
        partitions = [request.partition for request in requests]
        codec = binding.codec(node)
        codec.register(self.instance, partitions)
        keys = [codec.encode(partition) for partition in partitions]
        result = self._job(binding, node, partitions).execute_in_process(
            instance=self.instance,
            run_id=str(uuid.uuid4()),
            asset_selection=[asset_key(node.application, node.id)],  # shown in Dagster's list of runs
            partition_key=keys[0] if len(keys) == 1 and codec.is_partitioned else None,
            run_config={**run_config(node, requests), **_QUIET},
            tags={**run_tags(codec, partitions), OWNER_TAG: binding.heartbeats.live_owner().text()},
            raise_on_error=False,
        )
        return None if result.success else _reason(result)

    def _job(self, binding: Binding, node: DataNode, partitions: Sequence[Partition]) -> dg.JobDefinition:
        """Returns the job of one node, with a time range that includes these partitions."""
        codec = _listing(binding, node, partitions)
        # The job keeps the binding alive, so that its id is not reused.
        key = (id(binding), node.id, codec.since, codec.end_offset, codec.only)
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                engines = EngineResources.of([node], binding.platform)
                asset = node_asset(binding, node, codec, engines)
                alone = dg.Definitions(assets=[asset], resources=engines.by_key, executor=dg.in_process_executor)
                job = alone.resolve_implicit_global_asset_job_def()
                self._jobs[key] = job
            return job


def _listing(binding: Binding, node: DataNode, partitions: Sequence[Partition]) -> Codec:
    """Returns a codec whose time range includes these partitions."""
    since, codec = binding.since, binding.codec(node)
    if codec.time is None:
        return codec
    position = node.spec.index(codec.time.name)
    moments = [partition[position] for partition in partitions]
    earliest = min(moments)
    assert isinstance(earliest, datetime)
    if earliest < since:
        since = datetime(earliest.year, 1, 1)  # naive means UTC
    today = codec.time.ordinal(codec.time.granularity.truncate(utc_naive(datetime.now(UTC))))  # type: ignore[union-attr]
    ahead = max(codec.time.ordinal(moment) for moment in moments) - today
    if ahead > _FARTHEST or earliest.year < _EARLIEST:
        return Codec(
            node, since, codec.end_offset, tuple(dict.fromkeys(time_key(moment) for moment in sorted(moments)))
        )
    return Codec(node, since, max(codec.end_offset, ahead + 2))


_ALL: weakref.WeakSet[LocalRuns] = weakref.WeakSet()


def _drain_all() -> None:
    everything = list(_ALL)
    if getattr(sys, "last_type", None) is KeyboardInterrupt:  # Ctrl-C: start no more
        for runs in everything:
            runs.close()
    for runs in everything:
        runs.drain()


# Thread pools take no more work once the interpreter exits, but running executions submit downstream ones. This hook
# runs before the hook of the pools; an `atexit` hook would run after it.
threading._register_atexit(_drain_all)  # type: ignore[attr-defined]
