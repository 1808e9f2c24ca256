"""One execution, from resolved tips to the completion file: without Dagster, the same on every platform."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rheo_assets.bridge.execution.attempts import Attempts, Backoff
from rheo_assets.bridge.execution.unchecked import Checks, announcement, announcements, completion_file
from rheo_assets.errors import listed, subscripted
from rheo_assets.model.compute.targets import Batch, Inlined, NoOp, Target
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import ComputeRecord, Execution, Status
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.platforms.data.readiness import Readiness
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

_LOOK = 1.0  # seconds between checks for a cancellation while waiting


@dataclass(frozen=True, slots=True)
class Request:
    """One execution to run, with all inputs resolved.

    Attributes:
        id: The execution's identity.
        partition: The output partition.
        tips: The tip of each input.
        nearest: The partition that each nearest input reads.
        is_arrival: Whether files that arrived triggered it, and nothing that was injected or scheduled.
    """

    id: str
    partition: Partition
    tips: Mapping[str, Partition]
    nearest: Mapping[str, Partition] = field(default_factory=dict)
    is_arrival: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ended execution and the results of its targets."""

    execution: Execution
    results: tuple[TaskResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an execution needs from its driver.

    Attributes:
        platform: Where data is stored and code runs.
        log: Logs one line.
        cancelled: Whether the execution is cancelled.
        callable_path: Returns the location of a callable's blob: a local path, or the URI on AWS.
        run_id: The Dagster run, for the record.
        is_superseded: Whether another process took over the execution, because this one seemed dead.
        pause: Waits some seconds.
        backoff: The pauses after failures of the platform.
        cancelled_now: Like `cancelled`, which may return a cached answer, but always checks. By default, `cancelled`.
        checks: The blocking asset checks that decide whether the execution succeeds; None without any.
    """

    platform: Platform
    log: Callable[[str], None]
    cancelled: Callable[[], bool]
    callable_path: Callable[[DataNode, int], str]
    run_id: str | None = None
    is_superseded: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep
    backoff: Backoff = field(default_factory=Backoff)
    cancelled_now: Callable[[], bool] | None = None
    checks: Checks | None = None


class Superseded(Exception):  # noqa: N818  # not an error
    """Another process took over the execution: this one must no longer touch the partition."""


def run_execution(node: DataNode, request: Request, around: Surroundings) -> Outcome:
    """Runs a node's targets in order; replaces the partition, with its completion file, only when all succeed.

    A target that fails does not stop the later ones, and raises nothing: the outcome holds the failure. An execution
    that is cancelled before its last target ends is killed. Both leave the partition with its previous data, but no
    completion file.

    Where blocking asset checks follow, the partition is replaced without its completion file, which is written when
    they have passed.

    Raises:
        Superseded: Another process took over the execution while this one was asleep or disconnected.
    """
    storage = around.platform.storage
    folder = node.layout.uri(node.spec, request.partition)
    inputs = resolve_inputs(node, request, Readiness(storage))
    _check_ours(around)
    for name in announcements(node):
        storage.delete(f"{folder}/{name}")
    if all(isinstance(target, NoOp) for target in node.targets):  # nothing is written: data that people put there stays
        outcome = _run_targets(node, request, inputs, folder, around)
        if outcome.execution.status == Status.COMPLETED:
            _check_ours(around)
            name, content = announcement(node, outcome.execution, around.checks)
            storage.write(f"{folder}/{name}", content)
        return outcome
    with storage.replacement(folder, request.id) as fresh:
        outcome = _unless_cancelled(_run_targets(node, request, inputs, fresh.uri, around), around)
        if outcome.execution.status == Status.COMPLETED:
            for name in announcements(node):  # only this library marks a partition as complete
                storage.delete(f"{fresh.uri}/{name}")
            _check_ours(around)
            fresh.publish(*announcement(node, outcome.execution, around.checks))
    return outcome


def _unless_cancelled(outcome: Outcome, around: Surroundings) -> Outcome:
    """Returns a success as killed if the execution was cancelled after its last target checked for that."""
    if outcome.execution.status != Status.COMPLETED or not (around.cancelled_now or around.cancelled)():
        return outcome
    error = "cancelled before its data was published"
    return Outcome(replace(outcome.execution, status=str(Status.KILLED), error=error))


def _check_ours(around: Surroundings) -> None:
    """Raises `Superseded` if another process took over the execution."""
    if around.is_superseded():
        raise Superseded


def _run_targets(
    node: DataNode, request: Request, inputs: Sequence[TaskInput], path: str, around: Surroundings
) -> Outcome:
    """Runs the targets in order, all into one folder, and returns their outcome."""
    started = datetime.now(UTC)
    records, results = [], []
    for position, target in enumerate(node.targets):
        task = _task(node, request, target, position, inputs, path, around)
        record, result = _run_target(node, request, target, position, task, around)
        records.append(record)
        if result is not None:
            results.append(result if task is None else _in_place(result, task.output, around.platform))
    failed = next((record for record in records if record.status != Status.COMPLETED), None)
    execution = Execution(
        request.id,
        node.id,
        node.spec.render(request.partition),
        str(Status.COMPLETED if failed is None else failed.status),
        {item.alias: list(item.partitions) for item in inputs},
        {item.alias: absent for item in inputs if (absent := _absent(item))},
        tuple(records),
        started,
        datetime.now(UTC),
        around.run_id,
        failed.error if failed is not None else None,
        versions={item.alias: list(item.versions) for item in inputs if item.versions},
    )
    return Outcome(execution, tuple(results))


def _in_place(result: TaskResult, output: TaskOutput, platform: Platform) -> TaskResult:
    """Returns the result with the partition's folder in place of the temporary one that user code wrote to."""
    text = result.to_json()
    for spelled in (str, platform.storage.location):
        here, there = (json.dumps(spelled(uri))[1:-1] for uri in (output.path, output.final))
        text = text.replace(here, there)
    return TaskResult.from_json(text)


def completed(node: DataNode, partition: Partition, platform: Platform) -> Execution | None:
    """Returns the execution that wrote the partition's completion file; None if there is none."""
    uri = f"{node.layout.uri(node.spec, partition)}/{completion_file(node)}"
    try:
        return Execution.of_fields(json.loads(platform.storage.read(uri)))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def recorded_success(node: DataNode, partition: Partition, execution_id: str, platform: Platform) -> Execution | None:
    """Returns the execution that wrote the partition's completion file, if it is this one: it needs no second run."""
    execution = completed(node, partition, platform)
    return execution if execution is not None and execution.id == execution_id else None


def resolve_inputs(node: DataNode, request: Request, readiness: Readiness) -> tuple[TaskInput, ...]:
    """Returns what each input reads: its partitions, tip first, and which are absent."""
    return tuple(_input(node, alias, request, readiness) for alias in node.inputs)


def _input(node: DataNode, alias: str, request: Request, readiness: Readiness) -> TaskInput:
    view = node.inputs[alias]
    signal, tip = view.node, request.tips[alias]
    spec = signal.spec
    rendered_tip = dict(zip(spec.names, spec.render(tip), strict=True))
    if not isinstance(signal, DataNode | ExternalData):
        always_ready = view.partitions(tip)[: 1 if view.is_nearest else None]
        values = tuple(spec.render(partition) for partition in always_ready)
        text = "/".join(values[0]) if values else ""
        return TaskInput(alias, dimensions=rendered_tip, value=text, partitions=values)
    chosen = request.nearest.get(alias)
    partitions = view.partitions(tip) if chosen is None else (chosen,)
    paths = tuple(readiness.folder(signal, partition) for partition in partitions)
    versions = tuple(readiness.version(signal, partition) for partition in partitions)
    alone = None if view.is_covering else tip
    absent = tuple(
        path
        for path, partition, version in zip(paths, partitions, versions, strict=True)
        if not version and not readiness.is_readable(signal, partition, alone)
    )
    return TaskInput(
        alias,
        paths,
        absent,
        view.is_ref,
        rendered_tip,
        str(signal.format),
        signal.options,
        partitions=tuple(spec.render(partition) for partition in partitions),
        versions=versions,
        columns=signal.columns,
    )


def _absent(item: TaskInput) -> list[tuple[str, ...]]:
    missing = set(item.missing)
    return [partition for path, partition in zip(item.paths, item.partitions, strict=False) if path in missing]


def _task(
    node: DataNode,
    request: Request,
    target: Target,
    position: int,
    inputs: Sequence[TaskInput],
    path: str,
    around: Surroundings,
) -> Task | None:
    if isinstance(target, NoOp):
        return None
    dimensions = dict(zip(node.spec.names, node.spec.render(request.partition), strict=True))
    final = node.layout.uri(node.spec, request.partition)
    output = TaskOutput(path, str(node.format), node.options, final, node.columns)
    platform = around.platform
    if isinstance(target, Inlined):
        code, lang, args = around.callable_path(node, position), "INLINED", {}
    else:
        assert isinstance(target, Batch)
        code, lang, args = target.code, str(target.lang), dict(target.args)
    return Task(
        node.id,
        lang,
        code,
        tuple(inputs),
        output,
        dimensions,
        args,
        dict(platform.params()),
        platform.name,
        target.timeout if isinstance(target, Batch | Inlined) else None,
        node.application,
        position,
        dict(target.hints) if isinstance(target, Batch) else {},
        target.libraries if isinstance(target, Batch) else (),
        target.requirements if isinstance(target, Inlined) else (),
        f"{request.id}-{position}",
    )


def _check_complete(node: DataNode, target: Target, task: Task | None) -> None:
    """Checks that all partitions of range-checked inputs exist, for a target that loads its inputs as tables.

    Raises:
        TaskFailure: A partition is absent, the tip included.
    """
    if task is None or not isinstance(target, Batch):
        return
    for item in task.inputs:
        view = node.inputs[item.alias]
        if view.checks_range and (absent := _absent(item)):
            named = listed(subscripted(view.node.id, partition) for partition in absent)
            raise TaskFailure(
                "user",
                f"input '{item.alias}' of '{node.id}' is range-checked, and {named} is missing. Write or build it, "
                "then run this partition again",
            )


def _run_target(
    node: DataNode, request: Request, target: Target, position: int, task: Task | None, around: Surroundings
) -> tuple[ComputeRecord, TaskResult | None]:
    started = datetime.now(UTC)
    what = f"target {position} ({target.title}) of '{node.id}'"
    attempts = Attempts(
        target.retry_count, around.backoff, lambda line: around.log(f"{what}: {line}"), lambda s: _waited(around, s)
    )

    def record(status: Status, result: TaskResult | None, failure: TaskFailure | None) -> ComputeRecord:
        return ComputeRecord(
            node.id,
            node.spec.render(request.partition),
            position,
            target.title,
            str(status),
            started,
            datetime.now(UTC),
            failure.message if failure is not None else None,
            failure.detail if failure is not None else "",
            result.engine if result is not None else "",
            result.rows if result is not None else None,
            attempts.count,
        )

    def attempt(ended: int) -> TaskResult:
        if task is None:
            return TaskResult(engine="no-op")
        try:
            _check_complete(node, target, task)
            one = replace(task, token=f"{task.token}-{ended}")
            return around.platform.engine(target).run(one, around.log, around.cancelled)
        except TaskFailure as failure:
            around.log(f"{what} failed: {failure.message}")
            if failure.detail:
                around.log(failure.detail)
            raise

    try:
        result = attempts.run(attempt)
    except TaskFailure as failure:
        return record(Status.KILLED if failure.kind == "cancelled" else Status.FAILED, None, failure), None
    return record(Status.COMPLETED, result, None), result


def _waited(around: Surroundings, seconds: float) -> bool:
    """Waits; returns early, and False, if the execution is cancelled.

    Raises:
        Superseded: Another process took the execution over meanwhile.
    """
    while seconds > 0 and not around.cancelled():
        around.pause(min(seconds, _LOOK))
        seconds -= _LOOK
    _check_ours(around)
    return not around.cancelled()
