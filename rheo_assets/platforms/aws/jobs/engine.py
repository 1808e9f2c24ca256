"""Tasks as jobs of an AWS service: started once, found again, waited for, stopped.

A service says how a job is submitted and how it stands (`service.py`). Everything else is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.aws.errors import told
from rheo_assets.platforms.aws.jobs.service import JobService, JobState, Phase
from rheo_assets.platforms.aws.jobs.watching import Watched, Watcher
from rheo_assets.platforms.aws.retries import Patience
from rheo_assets.runner.task import Task, TaskFailure, TaskResult


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

    def check_target(self, target: Target, application: str) -> None:
        """Raises `CapabilityMissing` if the service can never run this very target; `activate()` asks."""
        self.service.check_target(target, application)

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
            told = f"{task.node!r}: {title} could not run the job {job} ({state.name}): {state.reason}"
            raise TaskFailure("platform", told, lasting=state.lasting)
        raise self.service.failure(task, job, state)
