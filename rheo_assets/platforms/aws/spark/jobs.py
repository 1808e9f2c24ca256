"""What Glue, EMR Serverless and EMR have in common: a script and a package in S3, a folder a job, never two jobs."""

from __future__ import annotations

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.errors import may_have_arrived
from rheo_assets.platforms.aws.jobs.messages import PipesMessages
from rheo_assets.platforms.aws.jobs.service import JobState, Messages
from rheo_assets.platforms.aws.package import runner_package
from rheo_assets.platforms.aws.spark.script import job_script
from rheo_assets.runner.remote import MESSAGES_FOLDER, RESULT_FILE, TASK_FILE
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

CLAIM_FILE: Final = "claim.json"
RUN_FILE: Final = "run.json"
_LONGEST_NAME: Final = 200  # Glue takes 255 characters, and EMR 256 with the token before it
_SKEW: Final = timedelta(minutes=5)  # between our clock and the service's


class StillStarting(OSError):  # noqa: N818  # an answer that is asked for again
    """A driver, perhaps this one, has asked for the job, and no answer has come."""


def job_name(application: str, node: str, position: int) -> str:
    """Returns the name of a target's job, shortened where a service would not take it.

    >>> job_name("shop", "totals", 0)
    'rheo-shop-totals-0'
    """
    name = f"rheo-{application}-{node}-{position}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class SparkJob:
    """A job that is ready to be started.

    Attributes:
        task: The task, its libraries where the job finds them.
        name: `rheo-<application>-<node>-<position>`.
        folder: The URI of what the driver and the job leave for each other.
        script: The URI of the script.
        package: The URI of the runner that the script imports.
        since: No job of the task is older.
    """

    task: Task
    name: str
    folder: str
    script: str
    package: str
    since: datetime


class SparkJobs(ABC):
    """Runs tasks as Spark jobs of a service; see `JobService`.

    Args:
        account: Where the jobs run. The service's client repeats no call by itself: a second start would be a second
            job.
        settings: What jobs get by default.

    Attributes:
        service: The service's name in boto3's words.
        takeover: Seconds after which a driver that wanted to start a job, and did not, counts as dead.
    """

    title: str = ""
    service: str = ""
    polite_seconds: float = 15.0
    takeover: float = 60.0

    def __init__(self, account: Account, settings: Any) -> None:
        self._client = account.clients.client(self.service, repeats=False)
        self._region = account.clients.region
        self._settings = settings
        self._storage = account.storage
        self._home = account.home
        self._uploaded: dict[object, str] = {}
        self._uploading = threading.Lock()

    # What a service says for itself

    @abstractmethod
    def find(self, job: SparkJob) -> str | None:
        """Returns the id of the run that carries the task's token, as the service lists it."""

    @abstractmethod
    def start(self, job: SparkJob) -> str:
        """Starts a run and returns its id."""

    @abstractmethod
    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the runs stand; see `JobService.states`."""

    @abstractmethod
    def stop(self, job: str) -> None:
        """Asks the service to end the run."""

    @abstractmethod
    def link(self, job: str) -> str:
        """Returns the run's page in the console."""

    @abstractmethod
    def log_link(self, job: str) -> str:
        """Returns the page or the place of the run's log."""

    # What is the same for all

    def check_target(self, target: Target, application: str) -> None:  # noqa: B027  # for all services
        """Accepts every target: what a service refuses of a job, it says when the job starts."""

    def submit(self, task: Task) -> str:
        """Returns the id of the one run of the task's token; starts it where there is none.

        Who creates the claim starts the run. Everybody else takes the recorded run, or the listed one, and starts one
        only if the claim's owner has had its time; so does the owner itself where its start got no answer, since a run
        may be listed late. A driver that finds another's record stops what it has started.
        """
        folder, now = self.folder(task), datetime.now(UTC)
        job = self._prepared(task, folder, now)  # before the claim: between it and the start there is nothing else
        if self._storage.create(f"{folder}/{CLAIM_FILE}", self._claim(now)):
            return self._recorded(folder, self._start(job))
        known = self._read(f"{folder}/{RUN_FILE}")
        if known is not None:
            return str(known["job"])
        claim = self._read(f"{folder}/{CLAIM_FILE}") or {}
        since = datetime.fromisoformat(claim["at"]) if claim else now
        found = self.find(replace(job, since=since - _SKEW))
        if found is None:
            self._take_over(folder, claim, now)
            found = self._start(job)
        return self._recorded(folder, found)

    def _start(self, job: SparkJob) -> str:
        try:
            return self.start(job)
        except Exception as error:
            if not may_have_arrived(error):  # there is no run: whoever asks next need not wait
                self._storage.delete(f"{job.folder}/{CLAIM_FILE}")
            raise

    def ended(self, task: Task, job: str) -> None:  # noqa: B027  # for all services
        """Leaves everything: the folder of a job says how it went."""

    def messages(self, task: Task, job: str) -> Messages:  # noqa: ARG002  # a service may need the job's id
        """Returns what the job says while it runs."""
        return PipesMessages(self._storage, f"{self.folder(task)}/{MESSAGES_FOLDER}")

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:  # noqa: ARG002  # as above
        """Returns what the runner left behind in the job."""
        left = self._read(f"{self.folder(task)}/{RESULT_FILE}")
        if left is None or "result" not in left:
            told = f"its {self.title} job {job} ended well but left no result; its log is {self.log_link(job)}"
            raise lasting_failure(f"{task.node!r}: {told}")
        result = TaskResult.from_json(json.dumps(left["result"]))
        return replace(result, engine=f"{result.engine} on {self.title}")

    def failure(self, task: Task, job: str, state: JobState) -> TaskFailure:
        """Returns why the job failed: as the runner saw it, or as the service says it."""
        left = self._read(f"{self.folder(task)}/{RESULT_FILE}") or {}
        log = f"its log is {self.log_link(job)}"
        if "failure" in left:
            failure = TaskFailure.from_json(json.dumps(left["failure"]))
            detail = "\n".join(filter(None, [failure.detail, log]))
            return TaskFailure(failure.kind, failure.message, detail, lasting=failure.lasting)
        if "result" in left:
            told = f"its {self.title} job {job} wrote its output and failed then: {state.reason}; {log}"
            return lasting_failure(f"{task.node!r}: {told}")
        told = f"its {self.title} job {job} failed ({state.name}): {state.reason or 'no reason was given'}; {log}"
        return TaskFailure("user", f"{task.node!r}: {told}")

    def folder(self, task: Task) -> str:
        """Returns the URI of the folder of the task's job."""
        return f"{self._home(task.application)}/jobs/{task.token}"

    # The claim

    def _claim(self, now: datetime) -> bytes:
        return json.dumps({"at": now.isoformat()}).encode()

    def _take_over(self, folder: str, claim: Mapping[str, Any], now: datetime) -> None:
        uri = f"{folder}/{CLAIM_FILE}"
        if claim and now - datetime.fromisoformat(claim["at"]) < timedelta(seconds=self.takeover):
            raise StillStarting(f"the job has been about to start since {claim['at']}")
        self._storage.delete(uri)
        if not self._storage.create(uri, self._claim(now)):
            raise StillStarting("another driver has just taken the job over")

    def _recorded(self, folder: str, job: str) -> str:
        uri = f"{folder}/{RUN_FILE}"
        if self._storage.create(uri, json.dumps({"job": job, "service": self.title}).encode()):
            return job
        known = self._read(uri)
        winner = str(known["job"]) if known else job
        if winner != job:
            self.stop(job)
        return winner

    # What the job needs

    def _prepared(self, task: Task, folder: str, since: datetime) -> SparkJob:
        home = self._home(task.application)
        package = self._once(("runner", home), lambda: runner_package().upload(self._storage, home))
        libraries = tuple(self._library(task, home, path) for path in task.libraries)  # the runner fetches them
        shipped = replace(task, code="", libraries=libraries)
        self._storage.create(f"{folder}/{TASK_FILE}", shipped.to_json().encode())
        return SparkJob(
            task,
            job_name(task.application, task.node, task.position),
            folder,
            self._script(task, home),
            package,
            since,
        )

    def _script(self, task: Task, home: str) -> str:
        content = job_script(task).encode()
        digest = hashlib.sha256(content).hexdigest()[:16]
        uri = f"{home}/scripts/{task.node}-{task.position}-{digest}.py"
        return self._once(uri, lambda: self._created(uri, content))

    def _library(self, task: Task, home: str, path: str) -> str:
        """Returns where the job finds a library: a file of this machine is uploaded under its content's name."""
        if "://" in path:
            return path

        def upload() -> str:
            content = self._content(task, path)
            digest = hashlib.sha256(content).hexdigest()[:16]
            return self._created(f"{home}/libraries/{digest}/{Path(path).name}", content)

        local = Path(path)
        changed = local.stat().st_mtime_ns if local.is_file() else 0
        return self._once((home, path, changed), upload)

    def _content(self, task: Task, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            told = f"{task.node!r}: its library {path!r} cannot be read: {error}. Build it, or correct the path"
            raise TaskFailure("user", told) from error

    def _created(self, uri: str, content: bytes) -> str:
        self._storage.create(uri, content)
        return uri

    def _once(self, key: object, upload: Callable[[], str]) -> str:
        with self._uploading:  # of a thousand threads that begin at once, one uploads
            if key not in self._uploaded:
                self._uploaded[key] = upload()
            return self._uploaded[key]

    def _read(self, uri: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self._storage.read(uri))
        except FileNotFoundError:
            return None
        return content
