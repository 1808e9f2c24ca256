"""The Spark worker that the tests of this folder share with those of `tests/platforms/local`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of one worker for the whole session; it also ends by itself soon after."""
    home = tmp_path_factory.getbasetemp() / "spark-home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RHEO_SPARK_HOME", str(home))
        patch.setenv("RHEO_SPARK_IDLE_SECONDS", "60")
        yield home


@pytest.fixture
def engine(tmp_path: Path, spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> SparkEngine:
    """An engine over a root of its own, on the shared worker."""
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    return SparkEngine(tmp_path)
