"""Fixtures of all tests: a root of one's own, an application on it, and the Spark worker that they share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import rheo_assets as flow
from rheo_assets.platforms.local.spark import SparkEngine

# A busy machine is no reason to fail: nothing here is a test of speed. A change is held to the same examples every
# time, so that it fails for what it changes; `make fuzz` looks for new ones. `make fast` looks at few.
settings.register_profile("same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("quick", settings.get_profile("same"), max_examples=20)
settings.register_profile("new", settings.get_profile("same"), derandomize=False, max_examples=1000)
settings.load_profile("same")

_LONG = ("demo", "web", "spark")


def pytest_configure(config: pytest.Config) -> None:
    """Keeps the files of tests in memory where there is room, and lets their Spark workers end soon.

    SQLite waits for a disk at each of its many commits.
    """
    os.environ.setdefault("RHEO_SPARK_IDLE_SECONDS", "60")
    memory = Path("/dev/shm")
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not (memory.is_dir() and os.access(memory, os.W_OK)):
        return
    if shutil.disk_usage(memory).free > 2 << 30 and not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(memory)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with long tests first and quick ones last, so that no process ends up alone with a long one."""
    rank: dict[Path, int] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        found = next((n for n, name in enumerate(_LONG) if name in marks), len(_LONG) + ("fast" in marks))
        rank[item.path] = min(rank.get(item.path, found), found)
    items.sort(key=lambda item: rank[item.path])


@pytest.fixture(scope="session")
def empty_dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster instance that nobody has used; making its tables takes longer than most tests."""
    from rheo_assets.bridge.eventlog.instance import open_instance

    root = tmp_path_factory.mktemp("empty")
    os.environ.pop("DAGSTER_HOME", None)
    with open_instance(root) as instance:
        instance.get_run_records(limit=1)
    return root / "dagster"


@pytest.fixture
def root(tmp_path: Path, empty_dagster_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh local platform and Dagster instance."""
    shutil.copytree(empty_dagster_home, tmp_path / "dagster")
    monkeypatch.setenv("RHEO_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("RHEO_PLATFORM", "local")
    return tmp_path


@pytest.fixture
def new_app(root: Path) -> Callable[[str], flow.Application]:
    """Makes applications on the fresh root."""
    return lambda name="app": flow.Application(name, platform=flow.LocalPlatform(root))


@pytest.fixture
def app(new_app: Callable[[str], flow.Application]) -> flow.Application:
    """An application on the fresh root."""
    return new_app("app")


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one Spark worker for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "spark-home"


@pytest.fixture(scope="session")
def mortal_spark_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Spark worker of this process alone, for tests that end it."""
    return tmp_path_factory.getbasetemp() / "mortal-spark-home"


@pytest.fixture
def engine(tmp_path: Path, spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> SparkEngine:
    """A Spark engine over a root of its own, on the worker that all tests share."""
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    return SparkEngine(tmp_path / "spark")


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], Path]]:
    """Makes a folder a disk of 4 MB, which can be filled."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("a small disk cannot be mounted: there is no mount command")
        if done.returncode:
            pytest.skip(f"a small disk can only be mounted by root: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
