"""The compute targets of a node, as values; `wrappers.py` has the functions that create them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.hints import check_hints
from rheo_assets.model.compute.permissions import Permission
from rheo_assets.model.compute.vocabulary import Lang


@dataclass(frozen=True, slots=True)
class Target:
    """What a node runs for one partition.

    Attributes:
        retry_count: How often a failure of the application is retried.
    """

    retry_count: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.retry_count, int) or isinstance(self.retry_count, bool) or self.retry_count < 0:
            raise DeclarationError(self.title, f"retry_count is {self.retry_count!r}", "Give a whole number from 0")

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """The engine-independent kind shown on the asset."""
        raise NotImplementedError


LAMBDA_SECONDS: Final = 900.0
"""The time limit of AWS Lambda, in seconds: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

_KINDS: Final[Mapping[str, str]] = {
    Lang.PYTHON: "pyspark",
    Lang.SCALA: "scala",
    Lang.SPARK_SQL: "spark",
    Lang.PRESTO_SQL: "presto",
}


@dataclass(frozen=True, slots=True)
class Batch(Target):
    """Code that a batch or SQL engine runs; created by `BatchCompute` and its wrappers.

    Attributes:
        code: The source text.
        lang: The language: a `Lang`, or a language of an engine of another package.
        hints: Settings under the engine's own names (`GlueVersion`, `WorkerType`, …).
        args: The `args` of the code.
        libraries: Jars, or Python zips and wheels, as URIs or paths.
        permissions: Extra permissions of the job's role (AWS only).
        engine: The engine's name; empty until a declaration has chosen one.
        timeout: Seconds, from the hint `Timeout`, which is in minutes as on Glue.
    """

    code: str
    lang: str
    hints: Mapping[str, Any] = field(default_factory=dict, hash=False)
    args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    libraries: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    engine: str = ""

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        if not isinstance(self.code, str) or not self.code.strip():
            raise DeclarationError(self.title, f"code is {self.code!r}", "Give the source as a string")
        check_hints(self.hints, self.title)

    @property
    def timeout(self) -> float | None:
        """Seconds until the target is stopped; None for no limit."""
        minutes = self.hints.get("Timeout")
        return None if minutes is None else float(minutes) * 60

    @property
    def title(self) -> str:
        """A short name for messages and records."""
        return f"{self.lang} code"

    @property
    def kind(self) -> str:
        """The kind shown on the asset."""
        return _KINDS.get(self.lang, self.lang.lower())


@dataclass(frozen=True, slots=True)
class StoredCallable:
    """A callable of a recorded declaration: identified by its blob's hash, opened only to run it."""

    digest: str
    name: str

    def __call__(self, inputs: Any, output: Any, params: Any) -> Any:  # noqa: ARG002  # the shape of a callable
        """Raises: it runs only in its own process."""
        raise TypeError(f"{self.name} is recorded as blob {self.digest}; execute its node to run it")

    @property
    def __name__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Inlined(Target):
    """A Python callable `f(inputs, output, params)`; created by `InlinedCompute`.

    Attributes:
        callable: The function. It runs in its own process.
        timeout: Seconds. The default is 15 minutes, Lambda's limit.
        permissions: Extra permissions of the function's role (AWS only).
        requirements: The packages that the function needs on Lambda, with versions, in pip's syntax.
        engine: The engine's name; empty until a declaration has chosen one.
    """

    callable: Callable[..., Any]
    timeout: float = LAMBDA_SECONDS
    permissions: tuple[Permission, ...] = ()
    requirements: tuple[str, ...] = ()
    engine: str = ""

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        if (
            isinstance(self.timeout, bool)
            or not isinstance(self.timeout, int | float)
            or not 0 < self.timeout < math.inf
        ):
            raise DeclarationError(self.title, f"timeout is {self.timeout!r}", "Give a number of seconds above 0")

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
    """Runs nothing; for topologies without data. `NOOPCompute` and `NOOPCompute()` are the same."""

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
