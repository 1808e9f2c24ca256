"""Inlined Python on Lambda: one function for each set of code and requirements, one asynchronous call a task."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.compute.targets import LAMBDA_SECONDS
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.functions.job import (
    CANCEL_FILE,
    MESSAGES_FOLDER,
    RESULT_FILE,
    STARTED_FILE,
    TASK_FILE,
)
from rheo_assets.platforms.aws.functions.package import function_package
from rheo_assets.platforms.aws.jobs.engine import JobState, Messages, Phase, RemoteEngine
from rheo_assets.platforms.aws.jobs.messages import PipesMessages
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.runner.task import Task, TaskFailure, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

_HANDLER: Final = "rheo_assets.platforms.aws.functions.job.handler"
_QUEUED_AT_MOST: Final = 6 * 3600.0  # seconds that Lambda keeps an event: its default maximum age
_GRACE: Final = 60.0
_DOLLARS_PER_GB_SECOND: Final = 0.0000166667  # x86, us-east-1: https://aws.amazon.com/lambda/pricing/
_MADE_WITHIN: Final = 120.0


@dataclass(frozen=True, slots=True)
class LambdaSettings:
    """How functions are made.

    Attributes:
        role: The ARN of the role that they run as.
        memory: Megabytes, 128 to 10,240.
        disk: Megabytes of `/tmp`, where data is worked on, 512 to 10,240.
    """

    role: str
    memory: int = 1024
    disk: int = 2048


class LambdaFunctions:
    """Runs callables on Lambda; see `JobService`. A job's id is the URI of its folder.

    The function itself sees to it that a task runs once: whoever creates the mark that it has started goes on, so that
    a call whose answer was lost may simply be made again.

    Args:
        clients: Opens the client of Lambda.
        storage: Where the application's own objects lie.
        home: Returns the URI of an application's bucket.
        settings: How functions are made.
    """

    title = "Lambda"
    polite_seconds = 5.0

    def __init__(
        self, clients: Clients, storage: Storage, home: Callable[[str], str], settings: LambdaSettings
    ) -> None:
        self._clients = clients
        self._storage = storage
        self._home = home
        self._settings = settings
        self._made: set[str] = set()
        self._limits: dict[str, float] = {}
        self._called: dict[str, float] = {}

    def _client(self) -> Any:
        return self._clients.client("lambda")

    def submit(self, task: Task) -> str:
        """Calls the task's function unless the task has started already; see `JobService.submit`."""
        folder = f"{self._home(task.application)}/jobs/{task.token}"
        limit = LAMBDA_SECONDS if task.timeout is None else min(task.timeout, LAMBDA_SECONDS)
        self._limits[folder] = limit
        self._called.setdefault(folder, time.time())
        if self._storage.version(f"{folder}/{STARTED_FILE}") is None:
            self._storage.create(f"{folder}/{TASK_FILE}", task.to_json().encode())
            name = self._function(task)
            payload = json.dumps({"folder": folder}).encode()
            self._clients.client("lambda", repeats=False).invoke(
                FunctionName=name, InvocationType="Event", Payload=payload
            )
        return folder

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the calls stand: an asynchronous call has no state of its own, but the folder says it."""
        return {job: self._state(job) for job in jobs}

    def _state(self, job: str) -> JobState:
        answer = self._read(job, RESULT_FILE)
        started = self._read(job, STARTED_FILE)
        if answer is not None:
            seconds = float((answer.get("result") or {}).get("seconds", 0.0))
            phase = Phase.SUCCEEDED if "result" in answer else _PHASES.get(answer["failure"]["kind"], Phase.FAILED)
            reason = "" if "result" in answer else str(answer["failure"]["message"])
            return JobState(phase, "ENDED", reason, self._facts(seconds))
        if started is None:
            if time.time() - self._called.get(job, time.time()) > _QUEUED_AT_MOST:
                return JobState(Phase.LOST, "EXPIRED", "Lambda had no room for it for six hours")
            return JobState(Phase.WAITING, "QUEUED")
        age = (datetime.now(UTC) - datetime.fromisoformat(started["at"])).total_seconds()
        if age > LAMBDA_SECONDS + _GRACE:
            return JobState(
                Phase.LOST, "GONE", f"it started {age:.0f} s ago and left no result; memory may have run out"
            )
        return JobState(Phase.RUNNING, "RUNNING")

    def _facts(self, seconds: float) -> dict[str, Any]:
        gigabytes = self._settings.memory / 1024
        return {
            "GB-seconds": round(seconds * gigabytes, 3),
            "cost estimate (USD)": round(seconds * gigabytes * _DOLLARS_PER_GB_SECOND, 6),
        }

    def stop(self, job: str) -> None:
        """Leaves word that the function is to end; it looks every few seconds."""
        if self._storage.create(f"{job}/{STARTED_FILE}", json.dumps({"at": datetime.now(UTC).isoformat()}).encode()):
            failure = TaskFailure("cancelled", "it was cancelled before it started")
            self._storage.write(f"{job}/{RESULT_FILE}", json.dumps({"failure": json.loads(failure.to_json())}).encode())
        self._storage.create(f"{job}/{CANCEL_FILE}", b"")

    def link(self, job: str) -> str:  # noqa: ARG002  # of the protocol
        """Returns the console's page of the application's functions."""
        region = self._clients.region
        return f"https://{region}.console.aws.amazon.com/lambda/home?region={region}#/functions?f0=true&k0=functionName"

    def messages(self, task: Task, job: str) -> Messages:  # noqa: ARG002  # of the protocol
        """Returns what the callable prints."""
        return PipesMessages(self._storage, f"{job}/{MESSAGES_FOLDER}")

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:  # noqa: ARG002  # of the protocol
        """Returns what the function left behind."""
        answer = self._read(job, RESULT_FILE) or {}
        return TaskResult.from_json(json.dumps(answer["result"]))

    def failure(self, task: Task, job: str, state: JobState) -> TaskFailure:  # noqa: ARG002  # of the protocol
        """Returns why the callable failed."""
        answer = self._read(job, RESULT_FILE) or {}
        return TaskFailure.from_json(json.dumps(answer["failure"]))

    def ended(self, task: Task, job: str) -> None:
        """Leaves everything: the folder of a call says how it went."""

    def _read(self, job: str, name: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self._storage.read(f"{job}/{name}"))
        except FileNotFoundError:
            return None
        return content

    # the function ---------------------------------------------------------------------------------------------

    def _function(self, task: Task) -> str:
        """Returns the name of the function that runs the task; makes it where there is none."""
        package = function_package(task.requirements)
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        identity = json.dumps([package.digest, python, self._settings.role, self._settings.memory, self._settings.disk])
        name = f"rheo-{task.application[:40]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        if name not in self._made:
            self._make(task, name, python, package.upload(self._storage, self._home(task.application)))
            self._made.add(name)
        return name

    def _make(self, task: Task, name: str, python: str, code: str) -> None:
        bucket, _, key = code.removeprefix("s3://").partition("/")
        client = self._client()
        # Where another driver was faster: the name says what is in it.
        with contextlib.suppress(client.exceptions.ResourceConflictException):
            client.create_function(
                FunctionName=name,
                Runtime=python,
                Role=self._settings.role,
                Handler=_HANDLER,
                Code={"S3Bucket": bucket, "S3Key": key},
                Timeout=int(LAMBDA_SECONDS),
                MemorySize=self._settings.memory,
                EphemeralStorage={"Size": self._settings.disk},
                Description=f"Runs the Python callables of {task.application} (rheo_assets)",
                Tags={"rheo:application": task.application},
            )
        # What failed is tried again by us, as another attempt with another token.
        client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        deadline = time.monotonic() + _MADE_WITHIN
        while client.get_function_configuration(FunctionName=name).get("State", "Active") == "Pending":
            if time.monotonic() > deadline:
                raise TaskFailure("platform", f"{task.node!r}: Lambda does not get its function {name} ready")
            time.sleep(1)


_PHASES: Final = {"cancelled": Phase.STOPPED, "timeout": Phase.TIMED_OUT, "platform": Phase.LOST}


def lambda_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs callables on Lambda.

    Raises:
        CapabilityMissing: The platform has no role for it.
    """
    otherwise = ", or InlinedCompute(…, engine='process') to run callables beside the Dagster run"
    return remote_engine(LambdaFunctions, LambdaSettings, "lambda", platform, otherwise)
