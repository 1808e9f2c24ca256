"""What an engine receives and returns: plain values that are sent as JSON.

A `Task` is one compute target of one execution, with every decision already made: which partitions are read, in which
format, where the output goes. An engine never decides anything itself, so every engine does the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

TASK_VERSION = 2


@dataclass(frozen=True, slots=True)
class TaskInput:
    """One input of a task.

    Attributes:
        alias: The Python identifier under which user code sees the input.
        paths: The URIs of its partitions, tip first, without a trailing slash; empty for a value input.
        missing: The `paths` that have no data. Batch and SQL code does not read them.
        optional: Whether the whole input may be absent (`.ref`): user code then gets `None`.
        dimensions: The dimension values of the tip, rendered as in the path.
        format: `parquet`, `json`, `csv` or `orc`.
        options: Reader options: `delimiter` (one character, default `,`) and `header` (bool) for csv.
        value: For a timer, alarm or metric: the text of the first partition that is read. Such an input has no paths.
        partitions: The rendered dimension values of each partition that is read, in the order of `paths`.
        versions: The version of each of these partitions when the task was created; empty if it did not exist.
        columns: The declared columns, with names and types as Hive writes them; empty if the files define them.
    """

    alias: str
    paths: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    optional: bool = False
    dimensions: Mapping[str, str] = field(default_factory=dict)
    format: str = "parquet"
    options: Mapping[str, Any] = field(default_factory=dict)
    value: str | None = None
    partitions: tuple[tuple[str, ...], ...] = ()
    versions: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def present(self) -> tuple[str, ...]:
        """The paths that have data, tip first."""
        missing = set(self.missing)
        return tuple(path for path in self.paths if path not in missing)


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Where and how a task writes its result.

    Attributes:
        path: The folder that the target writes, replaced as a whole; a temporary one within an execution.
        format: `parquet`, `json`, `csv` or `orc`.
        options: Writer options, with the names of the reader options of `TaskInput`.
        partition: The partition's own folder, which `path` becomes when all targets have succeeded; empty if it is
            `path` itself.
        columns: The columns that the node declares, in the form of `TaskInput.columns`.
    """

    path: str
    format: str = "parquet"
    options: Mapping[str, Any] = field(default_factory=dict)
    partition: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def final(self) -> str:
        """The URI at which users and other nodes find the result."""
        return self.partition or self.path


@dataclass(frozen=True, slots=True)
class Task:
    """One compute target of one execution.

    Attributes:
        node: The user's node id, for messages.
        lang: A `Lang` value: `PYTHON`, `SPARK_SQL`, `PRESTO_SQL`, `SCALA`; `INLINED` for a callable.
        code: The source text; for `INLINED`, the location of the cloudpickle blob: a local path, or a URI on AWS.
        dimensions: The output's dimension values, rendered as in the path.
        args: The target's own keyword arguments.
        params: The `params` of a callable, in addition to `dimensions` (`platform`, `AWS_REGION`, …).
        timeout: Seconds until the task is stopped with `TaskFailure("timeout")`; None for no limit.
        application: The user's application, used in the names of provisioned resources.
        position: The position of the target in the node, from 0.
        hints: The target's settings for its engine, under the names of the engine's API.
        libraries: Jars, or Python zips and wheels, as URIs or paths.
        requirements: The pinned packages that an inlined callable needs, in pip's syntax.
        token: The identity of this attempt. An engine that finds a job with the same token continues that job.
    """

    node: str
    lang: str
    code: str
    inputs: tuple[TaskInput, ...]
    output: TaskOutput
    dimensions: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    runtime_platform: str = "local"
    timeout: float | None = None
    application: str = ""
    position: int = 0
    hints: Mapping[str, Any] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    token: str = ""

    def to_json(self) -> str:
        """Returns the task as versioned JSON."""
        return json.dumps({"version": TASK_VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: The text has another version.
        """
        fields = json.loads(text)
        version = fields.pop("version", None)
        if version != TASK_VERSION:
            raise ValueError(f"cannot run a task of version {version!r}: this runner reads version {TASK_VERSION}")
        inputs = tuple(
            TaskInput(
                **{
                    **item,
                    "paths": tuple(item["paths"]),
                    "missing": tuple(item["missing"]),
                    "partitions": tuple(tuple(p) for p in item["partitions"]),
                    "versions": tuple(item.get("versions", ())),
                    "columns": _columns(item),
                }
            )
            for item in fields.pop("inputs")
        )
        for name in ("libraries", "requirements"):
            fields[name] = tuple(fields[name])
        output = fields.pop("output")
        return cls(inputs=inputs, output=TaskOutput(**{**output, "columns": _columns(output)}), **fields)


def _columns(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, kind in fields.get("columns", ()))


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a successful task.

    Attributes:
        rows: The number of rows written; None if the target does not write a table (a callable, a no-op).
        schema: Column names and engine type names, in order.
        preview: The first rows (at most 10), with values as JSON scalars or text.
        metadata: More entries for the asset's metadata, from user code: JSON scalars, or
            `{"type": "markdown" | "url" | "path" | "png" | "json", "value": …}` (png: base64 text).
        warnings: Sentences for the run's log and metadata.
        engine: The engine that ran it, with its version: `Spark 3.5.6`, `DuckDB 1.4.2 (Presto SQL)`.
        seconds: The wall time of the user's code.
    """

    rows: int | None = None
    schema: tuple[tuple[str, str], ...] = ()
    preview: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    engine: str = ""
    seconds: float = 0.0

    def to_json(self) -> str:
        """Returns the result as JSON; values that JSON cannot hold become text."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, default=str)

    @classmethod
    def from_json(cls, text: str) -> TaskResult:
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        return cls(
            **{
                **fields,
                "schema": tuple((name, kind) for name, kind in fields["schema"]),
                "preview": tuple(fields["preview"]),
                "warnings": tuple(fields["warnings"]),
            }
        )


class TaskFailure(Exception):  # noqa: N818  # the record is called FAILED; "TaskFailureError" says it twice
    """A task that failed.

    Attributes:
        kind: `user` (their code or data), `platform` (ours or the machine's: may be retried), `timeout`, `cancelled`.
        message: One paragraph that names the user's node and what to do.
        detail: The user's traceback or the engine's own text, without our frames.
        unresolved: Whether the job may still be running somewhere: another attempt must look for it first.
        lasting: For `platform`: whether waiting does not help, as with a full disk. It is retried a few times at once;
            other platform failures are retried after a wait.
    """

    def __init__(
        self, kind: str, message: str, detail: str = "", *, unresolved: bool = False, lasting: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.detail = detail
        self.unresolved = unresolved
        self.lasting = lasting

    def to_json(self) -> str:
        """Returns the failure as JSON."""
        fields = {"kind": self.kind, "message": self.message, "detail": self.detail}
        return json.dumps({**fields, "lasting": True} if self.lasting else fields)

    @classmethod
    def from_json(cls, text: str) -> TaskFailure:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


def lasting_failure(message: str, detail: str = "") -> TaskFailure:
    """Returns a platform failure that waiting does not fix."""
    return TaskFailure("platform", message, detail, lasting=True)
