"""Which engine serves a target: by its language and hints, in an order of preference.

An engine is known here by what it can do; who runs it is the platform's affair (`platforms/capabilities.py`).
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
        name: What a target or an application calls it.
        title: What people read.
        langs: The languages that it runs; `INLINED` is a Python callable.
        hints: The hints that it understands.
        longest: The seconds that it lets code run; None for no limit.
    """

    name: str
    title: str
    langs: frozenset[str]
    hints: frozenset[str] = COMMON_HINTS
    longest: float | None = None

    def refusal(self, target: Target) -> str:
        """Returns why the engine does not serve the target; empty when it does."""
        if not self.runs(target):
            return f"{self.title} does not run {_language(target)}"
        if strange := self.strange(target):
            return f"{self.title} does not know {', '.join(strange)}"
        asked = getattr(target, "timeout", None)
        if self.longest is not None and asked is not None and asked > self.longest:
            return f"{self.title} ends code after {self.longest:g} s, and timeout is {asked:g}"
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
"""The order in which engines are tried; those of other packages come after, sorted by name."""


class EnginePlugin(Protocol):
    """An engine of another package: what the entry point of group `rheo_assets.engines` names.

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
        CapabilityMissing: One cannot be loaded, or has the name of another; says which package.
    """
    found: dict[str, EnginePlugin] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        plugin = _loaded(entry)
        taken = {kind.name for kind in PREFERENCE} | set(found)
        if plugin.kind.name in taken:
            raise CapabilityMissing(
                f"engine {plugin.kind.name!r} of {entry.value!r} has the name of another engine. Rename it, or "
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
            "Mend or uninstall its package"
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
    """Returns what people call an engine; the name itself where its package is not installed."""
    return next((kind.title for kind in known_kinds() if kind.name == name), name)


def read_kinds(names: Sequence[str] | None, where: str) -> tuple[EngineKind, ...]:
    """Returns the engines that an application names, in its order; all engines if it names none.

    Raises:
        DeclarationError: A name that no engine has.
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
    """Returns the target with the engine that serves it: the one it names, else the first that can.

    Raises:
        DeclarationError: None can; says why those of its language cannot, and what to do.
    """
    if not isinstance(target, Batch | Inlined):
        return target
    kinds = asked = tuple(kinds)
    if target.engine:
        asked = tuple(kind for kind in kinds if kind.name == target.engine)
        if not asked:
            names = [kind.name for kind in kinds]
            raise DeclarationError(
                where,
                f"{target.title} asks for the engine {target.engine!r}, which the application does not have "
                f"(it has {', '.join(names)}).{did_you_mean(str(target.engine), names)}",
            )
    chosen = next((kind for kind in asked if not kind.refusal(target)), None)
    if chosen is None:
        raise DeclarationError(where, _why_not(target, asked), _what_to_do(target, asked, kinds))
    return replace(target, engine=chosen.name)


def _why_not(target: Target, asked: Sequence[EngineKind]) -> str:
    """Returns what keeps each engine of the target's language; where there is none, that."""
    refusals = [kind.refusal(target) for kind in asked if kind.runs(target)]
    if not refusals and len(asked) > 1:
        refusals = [f"none of {', '.join(kind.title for kind in asked)} runs {_language(target)}"]
    elif not refusals:
        refusals = [kind.refusal(target) for kind in asked] or ["the application has none"]
    return f"no engine serves {target.title}: {'; '.join(refusals)}"


def _what_to_do(target: Target, asked: Sequence[EngineKind], kinds: Sequence[EngineKind]) -> str:
    """Returns the ways out: the fewest hints to leave out, a shorter time, or another engine."""
    ways: list[str] = []
    left_out: list[set[str]] = []
    for kind in (kind for kind in asked if kind.runs(target)):
        strange = set(kind.strange(target))
        if not strange:
            ways.append(f"give a timeout of {kind.longest:g} s at most")
        elif not any(other <= strange for other in left_out):
            left_out.append(strange)
            ways.append(f"leave out {' and '.join(sorted(strange))} for {kind.title}")
    others = [kind for kind in (*kinds, *known_kinds()) if kind not in asked and not kind.refusal(target)]
    if others and others[0] in kinds:
        ways.append(f"name the engine {others[0].name!r}")
    elif others:
        ways.append(f"add {others[0].name!r} to the application's engines")
    told = ", or ".join(ways)
    return told[:1].upper() + told[1:]
