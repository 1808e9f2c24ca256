"""The attempts of one target: whose fault a failure was decides whether there is another attempt, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rheo_assets.platforms.capabilities import RETRY_FOR
from rheo_assets.runner.task import TaskFailure, TaskResult

_LASTING_TRIES: Final = 4
_LASTING_SECONDS: Final = 60.0
_TOLD_FROM: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses after failures of the platform: no room, throttling, a service that is down.

    Attributes:
        first: The first pause, seconds; each one is twice as long as the one before.
        longest: The longest pause.
        retry_for: When the platform is given up.
    """

    first: float = 1.0
    longest: float = 3600.0
    retry_for: float = RETRY_FOR

    def pause(self, number: int) -> float:
        """Returns the seconds before another attempt, after `number` pauses.

        >>> [Backoff().pause(number) for number in (0, 1, 5, 20)]
        [1.0, 2.0, 32.0, 3600.0]
        """
        return min(self.first * 2.0 ** min(number, 60), self.longest)


class Attempts:
    """Tries one target until it succeeds or must be given up.

    Failures of the user's code count towards `retry_count`; those of the platform do not. They are waited for with
    pauses that grow. One that waiting does not lift, such as a full disk, is tried again a few times at once.

    Args:
        retry_count: How many failures of the user's code there may be besides the last one.
        backoff: How the platform is waited for.
        log: Takes a line.
        wait: Waits so many seconds; returns early, and False, if the execution is to end.

    Attributes:
        count: How many attempts there were.
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
            attempt: Makes one attempt; is told how many before it have ended for certain.

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
        """Returns whether there is another attempt, after the pause before it."""
        if failure.kind == "cancelled":
            return False
        if failure.kind != "platform":
            self._retries_left -= 1
            return self._retries_left >= 0
        pause = self._backoff.pause(self._pauses)
        if failure.lasting and (self._pauses >= _LASTING_TRIES or self._spent + pause > _LASTING_SECONDS):
            return False
        if self._spent + pause > self._backoff.retry_for:
            return False
        self._tell(failure, pause)
        self._pauses += 1
        self._spent += pause
        if not self._wait(pause):
            raise TaskFailure("cancelled", f"it was cancelled while it waited: {failure.message}", failure.detail)
        return True

    def _tell(self, failure: TaskFailure, pause: float) -> None:
        left = self._backoff.retry_for - self._spent
        until = f"; it gives up in {left / 3600:.1f} h" if pause >= _TOLD_FROM and not failure.lasting else ""
        self._log(f"it waits for {pause:.0f} s and is tried again{until}. It waits for: {failure.message}")
