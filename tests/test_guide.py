"""The user guide's snippets run as they are written, after those of `declare-data.md`, as the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^`([\w/.]+)`:\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = {
    "add-an-engine.md",  # tests/platforms/test_plugins.py installs it
    "aws.md",  # the snippets of these three are made for an account
    "aws-engines.md",
    "athena-and-lambda.md",
    "team-repository.md",  # below
}

Names = dict[str, Any]


def run(page: str, names: Names) -> None:
    for number, snippet in enumerate(_PYTHON.findall((GUIDE / page).read_text(encoding="utf-8")), start=1):
        exec(compile(snippet, f"{page}, snippet {number}", "exec"), names)


def land(names: Names, *days: int) -> None:
    for day in days:
        folder = Path(names["app"].materialize(names["orders"]["NA"][f"2024-03-{day:02}"])[0])
        folder.mkdir(parents=True)
        (folder / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
        (folder / "_SUCCESS").touch()


def others_data(names: Names) -> None:
    """Datasets beside `orders` that a page joins it with."""
    dataset, success = names["S3Dataset"], names["SignalIntegrityProtocol"]("FILE_CHECK", {"file": "_SUCCESS"})
    for name, day in (("shipments", "ship_day"), ("returns", "day")):
        spec = {day: {"type": "DATETIME"}}
        where = dataset("1", "lake", name, "{}")
        names[name] = names["app"].marshal_external_data(where, name, spec, protocol=success)


def a_week(names: Names) -> None:
    land(names, *range(1, 8))


def a_week_that_waits(names: Names) -> None:
    app, totals = names["app"], names["totals"]
    inputs = {"days": totals["*"][:-7].range_check(True)}
    names["week"] = app.create_data(
        "week", inputs, compute_targets=names["SparkSQL"]("select sum(amount) as amount from days")
    )
    land(names, *range(1, 8))
    app.patch_data("totals", compute_targets=[names["NOOPCompute"]])
    app.activate()
    for day in (1, 2, 3, 4, 7):
        app.process(names["orders"]["NA"][f"2024-03-{day:02}"], target_route_id="totals")


def an_earlier_session(names: Names) -> None:
    land(names, 2)
    names["app"].activate()


SCENES: dict[str, Callable[[Names], None]] = {
    "backfilling.md": a_week,
    "finding-out-why.md": a_week_that_waits,
    "links.md": others_data,
    "recorded-applications.md": an_earlier_session,
}
PAGES = sorted(
    page.name for page in GUIDE.glob("*.md") if page.name not in ELSEWHERE and _PYTHON.search(page.read_text())
)


@pytest.mark.spark
@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_of_a_page_run_as_they_are_written(
    page: str, root: Path, spark_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    names: Names = {"__name__": "snippets"}
    run("declare-data.md", names)
    if page == "declare-data.md":
        return
    exec("from rheo_assets import *", names)
    SCENES.get(page, lambda names: None)(names)
    run(page, names)
    if (root / "s3/rheo-shop/state").exists():
        names["app"].settle()  # what the page set off ends before its folder goes
    if page == "finding-out-why.md":
        text = (GUIDE / page).read_text(encoding="utf-8")
        assert re.findall(r"^```\n(week.*?)```", text, re.MULTILINE | re.DOTALL)[0] in capsys.readouterr().out


@pytest.mark.web
def test_a_team_repository_made_as_the_page_says_is_tested_and_loaded(tmp_path: Path) -> None:
    text = (GUIDE / "team-repository.md").read_text(encoding="utf-8")
    files = dict(_FILE.findall(text))
    assert {Path(name).parts[0] for name in files} == {
        "definitions",
        "resources",
        "tests",
        "workspace.yaml",
        "pytest.ini",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(content))
    kept = {name: value for name, value in os.environ.items() if name not in {"DAGSTER_HOME", "PYTHONPATH"}}
    environment = {**kept, "RHEO_HOME": str(tmp_path / ".rheo"), "RHEO_PLATFORM": "local"}
    for command in (["pytest", "-q"], ["dagster", "definitions", "validate", "-w", "workspace.yaml"]):
        program = [str(Path(sys.executable).parent / command[0]), *command[1:]]
        ended = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
