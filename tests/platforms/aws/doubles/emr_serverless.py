"""An EMR Serverless that runs its jobs, on moto's."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from moto.core.utils import utcnow
from moto.emrserverless import models, responses

from tests.platforms.aws.doubles.emr import lacks_python
from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.host import HostedJob, SparkHost

_OPERATIONS = (
    "list_applications", "create_application", "get_application", "start_job_run", "get_job_run", "list_job_runs",
)  # fmt: skip
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/application-states.html
_TAKES_JOBS = {"CREATED", "STARTED", "STOPPED"}


class ServerlessDouble(Faults):
    """EMR Serverless's job runs; see `GlueDouble`.

    Attributes:
        looks: How often an application that is being made is looked at until it is made.
    """

    no_faults = (("FAILED", "Job failed: worker could not be allocated"), ("FAILED", "Internal error. Try again"))

    def __init__(self, host: SparkHost, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.host = host
        self.tokens: list[str] = []
        self.outcome: tuple[str, str] | None = None
        self.looks = 2
        self._looked: dict[str, int] = {}
        self._jobs: dict[str, HostedJob] = {}
        start, cancel = models.EMRServerlessBackend.start_job_run, models.EMRServerlessBackend.cancel_job_run
        make, get = models.EMRServerlessBackend.create_application, responses.EMRServerlessResponse.get_application

        def create_application(backend: Any, **given: Any) -> models.Application:
            check_token(given["client_token"])
            for known in backend.applications.values():
                if known.client_token == given["client_token"]:
                    return known
            application = make(backend, **given)
            application.state = "CREATING"
            return application

        def get_application(response: Any) -> Any:
            application = response.emrserverless_backend.get_application(response._get_param("applicationId"))
            self._looked[application.id] = self._looked.get(application.id, 0) + 1
            if application.state == "CREATING" and self._looked[application.id] > self.looks:
                application.state = "CREATED"
            return get(response)

        def start_job_run(backend: Any, **given: Any) -> models.JobRun:
            check_token(given["client_token"])
            for run in backend.job_runs.get(given["application_id"], ()):
                if run.client_token == given["client_token"]:
                    return run
            application = backend.get_application(given["application_id"])
            if application.state not in _TAKES_JOBS:
                raise models.ValidationException(f"Application {application.id} is {application.state}")
            application.state = "STARTED"
            run = start(backend, **given)
            self._run(run)
            return run

        def cancel_job_run(backend: Any, application_id: str, job_run_id: str) -> tuple[str, str]:
            run = backend.get_job_run(application_id, job_run_id)
            if run.state != "RUNNING":
                raise models.ValidationException(f"Job run {job_run_id} is {run.state}")
            answer = cancel(backend, application_id, job_run_id)
            run.state = "CANCELLING"
            self._jobs[run.id].stop()
            return answer

        patch.setattr(models.EMRServerlessBackend, "create_application", create_application)
        patch.setattr(responses.EMRServerlessResponse, "get_application", get_application)
        patch.setattr(models.EMRServerlessBackend, "start_job_run", start_job_run)
        patch.setattr(models.EMRServerlessBackend, "cancel_job_run", cancel_job_run)
        self.install(patch, responses.EMRServerlessResponse, *_OPERATIONS)

    def _run(self, run: models.JobRun) -> None:
        run.created_at = utcnow()
        submit = run.job_driver["sparkSubmit"]
        arguments = submit["entryPointArguments"]
        self.tokens.append(arguments[arguments.index("--rheo_token") + 1])
        if lacks_python(run.release_label, submit["sparkSubmitParameters"]):
            run.state, run.state_details = "FAILED", "Cannot run program, No such file or directory"
            return
        if self.outcome is not None:
            run.state, run.state_details = self.outcome
            return
        run.state = "RUNNING"
        words = shlex.split(submit["sparkSubmitParameters"])
        python = words[words.index("--py-files") + 1].split(",")

        def ended(job: HostedJob) -> None:
            run.total_execution_duration_seconds = round(job.seconds)
            run.billed_resource_utilization = {
                "vCPUHour": job.seconds / 900,
                "memoryGBHour": job.seconds / 225,
                "storageGBHour": 0.0,
            }
            run.state_details = job.reason[:256] if job.code else ""
            run.state = "CANCELLED" if job.is_stopped else "SUCCESS" if job.code == 0 else "FAILED"

        self._jobs[run.id] = self.host.start(submit["entryPoint"], python, submit["entryPointArguments"], ended)


def check_token(token: str) -> None:
    """Refuses a client token as the service does; see `ClientToken` in botocore's model."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", token):
        raise models.ValidationException(f"Value '{token}' at 'clientToken' failed to satisfy constraint")
