"""Fixtures of all tests: a root of one's own, and an application on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rheo_assets as flow


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh local platform and Dagster instance."""
    monkeypatch.setenv("RHEO_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("RHEO_PLATFORM", "local")
    yield tmp_path


@pytest.fixture
def new_app(root: Path) -> Callable[[str], flow.Application]:
    """Makes applications on the fresh root."""
    return lambda name="app": flow.Application(name, platform=flow.LocalPlatform(root))


@pytest.fixture
def app(new_app: Callable[[str], flow.Application]) -> flow.Application:
    """An application on the fresh root."""
    return new_app("app")
