"""One execution from resolved tips to the completion file: free of Dagster, the same on every platform."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rheo_assets.bridge.execution.unchecked import Checks, announcement, announcements, completion_file
from rheo_assets.model.compute.targets import Batch, Inlined, NoOp, Target
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import ComputeRecord, Execution, Status
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.platforms.capabilities import Platform
from rheo_assets.platforms.data.readiness import Readiness
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

_PLATFORM_RETRIES = 4
_FIRST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """One execution to be run, with everything decided.

    Attributes:
        id: The execution's identity.
        partition: The output partition.
        tips: The tip of each input.
        nearest: For each nearest input the one partition that is read.
    """

    id: str
    partition: Partition
    tips: Mapping[str, Partition]
    nearest: Mapping[str, Partition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ended execution and what its targets left behind."""

    execution: Execution
    results: tuple[TaskResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an execution needs from its driver.

    Attributes:
        platform: Where data lies and code runs.
        log: Takes one line at a time.
        cancelled: Whether the execution is to end.
        callable_path: Returns where a callable's blob lies: a local path, or on AWS its URI.
        run_id: The Dagster run, for the record.
        is_superseded: Whether this process has been taken for dead, and the execution from it.
        pause: Waits between retries, seconds.
        checks: The blocking asset checks that decide whether the execution succeeds; None without any.
        cancelled_now: Looks for the same as `cancelled`, which may answer from a look a moment ago; None: that is it.
    """

    platform: Platform
    log: Callable[[str], None]
    cancelled: Callable[[], bool]
    callable_path: Callable[[DataNode, int], str]
    run_id: str | None = None
    is_superseded: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep
    cancelled_now: Callable[[], bool] | None = None
    checks: Checks | None = None


class Superseded(Exception):  # noqa: N818  # it is no error
    """Another process has taken the execution over: this one must not touch the partition any more."""


def run_execution(node: DataNode, request: Request, around: Surroundings) -> Outcome:
    """Runs a node's targets in order; replaces the partition, with its completion file, only when all succeed.

    A target that fails does not stop the later ones. What is cancelled up to the end of the last one is killed. Nothing
    is raised for a failed target: the outcome says so. The partition then holds what it held before, without its
    completion file.

    Where blocking asset checks follow, the partition is replaced without its completion file, which is written when
    they have passed.

    Raises:
        Superseded: Another process has taken the execution over, while this one was asleep or cut off.
    """
    storage = around.platform.storage
    folder = node.layout.uri(node.spec, request.partition)
    inputs = resolve_inputs(node, request, Readiness(storage))
    _check_ours(around)
    for name in announcements(node):
        storage.delete(f"{folder}/{name}")
    if all(isinstance(target, NoOp) for target in node.targets):  # nothing is written: what people put there stays
        outcome = _run_targets(node, request, inputs, folder, around)
        if outcome.execution.status == Status.COMPLETED:
            _check_ours(around)
            name, content = announcement(node, outcome.execution, around.checks)
            storage.write(f"{folder}/{name}", content)
        return outcome
    with storage.replacement(folder, request.id) as fresh:
        outcome = _unless_cancelled(_run_targets(node, request, inputs, fresh.uri, around), around)
        if outcome.execution.status == Status.COMPLETED:
            for name in announcements(node):  # user code cannot announce itself
                storage.delete(f"{fresh.uri}/{name}")
            _check_ours(around)
            fresh.publish(*announcement(node, outcome.execution, around.checks))
    return outcome


def _unless_cancelled(outcome: Outcome, around: Surroundings) -> Outcome:
    """Returns a success as killed where the execution was cancelled after its last target looked for that."""
    if outcome.execution.status != Status.COMPLETED or not (around.cancelled_now or around.cancelled)():
        return outcome
    told = "cancelled before its data was published"
    return Outcome(replace(outcome.execution, status=str(Status.KILLED), error=told))


def _check_ours(around: Surroundings) -> None:
    """Keeps a process that was silent for too long from what another one does in its stead."""
    if around.is_superseded():
        raise Superseded


def _run_targets(
    node: DataNode, request: Request, inputs: Sequence[TaskInput], path: str, around: Surroundings
) -> Outcome:
    """Runs the targets in order, all into one folder, and says how it went."""
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
    )
    return Outcome(execution, tuple(results))


def _in_place(result: TaskResult, output: TaskOutput, platform: Platform) -> TaskResult:
    """Returns the result with the partition's own folder wherever user code spoke of the one that it wrote in."""
    text = result.to_json()
    for spelled in (str, platform.storage.location):
        here, there = (json.dumps(spelled(uri))[1:-1] for uri in (output.path, output.final))
        text = text.replace(here, there)
    return TaskResult.from_json(text)


def completed(node: DataNode, partition: Partition, platform: Platform) -> Execution | None:
    """Returns the execution that wrote the partition's completion file; None if it is missing or of other origin."""
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
    """Returns what each input reads: its partitions, tip first, and which of them are absent."""
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
    absent = tuple(
        path
        for path, partition in zip(paths, partitions, strict=True)
        if not readiness.is_readable(signal, partition, tip)
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
    output = TaskOutput(path, str(node.format), node.options, node.layout.uri(node.spec, request.partition))
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


def _run_target(
    node: DataNode, request: Request, target: Target, position: int, task: Task | None, around: Surroundings
) -> tuple[ComputeRecord, TaskResult | None]:
    started = datetime.now(UTC)
    attempts, ended, failures, platform_failures = 0, 0, 0, 0

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
            attempts,
        )

    while True:
        attempts += 1
        try:
            result = TaskResult(engine="no-op")
            if task is not None:
                attempt = replace(task, token=f"{task.token}-{ended}")
                result = around.platform.engine(target).run(attempt, around.log, around.cancelled)
            return record(Status.COMPLETED, result, None), result
        except TaskFailure as failure:
            ended += not failure.unresolved
            around.log(f"target {position} ({target.title}) of '{node.id}' failed: {failure.message}")
            if failure.detail:
                around.log(failure.detail)
            if failure.kind == "cancelled":
                return record(Status.KILLED, None, failure), None
            if failure.kind == "platform" and platform_failures < _PLATFORM_RETRIES:
                around.pause(_FIRST_PAUSE * 2**platform_failures)
                platform_failures += 1
                continue
            if failure.kind != "platform" and failures < target.retry_count:
                failures += 1
                continue
            return record(Status.FAILED, None, failure), None
