"""The package and the script that a job gets."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.platforms.aws.package import needed_modules, runner_package
from rheo_assets.platforms.aws.spark.script import job_script, literal
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.scala_bridge import bridge_digest
from rheo_assets.runner.task import Task, TaskOutput

# Neither this checkout nor an installed copy of it may help: what is imported comes from the zip.
ISOLATED = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
sys.path[:] = [{zip!r}, *(path for path in sys.path if "site-packages" not in path)]
import rheo_assets.runner.remote as remote
import rheo_assets.runner.spark, dagster_pipes
assert remote.__file__.startswith({zip!r}), remote.__file__
assert dagster_pipes.__file__.startswith({zip!r}), dagster_pipes.__file__
{code}
print("imported", sorted(name for name in sys.modules if name.partition(".")[0] in ("dagster", "boto3", "pyspark")))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "runner.zip"
    path.write_bytes(runner_package().content)
    return path


def run_isolated(package: Path, code: str) -> str:
    text = ISOLATED.format(zip=str(package), code=code)
    done = subprocess.run(
        [sys.executable, "-I", "-c", text], cwd=package.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_alone_imports_and_reports_without_anything_installed(package):
    code = """
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from rheo_assets.runner.remote_messages import reporting
files = {}
try:
    with reporting(Task("n", "PYTHON", "", (), TaskOutput("s3://b/k")), files.__setitem__):
        print("said")
        raise TaskFailure("user", "no")
except TaskFailure as failure:
    assert failure.message == "no"
assert '"text": "said\\\\n"' in files["1.json"], files
"""
    assert "imported []" in run_isolated(package, code)


def test_every_module_of_the_package_imports_what_is_in_it(package):
    with zipfile.ZipFile(package) as archive:
        modules = [
            name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for name in archive.namelist()
            if name.startswith("rheo_assets/") and name.endswith(".py")
        ]
    assert {"rheo_assets.runner.remote", "rheo_assets.runner.spark", "rheo_assets.runner.task"} <= set(modules)
    run_isolated(package, "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules))


def test_what_the_modules_read_is_in_the_package_too(package):
    code = """
from rheo_assets.runner.scala_bridge import bridge_digest
print(bridge_digest())
"""
    assert bridge_digest() in run_isolated(package, code)


def test_imports_inside_functions_are_followed():
    assert "rheo_assets.runner.user_code" in needed_modules("rheo_assets.runner.spark")
    assert not any("dagster" in name or "platforms" in name for name in needed_modules("rheo_assets.runner.remote"))


def test_the_same_source_is_the_same_package_and_is_uploaded_once(tmp_path):
    storage = LocalStorage(tmp_path)
    uri = runner_package().upload(storage, "s3://rheo-shop")
    assert uri == f"s3://rheo-shop/runner/{runner_package().digest}.zip"
    first = storage.version(uri)
    runner_package.cache_clear()
    assert runner_package().upload(storage, "s3://rheo-shop") == uri
    assert storage.version(uri) == first


@given(st.text() | st.lists(st.sampled_from(["'''", '"""', "\\", "\n", "\r", "x", "'", '"'])).map("".join))
def test_a_literal_says_the_text_again(text):
    assert eval(literal(text)) == text


def test_the_script_shows_the_code_as_it_was_written():
    code = "from x import y\noutput = orders.where(\"name = 'O\\\\'Hare'\")"
    script = job_script(Task("no\nde", "PYTHON", code, (), TaskOutput("s3://b/k"), application="shop"))
    assert code in script
    assert "# The PYTHON code of node 'no\\nde', application 'shop', target 0." in script
    tree = ast.parse(script)
    assert isinstance(tree.body[0], ast.Assign)
