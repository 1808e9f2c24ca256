"""Inlined Python on Lambda: one function for each set of code and requirements, one asynchronous call a task."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.model.compute.targets import LAMBDA_SECONDS, Target
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.functions.job import (
    CANCEL_FILE,
    MESSAGES_FOLDER,
    RESULT_FILE,
    STARTED_FILE,
    TASK_FILE,
)
from rheo_assets.platforms.aws.functions.made import LambdaSettings, MadeFunctions
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.messages import PipesMessages
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.aws.jobs.service import JobState, Messages, Phase
from rheo_assets.runner.task import Task, TaskFailure, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

_QUEUED_AT_MOST: Final = 6 * 3600.0  # seconds that Lambda keeps an event: its default maximum age
_LONG: Final = 300.0  # seconds in the queue after which people are told
_GRACE: Final = 60.0
_DOLLARS_PER_GB_SECOND: Final = 0.0000166667  # x86, us-east-1: https://aws.amazon.com/lambda/pricing/


class LambdaFunctions:
    """Runs callables on Lambda; see `JobService`. A job's id is the URI of its folder.

    The function itself sees to it that a task runs once: whoever creates the mark that it has started goes on, so that
    a call whose answer was lost may simply be made again.

    A function that vanishes after it has left its mark, as when memory runs out, is found out when its time is over,
    after 16 minutes. Lambda can write a record of such a call to S3, but only with further rights of the role, and in a
    place where every failed call of the function had to be read to find the one.

    Args:
        account: Where the functions run.
        settings: How functions are made.
    """

    title = "Lambda"
    polite_seconds = 5.0
    long_wait = _LONG

    def __init__(self, account: Account, settings: LambdaSettings) -> None:
        self._clients = account.clients
        self._storage = account.storage
        self._home = account.home
        self._settings = settings
        self._functions = MadeFunctions(account, settings)
        self._called: dict[str, float] = {}
        self._queued: set[str] = set()

    def check_target(self, target: Target, application: str) -> None:
        """Packs the requirements of a callable, which its execution uses later.

        Raises:
            CapabilityMissing: They cannot be packed.
        """
        requirements: tuple[str, ...] = getattr(target, "requirements", ())
        if requirements:
            self._functions.code(application, requirements)

    def submit(self, task: Task) -> str:
        """Calls the task's function unless the task has started already; see `JobService.submit`."""
        folder = f"{self._home(task.application)}/jobs/{task.token}"
        self._called.setdefault(folder, time.time())
        if self._storage.version(f"{folder}/{STARTED_FILE}") is None:
            self._storage.create(f"{folder}/{TASK_FILE}", task.to_json().encode())
            self._call(task, json.dumps({"folder": folder}).encode())
        return folder

    def _call(self, task: Task, payload: bytes) -> None:
        client = self._clients.client("lambda", repeats=False)
        name = self._functions.of(task)
        try:
            client.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
        except client.exceptions.ResourceNotFoundException:  # somebody has deleted it
            self._functions.forget(task, name)
            client.invoke(FunctionName=self._functions.of(task), InvocationType="Event", Payload=payload)

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the calls stand: an asynchronous call has no state of its own, but the folder says it."""
        return {job: self._state(job) for job in jobs}

    def _state(self, job: str) -> JobState:
        answer = self._read(job, RESULT_FILE)
        started = self._read(job, STARTED_FILE)
        self._queued.discard(job)
        if answer is not None:
            seconds = float((answer.get("result") or {}).get("seconds", 0.0))
            phase = Phase.SUCCEEDED if "result" in answer else _PHASES.get(answer["failure"]["kind"], Phase.FAILED)
            reason = "" if "result" in answer else str(answer["failure"]["message"])
            lasting = bool((answer.get("failure") or {}).get("lasting", False))
            return JobState(phase, "ENDED", reason, self._facts(seconds), lasting)
        if started is None:
            if time.time() - self._called.get(job, time.time()) > _QUEUED_AT_MOST:
                return JobState(Phase.LOST, "EXPIRED", "Lambda had no room for it for six hours")
            self._queued.add(job)
            return JobState(Phase.WAITING, "QUEUED")
        age = (datetime.now(UTC) - datetime.fromisoformat(started["at"])).total_seconds()
        if age > LAMBDA_SECONDS + _GRACE:
            reason = f"it started {age:.0f} s ago and left no result; memory may have run out"
            return JobState(Phase.LOST, "GONE", reason, lasting=True)
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

    def messages(self, task: Task, job: str) -> Messages:
        """Returns what the callable prints, and that it has waited for long."""
        printed = PipesMessages(self._storage, f"{job}/{MESSAGES_FOLDER}")
        return _Announced(printed, lambda: self._long_wait(task, job))

    def _long_wait(self, task: Task, job: str) -> str | None:
        """Returns a line about a call that has been in Lambda's queue for long; the function works, so it may wait."""
        waited = time.time() - self._called.get(job, time.time())
        if job not in self._queued or waited <= self.long_wait:
            return None
        return (
            f"{task.node!r} has waited for {waited / 60:.0f} min in Lambda's queue, which keeps it for at most six "
            "hours: other functions take up the concurrency of the account, or this one's is reserved too low"
        )

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


class _Announced:
    """What a job says, and before it, once, what there is to announce; see `Messages`."""

    def __init__(self, said: Messages, announcement: Callable[[], str | None]) -> None:
        self._said = said
        self._announcement = announcement
        self._is_made = False

    def read(self) -> Sequence[str]:
        """Returns the lines that are new since the last look."""
        line = None if self._is_made else self._announcement()
        self._is_made = self._is_made or line is not None
        return [*([line] if line is not None else []), *self._said.read()]


_PHASES: Final = {"cancelled": Phase.STOPPED, "timeout": Phase.TIMED_OUT, "platform": Phase.LOST}


def lambda_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs callables on Lambda.

    Raises:
        CapabilityMissing: The platform has no role for it.
    """
    otherwise = ", or InlinedCompute(…, engine='process') to run callables beside the Dagster run"
    return remote_engine(LambdaFunctions, LambdaSettings, "lambda", platform, otherwise)
