"""Calls of AWS that are tried again, and errors of AWS in words that say what to do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from rheo_assets.runner.task import TaskFailure

T = TypeVar("T")
_CHANCE: Final = random.Random()  # that of the module is the user's, who may have seeded it

_FULL: Final = frozenset(
    {
        "ConcurrentRunsExceededException",  # Glue
        "ResourceNumberLimitExceededException",
        "TooManyRequestsException",  # Athena, Lambda
        "ServiceQuotaExceededException",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)
_FORBIDDEN: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"})
_BROKEN: Final = frozenset(
    {
        "InternalServiceException",
        "InternalServerException",
        "InternalServerError",
        "InternalFailure",
        "OperationTimeoutException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)

_REFUSED: Final = (PermissionError, FileNotFoundError)  # the storage's, in its own words

BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
"""The codes with which AWS turns credentials down. Its text may quote the signed request, session token and all."""


def error_code(error: BaseException) -> str:
    """Returns AWS's own code of an error; empty for anything else."""
    if type(error).__name__ == "S3UploadFailedError" and error.__context__ is not None:
        return error_code(error.__context__)  # boto3 makes another error of it, with the same text
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def told(error: BaseException) -> str:
    """Returns an error as it may be shown: of one about credentials only its code."""
    code = error_code(error)
    if code in BAD_CREDENTIALS:
        return f"AWS refused the credentials with {code}"
    return f"{type(error).__name__}: {error}"


def is_busy(error: BaseException) -> bool:
    """Returns whether the service has no room now."""
    return error_code(error) in _FULL


def may_have_arrived(error: BaseException) -> bool:
    """Returns whether the call may have had its effect although there was no good answer."""
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection

    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return error_code(error) in _BROKEN or status >= 500
    return isinstance(error, NoConnection | HTTPClientError | OSError) and not isinstance(error, _REFUSED)


def is_worth_another_try(error: BaseException) -> bool:
    """Returns whether a call that may be repeated should be."""
    return is_busy(error) or may_have_arrived(error)


def in_words(error: BaseException, doing: str) -> TaskFailure:
    """Returns the failure of a call that is not worth another try."""
    from botocore.exceptions import ClientError

    if isinstance(error, TaskFailure):
        return error
    if error_code(error) in BAD_CREDENTIALS:
        return TaskFailure("user", f"{doing}: {told(error)}. Log in again, or set AWS_PROFILE")
    if isinstance(error, _REFUSED):
        return TaskFailure("user", f"{doing}: {error}")
    if not isinstance(error, ClientError):
        return TaskFailure("platform", f"{doing}: {told(error)}")
    kind = "platform" if is_worth_another_try(error) else "user"
    text = str(error.response.get("Error", {}).get("Message", error))
    if error_code(error) in _FORBIDDEN:
        call = error.operation_name
        return TaskFailure("user", f"{doing}: the role that runs this may not call {call}: {text}. Allow it in IAM")
    return TaskFailure(kind, f"{doing}: {error_code(error)}: {text}")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a call is tried again.

    A service without room is asked until there is some: that is a queue. One that gives no answer is asked for
    `seconds`, and then the attempt is left unresolved.

    Attributes:
        seconds: How long a call without an answer is repeated.
        first: The first pause.
        longest: The longest pause.
    """

    seconds: float = 600.0
    first: float = 1.0
    longest: float = 60.0

    def call(self, doing: str, work: Callable[[], T], log: Callable[[str], None], cancelled: Callable[[], bool]) -> T:
        """Returns what `work` returns, which must have its effect only once however often it is called.

        Raises:
            TaskFailure: It cannot succeed, or was cancelled; `unresolved` where nobody knows whether it arrived.
        """
        pause, is_told, deadline = self.first, False, time.monotonic() + self.seconds
        while True:
            try:
                return work()
            except Exception as error:
                lost = may_have_arrived(error)
                if not lost and not is_busy(error):
                    raise in_words(error, doing) from (None if error_code(error) in BAD_CREDENTIALS else error)
                if lost and time.monotonic() >= deadline:
                    text = f"{doing}: no answer for {self.seconds:.0f} s: {told(error)}"
                    raise TaskFailure("platform", text, unresolved=True) from error
                if not is_told:
                    is_told = True
                    log(f"{doing} yet ({error_code(error) or type(error).__name__}); it is asked again")
            if self._slept(pause * _CHANCE.uniform(0.5, 1.0), cancelled):
                raise TaskFailure("cancelled", f"{doing}: it was cancelled before", unresolved=True)
            pause = min(pause * 2, self.longest)

    @staticmethod
    def _slept(seconds: float, cancelled: Callable[[], bool]) -> bool:
        """Sleeps; returns early, and True, when it is cancelled."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if cancelled():
                return True
            time.sleep(min(left, 0.5))
        return cancelled()
