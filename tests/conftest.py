"""Fixtures of all tests: a root of one's own, and an application on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import rheo_assets as flow


@pytest.fixture(scope="session")
def empty_dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster instance that nobody has used; making its tables takes longer than most tests."""
    from rheo_assets.assets.instance import open_instance

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
