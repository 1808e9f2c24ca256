"""An engine on the Spark worker that all tests share."""

from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine


@pytest.fixture
def engine(tmp_path: Path, spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> SparkEngine:
    """An engine over a root of its own, on the shared worker."""
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    return SparkEngine(tmp_path)
