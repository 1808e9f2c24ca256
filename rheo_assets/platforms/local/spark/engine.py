"""The Spark engine of the local platform."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rheo_assets.platforms.local.spark.client import run_on_worker, stop_worker
from rheo_assets.platforms.local.spark.filesystem import spark_jars
from rheo_assets.platforms.local.spark.java import NoJava, find_java
from rheo_assets.platforms.local.spark.protocol import Home
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.spark import LANGUAGES
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

# https://docs.aws.amazon.com/glue/latest/dg/release-notes.html
_SPARK_OF_GLUE = {"2.0": "2.4", "3.0": "3.1", "4.0": "3.3", "5.0": "3.5", "5.1": "3.5", "6.0": "4.1"}
_logged: set[tuple[str, str, str]] = set()  # the warnings that this process has logged


class SparkEngine:
    """Runs `PYTHON`, `SCALA` and `SPARK_SQL` tasks on the Spark worker that all processes of one root share.

    Attributes:
        root: The local platform's root.
    """

    title = "Spark"
    languages = LANGUAGES

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self._storage = LocalStorage(self.root)

    def check(self) -> None:
        """Checks that Spark can run here.

        Raises:
            ModuleNotFoundError: pyspark is not installed; the message has the pip command.
            NoJava: No Java can run Spark; the message has the pip command.
        """
        spark_jars()
        find_java()

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task to its end; see `Engine.run`."""
        try:
            spark_jars()
            self._prepare(task)
            self._log_version(task, log)
            return run_on_worker(Home.of(self.root), self.root, task, log, cancelled)
        except (ModuleNotFoundError, NoJava) as error:
            raise lasting_failure(f"{task.node!r}: {error}") from error
        except ValueError as error:
            raise TaskFailure("user", f"{task.node!r}: {error}") from error

    def stop(self) -> bool:
        """Stops the worker after its tasks; returns whether one was running."""
        return stop_worker(Home.of(self.root))

    def _log_version(self, task: Task, log: Callable[[str], None]) -> None:
        """Logs, once per node and process, that another Spark runs here than in the node's Glue version."""
        asked = str(task.hints.get("GlueVersion", ""))
        theirs = _SPARK_OF_GLUE.get(asked)
        scala, ours = _versions()
        key = (task.application, task.node, asked)
        if theirs is not None and not ours.startswith(f"{theirs}.") and key not in _logged:
            _logged.add(key)
            log(f"'{task.node}': GlueVersion {asked} (Spark {theirs}) runs here on Spark {ours} (Scala {scala})")

    def _prepare(self, task: Task) -> None:
        """Checks that no path leaves the root, and creates the output's bucket."""
        folder = self._storage.path(task.output.path)
        bucket = next(parent for parent in [folder, *folder.parents] if parent.parent == self.root / "s3")
        if folder == bucket:
            raise ValueError(f"its output {task.output.path!r} is a bucket without a key")
        for item in task.inputs:
            for path in item.paths:
                self._storage.path(path)
        bucket.mkdir(parents=True, exist_ok=True)


def _versions() -> tuple[str, str]:
    """Returns the versions of Scala and Spark in pyspark."""
    names = " ".join(jar.name for jar in spark_jars().glob("spark-core_*.jar"))
    found = re.search(r"spark-core_([\d.]+)-([\d.]+)\.jar", names)
    return (found[1], found[2]) if found else ("", "")
