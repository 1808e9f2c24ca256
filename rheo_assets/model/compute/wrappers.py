"""The functions that create compute targets, with RheocerOS's names and arguments."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from rheo_assets.errors import DeclarationError, brief, did_you_mean
from rheo_assets.model.compute.code import Code, check_source, reads_as_query
from rheo_assets.model.compute.engines import INLINED, EngineKind, known_kinds, served
from rheo_assets.model.compute.hints import read_hints
from rheo_assets.model.compute.permissions import Permission, read_permissions
from rheo_assets.model.compute.plain import plain
from rheo_assets.model.compute.requirements import read_requirements
from rheo_assets.model.compute.targets import LAMBDA_SECONDS, Batch, Inlined, Target
from rheo_assets.model.compute.vocabulary import ABI, Lang


def BatchCompute(  # noqa: N802  # RheocerOS's name
    code: str | Code,
    lang: Lang | str | None = None,
    abi: ABI | str = ABI.GLUE_EMBEDDED,
    extra_permissions: Iterable[Permission] | None = None,
    retry_count: int = 0,
    engine: str = "",
    **hints: Any,
) -> Batch:
    """Returns a target that a batch or SQL engine runs.

    Args:
        code: The source, which may be indented, or `scala_script(…)`, `python_module(…)`, `sql_module(…)`.
            PySpark assigns `output`; Scala's last expression and SQL's last result are the output.
        lang: The language. The default is the language of the code, else PYTHON.
        abi: `ABI.GLUE_EMBEDDED`.
        extra_permissions: Extra permissions of the job's role (AWS only).
        retry_count: How often a failure of the application is retried.
        engine: The name of the engine. The default is chosen by language and hints.
        **hints: `GlueVersion`, `WorkerType`, `NumberOfWorkers`, `Timeout` (minutes), …; other arguments are passed to
            the code as `args`.

    Raises:
        DeclarationError: Two hints contradict each other, the language is unknown or does not fit the code, the code
            is not Python, or the SQL has no statement.
    """
    source = code if isinstance(code, Code) else Code(code)
    language = _language(lang, source)
    where = f"BatchCompute({language})"
    if str(abi) not in {str(member) for member in ABI}:
        raise DeclarationError(where, f"abi is {abi!r}", f"Give one of {[str(member) for member in ABI]}")
    text = textwrap.dedent(source.text).strip("\n") if isinstance(source.text, str) else source.text
    check_source(text, language, where)
    known, args = read_hints(hints, where)
    return Batch(
        text,
        language,
        known,
        args,
        source.libraries,
        read_permissions(extra_permissions, where),
        engine or "",
        retry_count=retry_count,
    )


def _language(lang: Lang | str | None, source: Code) -> str:
    language = str(lang) if lang is not None else str(source.lang or Lang.PYTHON)
    known = sorted({str(name) for kind in known_kinds() for name in kind.langs} - {INLINED})
    if language not in known:
        raise DeclarationError(
            "BatchCompute", f"lang is {lang!r}", f"Give one of {known}.{did_you_mean(language, known)}"
        )
    if source.lang is not None and language != str(source.lang):
        raise DeclarationError(
            "BatchCompute", f"lang is {language} but the code is {source.lang}", f"Give lang={source.lang}"
        )
    return Lang(language) if language in {str(member) for member in Lang} else language


def Glue(code: str | Code, lang: Lang | str | None = None, **hints: Any) -> Batch:  # noqa: N802
    """Returns code that Glue runs: `BatchCompute` with `engine="glue"`."""
    return _of("Glue", code, {"lang": lang, "engine": "glue"}, hints, "engine")


def EMR(code: str | Code, lang: Lang | str | None = None, **hints: Any) -> Batch:  # noqa: N802
    """Returns code that EMR runs: `BatchCompute` with `engine="emr"`."""
    return _of("EMR", code, {"lang": lang, "engine": "emr"}, hints, "engine")


def Spark(code: str | Code, lang: Lang | str | None = None, **hints: Any) -> Batch:  # noqa: N802
    """Returns PySpark (or Scala) code as a target."""
    return BatchCompute(code, lang, **hints)


def SparkSQL(sql: str | Code, **hints: Any) -> Batch:  # noqa: N802
    """Returns Spark SQL as a target; the result of the last statement is the output."""
    return _of("SparkSQL", sql, {"lang": Lang.SPARK_SQL}, hints, "lang")


def PrestoSQL(sql: str | Code, **hints: Any) -> Batch:  # noqa: N802
    """Returns Presto SQL (Athena) as a target; `{dimension}` stands for the output's dimension value."""
    return _of("PrestoSQL", sql, {"lang": Lang.PRESTO_SQL}, hints, "lang")


def _of(name: str, code: str | Code, fixed: dict[str, Any], hints: dict[str, Any], settled: str) -> Batch:
    if settled in hints:
        raise DeclarationError(
            name, f"{settled} is {hints[settled]!r}", f"{name} sets the {settled} itself: use BatchCompute to set it"
        )
    return BatchCompute(code, **fixed, **hints)


def InlinedCompute(  # noqa: N802
    callable: Callable[..., Any],  # noqa: A002
    permissions: Iterable[Permission] | None = None,
    retry_count: int = 0,
    timeout: float = LAMBDA_SECONDS,
    requirements: Sequence[str] | None = None,
    engine: str = "",
) -> Inlined:
    """Returns a Python callable `f(inputs, output, params)` as a target.

    Args:
        callable: The function.
        permissions: Extra permissions of its role (AWS only).
        retry_count: How often a failure is retried.
        timeout: The time limit in seconds.
        requirements: Pinned packages for Lambda: `["requests==2.32.3"]`. Locally it uses the installed packages.
        engine: `lambda`, or `process` for a child process of the Dagster run, on any platform.

    Raises:
        DeclarationError: The callable does not accept three arguments, or a requirement is not pinned.
    """
    where = f"InlinedCompute({getattr(callable, '__name__', callable)!r})"
    try:
        inspect.signature(callable).bind(None, None, None)
    except TypeError:
        raise DeclarationError(
            where, "cannot be called as f(inputs, output, params)", "Give it three parameters"
        ) from None
    except ValueError:
        pass  # a builtin without a signature
    return Inlined(
        callable,
        timeout,
        read_permissions(permissions, where),
        read_requirements(requirements, where),
        engine or "",
        retry_count=retry_count,
    )


def as_targets(declared: object, where: str, kinds: Iterable[EngineKind] | None = None) -> tuple[Target, ...]:
    """Returns the targets of a declaration, each with its engine.

    Args:
        declared: A target, text (PySpark code), or a list of these.
        where: Names the node in messages.
        kinds: The engines to choose from, in order of preference. The default is all engines.

    Raises:
        DeclarationError: A value is not a target, or no engine can run it.
    """
    if declared is None:
        raise DeclarationError(
            where, "has no compute_targets", "Give a list, e.g. [SparkSQL('select …')], or NOOPCompute"
        )
    listed = [declared] if isinstance(declared, str | Target) else declared
    if not isinstance(listed, list | tuple) or not listed:
        raise DeclarationError(where, f"compute_targets is {declared!r}", "Give a list of compute targets")
    targets = tuple(_code(target, where) if isinstance(target, str) else target for target in listed)
    for target in targets:
        if not isinstance(target, Target):
            raise DeclarationError(
                where,
                f"compute target {target!r} is not a target",
                "Wrap code in BatchCompute, a function in InlinedCompute",
            )
    choice = known_kinds() if kinds is None else tuple(kinds)
    return tuple(served(_plain(target, where), choice, where) for target in targets)


def _code(text: str, where: str) -> Batch:
    """Returns text as PySpark code, as RheocerOS does."""
    if reads_as_query(text):
        problem = f"compute target {brief(repr(text))} is a string, so it means PySpark code, but it looks like a query"
        raise DeclarationError(where, problem, "Write SparkSQL(…) or PrestoSQL(…)")
    return BatchCompute(text)


def _plain(target: Target, where: str) -> Target:
    """Returns the target with hints and arguments as JSON, the form in which they are recorded and sent to engines."""
    if not isinstance(target, Batch):
        return target
    hints = {name: plain(value, where, f"hint {name}") for name, value in target.hints.items()}
    args = {name: plain(value, where, f"argument {name}") for name, value in target.args.items()}
    return replace(target, hints=hints, args=args)
