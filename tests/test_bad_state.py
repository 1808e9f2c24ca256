"""Two programs of one name, damaged records, pickles and credentials: told, harmless, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import rheo_assets as flow
from rheo_assets import Application, InlinedCompute
from rheo_assets.errors import KeyTaken, StateError
from tests.cases.topologies import S3, cycle, file, node, ran

FIRST = "2024-01-01"

# one key twice ------------------------------------------------------------------------------------------------


def test_two_nodes_that_dagster_cannot_tell_apart_are_refused(app: Application) -> None:
    node(app, "daily-delays")
    with pytest.raises(KeyTaken, match=r"'daily-delays'\. Both have the same step name"):
        node(app, "daily_delays")
    node(app, "daily-delays-2")
    app.definitions()


OTHER = """
    import sys
    import rheo_assets as flow
    app = flow.Application("app", platform=flow.LocalPlatform(sys.argv[1]))
    app.create_data("theirs", compute_targets=[flow.NOOPCompute])
    app.activate()
    print("active", flush=True)
    sys.stdin.read()
"""


def test_a_live_program_of_the_same_name_is_not_replaced_and_a_dead_one_only_with_a_warning(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    script = root / "other.py"
    script.write_text(textwrap.dedent(OTHER))
    node(app, "ours")
    with subprocess.Popen(
        [sys.executable, str(script), str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "active\n"
        with pytest.raises(KeyTaken, match=r"'app'.*other\.py.*topologies\.py.*Rename one"):
            app.activate()
        recorded = Application("app", platform=flow.LocalPlatform(root))
        assert recorded["theirs"].id == "theirs"
        recorded.create_data("more", compute_targets=[flow.NOOPCompute])
        recorded.activate()  # adds to it, and takes nothing away
        assert {"theirs", "more"} <= set(Application("app", platform=flow.LocalPlatform(root)).topology.nodes)
        assert other.stdin is not None
        other.stdin.close()
    fresh = Application("app", platform=flow.LocalPlatform(root))
    node(fresh, "ours")
    fresh.activate()
    assert "ours" in Application("app", platform=flow.LocalPlatform(root)).topology


def test_a_record_of_a_dead_program_is_replaced_with_a_warning(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    script = root / "other.py"
    script.write_text(textwrap.dedent(OTHER))
    subprocess.run([sys.executable, str(script), str(root)], input="", check=True, capture_output=True, text=True)
    node(app, "ours")
    app.activate()
    assert "other.py" in caplog.text
    assert "rename one of them" in caplog.text


def test_two_applications_of_one_name_do_not_load_together(new_app: Callable[[str], Application]) -> None:
    one, other = new_app("shop"), new_app("shop")
    node(one, "made")
    node(other, "made")
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="shop"):
        dg.Definitions.validate_loadable(dg.Definitions.merge(one.definitions(), other.definitions()))


# recorded state -----------------------------------------------------------------------------------------------

DAMAGED = [b'{"vers', b"[]"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_declaration_is_told_and_replaced_by_activating_the_source(
    root: Path, new_app: Callable[[str], Application], content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    app = new_app("app")
    node(app, "made")
    app.activate()
    record = root / "s3/rheo-app/state/declaration.json"
    record.write_bytes(content)
    with pytest.raises(StateError, match=r"declaration\.json is damaged.*Activate"):
        new_app("app")["made"]
    again = new_app("app")
    node(again, "made")
    again.activate()
    assert new_app("app")["made"].id == "made"
    assert "declaration.json.damaged" in caplog.text
    assert record.with_name("declaration.json.damaged").read_bytes() == content


@pytest.mark.parametrize("content", [*DAMAGED, b"{}"])
@pytest.mark.parametrize(("name", "said"), [("application.json", "timers"), ("arrivals/source.json", "process")])
def test_damaged_state_is_told_with_what_deleting_it_means(
    root: Path, app: Application, new_app: Callable[[str], Application], name: str, said: str, content: bytes
) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    app.activate()
    state = root / "s3/rheo-app/state" / name
    kept = state.read_bytes()
    state.write_bytes(content)
    file(app, source["NA"][FIRST])
    with pytest.raises(StateError, match=rf"{name} is damaged.*delete it.*{said}"):
        new_app("app").settle()
    state.write_bytes(kept)
    cycle(app)
    assert ran(app, made) == [f"NA/{FIRST}"]  # the arrival was not lost


@pytest.mark.parametrize("content", [b"{}", b"\xff"])
def test_a_damaged_completion_file_is_still_a_completion_file(app: Application, content: bytes) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    file(app, source["NA"][FIRST])
    folder = Path(app.execute(made["NA"][FIRST]))
    (folder / "_SUCCESS").write_bytes(content)
    cycle(app)
    assert app.poll(made["NA"][FIRST])[0] == str(folder)
    app.execute(made["NA"][FIRST])
    assert json.loads((folder / "_SUCCESS").read_bytes())["node"] == "made"


def test_looking_at_a_recorded_application_opens_no_pickle(
    root: Path, new_app: Callable[[str], Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    app = new_app("app")
    source = S3(app, "source", "region", "day")
    made = node(app, "totals", [source], compute_targets=[InlinedCompute(lambda inputs, output, params: None)])
    app.activate()
    file(app, source["NA"][FIRST])

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a pickle was opened")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    seen = new_app("app")
    assert seen["totals"].spec == made.spec
    seen.tick()
    seen.settle()
    assert [execution.status for execution in seen.history("totals")] == ["COMPLETED"]  # opened in its own process
    assert seen.why(seen["totals"]["NA"][FIRST]).status == "COMPLETED"


def test_credentials_are_neither_recorded_nor_logged(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = flow.AWSApplication("shop", "us-east-1", "AKIDEXAMPLE", "wJalrSECRET", platform=flow.LocalPlatform(root))
    made = node(app, "made", compute_targets=[InlinedCompute(lambda inputs, output, params: {"params": str(params)})])
    app.execute(made)
    written = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    for secret in ("AKIDEXAMPLE", "wJalrSECRET"):
        assert secret.encode() not in written
        assert secret not in caplog.text
        assert secret not in repr(vars(app))
