"""What an execution leaves in its partition: all of the new content, or all of the old."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, InlinedCompute, LocalPlatform, NOOPCompute, PrestoSQL
from rheo_assets.bridge.execution.execution import Outcome, Request, Surroundings, run_execution
from rheo_assets.model.executions import Status
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.local.replacement import LocalReplacement
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.blobs import dump_callable
from tests.cases.topologies import S3, node

DAY = (datetime(2024, 1, 1),)
EVENTS_OF_DISK = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "shutil.rmtree"}


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


@dataclass
class Lab:
    """Executes one partition of nodes over a root of its own."""

    root: Path
    logged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.platform = LocalPlatform(self.root)
        self.app = Application("lab", platform=self.platform)
        self.source = S3(self.app, "source", "day")

    def node(self, name: str, *targets: Any, **said: Any) -> DataNode:
        return node(self.app, name, [self.source], compute_targets=list(targets), **said)

    def folder(self, made: DataNode) -> Path:
        return self.platform.storage.path(made.layout.uri(made.spec, DAY))

    def run(
        self,
        made: DataNode,
        cancelled: Callable[[], bool] = lambda: False,
        cancelled_now: Callable[[], bool] | None = None,
    ) -> Outcome:
        around = Surroundings(
            self.platform,
            self.logged.append,
            cancelled,
            self.blob,
            pause=lambda seconds: None,
            cancelled_now=cancelled_now,
        )
        return run_execution(made, Request("execution", DAY, {"source": DAY}), around)

    def blob(self, made: DataNode, position: int) -> str:
        path = self.root / f"{made.id}-{position}"
        path.write_bytes(dump_callable(made.targets[position].callable))
        return str(path)

    def content(self, made: DataNode) -> dict[str, str]:
        """The partition's files, hidden ones too; of the completion file whether it is there."""
        folder = self.folder(made)
        files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if not p.is_dir()}
        return {name: "" if name == "_SUCCESS" else path.read_text() for name, path in sorted(files.items())}

    def beside(self, made: DataNode) -> list[str]:
        return names(self.folder(made).parent)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def writes(text: str, then: Callable[[], Any] = lambda: None) -> Callable[..., Any]:
    """Returns a callable that writes two files, with something happening between them."""

    def write(inputs: Any, output: Any, params: Any) -> None:
        folder = Path(output.local_paths[0])
        (folder / "a.txt").write_text(text)
        then()
        (folder / "b.txt").write_text(text)

    return write


def fail() -> None:
    raise ValueError("no rows")


BAD = {
    "raises": fail,
    "exits": lambda: sys.exit(1),
    "vanishes": lambda: os._exit(3),
    "crashes": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": lambda: time.sleep(600),
}
OLD = {"a.txt": "old", "b.txt": "old"}
NEW = {"_SUCCESS": "", "a.txt": "new", "b.txt": "new"}


@pytest.mark.parametrize("how", BAD)
def test_a_callable_that_fails_leaves_the_previous_data_without_its_completion_file(lab: Lab, how: str) -> None:
    made = lab.node("made", InlinedCompute(writes("old")))
    lab.run(made)
    assert lab.content(made) == {"_SUCCESS": "", **OLD}
    again = lab.app.patch_data("made", compute_targets=[InlinedCompute(writes("half", BAD[how]), timeout=1)])
    assert lab.run(again).execution.status == Status.FAILED
    assert lab.content(made) == OLD
    assert lab.beside(made) == ["2024-01-01"]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_query_that_fails_half_way_leaves_the_previous_data(lab: Lab, kind: str) -> None:
    """Rows go to a Parquet file as they are computed: the last of three million is the one that cannot be."""
    rows = "unnest(sequence(0, 2999)) t(a) cross join unnest(sequence(1, 1000)) u(b)"
    query = f"select 1 / (3000000 - a * 1000 - b) as n from {rows}"
    made = lab.node("made", InlinedCompute(writes("old")), dataset_format=kind)
    lab.run(made)
    outcome = lab.run(lab.app.patch_data("made", compute_targets=[PrestoSQL(query)]))
    assert "Division by zero" in str(outcome.execution.error)
    assert lab.content(made) == OLD
    assert lab.beside(made) == ["2024-01-01"]


def test_a_cancelled_execution_leaves_the_previous_data(lab: Lab) -> None:
    made = lab.node("made", InlinedCompute(writes("old")))
    lab.run(made)
    hung = lab.app.patch_data(
        "made", compute_targets=[InlinedCompute(writes("half", lambda: print("half") or time.sleep(600)))]
    )
    assert lab.run(hung, lambda: "half" in lab.logged).execution.status == Status.KILLED
    assert lab.content(made) == OLD
    assert lab.beside(made) == ["2024-01-01"]


def test_what_is_cancelled_as_its_last_target_ends_is_not_published(lab: Lab) -> None:
    made = lab.node("made", InlinedCompute(writes("old")))
    lab.run(made)
    new = lab.app.patch_data("made", compute_targets=[InlinedCompute(writes("new"))])
    outcome = lab.run(new, cancelled_now=lambda: True)
    assert (outcome.execution.status, outcome.results) == (Status.KILLED, ())
    assert outcome.execution.error == "cancelled before its data was published"
    assert lab.content(made) == OLD
    assert lab.beside(made) == ["2024-01-01"]


def test_several_targets_write_one_folder_and_replace_the_partition_once(lab: Lab) -> None:
    query = PrestoSQL("select 1 as n")
    made = lab.node("made", query, InlinedCompute(writes("new")), dataset_format="csv")
    assert lab.run(made).execution.status == Status.COMPLETED
    assert lab.content(made) == {**NEW, "part-00000.csv": "1\n"}
    worse = lab.app.patch_data(
        "made", compute_targets=[PrestoSQL("select 2 as n"), InlinedCompute(writes("half", fail)), query]
    )
    outcome = lab.run(worse)
    assert [record.status for record in outcome.execution.records] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert lab.content(made) == {**OLD, "a.txt": "new", "b.txt": "new", "part-00000.csv": "1\n"}
    lab.run(lab.app.patch_data("made", compute_targets=[query]))
    assert lab.content(made) == {"_SUCCESS": "", "part-00000.csv": "1\n"}


def test_another_try_finds_what_the_first_one_found(lab: Lab) -> None:
    def second_time_lucky(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
        folder = Path(output.local_paths[0])
        found = sorted(path.name for path in folder.iterdir())
        (folder / f"try-{os.getpid()}.txt").write_text("")
        (folder / "sub").mkdir()
        (folder / "sub" / "x").write_text("")
        mark = Path(os.environ["RHEO_ROOT"]) / "mark"
        if not mark.exists():
            mark.touch()
            raise ValueError("once more")
        return {"found": found}

    made = lab.node("made", PrestoSQL("select 1 as n"), InlinedCompute(second_time_lucky, retry_count=1))
    outcome = lab.run(made)
    assert outcome.execution.records[1].attempts == 2
    assert outcome.results[1].metadata["found"]["value"] == ["part-00000.parquet"]
    assert len(list(lab.folder(made).glob("try-*"))) == 1


def test_a_callable_reads_its_own_previous_data_while_it_writes_the_next(lab: Lab) -> None:
    made = lab.node("made", InlinedCompute(writes("old")))
    lab.run(made)
    here = str(lab.folder(made))

    def reads(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
        Path(output.local_paths[0], "a.txt").write_text("new")
        return {"before": Path(here, "a.txt").read_text()}

    outcome = lab.run(lab.app.patch_data("made", compute_targets=[InlinedCompute(reads)]))
    assert outcome.results[0].metadata == {"before": "old"}
    assert lab.content(made) == {"_SUCCESS": "", "a.txt": "new"}


def test_what_a_callable_says_about_its_folder_holds_afterwards(lab: Lab) -> None:
    def tells(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
        Path(output.local_paths[0], "chart.txt").write_text("")
        return {
            "chart": {"type": "path", "value": f"{output.local_paths[0]}/chart.txt"},
            "uri": f"{output.paths[0]}/chart.txt",
        }

    made = lab.node("made", InlinedCompute(tells))
    (result,) = lab.run(made).results
    assert Path(result.metadata["chart"]["value"]) == lab.folder(made) / "chart.txt"
    assert result.metadata["uri"] == f"{made.layout.uri(made.spec, DAY)}/chart.txt"


def test_a_node_without_code_leaves_what_people_put_there(lab: Lab) -> None:
    made = lab.node("made", NOOPCompute)
    lab.folder(made).mkdir(parents=True)
    (lab.folder(made) / "mine.txt").write_text("mine")
    lab.run(made)
    assert lab.content(made) == {"_SUCCESS": "", "mine.txt": "mine"}


def test_a_completion_file_of_any_name_that_user_code_wrote_is_not_taken_for_ours(lab: Lab) -> None:
    from rheo_assets import SignalIntegrityProtocol

    def announces(inputs: Any, output: Any, params: Any) -> None:
        Path(output.local_paths[0], "DONE").write_text("mine")

    done = SignalIntegrityProtocol("FILE_CHECK", {"file": "DONE"})
    made = lab.node("made", InlinedCompute(announces), protocol=done)
    lab.run(made)
    assert json.loads(lab.content(made)["DONE"])["node"] == "made"


def test_a_name_of_the_longest_length_can_be_replaced(lab: Lab) -> None:
    uri = f"s3://lake/{'x' * 255}"
    for text in (b"old", b"new"):
        with lab.platform.storage.replacement(uri, "w") as fresh:
            lab.platform.storage.write(f"{fresh.uri}/a", text)
            fresh.publish("_SUCCESS", b"")
    assert lab.platform.storage.read(f"{uri}/a") == b"new"
    assert names(lab.root / "s3" / "lake") == ["x" * 255]


def test_two_that_write_one_partition_at_once_publish_one_of_the_two(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    uri = "s3://lake/made/2024-01-01"

    def write(text: str) -> None:
        for number in range(40):
            with storage.replacement(uri, f"execution-{text}") as fresh:
                for name in ("a", "b"):
                    storage.write(f"{fresh.uri}/{name}", f"{text}-{number}".encode())
                fresh.publish("_SUCCESS", b"")

    writers = [threading.Thread(target=write, args=(text,)) for text in "xyz"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert storage.read(f"{uri}/a") == storage.read(f"{uri}/b")
    assert storage.read(f"{uri}/a").endswith(b"-39")
    assert names(tmp_path / "s3/lake/made") == ["2024-01-01"]


def test_a_living_writer_is_left_alone_and_a_dead_one_is_cleared(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    uri = "s3://lake/made/2024-01-01"
    with storage.replacement(uri, "alive") as alive:
        storage.write(f"{alive.uri}/a", b"alive")
        child = os.fork()
        if child == 0:
            storage.replacement(uri, "dead").__enter__()
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        hidden = tmp_path / "s3/lake/made/.writing-2024-01-01"
        assert len(names(hidden)) == 2
        with storage.replacement(uri, "other") as other:
            assert sorted(name.partition(".")[0] for name in names(hidden)) == ["alive", "other"]
            other.publish("_SUCCESS", b"")
        alive.publish("_SUCCESS", b"")
    assert storage.read(f"{uri}/a") == b"alive"


def killed_at(event: int, work: Callable[[], Any]) -> bool:
    """Runs the work in a forked process that dies by `kill -9` in front of its n-th call to the disk."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = event
    process = os.getpid()

    def count(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if name in EVENTS_OF_DISK and os.getpid() == process:
            left -= 1
            if left < 0:
                os.kill(process, signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
    finally:
        os._exit(0)


def kills(lab: Lab, made: DataNode, work: Callable[[], Any]) -> Iterator[int]:
    """Kills an execution in front of every call to the disk, one after the other, over the same old partition."""
    event = 0
    while True:
        lab.run(lab.app.patch_data("made", compute_targets=[InlinedCompute(writes("old"))]))
        assert lab.content(made) == {"_SUCCESS": "", **OLD}
        if not killed_at(event, work):
            return
        yield event
        event += 1


class InProcess:
    """An engine that writes two files in this process: the sweep is about the runner and the storage."""

    def __init__(self, storage: LocalStorage) -> None:
        self.storage = storage

    def run(self, task: Any, log: Any, cancelled: Any) -> Any:
        from rheo_assets.runner.task import TaskResult

        for name in ("a.txt", "b.txt"):
            Path(self.storage.path(task.output.path), name).write_text("new")
        return TaskResult(engine="in process")


class QuickPlatform(LocalPlatform):
    def engine(self, target: Any) -> Any:
        return InProcess(self.storage)


def test_a_runner_killed_at_any_point_leaves_the_old_partition_or_the_new_and_the_next_run_clears_up(
    lab: Lab,
) -> None:
    made = lab.node("made", InlinedCompute(writes("old")))
    storage = lab.platform.storage
    uri = made.layout.uri(made.spec, DAY)
    failing = lab.app.patch_data("made", compute_targets=[InlinedCompute(writes("half", fail))])
    quick = QuickPlatform(lab.root)

    def execute() -> None:
        around = Surroundings(quick, lab.logged.append, lambda: False, lab.blob, pause=lambda seconds: None)
        assert run_execution(failing, Request("next", DAY, {"source": DAY}), around).execution.status == "COMPLETED"

    seen = set()
    for event in kills(lab, made, execute):
        after = lab.content(made)
        seen.add(tuple(after.items()))
        assert after in ({"_SUCCESS": "", **OLD}, OLD, {}, NEW), (event, after)
        assert list(storage.children(uri.rpartition("/")[0])) in (["2024-01-01"], [])
        assert lab.run(failing).execution.status == Status.FAILED
        kept = {name: text for name, text in after.items() if name != "_SUCCESS"} or OLD
        assert lab.content(made) == kept, (event, after)
        assert lab.beside(made) == ["2024-01-01"]
    assert {(), tuple(NEW.items()), tuple(OLD.items())} <= seen, "every state was met"


def test_what_is_published_replaces_a_folder_that_was_a_link(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("s3://lake/else/a", b"not mine")
    (tmp_path / "s3/lake/made").symlink_to("else")
    with storage.replacement("s3://lake/made", "w") as fresh:
        assert isinstance(fresh, LocalReplacement)
        fresh.publish("_SUCCESS", b"")
    assert storage.read("s3://lake/else/a") == b"not mine"
    assert not (tmp_path / "s3/lake/made").is_symlink()
