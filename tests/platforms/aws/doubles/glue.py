"""A Glue that runs its jobs, on moto's Glue: its calls and its checks, and our own runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.glue import models, responses
from moto.glue.exceptions import InvalidInputException

from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.host import HostedJob, SparkHost

_OPERATIONS = (
    "create_job", "get_job", "update_job", "start_job_run", "get_job_run", "get_job_runs", "batch_stop_job_run",
    "list_jobs", "delete_job",
)  # fmt: skip


class GlueDouble(Faults):
    """Glue's jobs.

    Args:
        host: Where they run.
        patch: Undoes what is done to moto.

    Attributes:
        started: The runs, in the order in which they were started.
        outcome: Makes every run end so, without running: (state, message).
        room: How many runs the account's capacity is enough for; None for any number.
        has_queue: Whether the account's region knows queues of runs.
    """

    no_faults = (("ERROR", "deleted"), ("EXPIRED", "waited for too long"), ("FAILED", "Resource unavailable"))

    def __init__(self, host: SparkHost, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.host = host
        self.started: list[Run] = []
        self.outcome: tuple[str, str] | None = None
        self.room: int | None = None
        self.has_queue = True
        self.is_queued = False
        patch.setattr(models, "FakeJobRun", lambda **given: Run(self, given))
        patch.setattr(models.FakeJob, "get_job_runs", lambda job: job.job_runs[::-1])  # Glue lists the newest first
        patch.setattr(models.FakeJob, "get_job_run", _run_of)
        patch.setattr(responses.GlueResponse, "update_job", _update_job, raising=False)
        for operation in ("create_job", "update_job", "start_job_run"):
            patch.setattr(responses.GlueResponse, operation, _checking(getattr(responses.GlueResponse, operation)))
        patch.setattr(responses.GlueResponse, "start_job_run", self._queueing(responses.GlueResponse.start_job_run))
        patch.setattr(responses.GlueResponse, "batch_stop_job_run", _batch_stop_job_run, raising=False)
        self.install(patch, responses.GlueResponse, *_OPERATIONS)

    def _queueing(self, start: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(response: Any) -> Any:
            self.is_queued = bool(response.parameters.get("JobRunQueuingEnabled"))
            if self.is_queued and not self.has_queue:
                raise InvalidInputException("StartJobRun", "Job run queuing is not supported")
            return start(response)

        return call

    def is_full(self, run: Run) -> bool:
        """Returns whether there is no capacity for a run that has just been asked for."""
        others = (each for each in self.started if each is not run and each.status in {"RUNNING", "STOPPING"})
        return self.room is not None and len(list(others)) >= self.room

    @property
    def tokens(self) -> list[str]:
        """The tokens of the runs that were started."""
        return [run.arguments["--rheo_token"] for run in self.started]


class Run:
    """One run."""

    def __init__(self, double: GlueDouble, given: dict[str, Any]) -> None:
        self.given = given
        self.arguments: dict[str, str] = given["arguments"]
        self.job_run_id = f"jr_{len(double.started):064x}"
        self.status = "RUNNING"
        self.message = ""
        self.waits_for = ""
        self.started_on = utcnow()
        self.completed_on: Any = None
        self.seconds = 0.0
        double.started.append(self)
        self.hosted = None
        if double.is_full(self):
            if double.is_queued:
                self.status, self.waits_for = (
                    "WAITING",
                    "Job run is waiting: no DPU is free",
                )
            else:
                self._end("FAILED", "Exceeded maximum concurrent compute capacity for your account: 1 DPU")
            return
        if double.outcome is not None:
            self._end(*double.outcome)
            return
        arguments = [part for pair in self.arguments.items() for part in pair]
        self.hosted = double.host.start(
            self.arguments["--scriptLocation"],
            self.arguments["--extra-py-files"].split(","),
            ["--JOB_NAME", given["job_name"], *arguments],
            self._ended,
        )

    def stop(self) -> None:
        """Ends the run as a person would."""
        if self.hosted is None:
            self._end("STOPPED", "")
        else:
            self.status = "STOPPING"
            self.hosted.stop()

    def _ended(self, job: HostedJob) -> None:
        self.seconds = job.seconds
        if job.is_stopped:
            self._end("STOPPED", "")
        else:
            self._end("SUCCEEDED" if job.code == 0 else "FAILED", job.reason if job.code else "")

    def _end(self, status: str, message: str) -> None:
        self.message, self.completed_on, self.status = message, utcnow(), status

    def as_dict(self) -> dict[str, Any]:
        """Returns the run as `GetJobRun` describes it."""
        return {
            "Id": self.job_run_id,
            "JobName": self.given["job_name"],
            "StartedOn": self.started_on,
            "JobRunState": self.status,
            "Arguments": self.arguments,
            "ExecutionTime": round(self.seconds),
            "GlueVersion": "5.1",
            "WorkerType": self.given["worker_type"],
            "NumberOfWorkers": self.given["number_of_workers"],
            "Timeout": self.given["timeout"],
            **({"StateDetail": self.waits_for} if self.waits_for else {}),
            **({"CompletedOn": self.completed_on} if self.completed_on else {}),
            **({"ErrorMessage": self.message} if self.message else {}),
        }


def _checking(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns the operation with checks of Glue that moto does not make; see `CreateJob` in botocore's model.

    Our jobs are of type `glueetl`, and of version 5.0 or later.
    """

    def call(response: Any) -> Any:
        given = response.parameters.get("JobUpdate") or response.parameters
        if given.get("WorkerType") in {"Standard", "G.025X"}:
            raise InvalidInputException(operation.__name__, f"{given['WorkerType']} is not for this job")
        if int(given.get("Timeout") or 0) >= 7 * 24 * 60:
            raise InvalidInputException(operation.__name__, "Timeout must be less than 10080 minutes")
        return operation(response)

    return call


def _run_of(job: models.FakeJob, run_id: str) -> Any:
    for run in job.job_runs:
        if run.job_run_id == run_id:
            return run
    raise models.JobRunNotFoundException(run_id)


def _update_job(response: Any) -> ActionResult:
    given = response.parameters
    job = response.glue_backend.get_job(given["JobName"])
    update = given["JobUpdate"]
    names = {
        "Role": "role", "Description": "description", "Command": "command", "DefaultArguments": "default_arguments",
        "ExecutionProperty": "execution_property", "MaxRetries": "max_retries", "GlueVersion": "glue_version",
        "WorkerType": "worker_type", "NumberOfWorkers": "number_of_workers", "Timeout": "timeout",
        "Connections": "connections", "SecurityConfiguration": "security_configuration",
    }  # fmt: skip
    for name, attribute in names.items():
        setattr(job, attribute, update.get(name))
    return ActionResult({"JobName": given["JobName"]})


def _batch_stop_job_run(response: Any) -> ActionResult:
    given = response.parameters
    job = response.glue_backend.get_job(given["JobName"])
    done, errors = [], []
    for run_id in given["JobRunIds"]:
        run = _run_of(job, run_id)
        entry = {"JobName": given["JobName"], "JobRunId": run_id}
        if run.status == "RUNNING":
            run.stop()
            done.append(entry)
        else:
            error = {"ErrorCode": "JobRunCannotBeStoppedException", "ErrorMessage": run.status}
            errors.append({**entry, "ErrorDetail": error})
    return ActionResult({"SuccessfulSubmissions": done, "Errors": errors})
