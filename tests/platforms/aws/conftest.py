"""Fixtures of the AWS platform's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms.aws.doubles.world import World, running_world


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what doubles may use again: unpacked functions, a warm query engine."""
    return tmp_path_factory.mktemp("doubles")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """AWS on this machine; a test that uses it resets it first."""
    with running_world() as world:
        yield world
