"""The attempts of one target: the kind of a failure decides whether and when it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rheo_assets.platforms.capabilities import RETRY_FOR
from rheo_assets.runner.task import TaskFailure, TaskResult

_LASTING_TRIES: Final = 4
_LOGGED_FROM: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses after failures of the platform: no capacity, throttling, a service that is down.

    Attributes:
        first: The first pause, seconds. Each pause is twice as long as the one before.
        longest: The longest pause, seconds.
        retry_for: How long a platform that fails is retried, seconds.
    """

    first: float = 1.0
    longest: float = 3600.0
    retry_for: float = RETRY_FOR

    def pause(self, number: int) -> float:
        """Returns the next pause in seconds, after `number` pauses.

        >>> [Backoff().pause(number) for number in (0, 1, 5, 20)]
        [1.0, 2.0, 32.0, 3600.0]
        """
        return min(self.first * 2.0 ** min(number, 60), self.longest)


class Attempts:
    """Runs one target until it succeeds or no attempt is left.

    Failures of the user's code count towards `retry_count`. Failures of the platform do not: they are retried with
    growing pauses. A failure that lasts, such as a full disk, is retried only a few times.

    Args:
        retry_count: The number of retries after failures of the user's code.
        backoff: The pauses after failures of the platform.
        log: Logs one line.
        wait: Waits some seconds; returns False early if the execution is cancelled.

    Attributes:
        count: The number of attempts so far.
    """

    def __init__(
        self, retry_count: int, backoff: Backoff, log: Callable[[str], None], wait: Callable[[float], bool]
    ) -> None:
        self.count = 0
        self._retries_left = retry_count
        self._backoff = backoff
        self._log = log
        self._wait = wait
        self._pauses = 0
        self._spent = 0.0  # seconds, from the first attempt on

    def run(self, attempt: Callable[[int], TaskResult]) -> TaskResult:
        """Returns the result of the first attempt that succeeds.

        Args:
            attempt: Runs one attempt. Its argument is the number of earlier attempts that are known to have ended.

        Raises:
            TaskFailure: The last failure.
        """
        ended = 0
        while True:
            self.count += 1
            began = time.monotonic()
            try:
                return attempt(ended)
            except TaskFailure as failure:
                self._spent += time.monotonic() - began
                ended += not failure.unresolved
                if not self._goes_on(failure):
                    raise

    def _goes_on(self, failure: TaskFailure) -> bool:
        """Pauses if necessary, and returns whether to try again."""
        if failure.kind == "cancelled":
            return False
        if failure.kind != "platform":
            self._retries_left -= 1
            return self._retries_left >= 0
        pause = self._backoff.pause(self._pauses)
        if self._spent + pause > self._backoff.retry_for or (failure.lasting and self._pauses >= _LASTING_TRIES):
            return False
        self._log_pause(failure, pause)
        self._pauses += 1
        self._spent += pause
        if not self._wait(pause):
            raise TaskFailure("cancelled", f"cancelled while waiting for a retry: {failure.message}", failure.detail)
        return True

    def _log_pause(self, failure: TaskFailure, pause: float) -> None:
        left = self._backoff.retry_for - self._spent
        until = f", for up to {left / 3600:.1f} h more" if pause >= _LOGGED_FROM and not failure.lasting else ""
        self._log(f"retries in {pause:.0f} s{until}. Reason: {failure.message}")
