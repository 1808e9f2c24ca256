"""Jobs of any service: submitted once, watched in one loop, stopped, told in words."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError

from rheo_assets.platforms.aws.errors import BAD_CREDENTIALS, in_words, told
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import JobState, Phase, Silence
from rheo_assets.platforms.aws.jobs.watching import Watcher
from rheo_assets.platforms.aws.retries import Patience
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput, TaskResult

NOW: Callable[[], bool] = lambda: True  # noqa: E731
NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def task(token: str = "t-0", timeout: float | None = None) -> Task:
    return Task("node", "PYTHON", "", (), TaskOutput("s3://b/out"), timeout=timeout, token=token)


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "StartJobRun"
    )


class Service:
    """A service in memory: one job a token, ended when its time has come."""

    title = "Service"
    polite_seconds = 0.05

    def __init__(self, lasts: float = 0.1, ends: Phase = Phase.SUCCEEDED) -> None:
        self.lasts = lasts
        self.ends = ends
        self.started: dict[str, float] = {}
        self.stopped: set[str] = set()
        self.asked: list[int] = []
        self.failing: list[BaseException] = []
        self.refused_stops: list[BaseException] = []
        self.lose_answers = 0
        self.cleaned: list[str] = []
        self._lock = threading.Lock()

    def submit(self, task: Task) -> str:
        if self.failing:
            raise self.failing.pop(0)
        with self._lock:
            self.started.setdefault(task.token, time.monotonic())
        if self.lose_answers:
            self.lose_answers -= 1
            raise EndpointConnectionError(endpoint_url="https://service")
        return f"job-{task.token}"

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        if self.failing:
            raise self.failing.pop(0)
        self.asked.append(len(jobs))
        return {job: self._state(job) for job in jobs}

    def _state(self, job: str) -> JobState:
        if job in self.stopped:
            return JobState(Phase.STOPPED)
        age = time.monotonic() - self.started[job.removeprefix("job-")]
        return JobState(self.ends if age >= self.lasts else Phase.RUNNING, "NAME", "because", {"DPU-seconds": 12})

    def stop(self, job: str) -> None:
        if self.refused_stops:
            raise self.refused_stops.pop()
        self.stopped.add(job)

    def link(self, job: str) -> str:
        return f"https://console/{job}"

    def messages(self, task: Task, job: str) -> Any:
        return Silence()

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        return TaskResult(rows=3, engine="Service 1")

    def failure(self, task: Task, job: str, state: JobState) -> TaskFailure:
        return TaskFailure("user", f"{task.node!r} failed: {state.reason}")

    def ended(self, task: Task, job: str) -> None:
        self.cleaned.append(job)


def run(service: Service, one: Task | None = None, cancelled: Callable[[], bool] = NEVER) -> tuple[Any, list[str]]:
    lines: list[str] = []
    patience = Patience(seconds=0.2, first=0.01, longest=0.02)
    try:
        return RemoteEngine(service, Watcher(), patience).run(one or task(), lines.append, cancelled), lines
    except TaskFailure as failure:
        return failure, lines


def test_a_job_that_succeeds_answers_with_its_result_its_page_and_its_facts() -> None:
    result, lines = run(Service())
    assert (result.rows, result.metadata["job"], result.metadata["DPU-seconds"]) == (3, "job-t-0", 12)
    assert result.metadata["job page"] == {"type": "url", "value": "https://console/job-t-0"}
    assert lines == ["'node' runs as Service job job-t-0: https://console/job-t-0"]


def test_the_pauses_before_another_call_draw_nothing_from_the_generator_that_the_user_may_have_seeded() -> None:
    answers = iter([refused("ThrottlingException"), refused("ThrottlingException")])

    def busy() -> str:
        for error in answers:
            raise error
        return "done"

    random.seed(7)
    state = random.getstate()
    assert Patience(first=0.01, longest=0.02).call("it starts", busy, lambda _line: None, NEVER) == "done"
    assert random.getstate() == state


@pytest.mark.parametrize(
    ("ends", "kind", "told"),
    [
        (Phase.FAILED, "user", "'node' failed: because"),
        (Phase.LOST, "platform", "'node': Service could not run the job job-t-0 .NAME.: because"),
        (Phase.STOPPED, "cancelled", "was stopped"),
        (Phase.TIMED_OUT, "timeout", "ran into its time limit"),
    ],
)
def test_every_other_end_is_a_failure_that_says_whose_it_is(ends: Phase, kind: str, told: str) -> None:
    service = Service(ends=ends)
    failure, _ = run(service)
    assert isinstance(failure, TaskFailure)
    assert service.cleaned == ["job-t-0"], "however it ended, what it needed goes"
    assert (failure.kind, failure.unresolved) == (kind, False)
    assert pytest.raises(TaskFailure, match=told)
    with pytest.raises(TaskFailure, match=told):
        raise failure


def test_a_lost_answer_leads_to_the_same_job() -> None:
    service = Service()
    service.lose_answers = 2
    result, lines = run(service)
    assert result.rows == 3
    assert list(service.started) == ["t-0"]
    assert "did not take the job yet, and it is asked again: EndpointConnectionError" in lines[0]


def test_a_service_that_never_answers_leaves_the_attempt_unresolved() -> None:
    service = Service()
    service.lose_answers = 10_000
    failure, _ = run(service)
    assert (failure.kind, failure.unresolved) == ("platform", True)


def test_a_service_without_room_is_a_queue() -> None:
    service = Service()
    service.failing = [refused("ConcurrentRunsExceededException")] * 40
    result, lines = run(service)
    assert result.rows == 3
    assert len([line for line in lines if "ConcurrentRunsExceeded" in line]) == 1


def test_a_call_that_is_not_allowed_is_told_at_once_with_its_name() -> None:
    service = Service()
    service.failing = [refused("AccessDeniedException")]
    failure, _ = run(service)
    assert failure.kind == "user"
    assert "may not call StartJobRun" in failure.message


@pytest.mark.parametrize("error", [PermissionError("S3 refuses it"), FileNotFoundError("there is no bucket 'lake'")])
def test_what_the_storage_refuses_is_told_at_once_and_not_asked_again(error: OSError) -> None:
    service = Service()
    service.failing = [error]
    failure, lines = run(service)
    assert (failure.kind, failure.unresolved, lines) == ("user", False, [])
    assert failure.message == f"'node': Service did not take the job: {error}"


def test_cancelling_stops_the_job() -> None:
    service = Service(lasts=60)
    failure, lines = run(service, cancelled=NOW)
    assert failure.kind == "cancelled"
    assert service.stopped == {"job-t-0"}
    assert any("is stopped: it was cancelled" in line for line in lines)


def test_an_interrupted_caller_stops_its_job() -> None:
    class Interrupted(BaseException):
        """What a signal raises while the caller waits."""

    def raised(*_: object) -> None:
        raise Interrupted

    service = Service(lasts=60)
    service.refused_stops = [refused("ThrottlingException")]
    before = signal.signal(signal.SIGALRM, raised)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(Interrupted):
            run(service)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert service.stopped == {"job-t-0"}


def test_a_job_over_its_time_limit_is_stopped_and_told_as_that() -> None:
    service = Service(lasts=60)
    failure, _ = run(service, task(timeout=0.2))
    assert failure.kind == "timeout"
    assert "time limit of 0.2 s" in failure.message
    assert service.stopped == {"job-t-0"}


def test_throttled_questions_do_not_end_the_wait() -> None:
    service = Service(lasts=0.3)
    threading.Timer(0.1, lambda: service.failing.append(refused("ThrottlingException"))).start()
    result, _ = run(service)
    assert result.rows == 3


def test_a_question_that_is_refused_ends_the_wait_but_not_the_job() -> None:
    service = Service(lasts=60)
    threading.Timer(0.1, lambda: service.failing.append(refused("AccessDeniedException"))).start()
    failure, _ = run(service)
    assert (failure.kind, failure.unresolved) == ("user", True)
    assert service.cleaned == [], "the job may still run"


def test_many_jobs_are_asked_for_together_by_one_thread() -> None:
    service = Service(lasts=1.5)
    engine = RemoteEngine(service, Watcher(slowest=0.5))
    before = threading.active_count()
    with ThreadPoolExecutor(300) as pool:
        futures = [pool.submit(engine.run, task(f"t{n}"), lambda line: None, NEVER) for n in range(300)]
        time.sleep(0.3)
        assert threading.active_count() - before <= 301
        assert all(future.result(30).rows == 3 for future in futures)
    assert len(service.started) == 300
    assert max(service.asked) >= 200
    assert len(service.asked) < 60


def test_the_watching_thread_ends_with_the_last_job_and_starts_again() -> None:
    watcher = Watcher()
    engine = RemoteEngine(Service(), watcher)
    for token in ("a", "b"):
        assert engine.run(task(token), lambda line: None, NEVER).rows == 3
        deadline = time.monotonic() + 5
        while any(thread.name == "rheo-jobs" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


QUOTED = "The Canonical String should have been 'POST x-amz-security-token:SECRET'"


class Talkative(Service):
    """A service whose jobs' words cannot be read, and which cannot be stopped."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(lasts=0.3)
        self.error = error

    def messages(self, task: Task, job: str) -> Any:
        return self

    def read(self) -> Sequence[str]:
        raise self.error

    def stop(self, job: str) -> None:
        raise self.error


@pytest.mark.parametrize("code", sorted(BAD_CREDENTIALS))
def test_of_refused_credentials_only_the_code_is_told(code: str) -> None:
    error = refused(code)
    error.response["Error"]["Message"] = QUOTED
    error = ClientError(error.response, "StartJobRun")
    assert "SECRET" in str(error)
    service = Service()
    service.failing = [error]
    failure, lines = run(service)
    assert isinstance(failure, TaskFailure)
    assert (failure.kind, "SECRET" in failure.message) == ("user", False)
    assert f"AWS refused the credentials with {code}" in failure.message
    assert "SECRET" not in told(error)
    assert "SECRET" not in "".join(lines)


def test_a_failed_upload_quotes_no_credentials() -> None:
    cause = ClientError({"Error": {"Code": "ExpiredToken", "Message": QUOTED}}, "PutObject")
    error = S3UploadFailedError(f"Failed to upload a to b: {cause}")
    error.__context__ = cause  # boto3 raises it while it handles the other
    assert "SECRET" in str(error)
    assert told(error) == "AWS refused the credentials with ExpiredToken"
    assert "SECRET" not in in_words(error, "it").message


def test_what_cannot_be_read_or_stopped_quotes_no_credentials() -> None:
    error = ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": QUOTED}}, "GetObject")
    _, lines = run(Talkative(error), cancelled=NOW)
    said = "".join(lines)
    assert "could not be stopped yet: AWS refused the credentials with SignatureDoesNotMatch" in said
    assert "cannot be read: AWS refused the credentials with SignatureDoesNotMatch" in said
    assert "SECRET" not in said


def test_the_log_says_once_what_a_job_waits_for() -> None:
    class Queue(Service):
        def _state(self, job: str) -> JobState:
            state = super()._state(job)
            return state if state.phase.has_ended else JobState(Phase.WAITING, "QUEUED", "no DPU is free")

    service = Queue(lasts=2.5)
    _, lines = run(service)
    assert len(service.asked) > 2
    assert [line for line in lines if "waits" in line] == ["Service job job-t-0 waits (QUEUED): no DPU is free"]


def said(code: str, message: str, operation: str = "StartJobRun", status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


ROLE = "arn:aws:iam::123456789012:role/new"
SETTLING = [
    said(
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
        "CreateFunction",
    ),
    said(
        "InvalidInputException", f"Role {ROLE} should be given assume role permissions for Glue Service.", "CreateJob"
    ),
    said("ValidationException", f"EMR Serverless is not authorized to perform: sts:AssumeRole on {ROLE}"),
    said("ValidationException", "Invalid InstanceProfile: new", "RunJobFlow"),
    said("ResourceConflictException", "The function is currently in the following state: Pending", "Invoke", 409),
    said("ResourceConflictException", "The function is currently in the following state: Inactive", "Invoke", 409),
    said("ResourceNotReadyException", "The function is inactive and its VPC connection is gone", "Invoke", 502),
]


@pytest.mark.parametrize("error", SETTLING)
def test_what_is_new_is_waited_for_and_told_if_it_does_not_settle(error: ClientError) -> None:
    answers: list[ClientError] = [error, error]

    def call() -> str:
        if answers:
            raise answers.pop()
        return "done"

    lines: list[str] = []
    patience = Patience(seconds=9, first=0.01, longest=0.02, settle_seconds=1)
    assert patience.call("it starts", call, lines.append, NEVER) == "done"
    assert error.response["Error"]["Message"] in lines[0]
    answers.extend([error] * 1000)
    with pytest.raises(TaskFailure) as failure:
        patience.call("it starts", call, lines.append, NEVER)
    assert failure.value.kind == "user"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (said("KMSAccessDeniedException", "Lambda was unable to decrypt", "Invoke", 502), "Allow kms:Decrypt and"),
        (said("KMSDisabledException", "The key is disabled", "Invoke", 502), "and enable it"),
        (said("AccessDeniedException", "not authorized to perform: kms:Decrypt"), "Allow kms:Decrypt and"),
        (
            said("AccessDeniedException", "Insufficient Lake Formation permission(s) on orders"),
            "Grant it in Lake Formation",
        ),
        (said("AccessDeniedException", "with an explicit deny in a service control policy"), "IAM cannot allow it"),
        (said("AccessDeniedException", "not authorized to perform: glue:GetJob"), "Allow it in IAM"),
        (said("InvalidSubnetIDException", "no such subnet", "Invoke", 502), "InvalidSubnetIDException: no such subnet"),
    ],
)
def test_what_somebody_has_to_change_is_told_at_once_with_what_to_do(error: ClientError, advice: str) -> None:
    def call() -> str:
        raise error

    with pytest.raises(TaskFailure, match=re.escape(advice)) as failure:
        Patience().call("it starts", call, lambda _: None, NEVER)
    assert failure.value.kind == "user"
    assert error.response["Error"]["Message"] in failure.value.message
