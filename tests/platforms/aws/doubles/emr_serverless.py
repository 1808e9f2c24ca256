"""An EMR Serverless that runs its jobs, on moto's."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from moto.core.utils import utcnow
from moto.emrserverless import models, responses

from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.host import HostedJob, SparkHost

_OPERATIONS = ("list_applications", "create_application", "start_job_run", "get_job_run", "list_job_runs")


class ServerlessDouble(Faults):
    """EMR Serverless's job runs; see `GlueDouble`."""

    no_faults = (("FAILED", "Job failed: worker could not be allocated"), ("FAILED", "Internal error. Try again"))

    def __init__(self, host: SparkHost, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.host = host
        self.tokens: list[str] = []
        self.outcome: tuple[str, str] | None = None
        self._jobs: dict[str, HostedJob] = {}
        start, cancel = models.EMRServerlessBackend.start_job_run, models.EMRServerlessBackend.cancel_job_run

        def start_job_run(backend: Any, **given: Any) -> models.JobRun:
            for run in backend.job_runs.get(given["application_id"], ()):
                if run.client_token == given["client_token"]:
                    return run
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

        patch.setattr(models.EMRServerlessBackend, "start_job_run", start_job_run)
        patch.setattr(models.EMRServerlessBackend, "cancel_job_run", cancel_job_run)
        self.install(patch, responses.EMRServerlessResponse, *_OPERATIONS)

    def _run(self, run: models.JobRun) -> None:
        self.tokens.append(run.client_token)
        run.created_at = utcnow()
        if self.outcome is not None:
            run.state, run.state_details = self.outcome
            return
        run.state = "RUNNING"
        submit = run.job_driver["sparkSubmit"]
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
