import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rheo_assets.platforms.local.functions import FunctionEngine
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput

OUTPUT = "s3://lake/report/EWR/2013-01-02"


def never() -> bool:
    return False


def wait_until(condition, seconds=20.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Bench:
    """An engine under a root of its own, and what the last run logged."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "root"
        self.engine = FunctionEngine(self.root)
        self.output = self.root / "s3" / "lake" / "report" / "EWR" / "2013-01-02"
        self.lines: list[str] = []

    def task(self, fn, **changes) -> Task:
        blob = self.folder / "blob"
        blob.write_bytes(dump_callable(fn))
        fields = {
            "node": "report",
            "lang": "INLINED",
            "code": str(blob),
            "inputs": (TaskInput("daily", paths=("s3://lake/daily/EWR",), partitions=(("EWR",),)),),
            "output": TaskOutput(OUTPUT),
            "dimensions": {"origin": "EWR", "day": "2013-01-02"},
            **changes,
        }
        return Task(**fields)

    def run(self, fn, cancelled=never, **changes):
        self.lines.clear()
        return self.engine.run(self.task(fn, **changes), self.lines.append, cancelled)

    def fails(self, fn, cancelled=never, **changes) -> TaskFailure:
        with pytest.raises(TaskFailure) as caught:
            self.run(fn, cancelled, **changes)
        return caught.value


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_a_callable_reads_and_writes_through_local_paths(bench):
    source = bench.root / "s3" / "lake" / "daily" / "EWR"
    source.mkdir(parents=True)
    (source / "part-0.json").write_text('{"flights": 842}')

    def report(inputs, output, params):
        text = (Path(inputs["daily"].local_paths[0]) / "part-0.json").read_text()
        (Path(output.local_paths[0]) / "report.txt").write_text(text.upper())
        return {"flights": json.loads(text)["flights"], "root": os.environ["RHEO_ROOT"]}

    result = bench.run(report)
    assert (bench.output / "report.txt").read_text() == '{"FLIGHTS": 842}'
    assert result.metadata == {"flights": 842, "root": str(bench.root)}
    assert result.engine.startswith("Python 3.")


def test_what_an_earlier_target_wrote_stays(bench):
    bench.output.mkdir(parents=True)
    (bench.output / "part-0.parquet").write_text("of the batch target")
    bench.run(lambda i, o, p: None)
    assert (bench.output / "part-0.parquet").read_text() == "of the batch target"


def test_a_callable_that_writes_nothing_leaves_no_folder(bench):
    bench.run(lambda i, o, p: None)
    assert not bench.output.exists()


def test_what_user_code_prints_arrives_line_by_line_and_cannot_corrupt_the_result(bench):
    def chatty(inputs, output, params):
        print('{"result": "fake"}')
        print("to stderr", file=sys.stderr)
        os.write(1, b"raw \xff bytes\n")
        subprocess.run(["echo", "from a child"], check=True)
        print("no newline at the end", end="")
        return {"done": True}

    assert bench.run(chatty).metadata == {"done": True}
    assert bench.lines == [
        '{"result": "fake"}',
        "to stderr",
        "raw \ufffd bytes",
        "from a child",
        "no newline at the end",
    ]


def test_lines_arrive_while_the_callable_still_runs(bench):
    def waits(inputs, output, params):
        print("started")
        time.sleep(600)

    assert bench.fails(waits, cancelled=lambda: "started" in bench.lines).kind == "cancelled"


def test_a_flood_of_output_neither_blocks_nor_is_lost(bench):
    def flood(inputs, output, params):
        for number in range(20_000):
            print(number)
        sys.stdout.write("x" * 300_000)

    bench.run(flood)
    assert bench.lines[:20_000] == [str(number) for number in range(20_000)]
    assert sum(map(len, bench.lines[20_000:])) == 300_000


def test_a_callable_may_close_its_output(bench):
    def silent(inputs, output, params):
        os.close(1)
        os.close(2)
        time.sleep(0.2)
        return {"done": True}

    assert bench.run(silent).metadata == {"done": True}


def test_an_exception_names_the_node_and_shows_the_users_frames_only(bench):
    def broken(inputs, output, params):
        raise ValueError("no flights")

    failure = bench.fails(broken)
    assert (failure.kind, failure.message) == ("user", "node 'report': its callable raised ValueError: no flights")
    assert "in broken" in failure.detail
    assert "rheo_assets" not in failure.detail


def crash(inputs, output, params):
    print("before the crash")
    ctypes.string_at(0)


@pytest.mark.parametrize(
    ("fn", "how"),
    [
        (crash, "SIGSEGV"),
        (lambda i, o, p: os._exit(3), "exit code 3"),
        (lambda i, o, p: os._exit(0), "exit code 0"),
        (lambda i, o, p: os.abort(), "SIGABRT"),
        (lambda i, o, p: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL; perhaps it ran out of memory"),
    ],
    ids=["segfault", "os._exit", "os._exit(0)", "abort", "killed"],
)
def test_a_crash_is_a_failure_of_that_execution_only(bench, fn, how):
    failure = bench.fails(fn)
    assert failure.kind == "user"
    assert failure.message == f"node 'report': its callable ended the Python process ({how}) before it returned"
    assert bench.run(lambda i, o, p: {"next": True}).metadata == {"next": True}


def test_a_crash_shows_where_it_happened(bench):
    failure = bench.fails(crash)
    assert "before the crash" in failure.detail
    assert "in crash" in failure.detail


def test_sys_exit_is_a_failure(bench):
    failure = bench.fails(lambda i, o, p: sys.exit(3))
    assert (failure.kind, failure.message.partition(";")[0]) == (
        "user",
        "node 'report': its callable called sys.exit(3)",
    )


def test_an_endless_loop_ends_at_its_time_limit(bench):
    def endless(inputs, output, params):
        print("looping")
        while True:
            pass

    failure = bench.fails(endless, timeout=1.5)
    assert failure.kind == "timeout"
    assert failure.message == "node 'report': its callable ran longer than its 1.5 s and was ended"
    assert failure.detail == "looping"


def test_a_callable_that_ignores_signals_is_ended_too(bench):
    def stubborn(inputs, output, params):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)

    assert bench.fails(stubborn, timeout=1).kind == "timeout"


def test_what_a_callable_started_ends_with_it(bench):
    pids = bench.folder / "pids"

    def starts(inputs, output, params):
        children = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
        Path(pids).write_text(" ".join(str(child.pid) for child in children))
        if params["hang"]:
            time.sleep(600)

    bench.fails(starts, cancelled=lambda: pids.exists() and len(pids.read_text().split()) == 2, params={"hang": True})
    assert wait_until(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))
    bench.run(starts, params={"hang": False})
    assert wait_until(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))


def test_a_process_that_left_the_group_does_not_hold_the_engine(bench):
    pids = bench.folder / "pids"

    def detaches(inputs, output, params):
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(pids).write_text(str(child.pid))
        return {"done": True}

    try:
        assert bench.run(detaches).metadata == {"done": True}
    finally:
        os.kill(int(pids.read_text()), signal.SIGKILL)


def test_a_fork_that_comes_back_does_not_answer_twice(bench):
    def forks(inputs, output, params):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return {"who": "parent" if child else "child"}

    assert bench.run(forks).metadata == {"who": "parent"}


def test_a_callable_dies_with_the_process_that_drives_it(bench):
    """After `kill -9` of the driver no orphan goes on writing into a partition that the next driver runs again."""
    pid = bench.folder / "pid"

    def endless(inputs, output, params):
        Path(pid).with_suffix(".part").write_text(str(os.getpid()))
        Path(pid).with_suffix(".part").replace(pid)
        while True:
            pass

    (bench.folder / "task.json").write_text(bench.task(endless).to_json())
    drive = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from rheo_assets.platforms.local.functions import FunctionEngine
        from rheo_assets.runner.task import Task
        folder = Path(sys.argv[1])
        task = Task.from_json((folder / "task.json").read_text())
        FunctionEngine(folder / "root").run(task, print, lambda: False)
        """
    )
    env = {**os.environ, "TMPDIR": str(bench.folder)}  # a killed driver cannot remove its scratch folder
    with subprocess.Popen([sys.executable, "-c", drive, str(bench.folder)], env=env) as driver:
        assert wait_until(pid.exists)
        driver.kill()
    assert wait_until(lambda: not is_running(int(pid.read_text())))


def test_a_callable_works_in_a_private_folder_that_is_removed(bench):
    def here(inputs, output, params):
        Path("scratch.txt").write_text("temporary")
        return {"cwd": str(Path.cwd()), "mode": oct(Path("..").stat().st_mode & 0o777)}

    seen = bench.run(here).metadata
    assert seen["mode"] == "0o700"
    assert seen["cwd"] != str(Path.cwd())
    assert not Path(seen["cwd"]).parent.exists()


def written_elsewhere():
    """Ways out of one's own partition, each with a name that its message shows."""

    def opens(inputs, output, params):
        Path(inputs["daily"].local_paths[0], "part-0").write_text("x")

    def makes(inputs, output, params):
        Path(output.local_paths[0]).parent.joinpath("2013-01-03").mkdir()

    def moves(inputs, output, params):
        folder = Path(output.local_paths[0])
        (folder / "x").write_text("x")
        (folder / "x").rename(folder.parent / "x")

    def removes(inputs, output, params):
        shutil.rmtree(inputs["daily"].local_paths[0])

    def climbs(inputs, output, params):
        with open(output.local_paths[0] + "/../x", "w") as file:  # noqa: PTH123
            file.write("x")

    return [opens, makes, moves, removes, climbs]


@pytest.mark.parametrize("fn", written_elsewhere(), ids=lambda fn: fn.__name__)
def test_a_callable_that_writes_to_another_partition_is_refused_by_name(bench, fn):
    source = bench.root / "s3" / "lake" / "daily" / "EWR"
    source.mkdir(parents=True)
    (source / "part-0").write_text("kept")
    failure = bench.fails(fn)
    assert failure.kind == "user"
    assert "outside its own partition: 'report' may write only to output.local_paths[0]" in failure.message
    assert (source / "part-0").read_text() == "kept"
    assert sorted(path.name for path in (bench.root / "s3/lake").rglob("*")) == [
        "EWR",
        "EWR",
        "daily",
        "part-0",
        "report",
    ]


def test_a_callable_writes_where_it_likes_in_its_partition_and_outside_of_the_store(bench, tmp_path):
    def free(inputs, output, params):
        folder = Path(output.local_paths[0])
        folder.joinpath("a/b").mkdir(parents=True)
        folder.joinpath("a/x").write_text("x")
        folder.joinpath("a/x").rename(folder / "y")
        shutil.rmtree(folder / "a")
        Path("scratch").write_text("x")
        (tmp_path / "elsewhere").write_text("x")

    bench.run(free)
    assert [path.name for path in bench.output.iterdir()] == ["y"]
    assert (tmp_path / "elsewhere").exists()


def test_a_link_in_the_output_is_refused_and_removed(bench):
    def links(inputs, output, params):
        folder = Path(output.local_paths[0])
        (folder / "deep").mkdir()
        (folder / "deep" / "hosts").symlink_to("/etc/hosts")
        (folder / "etc").symlink_to("/etc")
        os.mkfifo(folder / "pipe")
        (folder / "data.txt").write_text("plain")

    failure = bench.fails(links)
    assert failure.kind == "user"
    assert "(deep/hosts, etc, pipe)" in failure.message
    assert not bench.output.exists()
    assert Path("/etc/hosts").exists()


def test_an_output_folder_replaced_by_a_link_is_refused(bench):
    other = bench.folder / "other"
    other.mkdir()
    (other / "_SUCCESS").touch()

    def replaces(inputs, output, params):
        folder = Path(output.local_paths[0])
        folder.rmdir()
        folder.symlink_to(other)

    assert bench.fails(replaces).kind == "user"
    assert not bench.output.is_symlink()
    assert (other / "_SUCCESS").exists()


def test_a_completion_file_written_by_user_code_is_withdrawn(bench):
    def announces(inputs, output, params):
        folder = Path(output.local_paths[0])
        (folder / "data.txt").write_text("whole")
        (folder / "_SUCCESS").touch()
        if params["fail"]:
            raise ValueError("too late")

    result = bench.run(announces, params={"fail": False})
    assert result.warnings == ("node 'report': its callable wrote _SUCCESS, which was removed: do not write it",)
    assert not (bench.output / "_SUCCESS").exists()
    bench.fails(announces, params={"fail": True})
    assert not (bench.output / "_SUCCESS").exists()


def test_a_failure_after_the_callable_returned_is_a_warning(bench):
    def late(inputs, output, params):
        import atexit

        atexit.register(os._exit, 9)
        return {"done": True}

    result = bench.run(late)
    assert result.metadata == {"done": True}
    assert result.warnings == (
        "node 'report': the Python process failed after its callable had returned (exit code 9)",
    )


def test_a_path_that_leaves_the_root_is_refused_before_anything_starts(bench):
    failure = bench.fails(lambda i, o, p: None, output=TaskOutput("s3://lake/../../escape"))
    assert failure.kind == "platform"
    assert "would lead to another folder" in failure.message
    assert not bench.root.exists()


def test_another_language_is_refused(bench):
    assert "cannot run PYTHON code" in bench.fails(lambda i, o, p: None, lang="PYTHON").message


def test_a_log_that_fails_ends_the_child_too(bench):
    pid = []

    def endless(inputs, output, params):
        print(os.getpid())
        time.sleep(600)

    def log(line: str) -> None:
        pid.append(int(line))
        raise RuntimeError("the log is closed")

    with pytest.raises(RuntimeError, match="the log is closed"):
        bench.engine.run(bench.task(endless), log, never)
    assert wait_until(lambda: not is_running(pid[0]))


def test_the_child_imports_neither_dagster_nor_pandas(bench):
    loaded = bench.run(lambda i, o, p: {"modules": sorted(sys.modules)}).metadata["modules"]["value"]
    assert "cloudpickle" in loaded
    heavy = {"dagster", "pandas", "numpy", "pyspark", "duckdb", "boto3", "asyncio", "pickletools", "multiprocessing"}
    assert heavy & set(loaded) == set()


def test_user_code_finds_the_modules_that_its_driver_finds(bench, monkeypatch):
    (bench.folder / "beside.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(str(bench.folder))

    def imports(inputs, output, params):
        import beside

        return {"answer": beside.ANSWER}

    assert bench.run(imports).metadata == {"answer": 42}


def test_search_path_entries_of_import_hooks_reach_the_child_unchanged(bench, monkeypatch):
    """An editable install of a namespace package is found through such an entry."""
    monkeypatch.setattr(sys, "path", [*sys.path, "__editable__.team.__path_hook__", ""])
    seen = bench.run(lambda i, o, p: {"path": sys.path}).metadata["path"]["value"]
    assert seen[-2:] == ["__editable__.team.__path_hook__", str(Path.cwd())]


def test_modules_of_this_library_do_not_shadow_the_users(bench):
    def imports(inputs, output, params):
        import functions  # a neighbour of the child's own file

        return {"file": functions.__file__}

    assert "ModuleNotFoundError" in bench.fails(imports).message


def test_a_thread_that_is_still_running_is_waited_for(bench):
    def threads(inputs, output, params):
        import threading

        def write():
            time.sleep(0.3)
            (Path(output.local_paths[0]) / "late.txt").write_text("written")

        threading.Thread(target=write).start()

    bench.run(threads)
    assert (bench.output / "late.txt").read_text() == "written"
