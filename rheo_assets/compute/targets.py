"""The compute targets of a node, as values."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rheo_assets.errors import DeclarationError


class Lang(StrEnum):
    """The language of a target's code."""

    PYTHON = "PYTHON"
    SCALA = "SCALA"
    SPARK_SQL = "SPARK_SQL"
    PRESTO_SQL = "PRESTO_SQL"


class ABI(StrEnum):
    """How batch code meets its inputs; there is one way: as variables in its own namespace."""

    GLUE_EMBEDDED = "GLUE_EMBEDDED"


class GlueVersion(StrEnum):
    """Versions of AWS Glue; the local platform runs every one on its own engine and says so."""

    AUTO = "auto"
    VERSION_2_0 = "2.0"
    VERSION_3_0 = "3.0"
    VERSION_4_0 = "4.0"
    VERSION_5_0 = "5.0"
    VERSION_5_1 = "5.1"
    VERSION_6_0 = "6.0"


class GlueWorkerType(StrEnum):
    """Worker types of AWS Glue."""

    STANDARD = "Standard"
    G_1X = "G.1X"
    G_2X = "G.2X"
    G_4X = "G.4X"
    G_8X = "G.8X"
    G_025X = "G.025X"


_HINTS: Final = frozenset(
    {
        "GlueVersion",
        "WorkerType",
        "NumberOfWorkers",
        "MaxCapacity",
        "Timeout",
        "InstanceConfig",
        "RuntimeConfig",
        "SparkCliArgs",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a node runs for one partition.

    Attributes:
        retry_count: How often a failure of the application is retried.
    """

    retry_count: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.retry_count, int) or self.retry_count < 0:
            raise DeclarationError(self.title, f"retry_count is {self.retry_count!r}", "A whole number from 0")

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """The engine-independent kind shown on the asset."""
        raise NotImplementedError


def _check_limit(where: str, name: str, value: object, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise DeclarationError(where, f"{name} is {value!r}", f"A number of {unit} above 0")


@dataclass(frozen=True, slots=True)
class Batch(Target):
    """Code that a batch or SQL engine runs; made by `BatchCompute` and its wrappers.

    Attributes:
        code: The source text.
        lang: Its language.
        hints: Wishes of the engine's own vocabulary (`GlueVersion`, `WorkerType`, …).
        args: Reach the code as `args`.
        timeout: Seconds; from the hint `Timeout`, which is in minutes as on Glue.
    """

    code: str
    lang: Lang
    hints: Mapping[str, Any] = field(default_factory=dict, hash=False)
    args: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        if not isinstance(self.code, str) or not self.code.strip():
            raise DeclarationError(self.title, f"code is {self.code!r}", "Give the source as text")
        if "MaxCapacity" in self.hints and "WorkerType" in self.hints:
            raise DeclarationError(self.title, "has both MaxCapacity and WorkerType", "AWS Glue takes one of them")
        if self.hints.get("Timeout") is not None:
            _check_limit(self.title, "Timeout", self.hints["Timeout"], "minutes")

    @property
    def timeout(self) -> float | None:
        """Seconds until the target is ended; None: no limit."""
        minutes = self.hints.get("Timeout")
        return None if minutes is None else float(minutes) * 60

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        return f"{self.lang} code"

    @property
    def kind(self) -> str:
        """The kind shown on the asset."""
        return {Lang.PYTHON: "pyspark", Lang.SCALA: "scala", Lang.SPARK_SQL: "spark", Lang.PRESTO_SQL: "presto"}[
            self.lang
        ]


@dataclass(frozen=True, slots=True)
class StoredCallable:
    """A callable of a recorded declaration: known by its blob's hash, opened only to run it."""

    digest: str
    name: str

    def __call__(self, inputs: Any, output: Any, params: Any) -> Any:  # noqa: ARG002  # the shape of a callable
        """Refuses: it runs in a process of its own."""
        raise TypeError(f"{self.name} is recorded as blob {self.digest}; execute its node to run it")

    @property
    def __name__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Inlined(Target):
    """A Python callable `f(inputs, output, params)`; made by `InlinedCompute`.

    Attributes:
        callable: The function. It runs in a process of its own.
        timeout: Seconds; 15 minutes, Lambda's limit, unless said otherwise.
    """

    callable: Callable[..., Any]
    timeout: float = 900.0

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        _check_limit(self.title, "timeout", self.timeout, "seconds")

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        return f"callable {getattr(self.callable, '__name__', type(self.callable).__name__)!r}"

    @property
    def kind(self) -> str:
        """The kind shown on the asset."""
        return "python"


@dataclass(frozen=True, slots=True)
class NoOp(Target):
    """Nothing: for topologies without data. `NOOPCompute` and `NOOPCompute()` are the same."""

    def __call__(self) -> NoOp:
        """Returns itself."""
        return self

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        return "no-op"

    @property
    def kind(self) -> str:
        """The kind shown on the asset."""
        return "noop"


NOOPCompute: Final = NoOp()


def BatchCompute(  # noqa: N802  # RheocerOS's name
    code: str,
    lang: Lang | str = Lang.PYTHON,
    abi: ABI | str = ABI.GLUE_EMBEDDED,
    extra_permissions: Iterable[Any] | None = None,
    retry_count: int = 0,
    **hints: Any,
) -> Batch:
    """Returns a target that a batch engine runs.

    Args:
        code: The source, indented as a whole or not; PySpark assigns `output`, SQL's last result is the output.
        lang: The language.
        abi: `ABI.GLUE_EMBEDDED`.
        extra_permissions: What the job's role may do besides reading inputs and writing its output (AWS only).
        retry_count: How often a failure of the application is retried.
        **hints: `GlueVersion`, `WorkerType`, `NumberOfWorkers`, `Timeout` (minutes), …; others reach the code
            as `args`.

    Raises:
        DeclarationError: A hint that contradicts another, or an unknown language.
    """
    del extra_permissions  # recorded with the AWS platform
    ABI(abi)
    try:
        language = Lang(str(lang))
    except ValueError:
        raise DeclarationError(
            "BatchCompute", f"lang is {lang!r}", f"One of {[str(member) for member in Lang]}"
        ) from None
    known = {name: value for name, value in hints.items() if name in _HINTS}
    args = {name: value for name, value in hints.items() if name not in _HINTS}
    text = textwrap.dedent(code).strip("\n") if isinstance(code, str) else code
    return Batch(text, language, known, args, retry_count=retry_count)


def Spark(code: str, **hints: Any) -> Batch:  # noqa: N802
    """Returns PySpark code as a target."""
    return BatchCompute(code, Lang.PYTHON, **hints)


def SparkSQL(sql: str, **hints: Any) -> Batch:  # noqa: N802
    """Returns Spark SQL as a target; of several statements the last one's result is the output."""
    return BatchCompute(sql, Lang.SPARK_SQL, **hints)


def PrestoSQL(sql: str, **hints: Any) -> Batch:  # noqa: N802
    """Returns Presto SQL (Athena) as a target; `{dimension}` stands for the output's dimension value."""
    return BatchCompute(sql, Lang.PRESTO_SQL, **hints)


def InlinedCompute(  # noqa: N802
    callable: Callable[..., Any],  # noqa: A002
    permissions: Iterable[Any] | None = None,
    retry_count: int = 0,
    timeout: float = 900.0,
) -> Inlined:
    """Returns a Python callable `f(inputs, output, params)` as a target.

    Raises:
        DeclarationError: It cannot be called with three arguments.
    """
    del permissions  # recorded with the AWS platform
    try:
        inspect.signature(callable).bind(None, None, None)
    except TypeError:
        raise DeclarationError(
            f"InlinedCompute({callable!r})", "cannot be called as f(inputs, output, params)", "Give it three parameters"
        ) from None
    except ValueError:
        pass  # a builtin without a signature
    return Inlined(callable, timeout, retry_count=retry_count)


def as_targets(declared: object, where: str) -> tuple[Target, ...]:
    """Returns the targets of a declaration: a target, text (Spark SQL), or a list of these."""
    if declared is None:
        raise DeclarationError(
            where, "has no compute_targets", "Give a list, e.g. [SparkSQL('select …')], or NOOPCompute"
        )
    listed = [declared] if isinstance(declared, str | Target) else declared
    if not isinstance(listed, list | tuple) or not listed:
        raise DeclarationError(where, f"compute_targets is {declared!r}", "Give a list of compute targets")
    targets = tuple(SparkSQL(target) if isinstance(target, str) else target for target in listed)
    for target in targets:
        if not isinstance(target, Target):
            raise DeclarationError(
                where,
                f"compute target {target!r} is no target",
                "Wrap code in BatchCompute, a function in InlinedCompute",
            )
    return targets
