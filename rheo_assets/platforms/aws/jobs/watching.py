"""One loop that looks at all jobs of this process: few calls, long pauses for long jobs, quick for short ones."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Condition, Event, Lock, Thread
from typing import Any, Final

from rheo_assets.platforms.aws.errors import in_words, is_busy, may_have_arrived, told
from rheo_assets.platforms.aws.jobs.service import JobService, JobState, Messages, Phase
from rheo_assets.runner.task import TaskFailure

_TURN: Final = 1.0  # seconds: how soon a cancellation is seen
_FIRST: Final = 0.5
_SLOWER: Final = 1.5
_READS_A_SECOND: Final = 5.0  # of messages, over all jobs
_TRIES: Final = 3  # to stop a job that nobody waits for any more
_BLIND: Final = 900.0  # seconds without any answer of the service


@dataclass(eq=False)
class Watched:
    """A job and who waits for it.

    Attributes:
        service: Where it runs.
        job: Its id there.
        messages: What it says.
        timeout: Seconds that it may run; None for no limit.
        log: Takes a line.
        cancelled: Whether it is to end.
    """

    service: JobService
    job: str
    messages: Messages
    timeout: float | None
    log: Callable[[str], None]
    cancelled: Callable[[], bool]
    state: JobState | None = None
    error: BaseException | None = None
    ended: Event = field(default_factory=Event)
    pause: float = _FIRST
    due: float = 0.0
    answered: float = field(default_factory=time.monotonic)
    running_since: float | None = None
    waits_for: str = ""
    is_stopping: bool = False
    is_late: bool = False


class Watcher:
    """Looks at jobs until they end.

    The thread starts with the first job and ends with the last one.

    Args:
        clock: Seconds, for the pauses.
        slowest: The longest pause between two looks at one job, whatever its service says.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, slowest: float | None = None) -> None:
        self._clock = clock
        self._slowest = slowest
        self._jobs: dict[int, Watched] = {}
        self._changed = Condition(Lock())
        self._thread: Thread | None = None
        self._readable = 0.0  # messages that may be read now
        self._turned = clock()
        self._next_read = 0

    def wait(self, watched: Watched) -> JobState:
        """Returns how the job ended.

        Raises:
            TaskFailure: The service gave no answer for a quarter of an hour, or turned the question down.
        """
        watched.pause = min(watched.pause, self._slowest or watched.pause)
        watched.due = self._clock() + watched.pause  # it has just been submitted, maybe with many others
        with self._changed:
            self._jobs[id(watched)] = watched
            if self._thread is None:
                self._thread = Thread(target=self._watch, name="rheo-jobs", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            watched.ended.wait()
        except BaseException:  # the caller is interrupted: nobody waits for the job any more
            self._abandon(watched)
            raise
        if watched.error is not None:
            raise watched.error
        assert watched.state is not None
        self._read(watched)
        if watched.is_late and watched.state.phase is Phase.STOPPED:
            return replace(watched.state, phase=Phase.TIMED_OUT)
        return watched.state

    def _watch(self) -> None:
        while True:
            with self._changed:
                if not self._jobs:
                    self._thread = None
                    return
                jobs = list(self._jobs.values())
            try:
                self._turn(jobs)
            except BaseException as error:  # a fault of ours must not leave everybody waiting for ever
                for watched in jobs:
                    watched.error = error
                    self._done(watched)
            with self._changed:
                self._changed.wait(self._until_due())

    def _turn(self, jobs: Sequence[Watched]) -> None:
        now = self._clock()
        self._stop_cancelled(jobs)
        by_service: dict[int, list[Watched]] = defaultdict(list)
        for watched in jobs:
            by_service[id(watched.service)].append(watched)
        for group in by_service.values():
            if any(watched.due <= now for watched in group):  # then those that are due soon come along
                self._look([watched for watched in group if watched.due - now <= watched.pause / 2], now)
        self._read_some([watched for watched in jobs if not watched.ended.is_set()], now)

    def _look(self, group: Sequence[Watched], now: float) -> None:
        """Asks one service for all its jobs that are due."""
        service = group[0].service
        try:
            states = service.states([watched.job for watched in group])
        except Exception as error:
            self._no_answer(group, error, now)
            return
        for watched in group:
            state = states.get(watched.job)
            watched.pause = min(watched.pause * _SLOWER, self._slowest or service.polite_seconds)
            watched.due = now + watched.pause
            if state is None:
                continue  # just submitted, and not yet listed
            watched.answered = now
            watched.state = state
            if state.phase.has_ended:
                self._done(watched)
            elif state.phase is Phase.RUNNING:
                watched.running_since = watched.running_since or now
            else:
                _tell_wait(watched, state)

    def _no_answer(self, group: Sequence[Watched], error: Exception, now: float) -> None:
        worth = is_busy(error) or may_have_arrived(error)
        for watched in group:
            watched.pause = min(max(watched.pause, 1.0) * 2, 60.0)
            watched.due = now + watched.pause
            doing = f"{watched.service.title} does not say how job {watched.job} stands"
            if not worth:
                failure = in_words(error, doing)
                watched.error = TaskFailure(failure.kind, failure.message, failure.detail, unresolved=True)
                self._done(watched)
            elif now - watched.answered > _BLIND:
                text = f"{doing}: no answer for {_BLIND:.0f} s: {told(error)}"
                watched.error = TaskFailure("platform", text, unresolved=True)
                self._done(watched)

    def _stop_cancelled(self, jobs: Sequence[Watched]) -> None:
        now = self._clock()
        asked: dict[Any, bool] = {}  # many jobs of one run ask the same
        for watched in jobs:
            if watched.cancelled not in asked:
                asked[watched.cancelled] = watched.cancelled()
            since = watched.running_since
            watched.is_late = watched.timeout is not None and since is not None and now - since > watched.timeout
            if (asked[watched.cancelled] or watched.is_late) and not watched.is_stopping:
                self._stop(watched, "it ran into its time limit" if watched.is_late else "it was cancelled")

    def _stop(self, watched: Watched, why: str) -> None:
        watched.log(f"{watched.service.title} job {watched.job} is stopped: {why}")
        try:
            watched.service.stop(watched.job)
        except Exception as error:  # tried again in the next turn
            watched.log(f"{watched.service.title} job {watched.job} could not be stopped yet: {told(error)}")
            return
        watched.is_stopping = True
        watched.pause, watched.due = _FIRST, 0.0

    def _abandon(self, watched: Watched) -> None:
        self._done(watched)
        for attempt in range(_TRIES):
            if not watched.is_stopping:
                time.sleep(attempt)
                self._stop(watched, "whoever waited for it was interrupted")

    def _read_some(self, jobs: Sequence[Watched], now: float) -> None:
        """Passes on what jobs say, a few at a time, so that a thousand jobs cost no more than some."""
        self._readable = min(self._readable + (now - self._turned) * _READS_A_SECOND, float(len(jobs)))
        self._turned = now
        while jobs and self._readable >= 1:
            self._readable -= 1
            self._next_read = (self._next_read + 1) % len(jobs)
            self._read(jobs[self._next_read])

    @staticmethod
    def _read(watched: Watched) -> None:
        try:
            lines = watched.messages.read()
        except Exception as error:  # the job itself is what counts
            watched.log(f"what {watched.service.title} job {watched.job} says cannot be read: {told(error)}")
            return
        for line in lines:
            watched.log(line)

    def _done(self, watched: Watched) -> None:
        with self._changed:
            self._jobs.pop(id(watched), None)
        watched.ended.set()

    def _until_due(self) -> float:
        if not self._jobs:
            return 0.0
        soonest = min(watched.due for watched in self._jobs.values())
        return min(max(soonest - self._clock(), 0.01), _TURN)


def _tell_wait(watched: Watched, state: JobState) -> None:
    """Logs what a job waits for, as its service says it: once for each reason."""
    if state.reason and state.reason != watched.waits_for:
        watched.waits_for = state.reason
        watched.log(f"{watched.service.title} job {watched.job} waits ({state.name}): {state.reason}")


@cache
def process_watcher() -> Watcher:
    """Returns the watcher that all engines of this process share."""
    return Watcher()
