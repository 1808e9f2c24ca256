"""An EMR whose clusters run their step, on moto's."""

from __future__ import annotations

from typing import Any

import pytest
from moto.core.utils import utcnow
from moto.emr import models, responses

from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.host import HostedJob, SparkHost

_OPERATIONS = ("run_job_flow", "describe_cluster", "list_clusters", "terminate_job_flows")


class EmrDouble(Faults):
    """EMR's clusters; see `GlueDouble`. An outcome is (the code of the reason, its message)."""

    no_faults = (("INTERNAL_ERROR", "try again"), ("VALIDATION_ERROR", "EC2 has not enough capacity for m5.xlarge"))

    def __init__(self, host: SparkHost, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.host = host
        self.tokens: list[str] = []
        self.outcome: tuple[str, str] | None = None
        self._jobs: dict[str, HostedJob] = {}
        status = models.Cluster.status.fget
        run = models.ElasticMapReduceBackend.run_job_flow

        def run_job_flow(backend: Any, **given: Any) -> models.Cluster:
            cluster = run(backend, **given)
            self._run(cluster)
            return cluster

        def with_code(cluster: models.Cluster) -> dict[str, Any]:
            described = status(cluster)
            described["StateChangeReason"]["Code"] = getattr(cluster, "code", None)
            return described

        def terminate(cluster: models.Cluster) -> None:
            if not cluster.state.startswith("TERMINAT"):
                cluster.state = "TERMINATING"
                self._jobs[cluster.id].stop()

        patch.setattr(models.ElasticMapReduceBackend, "run_job_flow", run_job_flow)
        patch.setattr(models.Cluster, "status", property(with_code))
        patch.setattr(models.Cluster, "terminate", terminate)
        self.install(patch, responses.ElasticMapReduceResponse, *_OPERATIONS)

    def _run(self, cluster: models.Cluster) -> None:
        step = cluster.steps[0]
        words = list(step.args)
        self.tokens.append(words[words.index("--rheo_token") + 1])
        if self.outcome is not None:
            code, message = self.outcome
            self._end(cluster, "STEP_FAILURE" if code == "FAILED" else code, message)
            return
        cluster.state = "RUNNING"
        python = words[words.index("--py-files") + 1].split(",")
        place = words.index("--rheo_job")

        def ended(job: HostedJob) -> None:
            if job.is_stopped:
                self._end(cluster, "USER_REQUEST", "Terminated by user request")
            elif job.code:
                self._end(cluster, "STEP_FAILURE", f"Shut down as step failed: {job.reason}")
            else:
                self._end(cluster, "ALL_STEPS_COMPLETED", "Steps completed")

        self._jobs[cluster.id] = self.host.start(words[place - 1], python, words[place:], ended)

    @staticmethod
    def _end(cluster: models.Cluster, code: str, message: str) -> None:
        cluster.code, cluster.last_state_change_reason = code, message
        cluster.end_datetime = utcnow()
        good = code in {"ALL_STEPS_COMPLETED", "USER_REQUEST"}
        cluster.state = "TERMINATED" if good else "TERMINATED_WITH_ERRORS"
