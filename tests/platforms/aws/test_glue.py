"""Jobs of Glue: defined once, started once, told in words. The runs here end as they are told to, without running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rheo_assets.model.compute.vocabulary import GlueVersion, GlueWorkerType
from rheo_assets.model.compute.wrappers import BatchCompute
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.costs import dpus, glue_dollars
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import JobState, Phase
from rheo_assets.platforms.aws.jobs.watching import Watcher
from rheo_assets.platforms.aws.retries import Patience
from rheo_assets.platforms.aws.spark.glue import GlueJobs, GlueSettings, glue_state, glue_version, glue_workers
from rheo_assets.platforms.aws.spark.gone_jobs import delete_gone_jobs
from rheo_assets.platforms.aws.spark.jobs import StillStarting, job_name
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from tests.platforms.aws.doubles.engines import BUCKET, home
from tests.platforms.aws.doubles.glue import GlueDouble
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import World


@pytest.fixture
def double(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GlueDouble:
    world.reset(BUCKET)
    host: Any = SparkHost(None, world.clients.client("s3"), tmp_path, {})  # type: ignore[arg-type]  # nothing runs
    double = GlueDouble(host, monkeypatch)
    double.outcome = ("RUNNING", "")
    return double


@pytest.fixture
def jobs(world: World, double: GlueDouble) -> Callable[..., GlueJobs]:
    def opened(storage: Any = None, **settings: Any) -> GlueJobs:
        return GlueJobs(Account(world.clients, storage or world.storage, home), GlueSettings("rheo-jobs", **settings))

    return opened


def task(token: str = "e-0-0", code: str = "output = 1", **more: Any) -> Task:
    return Task("node", "PYTHON", code, (), TaskOutput("s3://lake/out"), application="shop", token=token, **more)


def test_a_job_is_defined_once_and_updated_only_when_it_differs(double, jobs, world):
    glue = jobs()
    for number in range(3):
        glue.submit(task(f"e-{number}"))
    jobs().submit(task("another-process"))
    assert (double.calls["create_job"], double.calls["get_job"], double.calls.get("update_job", 0)) == (1, 2, 0)
    glue.submit(task("new-code", "output = 2"))
    assert double.calls["update_job"] == 1
    defined = world.clients.client("glue").get_job(JobName="rheo-shop-node-0")["Job"]
    assert (defined["MaxRetries"], defined["GlueVersion"], defined["WorkerType"]) == (0, "5.1", "G.1X")
    script = world.storage.read(defined["Command"]["ScriptLocation"]).decode()
    assert "output = 2" in script, "people see the code in the console"


def test_what_the_declaration_no_longer_says_is_gone_from_the_job(double, jobs, world):
    jobs(connections=("vpc",)).submit(task("a", timeout=90.0))
    client = world.clients.client("glue")
    defined = client.get_job(JobName="rheo-shop-node-0")["Job"]
    assert (defined["Timeout"], defined["Connections"]) == (2, {"Connections": ["vpc"]})
    jobs().submit(task("b"))
    defined = client.get_job(JobName="rheo-shop-node-0")["Job"]
    assert (defined["Timeout"], defined.get("Connections")) == (480, None)
    assert [run.given["timeout"] for run in double.started] == [2, 480]


def test_a_run_names_its_own_script_so_that_a_newer_definition_does_not_change_it(double, jobs):
    old, new = jobs(), jobs()
    old.submit(task("a", "output = 1"))
    new.submit(task("b", "output = 2"))
    old.submit(task("c", "output = 1"))
    scripts = [run.arguments["--scriptLocation"] for run in double.started]
    assert scripts[0] == scripts[2] != scripts[1]


def test_a_job_that_somebody_deleted_is_made_again(double, jobs, world):
    glue = jobs()
    glue.submit(task("a"))
    world.clients.client("glue").delete_job(JobName="rheo-shop-node-0")
    with pytest.raises(Exception, match="EntityNotFoundException"):
        glue.submit(task("b"))
    assert glue.submit(task("b")).startswith("rheo-shop-node-0/jr_")
    assert double.tokens == ["a", "b"]


def test_many_runs_are_looked_at_by_pages_and_few_one_by_one(double, jobs, world):
    glue = jobs()
    started = [glue.submit(task())]
    client = world.clients.client("glue")
    for _ in range(209):
        run = client.start_job_run(JobName="rheo-shop-node-0", Arguments=double.started[0].arguments)
        started.append(f"rheo-shop-node-0/{run['JobRunId']}")
    states = glue.states(started)
    assert {state.phase for state in states.values()} == {Phase.RUNNING}
    assert set(states) == set(started)
    assert (double.calls["get_job_runs"], double.calls.get("get_job_run", 0)) == (2, 0)
    glue.states(started[:3])
    assert (double.calls["get_job_runs"], double.calls["get_job_run"]) == (2, 3)


def test_a_run_that_glue_has_forgotten_is_lost_and_the_others_are_told(double, jobs):
    glue = jobs()
    here = glue.submit(task())
    gone = here.rpartition("/")[0] + "/jr_gone"
    states = glue.states([here, gone])
    assert (states[here].phase, states[gone].phase) == (Phase.RUNNING, Phase.LOST)


def test_a_run_that_cannot_be_stopped_is_told_unless_it_has_ended(double, jobs):
    glue = jobs()
    run = glue.submit(task())
    double.started[0].status = "STARTING"  # which the double does not stop
    with pytest.raises(OSError, match="Glue did not stop it"):
        glue.stop(run)
    double.started[0].status = "RUNNING"
    glue.stop(run)
    glue.stop(run)
    assert glue.states([run])[run].phase is Phase.STOPPED


def test_a_driver_that_wakes_after_another_has_taken_over_stops_its_own_run(double, jobs, world):
    class Pausing:
        """The first driver sleeps between its claim and its start; meanwhile the second takes over."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.storage, name)

        def create(self, uri: str, content: bytes) -> bool:
            done = world.storage.create(uri, content)
            if uri.endswith("claim.json"):
                second = jobs()
                second.takeover = 0.0
                taken.append(second.submit(task()))
            return done

    taken: list[str] = []
    assert jobs(Pausing()).submit(task()) == taken[0]
    assert [run.status for run in double.started] == ["RUNNING", "STOPPED"]


def test_a_run_that_is_listed_late_after_a_lost_answer_is_not_started_twice(double, jobs, monkeypatch):
    glue = jobs()
    find, looks = glue.find, []

    def late(job: Any) -> str | None:
        looks.append(job)
        return find(job) if len(looks) > 2 else None

    monkeypatch.setattr(glue, "find", late)
    double.lose_answer("start_job_run")
    with pytest.raises(ClientError):
        glue.submit(task())
    for _ in range(2):
        with pytest.raises(StillStarting):
            glue.submit(task())
    assert glue.submit(task()).endswith(double.started[0].job_run_id)
    assert len(double.started) == 1


def test_a_start_that_was_turned_away_is_repeated_at_once(double, jobs):
    glue = jobs()
    double.refuse("start_job_run", "ConcurrentRunsExceededException")
    with pytest.raises(ClientError):
        glue.submit(task())
    assert glue.submit(task()).endswith(double.started[0].job_run_id)


def test_a_job_that_another_driver_is_about_to_start_is_waited_for(double, jobs, world):
    world.storage.create(f"{jobs().folder(task())}/claim.json", b'{"owner": "x", "at": "2999-01-01T00:00:00+00:00"}')
    with pytest.raises(StillStarting):
        jobs().submit(task())
    assert double.tokens == []


def test_a_library_of_this_machine_is_uploaded_under_its_content(double, jobs, world, tmp_path):
    jar = tmp_path / "rules.jar"
    jar.write_bytes(b"jar")
    glue = jobs()
    glue.submit(task(libraries=(str(jar), "s3://elsewhere/other.jar")))
    shipped = Task.from_json(world.storage.read(f"{glue.folder(task())}/task.json").decode())
    local, other = shipped.libraries
    assert world.storage.read(local) == b"jar"
    assert local.endswith("/rules.jar")
    assert other == "s3://elsewhere/other.jar"
    with pytest.raises(Exception, match=r"library '/nowhere\.jar' cannot be read"):
        glue.submit(task("x", libraries=("/nowhere.jar",)))


@pytest.mark.parametrize(
    ("state", "message", "phase"),
    [
        ("STARTING", "", Phase.WAITING),
        ("WAITING", "", Phase.WAITING),
        ("RUNNING", "", Phase.RUNNING),
        ("STOPPING", "", Phase.RUNNING),
        ("SUCCEEDED", "", Phase.SUCCEEDED),
        ("FAILED", "ValueError: no such total", Phase.FAILED),
        ("FAILED", "Exceeded maximum concurrent compute capacity for your account", Phase.LOST),
        ("FAILED", "Resource unavailable", Phase.LOST),
        ("FAILED", "An Internal Service Error occurred", Phase.LOST),
        ("ERROR", "", Phase.LOST),
        ("EXPIRED", "", Phase.LOST),
        ("STOPPED", "", Phase.STOPPED),
        ("TIMEOUT", "", Phase.TIMED_OUT),
    ],
)
def test_every_state_of_glue_is_known(state, message, phase):
    assert glue_state({"JobRunState": state, "ErrorMessage": message}).phase is phase


def test_a_state_of_tomorrow_goes_on_until_the_run_has_ended():
    assert glue_state({"JobRunState": "PAUSED"}).phase is Phase.RUNNING
    assert glue_state({"JobRunState": "VANISHED", "CompletedOn": 1}).phase is Phase.LOST


@pytest.mark.parametrize(
    ("hints", "workers"),
    [
        ({}, ("G.1X", 10)),
        ({"MaxCapacity": 7.5}, ("G.1X", 8)),
        ({"MaxCapacity": 1}, ("G.1X", 2)),
        ({"NumberOfWorkers": 1}, ("G.1X", 2)),
        ({"WorkerType": "Standard", "NumberOfWorkers": 5}, ("G.1X", 5)),
        ({"WorkerType": "G.025X", "NumberOfWorkers": 5}, ("G.1X", 5)),
        ({"WorkerType": "G.4X", "NumberOfWorkers": 3}, ("G.4X", 3)),
    ],
)
def test_capacity_in_dpus_and_old_workers_become_workers_of_today(hints, workers):
    assert glue_workers(task(hints=hints), GlueSettings("role")) == workers


@pytest.mark.parametrize("worker_type", list(map(str, GlueWorkerType)))
def test_glue_takes_every_worker_type_that_a_node_may_name_and_the_longest_time(double, jobs, worker_type):
    longest = BatchCompute("output = 1", WorkerType=worker_type, Timeout=10_079)
    jobs().submit(task(hints=longest.hints, timeout=longest.timeout))
    assert double.started[0].given["timeout"] == 10_079


@pytest.mark.parametrize(
    ("asked", "version"),
    [(version, version if version in {"5.0", "5.1", "6.0"} else "5.1") for version in map(str, GlueVersion)],
)
def test_a_version_that_is_too_old_for_the_runner_becomes_the_present_one(asked, version):
    assert glue_version(task(hints={"GlueVersion": asked}))[0] == version


def test_a_job_on_another_version_than_asked_for_says_so(double, jobs, world):
    glue, old = jobs(), task(hints={"GlueVersion": "2.0"})
    job = glue.submit(old)
    left = '{"result": {"rows": 1, "schema": [], "preview": [], "warnings": ["w"], "engine": "Spark 3.5.6"}}'
    world.storage.write(f"{glue.folder(old)}/result.json", left.encode())
    result = glue.result(old, job, JobState(Phase.SUCCEEDED))
    assert result.warnings == ("w", "Glue 2.0 is too old for the runner: the job ran on Glue 5.1")
    assert result.engine == "Spark 3.5.6 on Glue"
    assert "wrote its output and failed then" in glue.failure(old, job, JobState(Phase.FAILED, "FAILED")).message
    assert glue.failure(old, job, JobState(Phase.FAILED)).kind == "platform"


def test_a_job_that_left_nothing_is_the_platforms_fault(double, jobs):
    glue = jobs()
    job = glue.submit(task())
    with pytest.raises(TaskFailure, match="ended well but left no result") as caught:
        glue.result(task(), job, JobState(Phase.SUCCEEDED))
    assert caught.value.kind == "platform"


def test_the_cost_is_that_of_dpu_hours_and_of_a_minute_at_least():
    assert dpus("G.025X", 4) == 1.0
    assert glue_dollars(3600.0, 360.0, "G.1X") == 0.44
    assert glue_dollars(3600.0, 360.0, "R.1X") == 0.52
    assert glue_dollars(20.0, 10.0, "G.1X") == pytest.approx(120 / 3600 * 0.44, abs=1e-4)
    run = {"JobRunState": "SUCCEEDED", "ExecutionTime": 600, "WorkerType": "G.2X", "NumberOfWorkers": 5}
    facts = glue_state(run).facts
    assert (facts["DPU-seconds"], facts["workers"]) == (6000.0, "5 x G.2X")


def test_nodes_with_long_names_have_jobs_of_their_own():
    names = {job_name("a" * 127, "n" * 126 + last, 0) for last in "xy"}
    assert len(names) == 2
    assert all(len(name) <= 255 for name in names)


def test_a_run_beyond_the_account_s_capacity_waits_in_glue_s_queue_and_says_so(double, jobs):
    double.room = 1
    glue = jobs()
    first, second = glue.submit(task("a")), glue.submit(task("b"))
    states = glue.states([first, second])
    assert (states[first].phase, states[second].phase) == (Phase.RUNNING, Phase.WAITING)
    assert states[second].reason == "Job run is waiting: no DPU is free"


def test_where_glue_has_no_queue_a_run_beyond_the_capacity_is_lost_and_can_be_tried_again(double, jobs):
    double.room, double.has_queue = 0, False
    glue = jobs()
    for token in ("a", "b"):
        run = glue.submit(task(token))
        state = glue.states([run])[run]
        assert (state.phase, state.lasting) == (Phase.LOST, False)
        assert "Exceeded maximum concurrent compute capacity" in state.reason
    assert double.calls["start_job_run"] == 3, "it asks for a queue once"


def test_a_quota_of_jobs_is_told_in_glue_s_words_after_a_while(double, jobs):
    double.refuse("create_job", "ResourceNumberLimitExceededException", times=1000)
    engine = RemoteEngine(jobs(), Watcher(), Patience(seconds=3, first=0.05, longest=0.5))
    lines: list[str] = []
    with pytest.raises(TaskFailure) as told:
        engine.run(task(), lines.append, lambda: False)
    assert told.value.kind == "user"
    assert "ResourceNumberLimitExceededException: create_job is made to fail. Delete what is not" in told.value.message
    assert "create_job is made to fail" in lines[0], "the log has the words from the beginning"


def test_a_limit_of_runs_at_the_same_time_is_waited_for(double, jobs):
    double.refuse("start_job_run", "ResourceNumberLimitExceededException", times=8)
    engine = RemoteEngine(jobs(), Watcher(), Patience(seconds=9, first=0.05, longest=0.1))
    double.outcome = ("FAILED", "it ran")
    with pytest.raises(TaskFailure, match="it ran"):
        engine.run(task(), lambda _: None, lambda: False)
    assert double.calls["start_job_run"] == 9


def names(world: World) -> set[str]:
    return set(world.clients.client("glue").list_jobs()["JobNames"])


def test_jobs_of_targets_that_are_gone_are_deleted_unless_they_run(double, jobs, world):
    glue = jobs()
    double.outcome = ("SUCCEEDED", "")
    for node, position in (("kept", 0), ("kept", 1), ("gone", 0)):
        glue.submit(replace(task(f"{node}-{position}"), node=node, position=position))
    other = replace(task("other"), application="other", node="gone")
    world.clients.client("s3").create_bucket(Bucket="rheo-other")
    glue.submit(other)
    double.outcome = ("RUNNING", "")
    glue.submit(replace(task("running"), node="busy"))
    assert delete_gone_jobs(world.clients, "shop", {("kept", 0)}) == ["rheo-shop-gone-0", "rheo-shop-kept-1"]
    assert names(world) == {"rheo-shop-kept-0", "rheo-shop-busy-0", "rheo-other-gone-0"}
    double.started[-1].status = "SUCCEEDED"
    assert delete_gone_jobs(world.clients, "shop", {("kept", 0)}) == ["rheo-shop-busy-0"]


@pytest.mark.parametrize("operation", ["list_jobs", "get_job_runs", "delete_job"])
def test_who_may_not_delete_jobs_leaves_them(double, jobs, world, operation):
    double.outcome = ("SUCCEEDED", "")
    jobs().submit(task("a"))
    double.refuse(operation, "AccessDeniedException")
    assert delete_gone_jobs(world.clients, "shop", set()) == []
    assert names(world) == {"rheo-shop-node-0"}
