"""A machine that lacks something: said at activation, with what to do, and before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from importlib.machinery import PathFinder
from rheo_assets import *

blocked, target = sys.argv[1].split(","), eval(sys.argv[2])


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Without
app = Application("shop")
try:
    app.create_data("made", compute_targets=[target])
    app.activate()
except RuntimeError as error:
    print("refused:", error)
else:
    print("activated")
"""


def activation(root: Path, blocked: str = "", target: str = "NOOPCompute", **environment: str) -> str:
    """Activates an application of one node in another process; returns what it said."""
    script = root / "program.py"
    script.write_text(PROGRAM)
    plain = {name: text for name, text in os.environ.items() if name not in {"DAGSTER_HOME", "RHEO_HOME"}}
    said = {"RHEO_HOME": str(root / "home"), "RHEO_PLATFORM": "local", **environment}
    done = subprocess.run(
        [sys.executable, str(script), blocked, target],
        env={**plain, **said},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("blocked", "target", "said"),
    [
        ("pyspark", "Spark('output = 1')", "pip install 'rheo-assets[spark,java]'"),
        ("duckdb", "PrestoSQL('select 1 as x')", "Presto SQL needs duckdb here: run pip install duckdb"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_pip_line(
    tmp_path: Path, blocked: str, target: str, said: str
) -> None:
    found = activation(tmp_path, blocked, target)
    assert found.startswith("refused:")
    assert "of 'made' cannot run here" in found
    assert said in found


def test_packages_that_no_node_needs_are_not_missed(tmp_path: Path) -> None:
    assert activation(tmp_path, "pyspark,duckdb,boto3,pandas") == "activated"


def test_aws_without_its_package_says_the_pip_line(tmp_path: Path) -> None:
    assert "pip install 'rheo-assets[aws]'" in activation(tmp_path, "boto3", RHEO_PLATFORM="aws")


def test_another_platform_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    assert "RHEO_PLATFORM is 'azure': set it to 'local' or 'aws'" in activation(tmp_path, RHEO_PLATFORM="azure")


@pytest.mark.parametrize("place", ["/proc/nowhere", "taken/below"])
def test_a_home_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").touch()
    home = str(tmp_path / place)
    found = activation(tmp_path, RHEO_HOME=home)
    assert found.startswith(f"refused: application 'shop' cannot write to {home!r}: ")
    assert "Set RHEO_HOME" in found


@pytest.mark.parametrize("settings", [None, "storage: [", "storage:\n  nonsense:\n    x: 1"])
def test_a_dagster_home_that_cannot_be_opened_is_named_with_what_to_do(tmp_path: Path, settings: str | None) -> None:
    place = tmp_path / "dagster"
    if settings is None:
        place.touch()
    else:
        place.mkdir()
        (place / "dagster.yaml").write_text(settings)
    found = activation(tmp_path, DAGSTER_HOME=str(place))
    assert f"the Dagster instance at DAGSTER_HOME={place} cannot be opened" in found
    assert "set DAGSTER_HOME to another folder" in found
