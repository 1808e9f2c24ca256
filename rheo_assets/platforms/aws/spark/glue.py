"""Spark jobs on AWS Glue."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.errors import error_code
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.aws.jobs.service import JobState, Phase
from rheo_assets.platforms.aws.spark.glue_states import glue_state
from rheo_assets.platforms.aws.spark.jobs import SparkJob, SparkJobs
from rheo_assets.runner.remote import JOB, TOKEN
from rheo_assets.runner.task import Task, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

# Spark 3.5, as on a laptop. Where no version is given, Glue itself takes 6.0, which has Spark 4; what it calls "auto"
# moves a job to newer versions by itself. See GlueVersion of CreateJob in botocore's model (glue/2017-03-31).
AUTO: Final = "5.1"
_OLDEST: Final = 5.0
_MINUTES: Final = 480  # Glue 5's own limit where a node has none
_CONCURRENT_RUNS: Final = 1000
_PAGE: Final = 200
_PAGES: Final = 25
_FEW: Final = 4  # runs of one job that are cheaper to ask for one by one
_TRIES: Final = 5
TAG_APPLICATION: Final = "rheo:application"
TAG_NODE: Final = "rheo:node"
_REFUSED: Final = frozenset({"InvalidInputException", "ValidationException"})
_LEAST_WORKERS: Final = 2  # one is the driver
# Glue has the first up to version 2.0, and the second for streaming jobs only; ours are of type glueetl: WorkerType of
# CreateJob in botocore's model, https://docs.aws.amazon.com/glue/latest/dg/add-job.html
_OTHERWISE: Final = {"Standard": "G.1X", "G.025X": "G.1X"}


@dataclass(frozen=True, slots=True)
class GlueSettings:
    """What jobs get where their node says nothing.

    Attributes:
        role: The IAM role of the jobs: a name or an ARN.
        worker_type: The type of their workers.
        workers: How many.
        arguments: Further arguments of every run, such as `{"--enable-glue-datacatalog": "true"}`.
        connections: Names of Glue connections: how jobs reach a network.
        security_configuration: The name of one; empty for none.
        tags: Of the job definitions.
    """

    role: str
    worker_type: str = "G.1X"
    workers: int = 10
    arguments: Mapping[str, str] = field(default_factory=dict)
    connections: tuple[str, ...] = ()
    security_configuration: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class GlueJobs(SparkJobs):
    """Runs Spark tasks as runs of Glue jobs, one job a node's target; see `JobService`.

    The job's definition shows the newest script. A run names its own script, package and workers, so that an update by
    somebody else in between changes nothing.

    Hints: `GlueVersion` ("auto" is 5.1; versions before 5.0 have a Python or Spark that is too old and run as 5.1,
    with a warning), `WorkerType`, `NumberOfWorkers`, at least two, `Timeout` in minutes, and `MaxCapacity`: DPUs, which
    Glue takes only before version 2.0; they become as many workers of G.1X, which are one DPU each. So do workers of
    `Standard`, which Glue has only up to version 2.0, and of `G.025X`, which it has for streaming jobs only.

    """

    title: str = "Glue"
    service: str = "glue"
    _settings: GlueSettings

    def __init__(self, account: Account, settings: GlueSettings) -> None:
        super().__init__(account, settings)
        self._defined: dict[str, Mapping[str, Any]] = {}
        self._has_queue = True

    def find(self, job: SparkJob) -> str | None:
        """Looks through the job's runs, newest first, for the task's token."""
        for run in self._runs(job.name):
            if (run.get("Arguments") or {}).get(TOKEN) == job.task.token:
                return f"{job.name}/{run['Id']}"
            if run.get("StartedOn", job.since) < job.since:
                return None
        return None

    def start(self, job: SparkJob) -> str:
        """Starts a run, after the job's definition has been brought up to date."""
        definition = self._definition(job)
        own = {TAG_APPLICATION: job.task.application, TAG_NODE: job.task.node}
        self._define(job.name, definition, {**self._settings.tags, **own})
        mine = {"--scriptLocation": job.script, JOB: job.folder, TOKEN: job.task.token}
        run = {name: definition[name] for name in ("WorkerType", "NumberOfWorkers", "Timeout")}
        run["Arguments"] = {**definition["DefaultArguments"], **mine}
        try:
            answer = self._queued(lambda queue: self._client.start_job_run(JobName=job.name, **run, **queue))
        except Exception as error:
            if error_code(error) == "EntityNotFoundException":
                self._defined.pop(job.name, None)  # somebody deleted it: the next try makes it again
            raise
        return f"{job.name}/{answer['JobRunId']}"

    def _queued(self, start: Callable[[Mapping[str, bool]], Any]) -> Any:
        """Starts a run that waits in Glue's queue while the account has no room, where Glue has such a queue."""
        if self._has_queue:
            try:
                return start({"JobRunQueuingEnabled": True})
            except Exception as error:
                if error_code(error) not in _REFUSED or "queu" not in str(error).lower():
                    raise
                self._has_queue = False
        return start({})

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the runs stand: pages of 200 for many runs of one job, one by one for a few."""
        by_name: dict[str, set[str]] = defaultdict(set)
        for job in jobs:
            name, _, run = job.rpartition("/")
            by_name[name].add(run)
        states: dict[str, JobState] = {}
        for name, wanted in by_name.items():
            for run, state in self._states(name, wanted):
                states[f"{name}/{run}"] = state
        return states

    def stop(self, job: str) -> None:
        """Asks Glue to stop the run; one that has ended, or is being stopped, is no error.

        Raises:
            OSError: Glue refused, and the run goes on.
        """
        name, _, run = job.rpartition("/")
        for refused in self._client.batch_stop_job_run(JobName=name, JobRunIds=[run]).get("Errors", ()):
            state = self.states([job])[job]
            if not state.phase.has_ended and state.name != "STOPPING":
                raise OSError(f"Glue did not stop it: {refused.get('ErrorDetail')}")

    def link(self, job: str) -> str:
        """Returns the run's page in Glue Studio."""
        name, _, run = job.rpartition("/")
        console = f"https://{self._region}.console.aws.amazon.com/gluestudio/home?region={self._region}"
        return f"{console}#/job/{quote(name, safe='')}/run/{run}"

    def log_link(self, job: str) -> str:
        """Returns the page of the run's errors in CloudWatch."""
        run = job.rpartition("/")[2]
        group = "/aws-glue/jobs/error".replace("/", "$252F")
        console = f"https://{self._region}.console.aws.amazon.com/cloudwatch/home?region={self._region}"
        return f"{console}#logsV2:log-groups/log-group/{group}/log-events/{run}"

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        """Returns what the runner left behind, with a word about an old version."""
        result = super().result(task, job, state)
        version, asked = glue_version(task)
        if version == asked:
            return result
        told = f"Glue {asked} is too old for the runner: the job ran on Glue {version}"
        return replace(result, warnings=(*result.warnings, told))

    # The definition

    def _definition(self, job: SparkJob) -> dict[str, Any]:
        settings = self._settings
        arguments = {"--job-language": "python", "--extra-py-files": job.package, **settings.arguments}
        worker_type, workers = glue_workers(job.task, settings)
        definition: dict[str, Any] = {
            "Role": settings.role,
            "Description": f"Target {job.task.position} of node {job.task.node}, application {job.task.application}",
            "Command": {"Name": "glueetl", "ScriptLocation": job.script, "PythonVersion": "3"},
            "DefaultArguments": arguments,
            "ExecutionProperty": {"MaxConcurrentRuns": _CONCURRENT_RUNS},
            "MaxRetries": 0,  # a retry of ours has a token of its own
            "GlueVersion": glue_version(job.task)[0],
            "WorkerType": worker_type,
            "NumberOfWorkers": workers,
            "Timeout": _MINUTES if job.task.timeout is None else max(1, math.ceil(job.task.timeout / 60)),
        }
        if settings.connections:
            definition["Connections"] = {"Connections": list(settings.connections)}
        if settings.security_configuration:
            definition["SecurityConfiguration"] = settings.security_configuration
        return definition

    def _define(self, name: str, definition: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Makes the job what it is to be, by as few calls as that takes."""
        for attempt in range(_TRIES):
            if self._defined.get(name) == definition:
                return
            try:
                self._create_or_update(name, definition, tags)
                self._defined[name] = definition
            except Exception as error:
                others = {"AlreadyExistsException", "IdempotentParameterMismatchException"}
                busy = {"ConcurrentModificationException"}
                if error_code(error) not in others | busy or attempt == _TRIES - 1:
                    raise

    def _create_or_update(self, name: str, definition: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        try:
            current = self._client.get_job(JobName=name)["Job"]
        except Exception as error:
            if error_code(error) != "EntityNotFoundException":
                raise
            self._client.create_job(Name=name, Tags=dict(tags), **definition)
            return
        fields = {*definition, "Connections", "SecurityConfiguration"}
        if any((current.get(field) or None) != (definition.get(field) or None) for field in fields):
            self._client.update_job(JobName=name, JobUpdate=dict(definition))

    # The runs

    def _runs(self, name: str) -> Iterator[Mapping[str, Any]]:
        """Yields the runs of a job, newest first."""
        more: dict[str, Any] = {}
        while True:
            try:
                page = self._client.get_job_runs(JobName=name, MaxResults=_PAGE, **more)
            except Exception as error:
                if error_code(error) == "EntityNotFoundException":
                    return
                raise
            yield from page.get("JobRuns", ())
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    def _states(self, name: str, wanted: set[str]) -> Iterator[tuple[str, JobState]]:
        missing = set(wanted)
        if len(wanted) > _FEW:
            for place, run in enumerate(self._runs(name)):
                if run["Id"] in missing:
                    missing.discard(run["Id"])
                    yield run["Id"], glue_state(run)
                if not missing or place >= _PAGE * _PAGES:
                    break
        for run_id in missing:
            try:
                yield run_id, glue_state(self._client.get_job_run(JobName=name, RunId=run_id)["JobRun"])
            except Exception as error:
                if error_code(error) != "EntityNotFoundException":
                    raise
                yield run_id, JobState(Phase.LOST, "gone", f"Glue knows no run {run_id} of job {name} any more")


def glue_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs Spark code on Glue; its options are those of `GlueSettings`."""
    return remote_engine(GlueJobs, GlueSettings, "glue", platform)


def glue_version(task: Task) -> tuple[str, str]:
    """Returns the version that runs the task, and the one that was asked for."""
    asked = str(task.hints.get("GlueVersion") or "auto")
    if asked == "auto":
        return AUTO, AUTO
    return (asked if float(asked) >= _OLDEST else AUTO), asked


def glue_workers(task: Task, settings: GlueSettings) -> tuple[str, int]:
    """Returns the type and the number of the task's workers."""
    if task.hints.get("MaxCapacity"):
        return "G.1X", max(_LEAST_WORKERS, math.ceil(float(task.hints["MaxCapacity"])))
    worker_type = str(task.hints.get("WorkerType") or settings.worker_type)
    workers = max(_LEAST_WORKERS, int(task.hints.get("NumberOfWorkers") or settings.workers))
    return _OTHERWISE.get(worker_type, worker_type), workers
