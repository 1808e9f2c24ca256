"""An EMR whose clusters run their step, on moto's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from moto.core.utils import utcnow
from moto.emr import models, responses

from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.host import HostedJob, SparkHost

# AmazonEMRServicePolicy_v2, which this role has, lets EMR make instances only with this tag:
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEMRServicePolicy_v2.html
_SCOPED_ROLE = "EMR_DefaultRole_V2"
_SCOPED_TAG = ("for-use-with-amazon-emr-managed-policies", "true")

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
        run = responses.ElasticMapReduceResponse.run_job_flow

        def run_job_flow(response: Any) -> Any:
            answer = run(response)
            self._run(response.backend.clusters[answer.result["JobFlowId"]])  # its tags come after the cluster
            return answer

        def with_code(cluster: models.Cluster) -> dict[str, Any]:
            described = status(cluster)
            described["StateChangeReason"]["Code"] = getattr(cluster, "code", None)
            return described

        def terminate(cluster: models.Cluster) -> None:
            if not cluster.state.startswith("TERMINAT"):
                cluster.state = "TERMINATING"
                self._jobs[cluster.id].stop()

        patch.setattr(responses.ElasticMapReduceResponse, "run_job_flow", run_job_flow)
        patch.setattr(models.Cluster, "status", property(with_code))
        patch.setattr(models.Cluster, "terminate", terminate)
        self.install(patch, responses.ElasticMapReduceResponse, *_OPERATIONS)

    def _run(self, cluster: models.Cluster) -> None:
        step = cluster.steps[0]
        words = list(step.args)
        self.tokens.append(words[words.index("--rheo_token") + 1])
        refusal = _refusal(cluster)
        if refusal:
            self._end(cluster, *refusal)
            return
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


def _refusal(cluster: models.Cluster) -> tuple[str, str] | None:
    """Returns with which code and in which words EMR ends a cluster that it cannot make."""
    if cluster.service_role.rpartition("/")[2] == _SCOPED_ROLE and _SCOPED_TAG not in cluster._tags.items():
        # https://github.com/terraform-aws-modules/terraform-aws-emr/issues/3
        return "VALIDATION_ERROR", f"Service role {cluster.service_role} has insufficient EC2 permissions"
    words = " ".join(cluster.steps[0].args)
    if not cluster.bootstrap_actions and lacks_python(cluster.release_label, words):
        return "STEP_FAILURE", "Shut down as step failed: Cannot run program, No such file or directory"
    return None


def lacks_python(release: str, words: str) -> bool:
    """Returns whether spark-submit is told of a Python that the release does not have.

    https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-release-app-versions-7.x.html
    """
    number = tuple(map(int, re.findall(r"\d+", release)[:2]))
    return number < (7, 1) and "=/usr/bin/python3.11" in words
