"""Sessions: other processes, without the source, after an exit and after a kill (signals.md §6)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from rheo_assets import Application
from tests.cases.topologies import S3, cycle, event, file, node, ran, spec

REPOSITORY = Path(__file__).parents[2]


def in_another_process(root: Path, source: str, status: int = 0) -> str:
    """Runs a script as a user would, and returns what it prints."""
    path = root / "script.py"
    path.write_text(f"from rheo_assets import *\n{textwrap.dedent(source)}")
    environment = {**os.environ, "RHEO_HOME": str(root), "RHEO_PLATFORM": "local", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=180, check=False, cwd=root
    )
    assert done.returncode == status, done.stderr[-4000:]
    return done.stdout


DECLARED = """
def write(inputs, output, params):
    import pathlib
    folder = pathlib.Path(output.local_paths[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0").write_text("made on " + params["dimensions"]["day"])

DAY = {"day": {"type": DimensionType.DATETIME}}
app = Application("app")
x = app.marshal_external_data(S3Dataset("1", "outside", "x", "{}"), "x", DAY)
n = app.create_data("n", [x], compute_targets=[InlinedCompute(write)])
below = app.create_data("below", [n[:-2]], compute_targets=[NOOPCompute])
"""


def test_a_process_without_the_source_executes_polls_and_looks(root: Path) -> None:
    in_another_process(root, DECLARED + "app.activate()\n")
    app = Application("app")
    n = app["n"]
    assert app.poll(n["2021-03-01"]) == (None, None)
    path = app.execute(n["2021-03-01"])
    assert (Path(path) / "part-0").read_text() == "made on 2021-03-01"
    app.settle(60)
    assert ran(app, "below") == ["2021-03-01"]
    printed = in_another_process(
        root,
        """
        app = Application("app")
        path, records = app.poll(app["n"]["2021-03-01"])
        print(path.rsplit("/", 1)[-1], [str(record.status) for record in records])
        print(app.history("below")[0].inputs)
        app.process(app["x"]["2021-03-02"])
        print(app.poll(app["below"]["2021-03-02"])[0].rsplit("/", 1)[-1])
        """,
    )
    assert printed.splitlines() == [
        "2021-03-01 ['COMPLETED']",
        "{'n': [('2021-03-01',), ('2021-02-28',)]}",
        "2021-03-02",
    ]
    assert ran(app, "n") == ["2021-03-01", "2021-03-02"]


def test_a_session_that_declared_nothing_never_changes_the_recorded_application(root: Path) -> None:
    declared = Application("app")
    x = S3(declared, "x", "day")
    node(declared, "n", [x])
    declared.activate()
    record = root / "s3" / "rheo-app" / "state" / "declaration.json"
    before = record.read_bytes()
    later = Application("app")
    later.execute(later["n"]["2021-03-01"])
    event(later, later["x"]["2021-03-02"])
    assert ran(later, "n") == ["2021-03-01", "2021-03-02"]
    assert record.read_bytes() == before
    with pytest.raises(ValueError, match="Did you mean 'n'"):
        later["nn"]


def test_a_session_without_any_application_knows_nothing(root: Path) -> None:
    app = Application("app")
    with pytest.raises(ValueError, match="none yet"):
        app["n"]
    with pytest.raises(RuntimeError, match="activate"):
        app.tick()
    assert app.history() == []
    assert app.pending() == []


def test_execute_activates_only_what_is_around_its_target(new_app: Callable[[str], Application]) -> None:
    """§6: it activates first if this session declared or changed the target, its ancestors or its descendants."""
    first = new_app("app")
    x = S3(first, "x", "day")
    node(first, "n", [x])
    first.activate()
    second = new_app("app")
    node(second, "draft", [], output_dimension_spec=spec("day"))
    second.execute(second["n"]["2021-03-01"])
    with pytest.raises(ValueError, match="draft"):
        new_app("app")["draft"]
    assert ran(second, "n") == ["2021-03-01"]
    node(second, "below", [second["n"]])
    second.execute(second["n"]["2021-03-02"])
    second.settle(60)
    assert ran(second, "below") == ["2021-03-02"]
    assert new_app("app")["below"].id == "below"


def test_a_new_declaration_of_a_node_counts_from_the_next_execute(new_app: Callable[[str], Application]) -> None:
    app = new_app("app")
    x = S3(app, "x", "day")
    n = node(app, "n", [x[:-2]])
    app.execute(n["2021-03-02"])
    changed = app.patch_data("n", inputs=[x[:-3]])
    app.execute(changed["2021-03-02"])
    assert [len(e.inputs["x"]) for e in app.history("n")] == [2, 3]


def test_the_exit_of_a_script_waits_for_what_it_caused(root: Path) -> None:
    """§6: the interpreter's exit waits for executions on the worker pool, downstream ones too."""
    in_another_process(root, DECLARED + 'app.execute(n["2021-03-01"], wait=False)\n')
    app = Application("app")
    assert {e.node: e.status for e in app.history()} == {"n": "COMPLETED", "below": "COMPLETED"}


@pytest.mark.parametrize("verb", ['process(x["2021-03-01"])', 'execute(n["2021-03-01"])'], ids=["process", "execute"])
def test_after_a_kill_the_next_session_resumes(root: Path, verb: str) -> None:
    """§6: after a kill the next session resumes them."""
    in_another_process(
        root,
        f"""
        import os, signal, threading, time

        DAY = {{"day": {{"type": DimensionType.DATETIME}}}}

        def slow(inputs, output, params):
            import pathlib, time
            marks = pathlib.Path({str(root)!r})
            (marks / "started").touch()
            while not (marks / "go").exists():
                time.sleep(0.02)

        app = Application("app")
        x = app.marshal_external_data(S3Dataset("1", "outside", "x", "{{}}"), "x", DAY)
        n = app.create_data("n", [x], compute_targets=[InlinedCompute(slow)])
        below = app.create_data("below", [n], compute_targets=[NOOPCompute])
        app.activate()
        threading.Thread(target=lambda: app.{verb}, daemon=True).start()
        while not os.path.exists({str(root / "started")!r}):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        status=-9,
    )
    (root / "go").touch()
    app = Application("app")
    app.settle(60)
    assert [(e.node, e.partition, e.status) for e in app.history()] == [
        ("n", ("2021-03-01",), "COMPLETED"),
        ("below", ("2021-03-01",), "COMPLETED"),
    ]
    assert app.get_active_routes() == []
    app.settle(60)
    assert len(app.history()) == 2


def test_two_processes_that_see_the_same_file_run_it_once(root: Path) -> None:
    in_another_process(root, DECLARED + "app.activate()\n")
    app = Application("app")
    file(app, app["x"]["2021-03-01"])
    script = root / "tick.py"
    script.write_text("from rheo_assets import *\napp = Application('app')\napp.settle(100)\n")
    environment = {**os.environ, "RHEO_HOME": str(root), "PYTHONPATH": str(REPOSITORY)}
    both = [subprocess.Popen([sys.executable, str(script)], env=environment) for _ in range(2)]
    assert [process.wait(180) for process in both] == [0, 0]
    cycle(app)
    assert ran(app, "n") == ["2021-03-01"]
    assert ran(app, "below") == ["2021-03-01"]


def test_spark_without_java_is_refused_at_activation_with_the_pip_line(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rheo_assets import SparkSQL
    from rheo_assets.platforms.local.spark.java import CHOICE

    app = Application("app")
    node(app, "n", [], compute_targets=[SparkSQL("select 1 as x")])
    monkeypatch.setenv(CHOICE, "system")
    monkeypatch.setenv("PATH", str(root))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(RuntimeError, match=r"of 'n' cannot run here: .*Java.*pip install"):
        app.activate()
    monkeypatch.setenv(CHOICE, "wheel")
    app.activate()


def test_the_interpreter_offers_the_exit_hook_that_comes_before_that_of_thread_pools(root: Path) -> None:
    """`runs.py` uses a private name of `threading`; a Python that changes it has to fail here, not at users' exits."""
    printed = in_another_process(
        root,
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)

        def drain():
            print("drained")
            pool.submit(print, "downstream").result()

        pool.submit(int)
        threading._register_atexit(drain)
        print("end of script")
        """,
    )
    assert printed.splitlines() == ["end of script", "drained", "downstream"]


def test_activation_says_which_engine_runs_which_node(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rheo_assets import Application, InlinedCompute, LocalPlatform, NOOPCompute, PrestoSQL

    app = Application("app", platform=LocalPlatform(root))
    node(app, "report", [], compute_targets=[InlinedCompute(print), PrestoSQL("select 1 as one")])
    node(app, "nothing", [], compute_targets=[NOOPCompute])
    app.activate()
    told = capsys.readouterr()
    assert told.err.splitlines()[:2] == [
        "app: Lambda (here: a child process) runs report",
        "app: Athena (here: DuckDB) runs report",
    ]
    assert told.out == ""


def test_a_node_of_another_application_is_not_taken_for_ones_own_of_the_same_id(
    new_app: Callable[[str], Application],
) -> None:
    one, two = new_app("one"), new_app("two")
    made = {app: node(app, "n", [S3(app, "x", "day")]) for app in (one, two)}
    two.activate()
    n, x = made[one], one["x"]
    for call in (
        lambda: two.process(x["2024-02-29"]),
        lambda: two.process(two["x"]["2024-02-29"], target_route_id=n),
        lambda: two.execute(two["n"]["2024-02-29"], inputs=[x["2024-02-29"]]),
        lambda: two.execute(two["n"]["2024-02-29"], inputs={"x": x["2024-02-29"]}),
        lambda: two.validate(two["n"]["2024-02-29"], inputs=x["2024-02-29"]),
        lambda: two.history(n),
        lambda: two.pending(n),
        lambda: two.materialize(n["2024-02-29"]),
        lambda: two.materialize(n),
        lambda: two.load_data(n["2024-02-29"]),
        lambda: two.preview_data(n["2024-02-29"]),
    ):
        with pytest.raises(
            ValueError, match=r"[nx].*\): is a node of 'one', not of 'two'\. Call it on that application"
        ):
            call()
    assert two.history() == []
    two.process(two["x"]["2024-02-29"], target_route_id=made[two])
    assert [len(two.history(given)) for given in ("n", made[two])] == [1, 1]
