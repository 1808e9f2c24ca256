"""Chooses the engine of a target by its language and hints, in an order of preference.

This module knows only what an engine can do; the platform runs it (`platforms/capabilities.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from rheo_assets.errors import CapabilityMissing, DeclarationError, did_you_mean
from rheo_assets.model.compute.hints import COMMON_HINTS, EMR_HINTS, GLUE_HINTS
from rheo_assets.model.compute.targets import LAMBDA_SECONDS, Batch, Inlined, Target
from rheo_assets.model.compute.vocabulary import Lang

ENTRY_POINTS: Final = "rheo_assets.engines"
INLINED: Final = "INLINED"
_SPARK: Final = frozenset({Lang.PYTHON, Lang.SCALA, Lang.SPARK_SQL})


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine as a declaration sees it.

    Attributes:
        name: The name in targets and applications.
        title: The name in messages and the UI.
        langs: The languages that it runs; `INLINED` is a Python callable.
        hints: The hints that it understands.
        longest: The longest run time in seconds; None for no limit.
    """

    name: str
    title: str
    langs: frozenset[str]
    hints: frozenset[str] = COMMON_HINTS
    longest: float | None = None

    def refusal(self, target: Target) -> str:
        """Returns why the engine cannot run the target; empty if it can."""
        if not self.runs(target):
            return f"{self.title} does not run {_language(target)}"
        if strange := self.strange(target):
            return f"{self.title} does not know {', '.join(strange)}"
        timeout = getattr(target, "timeout", None)
        if self.longest is not None and timeout is not None and timeout > self.longest:
            return f"{self.title} stops code after {self.longest:g} s, but timeout is {timeout:g}"
        return ""

    def runs(self, target: Target) -> bool:
        """Returns whether the engine runs the target's language."""
        lang = INLINED if isinstance(target, Inlined) else str(getattr(target, "lang", ""))
        return lang in self.langs

    def strange(self, target: Target) -> list[str]:
        """Returns the target's hints that the engine does not understand."""
        return sorted(set(getattr(target, "hints", ())) - self.hints)


def _language(target: Target) -> str:
    return "Python functions" if isinstance(target, Inlined) else str(getattr(target, "lang", ""))


ATHENA: Final = EngineKind("athena", "Athena", frozenset({Lang.PRESTO_SQL}))
GLUE: Final = EngineKind("glue", "Glue", _SPARK, GLUE_HINTS | COMMON_HINTS)
EMR: Final = EngineKind("emr", "EMR", _SPARK, EMR_HINTS | COMMON_HINTS)
EMR_SERVERLESS: Final = EngineKind(
    "emr_serverless", "EMR Serverless", _SPARK, frozenset({"RuntimeConfig", "SparkCliArgs"}) | COMMON_HINTS
)
LAMBDA: Final = EngineKind("lambda", "Lambda", frozenset({INLINED}), frozenset(), LAMBDA_SECONDS)
PROCESS: Final = EngineKind("process", "a process of the run", frozenset({INLINED}), frozenset())

PREFERENCE: Final = (ATHENA, GLUE, EMR, EMR_SERVERLESS, LAMBDA, PROCESS)
"""The order in which engines are tried; those of other packages follow, sorted by name."""


class EnginePlugin(Protocol):
    """An engine of another package, named by an entry point of group `rheo_assets.engines`.

    Attributes:
        kind: What the engine can do.
    """

    kind: EngineKind

    def open(self, platform: Any) -> Any:
        """Returns the `Engine` that runs tasks on the platform (`rheo_assets.platforms.capabilities`)."""


@cache
def plugins() -> dict[str, EnginePlugin]:
    """Returns the engines of other packages by name.

    Raises:
        CapabilityMissing: An engine cannot be loaded, or its name is taken; the message names the package.
    """
    found: dict[str, EnginePlugin] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        plugin = _loaded(entry)
        taken = {kind.name for kind in PREFERENCE} | set(found)
        if plugin.kind.name in taken:
            raise CapabilityMissing(
                f"engine {plugin.kind.name!r} of {entry.value!r} has the same name as another engine. Rename it, or "
                "uninstall its package"
            )
        found[plugin.kind.name] = plugin
    return found


def _loaded(entry: EntryPoint) -> EnginePlugin:
    try:
        plugin = entry.load()
        plugin = plugin() if isinstance(plugin, type) else plugin
        kind = plugin.kind
    except Exception as error:
        raise CapabilityMissing(
            f"engine {entry.name!r} of {entry.value!r} cannot be loaded: {type(error).__name__}: {error}. "
            "Fix or uninstall its package"
        ) from error
    if not isinstance(kind, EngineKind):
        raise CapabilityMissing(f"engine {entry.name!r} of {entry.value!r} has a kind {kind!r}, not an EngineKind")
    if not callable(getattr(plugin, "open", None)):
        raise CapabilityMissing(f"engine {entry.name!r} of {entry.value!r} has no method open(platform)")
    return plugin  # type: ignore[no-any-return]  # an entry point loads anything


def known_kinds() -> tuple[EngineKind, ...]:
    """Returns every engine in the order of preference."""
    return (*PREFERENCE, *(plugin.kind for plugin in plugins().values()))


def title_of(name: str) -> str:
    """Returns the title of an engine, or its name if its package is not installed."""
    return next((kind.title for kind in known_kinds() if kind.name == name), name)


def read_kinds(names: Sequence[str] | None, where: str) -> tuple[EngineKind, ...]:
    """Returns the engines that an application names, in its order; all engines if it names none.

    Raises:
        DeclarationError: No engine has one of the names.
    """
    known = {kind.name: kind for kind in known_kinds()}
    if names is None:
        return tuple(known.values())
    if isinstance(names, str):
        raise DeclarationError(where, f"engines is {names!r}", "Give a list of names")
    for name in names:
        if name not in known:
            raise DeclarationError(
                where, f"there is no engine {name!r} (known: {', '.join(known)}).{did_you_mean(str(name), known)}"
            )
    return tuple(known[name] for name in names)


def served(target: Target, kinds: Iterable[EngineKind], where: str) -> Target:
    """Returns the target with its engine: the one it names, else the first that can run it.

    Raises:
        DeclarationError: No engine can run it; the message says why, and what to do.
    """
    if not isinstance(target, Batch | Inlined):
        return target
    kinds = candidates = tuple(kinds)
    if target.engine:
        candidates = tuple(kind for kind in kinds if kind.name == target.engine)
        if not candidates:
            names = [kind.name for kind in kinds]
            raise DeclarationError(
                where,
                f"{target.title} requests the engine {target.engine!r}, which the application does not have "
                f"(it has {', '.join(names)}).{did_you_mean(str(target.engine), names)}",
            )
    chosen = next((kind for kind in candidates if not kind.refusal(target)), None)
    if chosen is None:
        raise DeclarationError(where, _why_not(target, candidates), _what_to_do(target, candidates, kinds))
    return replace(target, engine=chosen.name)


def _why_not(target: Target, candidates: Sequence[EngineKind]) -> str:
    """Returns why no engine can run the target, per engine of its language."""
    refusals = [kind.refusal(target) for kind in candidates if kind.runs(target)]
    if not refusals and len(candidates) > 1:
        refusals = [f"none of {', '.join(kind.title for kind in candidates)} runs {_language(target)}"]
    elif not refusals:
        refusals = [kind.refusal(target) for kind in candidates] or ["the application has no engine"]
    return f"no engine can run {target.title}: {'; '.join(refusals)}"


def _what_to_do(target: Target, candidates: Sequence[EngineKind], kinds: Sequence[EngineKind]) -> str:
    """Returns the remedies: the fewest hints to remove, a shorter timeout, or another engine."""
    ways: list[str] = []
    left_out: list[set[str]] = []
    for kind in (kind for kind in candidates if kind.runs(target)):
        strange = set(kind.strange(target))
        if not strange:
            ways.append(f"give a timeout of at most {kind.longest:g} s")
        elif not any(other <= strange for other in left_out):
            left_out.append(strange)
            ways.append(f"remove {' and '.join(sorted(strange))} for {kind.title}")
    others = [kind for kind in (*kinds, *known_kinds()) if kind not in candidates and not kind.refusal(target)]
    if others and others[0] in kinds:
        ways.append(f"name the engine {others[0].name!r}")
    elif others:
        ways.append(f"add {others[0].name!r} to the application's engines")
    remedy = ", or ".join(ways)
    return remedy[:1].upper() + remedy[1:]
