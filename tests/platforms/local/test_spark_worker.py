"""The worker's life: who shares it, what it survives, when it ends."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.platforms.local.spark.protocol import Home
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput, TaskResult

pytestmark = pytest.mark.spark


@pytest.fixture
def spark_home(mortal_spark_home: Path) -> Path:
    """Some of these tests end their worker."""
    return mortal_spark_home


WHO = "import os\noutput = spark.sql(f'SELECT {os.getppid()} AS worker')"
SLOW = "spark.range(1 << 40).selectExpr('sum(sqrt(id))').collect()"
PATIENCE = 60


def task(code: str, out: str = "s3://lake/out/x", lang: str = "PYTHON", **more) -> Task:
    return Task("tpdex", lang, code, (), TaskOutput(out), **more)


def run(engine: SparkEngine, code: str, log: Callable[[str], None] = print, **more) -> TaskResult:
    return engine.run(task(code, **more), log, lambda: False)


def fails(engine: SparkEngine, code: str, **more) -> TaskFailure:
    with pytest.raises(TaskFailure) as caught:
        run(engine, code, **more)
    return caught.value


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def jvm_of(worker: int) -> int:
    found = subprocess.run(["pgrep", "-P", str(worker), "java"], capture_output=True, text=True, check=True)
    return int(found.stdout)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An engine whose worker is nobody else's and ends when it has had nothing to do for two seconds."""
    monkeypatch.setenv("RHEO_SPARK_HOME", str(tmp_path))
    monkeypatch.setenv("RHEO_SPARK_IDLE_SECONDS", "2")
    engine = SparkEngine(tmp_path)
    yield engine
    address = Home.of(engine.root).address()
    engine.stop()
    if address is not None:
        until(lambda: gone(address.pid), "the worker does not stop")


def test_code_that_exits_crashes_or_hangs_fails_alone(engine):
    worker = run(engine, WHO).preview
    assert "exit code 3" in fails(engine, "import os\nos._exit(3)").message
    assert "signal 11" in fails(engine, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)").message
    hung = fails(engine, "while True:\n  pass", timeout=0.5)
    assert hung.kind == "timeout"
    assert "0.5 s" in hung.message
    assert run(engine, "spark.stop()\nspark.sparkContext.stop()\n" + WHO).preview == worker


def test_code_cannot_end_the_jvm_that_runs_other_nodes(engine):
    worker = run(engine, WHO).preview
    for call in ("System.exit(3)", "Runtime.getRuntime().halt(3)"):
        assert "wants to end the JVM that runs other nodes" in fails(engine, f"spark._jvm.{call}").message
    assert run(engine, WHO).preview == worker


def test_what_a_process_prints_and_leaves_running_is_taken_care_of(engine, tmp_path):
    lines: list[str] = []
    code = """
import os, subprocess, sys
print("one\\ntwo"); print("three", end="", file=sys.stderr)
subprocess.run(["echo", "four"])
print("ü" * 100_000)
sleeper = subprocess.Popen(["sleep", "600"])
open("scratch", "w").write("x")
output = spark.sql(f"SELECT {sleeper.pid} AS pid, '{os.getcwd()}' AS folder")
"""
    (row,) = run(engine, code, lines.append).preview
    assert {"one", "two"} <= {*lines}
    assert {word for word in ("three", "four") for line in lines if word in line} == {"three", "four"}
    assert sum(line.count("ü") for line in lines) == 100_000
    until(lambda: gone(row["pid"]), "what user code started must end with it")
    assert not Path(row["folder"]).exists()


def test_two_tasks_run_at_once_and_do_not_see_each_other(engine, tmp_path):
    code = """
import os, time
spark.range(args["n"]).createOrReplaceTempView("v")
spark.conf.set("spark.sql.shuffle.partitions", str(args["n"]))
open(os.path.join(args["meet"], str(args["n"])), "w").close()
while len(os.listdir(args["meet"])) < 2:
    time.sleep(0.02)
output = spark.sql("SELECT count(*) AS n FROM v").withColumn("p", __import__("pyspark").sql.functions.lit(
    spark.conf.get("spark.sql.shuffle.partitions")))
"""
    meet = tmp_path / "meet"
    meet.mkdir()
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(run, engine, code, args={"n": n, "meet": str(meet)}, out=f"s3://lake/out/{n}", timeout=PATIENCE)
            for n in (2, 3)
        ]
        assert [answer.result().preview for answer in answers] == [({"n": n, "p": str(n)},) for n in (2, 3)]


@pytest.mark.parametrize("how", ["cancelled", "timeout"])
def test_a_task_that_is_ended_leaves_no_spark_job_behind(engine, how):
    started = threading.Event()
    slow = task("print('go', flush=True)\n" + SLOW, timeout=2 if how == "timeout" else None)
    with pytest.raises(TaskFailure) as caught:
        engine.run(
            slow, lambda line: started.set() if line == "go" else None, lambda: how == "cancelled" and started.is_set()
        )
    assert caught.value.kind == how
    wait = """
import time
tracker = spark._jsc.statusTracker()
end = time.monotonic() + 30
while len(tracker.getActiveJobIds()) and time.monotonic() < end:
    time.sleep(0.1)
output = spark.sql(f"SELECT {len(tracker.getActiveJobIds())} AS active")
"""
    assert run(engine, wait).preview == ({"active": 0},)


def test_processes_share_one_worker_and_only_its_owner_can_read_the_key(engine, spark_home):
    code = f"""
import sys
from pathlib import Path
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskOutput
task = Task("n", "PYTHON", {WHO!r}, (), TaskOutput("s3://lake/out/y"))
print(SparkEngine(Path(sys.argv[1])).run(task, lambda line: None, lambda: False).to_json())
"""
    done = subprocess.run([sys.executable, "-c", code, str(engine.root)], capture_output=True, text=True, check=True)
    (row,) = run(engine, WHO).preview
    assert json.loads(done.stdout)["preview"] == [row]
    home = Home.of(engine.root)
    assert home.root == spark_home
    assert row["worker"] == home.address().pid
    assert stat.S_IMODE(home.address_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_temporary_roots_share_a_worker_that_is_their_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv("RHEO_SPARK_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one, two = Home.of(tmp_path / "one"), Home.of(tmp_path / "two")
    assert one == two
    assert stat.S_IMODE(one.root.stat().st_mode) == 0o700
    assert Home.of(Path.home() / ".rheo").root == (Path.home() / ".rheo").resolve()


def test_python_and_python3_of_one_environment_are_one_fingerprint():
    program = "from rheo_assets.platforms.local.spark.protocol import fingerprint; print(fingerprint())"
    names = [Path(sys.prefix, "bin", name) for name in ("python", "python3")]
    assert len({subprocess.run([name, "-c", program], capture_output=True, check=True).stdout for name in names}) == 1


def test_a_stranger_without_the_key_gets_no_answer(engine):
    import socket

    run(engine, WHO)
    address = Home.of(engine.root).address()
    for line in (
        b'{"token": "guess", "stop": true}\n',
        b'{"stop": true}\n',
        b"nonsense\n",
        b"[1]\n",
        b"GET / HTTP/1.1\r\n",
    ):
        with socket.create_connection(("127.0.0.1", address.port), PATIENCE) as stranger:
            stranger.sendall(line)
            assert stranger.recv(100) == b""
    assert run(engine, WHO).preview == ({"worker": address.pid},)


def test_a_jvm_that_dies_is_replaced_and_its_task_runs_again(engine, tmp_path):
    (row,) = run(engine, WHO).preview
    mark = tmp_path / "mark"
    code = f"""
import os
first = not os.path.exists({str(mark)!r})
open({str(mark)!r}, "a").write("x")
if first:
    print("go", flush=True)
    {SLOW}
{WHO}"""
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if line == "go":
            os.kill(jvm_of(row["worker"]), signal.SIGKILL)

    (again,) = run(engine, code, log).preview
    assert again["worker"] != row["worker"]
    assert mark.read_text() == "xx"
    assert any("running the task again on a new worker" in line for line in lines)


def test_a_worker_killed_under_a_task_is_replaced_once_and_the_new_one_ends_when_idle(own, tmp_path):
    home = Home.of(own.root)
    home.prepare()
    home.address_file.write_text("half a fi")  # what a crash of the machine may leave
    killed: list[int] = []
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if line.startswith("worker ") and not killed:
            killed.extend([int(line.split()[1]), jvm_of(int(line.split()[1]))])
            os.kill(killed[0], signal.SIGKILL)

    code = "import os\nprint('worker', os.getppid(), flush=True)\n"
    others = f"{code}{SLOW} if not os.path.exists(args['mark']) else None\nopen(args['mark'], 'w').close()\n"
    mark = str(tmp_path / "mark")
    watcher = threading.Thread(target=lambda: (until(lambda: bool(killed), "no kill"), Path(mark).touch()))
    watcher.start()
    (row,) = run(own, others + WHO, log, args={"mark": mark}).preview
    watcher.join()
    assert row["worker"] not in killed
    assert lines.count("starting the Spark worker") == 2
    for pid in killed:
        until(lambda pid=pid: gone(pid), "the JVM must not outlive its worker")
    until(lambda: gone(row["worker"]), "an idle worker ends")
    assert home.address() is None
    assert "it was idle for 2 s" in home.log_file.read_text()

    with ThreadPoolExecutor(2) as pool:  # none is there: two that want one start one
        rows = [pool.submit(run, own, WHO, out=f"s3://lake/out/{n}").result for n in range(2)]
        workers = {answer().preview[0]["worker"] for answer in rows}
    assert len(workers) == 1
    assert home.log_file.read_text().count("Spark started in") == 3
