"""The local platform: real storage and engines in one folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.capabilities import RETRY_FOR, Engine
from rheo_assets.platforms.engines import Engines
from rheo_assets.platforms.home import rheo_home
from rheo_assets.platforms.local.catalog import LocalCatalog
from rheo_assets.platforms.local.storage import LocalStorage


class LocalPlatform:
    """Storage, engines and catalog of one machine.

    Args:
        root: The folder that holds everything. Defaults to `RHEO_HOME`, else `~/.rheo`.
        retry_for: How long an execution waits for an engine that is unavailable, seconds. The default is a day.
    """

    name = "local"
    concurrency = 2

    def __init__(self, root: str | Path | None = None, *, retry_for: float = RETRY_FOR) -> None:
        self.root = rheo_home(root)
        self.retry_for = retry_for
        self.storage = LocalStorage(self.root)
        makers = {
            **dict.fromkeys(("glue", "emr", "emr_serverless"), self._spark),
            **dict.fromkeys(("lambda", "process"), self._functions),
            "athena": self._presto,
        }
        self._engines = Engines(self, makers)

    def bucket(self, application: str) -> str:
        """Returns the bucket that holds an application's own data and state."""
        return f"rheo-{application}"

    def prepare(self, application: str) -> None:
        """Creates the root; other folders are created by the first write.

        Raises:
            CapabilityMissing: The root is not writable.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise CapabilityMissing(
                f"application '{application}' cannot write to {str(self.root)!r}: {error.strerror or error}. "
                "Set RHEO_HOME, or LocalPlatform(root), to a writable folder with free space"
            ) from error

    def engine(self, target: Target) -> Engine:
        """Returns the engine that runs a target.

        Raises:
            CapabilityMissing: A package is not installed.
        """
        return self._engines.of(target)

    @cached_property
    def catalog(self) -> LocalCatalog:
        """The catalog that `app.glue_table` reads."""
        return LocalCatalog(self.root)

    def _functions(self) -> Engine:
        from rheo_assets.platforms.local.functions import FunctionEngine

        return FunctionEngine(self.root)

    def _presto(self) -> Engine:
        if importlib.util.find_spec("duckdb") is None:
            raise CapabilityMissing("Presto SQL needs duckdb here: run pip install duckdb")
        from rheo_assets.platforms.local.presto.engine import PrestoEngine

        return PrestoEngine(self.root)

    def _spark(self) -> Engine:
        if importlib.util.find_spec("pyspark") is None:
            raise CapabilityMissing("Spark is not installed here: run pip install 'rheo-assets[spark,java]'")
        from rheo_assets.platforms.local.spark.engine import SparkEngine

        return SparkEngine(self.root)

    def save_private(self, uri: str, content: bytes) -> None:
        """Writes an object that only its owner can read."""
        if self.storage.version(uri) is None:
            self.storage.write(uri, content, private=True)

    def params(self) -> Mapping[str, Any]:
        """Returns the entries of a callable's `params` besides `dimensions`."""
        return {"platform": self.name}

    def __repr__(self) -> str:
        return f"LocalPlatform({str(self.root)!r})"
