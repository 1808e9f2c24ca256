"""The packages that a callable requires, where it runs in this Python."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

import rheo_assets as flow
from rheo_assets import InlinedCompute, LocalPlatform
from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.local.functions import FunctionEngine
from rheo_assets.platforms.local.requirements import Unmet, refusal, unmet
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from tests.cases.topologies import S3, node

PYTEST = version("pytest")


@pytest.mark.fast
def test_a_package_is_found_in_any_spelling_and_in_its_version_only():
    assert unmet([f"PyTest=={PYTEST}", f"pytest[testing] == {PYTEST}"]) == []
    assert unmet(["pytest==1.0", "no_such.package==2"]) == [
        Unmet("pytest==1.0", PYTEST),
        Unmet("no_such.package==2", ""),
    ]


@pytest.mark.fast
def test_the_line_for_pip_can_be_pasted_into_a_shell():
    assert refusal([Unmet("a[b]==1", "")]).endswith("Run `pip install 'a[b]==1'` here")


def task(folder: Path, *requirements: str) -> Task:
    (folder / "blob").write_bytes(dump_callable(lambda inputs, output, params: None))
    output = TaskOutput("s3://lake/report/2024-01-01")
    return Task("report", "INLINED", str(folder / "blob"), (), output, requirements=requirements)


def test_a_callable_without_its_package_does_not_start(tmp_path):
    with pytest.raises(TaskFailure) as told:
        FunctionEngine(tmp_path).run(task(tmp_path, "no-such-words==2.0"), print, lambda: False)
    assert told.value.kind == "user"
    assert told.value.message == (
        "node 'report': its callable cannot run here: its Python lacks no-such-words==2.0 (not installed). "
        "Run `pip install no-such-words==2.0` here"
    )


def test_another_version_than_on_lambda_is_a_warning(tmp_path):
    result = FunctionEngine(tmp_path).run(task(tmp_path, "pytest==1.0"), print, lambda: False)
    assert result.warnings == (f"node 'report': its callable ran without pytest==1.0 ({PYTEST} is installed)",)
    assert FunctionEngine(tmp_path).run(task(tmp_path, f"pytest=={PYTEST}"), print, lambda: False).warnings == ()


def test_activation_refuses_a_callable_without_its_package(root):
    app = flow.Application("shop", "us-east-1", platform=LocalPlatform(root))
    orders = S3(app, "orders", "day")
    node(app, "fits", [orders], compute_targets=[InlinedCompute(print, requirements=["pytest==1.0"])])
    app.activate()
    node(app, "report", [orders], compute_targets=[InlinedCompute(print, requirements=["no-such-words==2.0"])])
    with pytest.raises(
        CapabilityMissing, match=r"callable 'print' of 'report' cannot run here: its Python lacks no-such-"
    ):
        app.activate()
