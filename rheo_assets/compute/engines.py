"""Which engine serves a target: by its language and hints, in an order of preference.

An engine is known here by what it can do; who runs it is the platform's affair (`platforms/capabilities.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from rheo_assets.compute.hints import COMMON_HINTS, EMR_HINTS, GLUE_HINTS
from rheo_assets.compute.targets import LAMBDA_SECONDS, Batch, Inlined, Target
from rheo_assets.compute.vocabulary import Lang
from rheo_assets.errors import CapabilityMissing, DeclarationError, did_you_mean

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
        lang = INLINED if isinstance(target, Inlined) else str(getattr(target, "lang", ""))
        if lang not in self.langs:
            return f"{self.title} does not run {lang}"
        strange = sorted(set(getattr(target, "hints", ())) - self.hints)
        if strange:
            return f"{self.title} does not know {', '.join(strange)}"
        asked = getattr(target, "timeout", None)
        if self.longest is not None and asked is not None and asked > self.longest:
            return f"{self.title} ends code after {self.longest:g} s, and timeout is {asked:g}"
        return ""


ATHENA: Final = EngineKind("athena", "Athena", frozenset({Lang.PRESTO_SQL}))
GLUE: Final = EngineKind("glue", "Glue", _SPARK, GLUE_HINTS | COMMON_HINTS)
EMR: Final = EngineKind("emr", "EMR", _SPARK, EMR_HINTS | COMMON_HINTS)
EMR_SERVERLESS: Final = EngineKind(
    "emr_serverless", "EMR Serverless", _SPARK, frozenset({"RuntimeConfig", "SparkCliArgs"}) | COMMON_HINTS
)
LAMBDA: Final = EngineKind("lambda", "Lambda", frozenset({INLINED}), frozenset(), LAMBDA_SECONDS)
PROCESS: Final = EngineKind("process", "a process of the run", frozenset({INLINED}), frozenset())

PREFERENCE: Final = (ATHENA, GLUE, EMR, EMR_SERVERLESS, LAMBDA, PROCESS)
"""The order in which engines are asked; those of other packages come after, sorted by name."""


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
    """Returns the engines that an application names, in its order; all where it names none.

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
        DeclarationError: None can; says why each cannot.
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
    refusals = []
    for kind in asked:
        refusal = kind.refusal(target)
        if not refusal:
            return replace(target, engine=kind.name)
        refusals.append(refusal)
    raise DeclarationError(where, f"no engine serves {target.title}: {'; '.join(refusals) or 'there is none'}")
