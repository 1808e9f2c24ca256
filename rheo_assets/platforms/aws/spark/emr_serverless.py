"""Spark jobs on EMR Serverless."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rheo_assets.errors import DeclarationError
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.errors import error_code
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.aws.jobs.service import JobState, Phase
from rheo_assets.platforms.aws.spark.emr_serverless_states import serverless_state
from rheo_assets.platforms.aws.spark.jobs import RUN_FILE, SparkJob, SparkJobs, StillStarting
from rheo_assets.platforms.aws.spark.releases import PYTHON, RELEASE, emr_release, with_release
from rheo_assets.runner.remote import JOB, TOKEN
from rheo_assets.runner.task import Task, TaskFailure, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

_APPLICATION: Final = re.compile(r"[A-Za-z0-9._/#-]{1,64}")
_LEAST_MINUTES: Final = 5  # that executionTimeoutMinutes takes
_PAGE: Final = 50
# While it is made, started or stopped, an application takes no job; where it is stopped, the job starts it:
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/application-states.html
_READY: Final = frozenset({"CREATED", "STARTED", "STOPPED"})
_GONE: Final = "TERMINATED"


@dataclass(frozen=True, slots=True)
class ServerlessSettings:
    """What jobs get where their node says nothing.

    Attributes:
        role: The ARN of the IAM role of the jobs.
        application_id: The EMR Serverless application; one is made, or found by its name, where none is given.
        application_name: The name of the one that is made: the release follows it.
        release: Its release label; a node's `RuntimeConfig` names another.
        python: The path of a Python of version 3.10 or later in the application's image.
        spark: Spark settings of every job, such as `{"spark.executor.cores": "4"}`.
        network: `networkConfiguration` of the application that is made.
        tags: Of applications and jobs.
    """

    role: str
    application_id: str = ""
    application_name: str = "rheo"
    release: str = RELEASE
    python: str = PYTHON
    spark: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"{self.application_name}-{self.release}"
        if not _APPLICATION.fullmatch(name):
            raise DeclarationError(
                "AwsPlatform",
                f"the EMR Serverless application would be named {name!r}",
                "Give application_name letters, digits and ._/#-, and 64 characters at most with the release",
            )


class ServerlessJobs(SparkJobs):
    """Runs Spark tasks as job runs of EMR Serverless; see `JobService`.

    `StartJobRun` takes the task's token: a repeated start answers with the run that there is.

    Hints: `RuntimeConfig` (a release label; old ones are as on EMR, see `EmrJobs`), `SparkCliArgs` (as spark-submit
    takes them), `Timeout` in minutes.

    Attributes:
        longest_wait: Seconds until an application that takes no job yet is given up.
    """

    title: str = "EMR Serverless"
    service: str = "emr-serverless"
    longest_wait: float = 300.0
    _settings: ServerlessSettings

    def __init__(self, account: Account, settings: ServerlessSettings) -> None:
        super().__init__(account, settings)
        self._applications: dict[str, str] = {}
        self._waiting: dict[str, float] = {}

    def submit(self, task: Task) -> str:
        """Returns the id of the one run of the task's token, which is started once its application takes jobs."""
        if self._read(f"{self.folder(task)}/{RUN_FILE}") is None:
            self._check_ready(task)  # before the claim, which would have to be waited for, too
        return super().submit(task)

    def find(self, job: SparkJob) -> str | None:
        """Looks through the application's runs for the one that is named after the token."""
        application = self._application(job.task)
        try:
            pages = self._client.get_paginator("list_job_runs").paginate(
                applicationId=application, createdAtAfter=job.since, PaginationConfig={"PageSize": _PAGE}
            )
            found = (run["id"] for page in pages for run in page.get("jobRuns", ()) if run.get("name") == _name(job))
            run = next(found, None)
        except Exception as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        return None if run is None else f"{application}/{run}"

    def start(self, job: SparkJob) -> str:
        """Starts a run, on the configured application or on one made for its release."""
        application = self._application(job.task)
        run: dict[str, Any] = {
            "applicationId": application,
            "clientToken": _client_token(job.task.application, job.task.token),
            "executionRoleArn": self._settings.role,
            "name": _name(job),
            "jobDriver": {
                "sparkSubmit": {
                    "entryPoint": job.script,
                    "entryPointArguments": [JOB, job.folder, TOKEN, job.task.token],
                    "sparkSubmitParameters": " ".join(_quoted(word) for word in self._words(job)),
                }
            },
            "configurationOverrides": {
                "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{job.folder}/logs/"}}
            },
            "tags": {**self._settings.tags, "rheo:job": job.name[:256]},
        }
        if job.task.timeout is not None:  # ours is exact, this one is for the case that nobody watches
            run["executionTimeoutMinutes"] = max(_LEAST_MINUTES, math.ceil(job.task.timeout / 60))
        answer = self._client.start_job_run(**run)
        return f"{application}/{answer['jobRunId']}"

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the runs stand; the service answers for one run at a time."""
        return {job: self._state(job) for job in jobs}

    def stop(self, job: str) -> None:
        """Asks the service to cancel the run; one that has ended is no error."""
        application, _, run = job.partition("/")
        try:
            self._client.cancel_job_run(applicationId=application, jobRunId=run)
        except Exception as error:
            if error_code(error) not in {"ValidationException", "ResourceNotFoundException", "ConflictException"}:
                raise

    def link(self, job: str) -> str:
        """Returns the run's page in EMR Studio."""
        application, _, run = job.partition("/")
        console = f"https://{self._region}.console.aws.amazon.com/emr/home?region={self._region}"
        return f"{console}#/serverless/applications/{application}/jobs/{run}"

    def log_link(self, job: str) -> str:
        """Returns the page that leads to the driver's log, which also lies below the job's folder in S3."""
        return self.link(job)

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        """Returns what the runner left behind, with a word about an old release."""
        result = super().result(task, job, state)
        return result if self._settings.application_id else with_release(result, *self._release(task))

    def _release(self, task: Task) -> tuple[str, str]:
        return emr_release(task, self._settings.release, brings_python=self._settings.python != PYTHON)

    def _words(self, job: SparkJob) -> list[str]:
        names = ("emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON", "emr-serverless.driverEnv.PYSPARK_PYTHON")
        environment = {f"spark.{name}": self._settings.python for name in (*names, "executorEnv.PYSPARK_PYTHON")}
        settings = {**environment, **self._settings.spark}
        words = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        return [*words, "--py-files", job.package, *job.task.hints.get("SparkCliArgs", ())]

    def _application(self, task: Task) -> str:
        """Returns the id of the application that runs the task; makes it where it is missing."""
        if self._settings.application_id:
            return self._settings.application_id
        release = self._release(task)[0]
        if release not in self._applications:
            self._applications[release] = self._found_or_made(release)
        return self._applications[release]

    def _found_or_made(self, release: str) -> str:
        name, gone = f"{self._settings.application_name}-{release}", 0
        for application in self._all_applications():
            if application.get("name") == name and application["releaseLabel"] == release:
                if application["state"] != _GONE:
                    return str(application["id"])
                gone += 1
        more = {"networkConfiguration": dict(self._settings.network)} if self._settings.network else {}
        # Two processes that ask at once share one application, and a deleted one is not answered again.
        answer = self._client.create_application(
            name=name,
            releaseLabel=release,
            type="SPARK",
            clientToken=_client_token(name, str(gone)),
            tags=dict(self._settings.tags),
            **more,
        )
        return str(answer["applicationId"])

    def _all_applications(self) -> Iterator[Mapping[str, Any]]:
        for page in self._client.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": _PAGE}):
            yield from page.get("applications", ())

    def _check_ready(self, task: Task) -> None:
        """Does nothing where the task's application takes jobs.

        Raises:
            StillStarting: It takes none yet: it is asked again.
            TaskFailure: It has been waited for long enough, or is gone.
        """
        application = self._application(task)
        found = self._client.get_application(applicationId=application)["application"]
        state, details = str(found["state"]), str(found.get("stateDetails") or "")
        if state in _READY:
            self._waiting.pop(application, None)
            return
        told = f"the application {application} is {state}{details and f' ({details})'}"
        if state == _GONE:
            self._let_go(application, task, told)
        since = self._waiting.setdefault(application, time.monotonic())
        if time.monotonic() - since < self.longest_wait:
            raise StillStarting(told)
        self._waiting.pop(application, None)  # a later attempt waits anew
        waited = f"after {self.longest_wait / 60:g} minutes {told} and takes no job"
        raise TaskFailure("platform", f"{task.node!r}: {waited}. Look at it in EMR Studio")

    def _let_go(self, application: str, task: Task, told: str) -> NoReturn:
        """Says that the application is gone, and forgets it where another one can be made."""
        if self._settings.application_id:
            raise TaskFailure("user", f"{task.node!r}: {told}. Name another application_id, or leave it out")
        self._applications = {release: known for release, known in self._applications.items() if known != application}
        raise StillStarting(f"{told}: another one is made")

    def _state(self, job: str) -> JobState:
        application, _, run_id = job.partition("/")
        try:
            run = self._client.get_job_run(applicationId=application, jobRunId=run_id)["jobRun"]
        except Exception as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return JobState(Phase.LOST, "gone", f"EMR Serverless knows no run {run_id} any more")
        return serverless_state(run)


def emr_serverless_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs Spark code on EMR Serverless; its options are those of `ServerlessSettings`."""
    return remote_engine(ServerlessJobs, ServerlessSettings, "emr_serverless", platform)


def _name(job: SparkJob) -> str:
    return f"{job.task.token} {job.name}"[:256]


def _client_token(*parts: str) -> str:
    """Returns a token as the service takes it: 64 characters at most, and not all of those that names have."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _quoted(word: str) -> str:
    """Returns the word as the service's own splitting leaves it whole."""
    if not any(letter in word for letter in " \"'"):
        return word
    escaped = word.replace('"', '\\"')
    return f'"{escaped}"'
