"""What a service that runs jobs has to offer, and how it says how a job stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from rheo_assets.model.compute.targets import Target
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
        lasting: `LOST`: whether waiting would not help; see `TaskFailure.lasting`.
    """

    phase: Phase
    name: str = ""
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False


class JobService(Protocol):
    """A service that runs jobs.

    Attributes:
        title: What people call it.
        polite_seconds: The longest pause between two looks at a job that has been running for a while.
    """

    title: str
    polite_seconds: float

    def check_target(self, target: Target, application: str) -> None:
        """Raises `CapabilityMissing` if this very target can never run here; `activate()` asks."""

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
