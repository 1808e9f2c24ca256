"""Spark jobs on EMR: a cluster of one step, which ends with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.platforms.aws.costs import REGION, emr_dollars
from rheo_assets.platforms.aws.errors import error_code
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.aws.jobs.service import JobState, Phase
from rheo_assets.platforms.aws.spark.jobs import SparkJob, SparkJobs
from rheo_assets.platforms.aws.spark.releases import PYTHON, RELEASE, emr_release, with_release
from rheo_assets.runner.remote import JOB, TOKEN
from rheo_assets.runner.task import Task, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

_TAG_TOKEN: Final = "rheo:token"
_TAG_TYPE: Final = "rheo:instance-type"
_TAG_COUNT: Final = "rheo:instance-count"
# What AmazonEMRServicePolicy_v2, the policy of EMR_DefaultRole_V2, demands of a cluster and of its network:
# https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-managed-iam-policies.html
_MANAGED: Final = {"for-use-with-amazon-emr-managed-policies": "true"}
_FEW: Final = 4  # clusters that are cheaper to ask for one by one
_PAGES: Final = 20

_PHASES: Final = {
    "STARTING": Phase.WAITING,
    "BOOTSTRAPPING": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "WAITING": Phase.RUNNING,
    "TERMINATING": Phase.RUNNING,
}
_ENDS: Final = {
    "ALL_STEPS_COMPLETED": Phase.SUCCEEDED,
    "USER_REQUEST": Phase.STOPPED,
    "STEP_FAILURE": Phase.FAILED,
    "VALIDATION_ERROR": Phase.FAILED,
    "INTERNAL_ERROR": Phase.LOST,
    "INSTANCE_FAILURE": Phase.LOST,
    "INSTANCE_FLEET_TIMEOUT": Phase.LOST,
    "BOOTSTRAP_FAILURE": Phase.LOST,
}
_NO_FAULT: Final = ("capacity", "internal error", "spot")


@dataclass(frozen=True, slots=True)
class EmrSettings:
    """What clusters get where their node says nothing.

    Attributes:
        role: The instance profile of the clusters, by name or ARN: what jobs may do.
        service_role: What EMR itself may do.
        release: The release label; a node's `RuntimeConfig` names another.
        instance_type: The type of all instances; a node's `InstanceConfig` names another.
        instances: How many, the primary one among them.
        python: The path of a Python of version 3.10 or later on the instances.
        subnet: The id of a subnet; EMR's choice otherwise.
        configurations: Further `Configurations` of the clusters.
        bootstrap_actions: `BootstrapActions` of the clusters: what they install.
        security_configuration: The name of one; empty for none.
        tags: Of the clusters, besides what EMR's managed policies demand.
    """

    role: str
    service_role: str = "EMR_DefaultRole_V2"
    release: str = RELEASE
    instance_type: str = "m5.xlarge"
    instances: int = 3
    python: str = PYTHON
    subnet: str = ""
    configurations: tuple[Mapping[str, Any], ...] = ()
    bootstrap_actions: tuple[Mapping[str, Any], ...] = ()
    security_configuration: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class EmrJobs(SparkJobs):
    """Runs each Spark task on a cluster of its own; see `JobService`.

    Hints: `InstanceConfig` (`InstanceCount`, `InstanceType`), `RuntimeConfig` (a release label; releases before
    emr-7.1 have a Python that is too old and run as emr-7.9.0, with a warning, unless the settings name a Python or
    install one), `SparkCliArgs` (as spark-submit takes them), `Timeout` in minutes.

    """

    title: str = "EMR"
    service: str = "emr"
    _settings: EmrSettings
    polite_seconds = 30.0

    def find(self, job: SparkJob) -> str | None:
        """Looks for the cluster that is named after the token."""
        pages = self._client.get_paginator("list_clusters").paginate(CreatedAfter=job.since)
        found = (cluster["Id"] for page in pages for cluster in page["Clusters"] if cluster["Name"] == _name(job))
        cluster = next(found, None)
        return None if cluster is None else str(cluster)

    def start(self, job: SparkJob) -> str:
        """Starts a cluster that runs the script and ends."""
        settings = self._settings
        instance_type, count = emr_instances(job.task, settings)
        instances: dict[str, Any] = {
            "MasterInstanceType": instance_type,
            "InstanceCount": count,
            "KeepJobFlowAliveWhenNoSteps": False,
            "TerminationProtected": False,
        }
        if count > 1:
            instances["SlaveInstanceType"] = instance_type
        if settings.subnet:
            instances["Ec2SubnetId"] = settings.subnet
        more = {"SecurityConfiguration": settings.security_configuration} if settings.security_configuration else {}
        ours = {_TAG_TOKEN: job.task.token, _TAG_TYPE: instance_type, _TAG_COUNT: str(count)}
        tags = {**_MANAGED, **ours, **settings.tags}
        answer = self._client.run_job_flow(
            Name=_name(job),
            LogUri=f"{job.folder}/logs/",
            ReleaseLabel=self._release(job.task)[0],
            Applications=[{"Name": "Spark"}],
            Instances=instances,
            Configurations=[dict(each) for each in settings.configurations],
            BootstrapActions=[dict(each) for each in settings.bootstrap_actions],
            Steps=[self._step(job)],
            JobFlowRole=settings.role.rpartition("/")[2],
            ServiceRole=settings.service_role,
            VisibleToAllUsers=True,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            **more,
        )
        return str(answer["JobFlowId"])

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the clusters stand: by pages of 50 for many; those that have ended are described one by one."""
        states: dict[str, JobState] = {}
        for summary in self._listed(set(jobs)) if len(jobs) > _FEW else ():
            state = emr_state(summary)
            if not state.phase.has_ended:
                states[summary["Id"]] = state
        return {**states, **{job: self._state(job) for job in jobs if job not in states}}

    def stop(self, job: str) -> None:
        """Asks EMR to end the cluster; one that has ended is no error."""
        self._client.terminate_job_flows(JobFlowIds=[job])

    def link(self, job: str) -> str:
        """Returns the cluster's page in the console."""
        console = f"https://{self._region}.console.aws.amazon.com/emr/home?region={self._region}"
        return f"{console}#/clusterDetails/{job}"

    def log_link(self, job: str) -> str:
        """Returns the page that leads to the step's log, which also lies below the job's folder in S3."""
        return f"{self.link(job)} (Steps)"

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        """Returns what the runner left behind, with a word about an old release."""
        return with_release(super().result(task, job, state), *self._release(task))

    def _release(self, task: Task) -> tuple[str, str]:
        settings = self._settings
        brings_python = settings.python != PYTHON or bool(settings.bootstrap_actions)
        return emr_release(task, settings.release, brings_python=brings_python)

    def _step(self, job: SparkJob) -> dict[str, Any]:
        python = self._settings.python
        words = ["spark-submit", "--deploy-mode", "client", "--name", job.name]
        for name in ("spark.pyspark.python", "spark.pyspark.driver.python"):
            words += ["--conf", f"{name}={python}"]
        words += ["--py-files", job.package, *job.task.hints.get("SparkCliArgs", ())]
        words += [job.script, JOB, job.folder, TOKEN, job.task.token]
        return {
            "Name": job.name[:256],
            "ActionOnFailure": "TERMINATE_CLUSTER",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": words},
        }

    def _listed(self, wanted: set[str]) -> Iterator[Mapping[str, Any]]:
        missing = set(wanted)
        for number, page in enumerate(self._client.get_paginator("list_clusters").paginate()):
            for cluster in page["Clusters"]:
                if cluster["Id"] in missing:
                    missing.discard(cluster["Id"])
                    yield cluster
            if not missing or number + 1 >= _PAGES:
                return

    def _state(self, job: str) -> JobState:
        try:
            return emr_state(self._client.describe_cluster(ClusterId=job)["Cluster"])
        except Exception as error:
            if error_code(error) != "InvalidRequestException":
                raise
            return JobState(Phase.LOST, "gone", f"EMR knows no cluster {job} any more")


def emr_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs Spark code on EMR; its options are those of `EmrSettings`."""
    return remote_engine(EmrJobs, EmrSettings, "emr", platform)


def emr_state(cluster: Mapping[str, Any]) -> JobState:
    """Returns how a cluster's only step stands, from EMR's own description of the cluster."""
    status = cluster["Status"]
    name, change = str(status["State"]), status.get("StateChangeReason") or {}
    code, reason = str(change.get("Code") or ""), str(change.get("Message") or "")
    ended = _ENDS.get(code, Phase.LOST if name == "TERMINATED_WITH_ERRORS" else Phase.STOPPED)
    phase = _PHASES.get(name, ended if name.startswith("TERMINATED") else Phase.RUNNING)
    if phase is Phase.FAILED and code != "STEP_FAILURE" and any(words in reason.lower() for words in _NO_FAULT):
        phase = Phase.LOST
    said = f"{name} ({code})" if code else name
    return JobState(phase, said, reason, _facts(cluster) if phase.has_ended else {})


def emr_instances(task: Task, settings: EmrSettings) -> tuple[str, int]:
    """Returns the type and the number of the task's instances."""
    asked: Mapping[str, Any] = task.hints.get("InstanceConfig") or {}
    return (
        str(asked.get("InstanceType") or settings.instance_type),
        int(asked.get("InstanceCount") or settings.instances),
    )


def _facts(cluster: Mapping[str, Any]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in cluster.get("Tags", ())}
    times = cluster["Status"].get("Timeline") or {}
    seconds = _between(times.get("CreationDateTime"), times.get("EndDateTime"))
    instance_type, count = tags.get(_TAG_TYPE, ""), int(tags.get(_TAG_COUNT, 0))
    facts = {
        "execution seconds": _between(times.get("ReadyDateTime"), times.get("EndDateTime")),
        "cluster seconds": seconds,
        "instances": f"{count} x {instance_type}",
        "release": str(cluster.get("ReleaseLabel") or ""),
    }
    cost = emr_dollars(instance_type, count, seconds)
    return facts if cost is None else {**facts, f"cost estimate (USD, {REGION})": cost}


def _between(begin: datetime | None, end: datetime | None) -> float:
    return round((end - begin).total_seconds(), 1) if begin is not None and end is not None else 0.0


def _name(job: SparkJob) -> str:
    return f"{job.task.token} {job.name}"[:256]
