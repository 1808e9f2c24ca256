"""The engines of one platform by name: its own, and those of other packages. Opened at first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.engines import known_kinds, plugins, served
from rheo_assets.model.compute.targets import Batch, Inlined, Target
from rheo_assets.platforms.capabilities import Engine


class Engines:
    """Finds and opens engines.

    Args:
        platform: The platform of the engines.
        makers: The factories of the platform's own engines, by engine name.
    """

    def __init__(self, platform: Any, makers: Mapping[str, Callable[[], Engine]]) -> None:
        self._platform = platform
        self._makers = makers
        self._opened: dict[str, Engine] = {}
        self._lock = Lock()

    def of(self, target: Target) -> Engine:
        """Returns the engine that a target names.

        Raises:
            CapabilityMissing: The platform has no such engine, or its package is not installed.
        """
        if not isinstance(target, Batch | Inlined):
            raise CapabilityMissing(f"{target.title} needs no engine")
        named = target if target.engine else served(target, known_kinds(), target.title)
        assert isinstance(named, Batch | Inlined)
        with self._lock:
            if named.engine not in self._opened:
                self._opened[named.engine] = self._open(named.engine)
            return self._opened[named.engine]

    def _open(self, name: str) -> Engine:
        if name in self._makers:
            return self._makers[name]()
        if name in plugins():
            return self._of_plugin(name)
        known = ", ".join([*self._makers, *plugins()])
        raise CapabilityMissing(f"the {self._platform.name} platform has no engine {name!r}; it has {known}")

    def _of_plugin(self, name: str) -> Engine:
        try:
            opened: Engine = plugins()[name].open(self._platform)
        except CapabilityMissing:
            raise
        except Exception as error:
            where = f"engine {name!r} cannot be opened on the {self._platform.name} platform"
            raise CapabilityMissing(f"{where}: {type(error).__name__}: {error}") from error
        return opened
