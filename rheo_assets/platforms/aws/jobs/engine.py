"""Tasks as jobs of an AWS service: started once, found again, waited for, stopped.

A service says how a job is submitted and how it stands; everything else is the same for all of them and lies here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from rheo_assets.platforms.aws.jobs.watching import Watched, Watcher
from rheo_assets.platforms.aws.retries import Patience, told
from rheo_assets.runner.task import Task, TaskFailure, TaskResult


class Phase(StrEnum):
    """How a job stands, in the same words for every service."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # its own fault
    LOST = "LOST"  # the service's: capacity, an internal error, a run that expired in the queue
    STOPPED = "STOPPED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def has_ended(self) -> bool:
        """Whether nothing changes any more."""
        return self not in {Phase.WAITING, Phase.RUNNING}


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job stands.

    Attributes:
        phase: In our words.
        name: In the service's own.
        reason: What the service says about it.
        facts: What is shown on the asset when the job has ended: seconds, bytes, cost, links.
    """

    phase: Phase
    name: str = ""
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class JobService(Protocol):
    """A service that runs jobs.

    Attributes:
        title: What people call it.
        polite_seconds: The longest pause between two looks at a job that has been running for a while.
    """

    title: str
    polite_seconds: float

    def submit(self, task: Task) -> str:
        """Returns the id of the job that carries the task's token; starts one only where there is none.

        It may be called again after any failure, also by another process: there is never a second job of one token.
        """

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how each of the jobs stands, with as few calls as the service allows.

        A job that is not listed yet may be left out. One that the service has forgotten is `LOST`, not an error: an
        error is taken for the answer to all.
        """

    def stop(self, job: str) -> None:
        """Asks the service to end the job; one that has ended is no error."""

    def link(self, job: str) -> str:
        """Returns the page of the service's console that shows the job."""

    def messages(self, task: Task, job: str) -> Messages:
        """Returns what the job says while it runs."""

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        """Returns what a job that succeeded left behind; raises `TaskFailure` where it left nothing usable."""

    def failure(self, task: Task, job: str, state: JobState) -> TaskFailure:
        """Returns why a job failed, in the user's own words where the job could say it."""

    def ended(self, task: Task, job: str) -> None:
        """Removes what the job needed and nobody else does, however it ended; a job that may still run is left."""


class Messages(Protocol):
    """What a job says while it runs. Reading costs a call, so that whoever waits for many jobs decides how often."""

    def read(self) -> Sequence[str]:
        """Returns the lines that are new since the last look."""


class Silence:
    """A job that says nothing while it runs."""

    def read(self) -> Sequence[str]:
        """Returns no line."""
        return ()


class RemoteEngine:
    """Runs tasks as jobs of a service; see `Engine`.

    Args:
        service: Where the jobs run.
        watcher: Looks at the jobs of all services of this process.
        patience: How long a call that the service turns away is tried again.
    """

    def __init__(self, service: JobService, watcher: Watcher, patience: Patience | None = None) -> None:
        self.service = service
        self._watcher = watcher
        self._patience = patience or Patience()

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task to its end, or goes on with the job that an earlier process started for it."""
        title = self.service.title
        job = self._patience.call(
            f"{task.node!r}: {title} did not take the job", lambda: self.service.submit(task), log, cancelled
        )
        log(f"{task.node!r} runs as {title} job {job}: {self.service.link(job)}")
        watched = Watched(self.service, job, self.service.messages(task, job), task.timeout, log, cancelled)
        is_over = True
        try:
            return self._concluded(task, job, self._watcher.wait(watched))
        except TaskFailure as failure:
            is_over = not failure.unresolved
            raise
        finally:
            if is_over:
                self._ended(task, job, log)

    def _ended(self, task: Task, job: str, log: Callable[[str], None]) -> None:
        try:
            self.service.ended(task, job)
        except Exception as error:  # the output is there, or why it is not is known: that is what counts
            log(f"what {self.service.title} job {job} needed could not be removed: {told(error)}")

    def _concluded(self, task: Task, job: str, state: JobState) -> TaskResult:
        title = self.service.title
        if state.phase is Phase.SUCCEEDED:
            result = self.service.result(task, job, state)
            facts = {"job": job, "job page": {"type": "url", "value": self.service.link(job)}, **state.facts}
            return replace(result, metadata={**facts, **result.metadata})
        if state.phase is Phase.STOPPED:
            raise TaskFailure("cancelled", f"{task.node!r}: its {title} job {job} was stopped", state.reason)
        if state.phase is Phase.TIMED_OUT:
            limit = f" of {task.timeout:g} s" if task.timeout is not None else ""
            raise TaskFailure(
                "timeout", f"{task.node!r}: its {title} job {job} ran into its time limit{limit}", state.reason
            )
        if state.phase is Phase.LOST:
            raise TaskFailure(
                "platform", f"{task.node!r}: {title} could not run the job {job} ({state.name}): {state.reason}"
            )
        raise self.service.failure(task, job, state)
