"""Calls of AWS that are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from rheo_assets.platforms.aws.errors import (
    error_code,
    in_words,
    is_about_credentials,
    is_busy,
    is_quota_of_things,
    is_settling,
    may_have_arrived,
    told,
)
from rheo_assets.runner.task import TaskFailure

T = TypeVar("T")
_TOLD_EVERY: Final = 60.0  # seconds between two reasons in the log
_CHANCE: Final = random.Random()  # that of the module is the user's, who may have seeded it


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a call is tried again.

    A service without room is asked until there is some: that is a queue. One that gives no answer is asked for
    `seconds`, and then the attempt is left unresolved. A quota that only a person lifts is asked about for as long.

    Attributes:
        seconds: How long a call without an answer is repeated.
        queue_seconds: How long a service without room is asked.
        settle_seconds: How long something new, such as a role, may take until it is ready.
        first: The first pause.
        longest: The longest pause.
    """

    seconds: float = 600.0
    first: float = 1.0
    longest: float = 60.0
    queue_seconds: float = 86_400.0
    settle_seconds: float = 120.0

    def call(self, doing: str, work: Callable[[], T], log: Callable[[str], None], cancelled: Callable[[], bool]) -> T:
        """Returns what `work` returns, which must have its effect only once however often it is called.

        Raises:
            TaskFailure: It cannot succeed, or was cancelled; `unresolved` where nobody knows whether it arrived.
        """
        pause, said, began = self.first, "", time.monotonic()
        tell_from = began
        while True:
            try:
                return work()
            except Exception as error:
                self._give_up(error, doing, time.monotonic() - began)
                code = error_code(error) or type(error).__name__
                if code != said and time.monotonic() >= tell_from:
                    said, tell_from = code, time.monotonic() + _TOLD_EVERY
                    log(f"{doing} yet, and it is asked again: {told(error)}")
            if self._slept(pause * _CHANCE.uniform(0.5, 1.0), cancelled):
                raise TaskFailure("cancelled", f"{doing}: it was cancelled before", unresolved=True)
            pause = min(pause * 2, self.longest)

    def _give_up(self, error: Exception, doing: str, waited: float) -> None:
        """Raises the failure of a call that cannot succeed, or has been tried for long enough."""
        if may_have_arrived(error):
            if waited >= self.seconds:
                text = f"{doing}: no answer for {self.seconds:.0f} s: {told(error)}"
                raise TaskFailure("platform", text, unresolved=True) from error
        elif not is_busy(error) or waited >= self._limit(error):
            raise in_words(error, doing) from (None if is_about_credentials(error) else error)

    def _limit(self, error: Exception) -> float:
        if is_settling(error):
            return self.settle_seconds
        return self.seconds if is_quota_of_things(error) else self.queue_seconds

    @staticmethod
    def _slept(seconds: float, cancelled: Callable[[], bool]) -> bool:
        """Sleeps; returns early, and True, when it is cancelled."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if cancelled():
                return True
            time.sleep(min(left, 0.5))
        return cancelled()
