"""Engines of other packages: found by their entry point, used like our own. The guide's page is the package."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from moto import mock_aws

import rheo_assets as flow
from rheo_assets.bridge.names import asset_key
from rheo_assets.errors import CapabilityMissing, DeclarationError, ExecutionFailed
from rheo_assets.model.compute.engines import plugins

PAGE = Path(__file__).parents[2] / "docs/guide/add-an-engine.md"
ENGINE, APPLICATION = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
ENTRY = re.search(r'^words = "(.*)"$', PAGE.read_text(encoding="utf-8"), re.MULTILINE)

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages: a module and what their `entry_points.txt` says."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def install(module: str, source: str, **engines: str) -> None:
        (site / f"{module}.py").write_text(source)
        about = site / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in engines.items())
        (about / "entry_points.txt").write_text(f"[rheo_assets.engines]\n{lines}")
        modules.append(module)
        plugins.cache_clear()

    yield install
    for module in modules:
        sys.modules.pop(module, None)
    plugins.cache_clear()


@pytest.fixture
def words(install: Install) -> None:
    assert ENTRY is not None
    install("words_engine", ENGINE, words=ENTRY[1])


def greeting(app: flow.Application, code: str = "good morning", **said: str) -> flow.Signal:
    daily = app.add_timer("daily", "rate(1 day)", time_dimension_id="day")
    target = flow.BatchCompute(code, lang="WORDS")
    return app.create_data("greeting", inputs=[daily], compute_targets=[target], **{"dataset_format": "json", **said})


def landed(app: flow.Application, uri: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in app.platform.storage.read(f"{uri}/part-0.json").splitlines()]


def test_the_guides_engine_runs_the_guides_application(root: Path, words: None) -> None:
    told = io.StringIO()
    names: dict[str, flow.Application] = {}
    with redirect_stderr(told):
        exec(compile(APPLICATION, str(PAGE), "exec"), names)
    app = names["app"]
    assert "greetings: Words runs greeting" in told.getvalue()
    path, records = app.poll(app["greeting"]["2024-03-01"])
    assert [record.engine for record in records or ()] == ["Words 1.0"]
    assert (Path(path) / "_SUCCESS").exists()
    lines = (Path(path) / "part-0.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"word": "good"}, {"word": "morning"}]


def test_its_asset_shows_the_language_and_the_engine(words: None, app: flow.Application) -> None:
    node = greeting(app)
    app.activate()
    app.execute(node["2024-03-01"])
    graph = app.definitions().resolve_asset_graph()
    shown = graph.get(asset_key("app", "greeting"))
    assert {"words", "json"} <= shown.kinds
    assert shown.metadata["engine"] == "Words"


def test_its_failures_are_those_of_the_users_node(words: None, app: flow.Application) -> None:
    node = greeting(app, dataset_format="parquet")
    with pytest.raises(ExecutionFailed, match="'greeting': Words writes json, not parquet"):
        app.execute(node["2024-03-01"])


def test_it_runs_on_aws_too(words: None, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        app = flow.Application("greetings", platform=flow.AwsPlatform(region="us-east-1"))
        node = greeting(app)
        path = app.execute(node["2024-03-01"])
        assert path.startswith("s3://")
        content = app.platform.storage.read(f"{path}/part-0.json")
        assert content == b'{"word": "good"}\n{"word": "morning"}\n'


def test_without_its_package_the_language_is_unknown(app: flow.Application) -> None:
    with pytest.raises(DeclarationError, match="lang is 'WORDS'"):
        greeting(app)


def test_a_package_that_cannot_be_loaded_is_named_with_the_reason(app: flow.Application, install: Install) -> None:
    install("broken_engine", "import no_such_module\n", broken="broken_engine:Engine")
    with pytest.raises(
        CapabilityMissing,
        match=r"'broken' of 'broken_engine:Engine' cannot be loaded: ModuleNotFoundError: .*no_such_mod",
    ):
        greeting(app)


def test_an_engine_with_a_taken_name_is_refused(app: flow.Application, words: None, install: Install) -> None:
    install("glue_engine", ENGINE.replace('EngineKind("words"', 'EngineKind("glue"'), mine="glue_engine:Words")
    with pytest.raises(
        CapabilityMissing, match="engine 'glue' of 'glue_engine:Words' has the same name as another engine"
    ):
        greeting(app)


def test_two_packages_with_the_same_engine_are_refused(app: flow.Application, words: None, install: Install) -> None:
    install("other_words", ENGINE, words="other_words:Words")
    with pytest.raises(
        CapabilityMissing, match=r"engine 'words' of '.*words.*:Words' has the same name as another engine"
    ):
        greeting(app)


def test_an_engine_without_open_is_refused(app: flow.Application, install: Install) -> None:
    install("half_engine", ENGINE.replace("def open(", "def close("), half="half_engine:Words")
    with pytest.raises(CapabilityMissing, match=r"'half' of 'half_engine:Words' has no method open\(platform\)"):
        greeting(app)


def test_an_engine_that_cannot_be_opened_is_told_at_activation(
    install: Install, new_app: Callable[[str], flow.Application]
) -> None:
    install("shy_engine", ENGINE.replace("return WordsEngine", "return platform.no_such_thing"), shy="shy_engine:Words")
    app = new_app("app")
    greeting(app)
    with pytest.raises(CapabilityMissing, match="engine 'words' cannot be opened on the local platform: Attribute"):
        app.activate()
