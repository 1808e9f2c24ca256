"""The packages that a callable requires: packed for Lambda when the application is activated, or refused then."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets import AwsPlatform, InlinedCompute
from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.functions.lambdas import LambdaFunctions, LambdaSettings
from rheo_assets.platforms.aws.functions.package import function_code, function_package, install
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from tests.cases.topologies import S3, node
from tests.platforms.aws.doubles.engines import home, lambda_role, patient
from tests.platforms.aws.doubles.functions import LambdaDouble
from tests.platforms.aws.doubles.world import World

BUCKET = "rheo-shop"


def wheel(folder: Path, version: str = "1.0", tag: str = "py3-none-any") -> None:
    """Builds a wheel of `toy_words` by hand."""
    folder.mkdir(exist_ok=True)
    about = f"toy_words-{version}.dist-info"
    with zipfile.ZipFile(folder / f"toy_words-{version}-{tag}.whl", "w") as archive:
        archive.writestr("toy_words.py", "WORD = 'packed'\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: toy-words\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip finds."""
    wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    function_package.cache_clear()
    return tmp_path / "wheels"


@pytest.fixture
def double(world: World, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaDouble]:
    world.reset(BUCKET)
    double = LambdaDouble(scratch / "functions", world)
    double.replace(monkeypatch)
    yield double
    double.close()


def word(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
    import toy_words

    return {"word": toy_words.WORD}


def task(world: World, *requirements: str) -> Task:
    blob = f"s3://{BUCKET}/blobs/word"
    world.storage.write(blob, dump_callable(word, "words"))
    output = TaskOutput(f"s3://{BUCKET}/out")
    return Task("words", "INLINED", blob, (), output, application="shop", token="t-0", requirements=requirements)


def functions(world: World) -> LambdaFunctions:
    return LambdaFunctions(Account(world.clients, world.storage, home), LambdaSettings(lambda_role(world)))


def test_pinned_requirements_travel_in_the_package(index: Path, world: World, double: LambdaDouble) -> None:
    result = patient(functions(world), slowest=0.2).run(task(world, "toy-words==1.0"), print, lambda: False)
    assert result.metadata["word"] == "packed"


def test_a_version_that_there_is_not_fails_once_and_with_its_name(
    index: Path, world: World, double: LambdaDouble
) -> None:
    with pytest.raises(TaskFailure) as told:
        patient(functions(world)).run(task(world, "toy-words==99.99"), print, lambda: False)
    assert (told.value.kind, told.value.unresolved) == ("user", False)
    assert (
        "'words': the requirements toy-words==99.99 cannot be packed for Lambda: No matching distribution found for "
        "toy-words==99.99. Name versions that have a wheel for Python 3."
    ) in told.value.message


WHEELS = [
    ("3.11", "manylinux_2_17_x86_64", True),
    ("3.11", "manylinux2014_x86_64", True),
    ("3.11", "manylinux_2_28_x86_64", False),
    ("3.12", "manylinux_2_28_x86_64", True),
    ("3.13", "manylinux_2_28_x86_64", True),
    ("3.13", "manylinux_2_34_x86_64", True),
    ("3.13", "manylinux2014_x86_64", True),
    ("3.13", "manylinux_2_35_x86_64", False),
    ("3.13", "manylinux_2_28_aarch64", False),
]


@pytest.mark.parametrize(("python", "platform", "runs"), WHEELS)
def test_wheels_are_those_that_lambda_s_python_of_the_version_runs(
    index: Path, tmp_path: Path, python: str, platform: str, runs: bool
) -> None:
    tag = f"cp{python.replace('.', '')}"
    wheel(index, "2.0", f"{tag}-{tag}-{platform}")
    if runs:
        install(("toy-words==2.0",), str(tmp_path / "out"), python)
        assert (tmp_path / "out" / "toy_words.py").exists()
        return
    with pytest.raises(CapabilityMissing) as told:
        install(("toy-words==2.0",), str(tmp_path / "out"), python)
    if python == "3.11":
        assert "newer Linux than Lambda's Python 3.11 has" in str(told.value)
        assert "Run the application with Python 3.12 or later" in str(told.value)
    else:
        assert f"Name versions that have a wheel for Python {python}" in str(told.value)


def test_what_pip_ignored_is_not_the_reason(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = index / "yanked" / "toy-words"
    page.mkdir(parents=True)
    (index / "toy_words-1.0-py3-none-any.whl").rename(page / "toy_words-1.0-py3-none-any.whl")
    link = '<a href="toy_words-1.0-py3-none-any.whl" data-yanked="broken">toy_words-1.0-py3-none-any.whl</a>'
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", page.parent.as_uri())
    with pytest.raises(CapabilityMissing, match=r"for Lambda: No matching distribution found for toy-words==2\.0\."):
        function_package(("toy-words==2.0",))


def test_an_index_out_of_reach_is_told_as_such_and_tried_again(
    index: Path, world: World, double: LambdaDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(TaskFailure, match="pip does not reach its package index from here") as told:
        patient(functions(world)).run(task(world, "no-such-words==2.0"), print, lambda: False)
    assert told.value.kind == "platform"


def test_pip_is_asked_once_for_an_application(index: Path, world: World, double: LambdaDouble) -> None:
    wanted = ("toy-words==1.0",)
    first = function_code(wanted, world.storage, "s3://rheo-shop")
    (index / "toy_words-1.0-py3-none-any.whl").unlink()
    function_package.cache_clear()  # as another process
    assert function_code(wanted, world.storage, "s3://rheo-shop") == first
    world.storage.delete(first.uri)
    with pytest.raises(CapabilityMissing, match="cannot be packed"):
        function_code(wanted, world.storage, "s3://rheo-shop")


def shop(world: World, root: Path, **more: Any) -> flow.Application:
    """Returns an application on AWS whose node `words` has a callable."""
    keys = world.clients.child_environment()
    platform = AwsPlatform(
        role="arn:aws:iam::123456789012:role/functions",
        access_id=keys["AWS_ACCESS_KEY_ID"],
        access_key=keys["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=world.url,
    )
    world.clients.client("s3").create_bucket(Bucket="outside")
    app = flow.Application("kiosk", "us-east-1", platform=platform)
    orders = S3(app, "orders", "day")
    node(app, "words", [orders], compute_targets=[InlinedCompute(word, **more)])
    return app


def test_activation_packs_what_lambda_needs_or_refuses(
    index: Path, world: World, double: LambdaDouble, root: Path
) -> None:
    with pytest.raises(
        CapabilityMissing, match=r"callable 'word' of 'words' cannot run here: the requirements toy-words"
    ):
        shop(world, root, requirements=["toy-words==99.99"]).activate()
    app = shop(world, root, requirements=["toy-words==1.0"])
    app.activate()
    bucket = app.platform.bucket("kiosk")
    assert list(world.storage.children(f"s3://{bucket}/runner/functions"))


@pytest.mark.parametrize("more", [{"engine": "process"}, {"timeout": 3600.0}])
def test_activation_refuses_what_a_process_lacks(world: World, double: LambdaDouble, root: Path, more: Any) -> None:
    said = r"callable 'word' of 'words' cannot run here: its Python lacks toy-words==1\.0 \(not installed\)\. Run"
    with pytest.raises(CapabilityMissing, match=said):
        shop(world, root, requirements=["toy-words==1.0"], **more).activate()
