"""How runs of EMR and EMR Serverless stand, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto.emrserverless.models import emrserverless_backends

from rheo_assets.errors import DeclarationError
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.jobs.service import JobState, Phase
from rheo_assets.platforms.aws.spark.emr import EmrJobs, EmrSettings, emr_instances, emr_state
from rheo_assets.platforms.aws.spark.emr_serverless import ServerlessJobs, ServerlessSettings, serverless_state
from rheo_assets.platforms.aws.spark.jobs import SparkJobs, StillStarting
from rheo_assets.platforms.aws.spark.releases import emr_release
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput
from tests.platforms.aws.doubles.emr import EmrDouble
from tests.platforms.aws.doubles.emr_serverless import ServerlessDouble
from tests.platforms.aws.doubles.engines import BUCKET, home, patient
from tests.platforms.aws.doubles.host import SparkHost
from tests.platforms.aws.doubles.world import World

MANAGED = "for-use-with-amazon-emr-managed-policies"


@pytest.fixture
def host(world: World, tmp_path: Path) -> SparkHost:
    """A host on which nothing runs: clusters and runs end as they are told to."""
    world.reset(BUCKET)
    return SparkHost(None, world.clients.client("s3"), tmp_path, {})  # type: ignore[arg-type]


@pytest.fixture
def clusters(world: World, host: SparkHost, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EmrJobs]:
    EmrDouble(host, monkeypatch).outcome = ("ALL_STEPS_COMPLETED", "Steps completed")
    return lambda **settings: EmrJobs(Account(world.clients, world.storage, home), EmrSettings("rheo-jobs", **settings))


@pytest.fixture
def double(host: SparkHost, monkeypatch: pytest.MonkeyPatch) -> ServerlessDouble:
    double = ServerlessDouble(host, monkeypatch)
    double.outcome = ("FAILED", "exit code 1")  # in its own time, and not by an answer of the test's
    return double


@pytest.fixture
def runs(world: World, double: ServerlessDouble) -> Callable[..., ServerlessJobs]:
    def opened(**settings: Any) -> ServerlessJobs:
        role = "arn:aws:iam::123456789012:role/rheo-jobs"
        return ServerlessJobs(Account(world.clients, world.storage, home), ServerlessSettings(role, **settings))

    return opened


@pytest.fixture
def application(world: World, runs: Callable[..., ServerlessJobs]) -> Any:
    """The application that the jobs find, which others may start, stop or delete."""
    with suppress(StillStarting):
        runs().submit(task("the-first"))
    (found,) = emrserverless_backends["123456789012"]["us-east-1"].applications.values()
    return found


def task(token: str = "e-0-0", **more: Any) -> Task:
    return Task("node", "PYTHON", "output = 1", (), TaskOutput("s3://b/k"), application="shop", token=token, **more)


def cluster(state: str, code: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    return {"Status": {"State": state, "StateChangeReason": {"Code": code, "Message": message}, **more}}


@pytest.mark.parametrize(
    ("state", "code", "message", "phase"),
    [
        ("STARTING", "", "", Phase.WAITING),
        ("BOOTSTRAPPING", "", "", Phase.WAITING),
        ("RUNNING", "", "", Phase.RUNNING),
        ("WAITING", "", "", Phase.RUNNING),
        ("TERMINATING", "ALL_STEPS_COMPLETED", "", Phase.RUNNING),
        ("TERMINATED", "ALL_STEPS_COMPLETED", "", Phase.SUCCEEDED),
        ("TERMINATED", "USER_REQUEST", "", Phase.STOPPED),
        ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "exit code 1", Phase.FAILED),
        ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "over capacity", Phase.FAILED),
        ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR", "no such subnet", Phase.FAILED),
        ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR", "EC2 has insufficient capacity", Phase.LOST),
        ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR", "", Phase.LOST),
        ("TERMINATED_WITH_ERRORS", "INSTANCE_FAILURE", "", Phase.LOST),
        ("TERMINATED_WITH_ERRORS", "", "", Phase.LOST),
    ],
)
def test_a_cluster_stands_as_its_only_step_does(state, code, message, phase):
    assert emr_state(cluster(state, code, message)).phase is phase


def test_a_cluster_costs_its_instances_from_its_creation():
    times = {
        "CreationDateTime": datetime(2024, 1, 1, 0, tzinfo=UTC),
        "ReadyDateTime": datetime(2024, 1, 1, 0, 10, tzinfo=UTC),
        "EndDateTime": datetime(2024, 1, 1, 1, tzinfo=UTC),
    }
    tags = [{"Key": "rheo:instance-type", "Value": "m5.xlarge"}, {"Key": "rheo:instance-count", "Value": "3"}]
    facts = emr_state({**cluster("TERMINATED", "ALL_STEPS_COMPLETED", Timeline=times), "Tags": tags}).facts
    assert (facts["execution seconds"], facts["cluster seconds"]) == (3000.0, 3600.0)
    assert facts["cost estimate (USD, us-east-1)"] == 0.72
    tags[0]["Value"] = "x9.huge"
    facts = emr_state({**cluster("TERMINATED", "ALL_STEPS_COMPLETED", Timeline=times), "Tags": tags}).facts
    assert "cost estimate (USD, us-east-1)" not in facts


def test_instances_are_those_of_the_hint_or_the_settings():
    asked = task(hints={"InstanceConfig": {"InstanceCount": 7}})
    assert emr_instances(asked, EmrSettings("role")) == ("m5.xlarge", 7)


INSTALL = {"Name": "python", "ScriptBootstrapAction": {"Path": "s3://b/python.sh"}}


@pytest.mark.parametrize("release", ["emr-5.36.2", "emr-6.15.0", "emr-7.0.0"])
def test_a_release_without_a_python_for_the_runner_becomes_the_present_one_and_says_so(clusters, world, release):
    emr, old = clusters(), task(hints={"RuntimeConfig": release})
    cluster = emr.submit(old)
    assert emr.states([cluster])[cluster].phase is Phase.SUCCEEDED
    leave_result(world, emr, old)
    (told,) = emr.result(old, cluster, JobState(Phase.SUCCEEDED)).warnings
    assert told.startswith(f"{release} is too old for the runner: the job ran on emr-7.9.0")


@pytest.mark.parametrize("settings", [{"python": "/opt/bin/python3.12"}, {"bootstrap_actions": (INSTALL,)}])
def test_a_release_with_a_python_of_the_users_own_is_the_one_that_runs(clusters, world, settings):
    emr, old = clusters(**settings), task(hints={"RuntimeConfig": "emr-6.15.0"})
    cluster = emr.submit(old)
    described = world.clients.client("emr").describe_cluster(ClusterId=cluster)["Cluster"]
    assert (described["ReleaseLabel"], emr.states([cluster])[cluster].phase) == ("emr-6.15.0", Phase.SUCCEEDED)
    leave_result(world, emr, old)
    assert emr.result(old, cluster, JobState(Phase.SUCCEEDED)).warnings == ()


@pytest.mark.parametrize("release", ["emr-7.1.0", "emr-7.12.0", "emr-spark-8.0-preview"])
def test_a_release_that_can_run_the_runner_is_the_one_that_runs(release):
    asked = task(hints={"RuntimeConfig": release})
    assert emr_release(asked, "emr-6.15.0", brings_python=False) == (release, release)
    assert emr_release(task(), "emr-6.15.0", brings_python=False) == ("emr-7.9.0", "emr-6.15.0")


def test_an_old_release_of_emr_serverless_becomes_the_present_one_and_says_so(double, runs, world):
    double.looks, double.outcome = 0, ("SUCCESS", "")
    serverless, old = runs(), task(hints={"RuntimeConfig": "emr-6.15.0"})
    run = serverless.submit(old)
    assert serverless.states([run])[run].phase is Phase.SUCCEEDED
    leave_result(world, serverless, old)
    (told,) = serverless.result(old, run, JobState(Phase.SUCCEEDED)).warnings
    assert told.startswith("emr-6.15.0 is too old for the runner: the job ran on emr-7.9.0")
    assert runs(application_id="own").result(old, run, JobState(Phase.SUCCEEDED)).warnings == ()


def leave_result(world: World, jobs: SparkJobs, done: Task) -> None:
    """Leaves what the runner leaves behind."""
    left = '{"result": {"rows": 1, "schema": [], "preview": [], "warnings": [], "engine": "Spark 3.5.6"}}'
    world.storage.write(f"{jobs.folder(done)}/result.json", left.encode())


def test_a_cluster_has_the_tag_that_the_policy_of_its_service_role_demands(clusters, world):
    emr = clusters(tags={"team": "sales"})
    cluster = emr.submit(task())
    assert emr.states([cluster])[cluster].phase is Phase.SUCCEEDED
    described = world.clients.client("emr").describe_cluster(ClusterId=cluster)["Cluster"]["Tags"]
    tags = {tag["Key"]: tag["Value"] for tag in described}
    assert (tags[MANAGED], tags["team"], tags["rheo:token"]) == ("true", "sales", "e-0-0")


def test_a_tag_of_the_settings_goes_before_ours_and_the_service_role_has_its_say(clusters):
    untagged = clusters(tags={MANAGED: "false"})
    cluster = untagged.submit(task())
    state = untagged.states([cluster])[cluster]
    assert (state.phase, "insufficient EC2 permissions" in state.reason) == (Phase.FAILED, True)
    other = clusters(tags={MANAGED: "false"}, service_role="EMR_DefaultRole")
    cluster = other.submit(task("e-1-0"))
    assert other.states([cluster])[cluster].phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("state", "details", "phase"),
    [
        ("SUBMITTED", "", Phase.WAITING),
        ("PENDING", "", Phase.WAITING),
        ("SCHEDULED", "", Phase.WAITING),
        ("QUEUED", "", Phase.WAITING),
        ("RUNNING", "", Phase.RUNNING),
        ("CANCELLING", "", Phase.RUNNING),
        ("SUCCESS", "", Phase.SUCCEEDED),
        ("CANCELLED", "", Phase.STOPPED),
        ("FAILED", "Job failed: exit code 1", Phase.FAILED),
        ("FAILED", "Job execution timeout exceeded", Phase.TIMED_OUT),
        ("FAILED", "Worker could not be allocated", Phase.LOST),
        ("FAILED", "Internal error", Phase.LOST),
    ],
)
def test_every_state_of_emr_serverless_is_known(state, details, phase):
    assert serverless_state({"state": state, "stateDetails": details}).phase is phase


def test_a_serverless_run_costs_what_it_used():
    used = {"vCPUHour": 4.0, "memoryGBHour": 16.0, "storageGBHour": 0.0}
    facts = serverless_state({"state": "SUCCESS", "billedResourceUtilization": used}).facts
    assert facts["cost estimate (USD, us-east-1)"] == 0.303


# applications of EMR Serverless that take no job yet ------------------------------------------------------------


def test_a_job_waits_until_its_application_has_been_made(double, runs):
    lines: list[str] = []
    with pytest.raises(TaskFailure, match="exit code 1"):
        patient(runs()).run(task(), lines.append, lambda: False)
    assert (double.tokens, double.calls["create_application"]) == (["e-0-0"], 1)
    assert double.calls["get_application"] == double.looks + 1
    assert "StillStarting" in lines[0]


@pytest.mark.parametrize("state", ["CREATING", "STARTING", "STOPPING"])
def test_an_application_that_is_found_is_waited_for_until_it_takes_jobs(double, runs, application, state):
    application.state, double.looks = state, 100
    serverless = runs()
    with pytest.raises(StillStarting, match=f"application {application.id} is {state}"):
        serverless.submit(task())
    assert double.tokens == []
    application.state = "STOPPED"
    assert serverless.submit(task()).startswith(f"{application.id}/")


def test_waiting_for_an_application_ends_and_says_how_it_stands(double, runs, application):
    application.state, application.state_details, double.looks = "CREATING", "no subnet has room", 100
    serverless = runs()
    serverless.longest_wait = 0.0
    told = rf"'node': after 0 minutes the application {application.id} is CREATING \(no subnet has room\)"
    with pytest.raises(TaskFailure, match=told) as caught:
        serverless.submit(task())
    assert (caught.value.kind, caught.value.unresolved, double.tokens) == ("platform", False, [])


def test_an_application_that_somebody_deleted_is_made_again_unless_it_was_named(double, runs, application):
    application.state = "STOPPED"
    serverless = runs()
    serverless.submit(task())
    application.state = "TERMINATED"
    named = runs(application_id=application.id)
    with pytest.raises(TaskFailure, match=r"is TERMINATED\. Name another application_id, or leave it out"):
        named.submit(task("e-1-0"))
    with pytest.raises(TaskFailure, match="exit code 1"):
        patient(serverless).run(task("e-2-0"), lambda _: None, lambda: False)
    assert (double.tokens, double.calls["create_application"]) == (["e-0-0", "e-2-0"], 2)


@pytest.mark.parametrize("name", ["team/rheo#1", "n" * 54])
def test_an_application_of_emr_serverless_may_have_any_name_that_the_service_takes(double, runs, name):
    double.looks = 0
    started = runs(application_name=name).submit(task("a/token#that " + "is-long" * 20))
    assert double.tokens == ["a/token#that " + "is-long" * 20]
    assert started


@pytest.mark.parametrize("name", ["team rheo", "n" * 55, "größe"])
def test_a_name_that_emr_serverless_does_not_take_is_refused_when_it_is_given(name):
    with pytest.raises(DeclarationError, match=r"would be named .*64 characters at most"):
        ServerlessSettings("role", application_name=name)
