"""Inlined Python on Lambda: the uploaded zip runs the callable on what lies in S3.

What every engine promises is in `test_engine_contract.py`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.functions.lambdas import LambdaFunctions, LambdaSettings
from rheo_assets.platforms.aws.functions.process import ProcessFunctions
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import Phase
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.runner.blobs import dump_callable
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult
from tests.platforms.aws.doubles.engines import home, lambda_role, patient
from tests.platforms.aws.doubles.functions import LambdaDouble
from tests.platforms.aws.doubles.world import World

BUCKET = "rheo-shop"
IN, OUT = f"s3://{BUCKET}/in/2024-01-02", f"s3://{BUCKET}/internal_data/report/2024-01-02"


@dataclass
class Bench:
    """Functions over an empty world."""

    world: World
    storage: S3Storage
    double: LambdaDouble
    service: LambdaFunctions

    def engine(self) -> RemoteEngine:
        """Returns the engine of another process."""
        service = LambdaFunctions(Account(self.world.clients, self.storage, home), self.service._settings)
        return patient(service, slowest=0.2)

    def run(
        self, task: Task, cancelled: Callable[[], bool] = lambda: False, lines: list[str] | None = None
    ) -> TaskResult:
        """Runs the task to its end."""
        return self.engine().run(task, (lines if lines is not None else []).append, cancelled)

    def task(self, function: Callable[..., Any], token: str = "t-0", **more: Any) -> Task:
        """Returns the task of a function whose blob lies in S3."""
        blob = f"s3://{BUCKET}/blobs/{token}"
        self.storage.write(blob, dump_callable(function, "report"))
        inputs = (TaskInput("orders", (IN,), partitions=(("2024-01-02",),), dimensions={"day": "2024-01-02"}),)
        return Task(
            "report",
            "INLINED",
            blob,
            inputs,
            TaskOutput(OUT),
            {"day": "2024-01-02"},
            params={"platform": "aws", "AWS_REGION": "us-east-1", "AWS_ACCOUNT_ID": "123456789012"},
            application="shop",
            token=token,
            **more,
        )


@pytest.fixture
def bench(world: World, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    world.reset(BUCKET)
    double = LambdaDouble(scratch / "functions", world)
    double.replace(monkeypatch)
    service = LambdaFunctions(Account(world.clients, world.storage, home), LambdaSettings(lambda_role(world)))
    world.storage.write(f"{IN}/part-0.json", b'{"id": 1}\n{"id": 2}\n')
    yield Bench(world, world.storage, double, service)
    double.close()


def report(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
    lines = [
        line
        for folder in inputs["orders"].local_paths
        for file in Path(folder).glob("*.json")
        for line in file.read_text().splitlines()
    ]
    print(f"read {len(lines)} lines")
    Path(output.local_paths[0], "report.txt").write_text(f"{len(lines)} orders on {params['dimensions']['day']}")
    return {"orders": len(lines), "file": {"type": "path", "value": f"{output.local_paths[0]}/report.txt"}}


def test_a_callable_reads_and_writes_s3_as_folders(bench: Bench) -> None:
    lines: list[str] = []
    result = bench.run(bench.task(report), lines=lines)
    assert bench.storage.read(f"{OUT}/report.txt") == b"2 orders on 2024-01-02"
    assert result.metadata["orders"] == 2
    assert result.metadata["file"]["value"] == f"{OUT}/report.txt"
    assert result.metadata["cost estimate (USD)"] >= 0
    assert "read 2 lines" in lines
    assert result.engine.startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}")


def test_a_callable_has_a_session_of_the_account(bench: Bench) -> None:
    def copy(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
        client = params["AWS_BOTO_SESSION"].client("s3")
        bucket, _, key = output.paths[0].removeprefix("s3://").partition("/")
        client.put_object(Bucket=bucket, Key=f"{key}/mine.txt", Body=b"mine")
        return {"account": params["AWS_ACCOUNT_ID"], "region": params["AWS_REGION"], "platform": params["platform"]}

    result = bench.run(bench.task(copy))
    assert bench.storage.read(f"{OUT}/mine.txt") == b"mine"
    told = {name: result.metadata[name] for name in ("account", "region", "platform")}
    assert told == {"account": "123456789012", "region": "us-east-1", "platform": "aws"}


def test_an_input_that_nobody_opens_is_not_fetched(bench: Bench) -> None:
    def look(inputs: Any, output: Any, params: Any) -> dict[str, Any]:
        fetched = Path(os.environ["RHEO_ROOT"], "s3", "rheo-shop").iterdir()
        return {"paths": inputs["orders"].paths[0], "here": sorted(path.name for path in fetched)}

    result = bench.run(bench.task(look))
    assert result.metadata["paths"] == IN
    assert "in" not in result.metadata["here"]


def fail(inputs: Any, output: Any, params: Any) -> None:
    Path(output.local_paths[0], "half.txt").write_text("half")
    raise ValueError("no such region")


def test_a_callable_that_raises_fails_with_its_own_traceback_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(TaskFailure, match="node 'report': its callable raised ValueError: no such region") as told:
        bench.run(bench.task(fail))
    assert (told.value.kind, told.value.unresolved) == ("user", False)
    assert 'raise ValueError("no such region")' in told.value.detail
    assert not bench.storage.has_objects(OUT)


def test_a_callable_that_ends_its_process_is_the_users_fault(bench: Bench) -> None:
    with pytest.raises(TaskFailure, match="ended the Python process") as told:
        bench.run(bench.task(lambda inputs, output, params: os._exit(3)))
    assert told.value.kind == "user"


def test_a_function_without_time_left_says_so_before_lambda_ends_it(bench: Bench) -> None:
    bench.double.seconds = 21.0  # one second above what is kept for the answer
    with pytest.raises(TaskFailure) as told:
        bench.run(bench.task(lambda inputs, output, params: time.sleep(60)))
    assert told.value.kind == "timeout"


def test_an_event_that_is_delivered_twice_runs_once(bench: Bench) -> None:
    bench.double.deliveries = 2
    bench.run(bench.task(report))
    for thread in bench.double.threads:
        thread.join(20)
    assert sorted(answer["again"] for answer in bench.double.answers) == [False, True]


def test_cancelling_before_it_starts_keeps_it_from_running(bench: Bench) -> None:
    bench.double.hold.clear()
    since = time.monotonic()
    with pytest.raises(TaskFailure, match="was stopped") as told:
        bench.run(bench.task(report), cancelled=lambda: time.monotonic() > since + 0.5)
    bench.double.hold.set()
    for thread in bench.double.threads:
        thread.join(20)
    assert told.value.kind == "cancelled"
    assert not bench.storage.has_objects(OUT)


def test_a_function_that_vanished_is_lambdas_fault(bench: Bench) -> None:
    job = f"s3://{BUCKET}/jobs/t-0"
    bench.storage.write(f"{job}/started.json", b'{"at": "2024-01-01T00:00:00+00:00"}')
    (state,) = bench.service.states([job]).values()
    assert (state.phase, state.name) == (Phase.LOST, "GONE")
    assert "memory may have run out" in state.reason


def test_a_function_that_cannot_read_its_task_answers_nevertheless(bench: Bench) -> None:
    bench.storage.write(f"s3://{BUCKET}/jobs/t-0/task.json", b'{"version": 99}')
    with pytest.raises(TaskFailure, match=r"'report': Lambda could not run .* cannot run a task of version 99") as told:
        bench.run(bench.task(report), cancelled=within(20))
    assert told.value.kind == "platform"


def test_one_function_serves_all_callables_of_the_same_requirements(bench: Bench) -> None:
    bench.run(bench.task(report))
    bench.run(bench.task(report, token="t-1"))
    (function,) = bench.world.clients.client("lambda").list_functions()["Functions"]
    assert function["FunctionName"].startswith("rheo-shop-")
    assert (function["Timeout"], function["MemorySize"]) == (900, 1024)
    config = bench.world.clients.client("lambda").get_function_event_invoke_config(
        FunctionName=function["FunctionName"]
    )
    assert config["MaximumRetryAttempts"] == 0


def within(seconds: float) -> Callable[[], bool]:
    """Ends what goes on for longer."""
    since = time.monotonic()
    return lambda: time.monotonic() > since + seconds


@pytest.mark.parametrize("operation", ["PutObject", "GetObject"])
def test_a_role_without_rights_is_told_at_once_with_what_to_allow(bench: Bench, operation: str) -> None:
    bench.double.forbidden = (operation,)
    with pytest.raises(TaskFailure) as told:
        bench.run(bench.task(report), cancelled=within(20))
    role = bench.service._settings.role
    assert (told.value.kind, told.value.unresolved) == ("user", False)
    assert f"runs as the role {role}, which may not use s3://rheo-shop: ClientError:" in told.value.message
    assert f"when calling the {operation} operation" in told.value.message
    assert "Allow it s3:GetObject, s3:PutObject" in told.value.message
    assert bench.double.tokens == []
    bench.double.forbidden = ()
    bench.run(bench.task(report))
    assert bench.double.tokens == ["t-0"]


def test_a_function_that_cannot_be_imported_is_told_at_once(bench: Bench) -> None:
    bench.double.lacks = "rheo_assets/runner/inlined.py"
    with pytest.raises(
        TaskFailure, match=r"'report': its function rheo-shop-\w+ on Lambda does not start: .*No module"
    ):
        bench.run(bench.task(report), cancelled=within(20))
    bench.double.lacks = "rheo_assets/platforms/aws/functions/process.py"
    with pytest.raises(TaskFailure, match=r"does not start: Runtime\.ImportModuleError: No module named") as told:
        bench.run(bench.task(report), cancelled=within(20))
    assert told.value.kind == "platform"


def test_a_function_is_tried_out_once_in_a_process(bench: Bench) -> None:
    engine = bench.engine()
    for token in ("t-0", "t-1"):
        engine.run(bench.task(report, token=token), print, lambda: False)
    assert bench.double.calls == {"probe": 1, "invoke": 2}


def test_a_function_that_somebody_deleted_is_made_again(bench: Bench) -> None:
    engine = bench.engine()
    engine.run(bench.task(report), print, lambda: False)
    client = bench.world.clients.client("lambda")
    (function,) = client.list_functions()["Functions"]
    client.delete_function(FunctionName=function["FunctionName"])
    for uri in [f"s3://{BUCKET}/runner/{name}" for name in bench.storage.children(f"s3://{BUCKET}/runner")]:
        bench.storage.delete(uri)
    engine.run(bench.task(report, token="t-1"), print, lambda: False)
    assert bench.double.tokens == ["t-0", "t-1"]


def test_a_call_that_waits_for_long_says_so_once(bench: Bench) -> None:
    bench.double.hold.clear()
    service = LambdaFunctions(Account(bench.world.clients, bench.storage, home), bench.service._settings)
    service.long_wait = 0.1
    lines: list[str] = []
    with pytest.raises(TaskFailure, match="was stopped"):
        patient(service, slowest=0.2).run(bench.task(report), lines.append, within(4))
    (line,) = [line for line in lines if "has waited for" in line]
    assert "'report'" in line
    assert "Lambda's queue, which keeps it for at most six hours" in line


def test_a_process_whose_data_s3_does_not_give_says_so(bench: Bench) -> None:
    engine = ProcessFunctions(bench.world.clients)
    made = bench.task(report)
    with pytest.raises(TaskFailure, match="'report': its callable's data on S3: 404") as told:
        engine.run(replace(made, code=f"{made.code}-gone"), print, lambda: False)
    assert told.value.kind == "user"


def test_a_process_without_the_required_packages_says_how_to_get_them(bench: Bench) -> None:
    engine = ProcessFunctions(bench.world.clients)
    wanted = ("no-such-words==2.0", "boto3==0.1")
    with pytest.raises(TaskFailure) as told:
        engine.run(bench.task(report, requirements=wanted), print, lambda: False)
    assert told.value.kind == "user"
    assert told.value.message == (
        "'report': its callable cannot run beside the run: its Python lacks no-such-words==2.0 (not installed), "
        f"boto3==0.1 ({version('boto3')} is installed). Run `pip install no-such-words==2.0 boto3==0.1` here, or let "
        "Lambda run it: without engine='process', and with a timeout of at most 900 s"
    )
    installed = (f"boto3=={version('boto3')}",)
    engine.run(bench.task(report, requirements=installed), print, lambda: False)
