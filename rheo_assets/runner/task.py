"""What an engine has to do, and what it returns: plain values that travel as JSON.

A `Task` is one compute target of one execution with every decision already taken: which partitions are read, in which
format, where the output goes. An engine never resolves anything itself, so every engine sees the same choice.
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
        missing: Those of `paths` that hold no data. Batch and SQL code reads `paths` without them.
        optional: Whether the whole input may be absent (`.ref`): user code then gets `None`.
        dimensions: The dimension values of the tip, rendered as in the path.
        format: `parquet`, `json`, `csv` or `orc`.
        options: Reader options: `delimiter` (one character, default `,`) and `header` (bool) for csv.
        value: For a timer, alarm or metric: the text of the first partition that is read. Such an input has no paths.
        partitions: The rendered dimension values of each partition that is read, in the order of `paths`.
        versions: The version of each of them when the task was made; empty text for one that was absent.
        columns: The declared columns, names and types in Hive's spelling; empty where the files say what they have.
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
        """The paths that hold data, tip first."""
        missing = set(self.missing)
        return tuple(path for path in self.paths if path not in missing)


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Where and how the result is written.

    Attributes:
        path: The folder that the target writes, replaced as a whole; a temporary one within an execution.
        format: `parquet`, `json`, `csv` or `orc`.
        options: Writer options, as the reader's of `TaskInput`.
        partition: The partition's own folder, which `path` becomes when all targets have succeeded; empty if it is
            `path` itself.
        columns: The columns that the node declares, as those of `TaskInput`.
    """

    path: str
    format: str = "parquet"
    options: Mapping[str, Any] = field(default_factory=dict)
    partition: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def final(self) -> str:
        """The URI under which people and other nodes find the result."""
        return self.partition or self.path


@dataclass(frozen=True, slots=True)
class Task:
    """One compute target of one execution.

    Attributes:
        node: The user's node id, for messages.
        lang: A `Lang` value: `PYTHON`, `SPARK_SQL`, `PRESTO_SQL`, `SCALA`; `INLINED` for a callable.
        code: The source text; for `INLINED` where the cloudpickle blob lies: a local path, or on AWS its URI.
        dimensions: The output's dimension values, rendered as in the path.
        args: The target's own keyword arguments.
        params: What a callable gets as `params` besides `dimensions` (`platform`, `AWS_REGION`, …).
        timeout: Seconds until the task is ended with `TaskFailure("timeout")`; None for no limit.
        application: The user's application, for the names of what an engine provisions.
        position: Which target of the node it is, from 0.
        hints: What the target asks of its engine, in the words of the engine's API.
        libraries: Jars, or Python zips and wheels: URIs or paths.
        requirements: Pinned packages that an inlined callable needs, as pip reads them.
        token: The identity of this attempt. An engine that finds a job of the same token goes on with that job.
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
            ValueError: The text is of another version.
        """
        fields = json.loads(text)
        version = fields.pop("version", None)
        if version != TASK_VERSION:
            raise ValueError(f"a task of version {version!r} cannot be run: this runner reads version {TASK_VERSION}")
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
    """What a successful task left behind.

    Attributes:
        rows: Number of rows written; None where the target writes no table (a callable, a no-op).
        schema: Column names and engine type names, in order.
        preview: The first rows (at most 10), values as JSON scalars or text.
        metadata: Further entries for the asset's metadata, from user code: JSON scalars, or
            `{"type": "markdown" | "url" | "path" | "png" | "json", "value": …}` (png: base64 text).
        warnings: Sentences for the run's log and metadata.
        engine: Which engine ran it, with its version: `Spark 3.5.6`, `DuckDB 1.4.2 (Presto SQL)`.
        seconds: Wall time of the user's part.
    """

    rows: int | None = None
    schema: tuple[tuple[str, str], ...] = ()
    preview: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    engine: str = ""
    seconds: float = 0.0

    def to_json(self) -> str:
        """Returns the result as JSON; values that JSON does not know become text."""
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
    """A task that did not succeed.

    Attributes:
        kind: `user` (their code or data), `platform` (ours or the machine's: may be retried), `timeout`, `cancelled`.
        message: One paragraph that names the user's node and what to do.
        detail: The user's traceback or the engine's own text, without our frames.
        unresolved: Whether the job may still run somewhere: a further attempt must look for it first.
        lasting: `platform`: whether waiting does not help, as with a full disk. It is tried again a few times at once;
            any other failure of the platform is waited for.
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
    """Returns a failure of the platform that waiting does not lift."""
    return TaskFailure("platform", message, detail, lasting=True)
