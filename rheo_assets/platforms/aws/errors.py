"""Errors of AWS: whose fault they are, whether another try helps, and words that say what to do."""

from __future__ import annotations

from typing import Any, Final

from rheo_assets.runner.task import TaskFailure

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
_FORBIDDEN: Final = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation"}
)
_QUOTA: Final = frozenset(
    {
        "CodeStorageExceededException",  # Lambda
        "LimitExceededException",
        "ResourceNumberLimitExceededException",  # Glue
        "ServiceQuotaExceededException",
        "TooManyBuckets",
    }
)
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
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
"""The codes with which AWS turns credentials down. Its text may quote the signed request, session token and all."""


_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_WRONG_TIME: Final = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_SIGNED_AT_ANOTHER_TIME: Final = ("Signature expired", "Signature not yet current")


def error_code(error: BaseException) -> str:
    """Returns AWS's own code of an error; empty for anything else."""
    if type(error).__name__ == "S3UploadFailedError" and error.__context__ is not None:
        return error_code(error.__context__)  # boto3 makes another error of it, with the same text
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_about_credentials(error: BaseException) -> bool:
    """Returns whether AWS turns the credentials down, or the time at which a request was signed with them."""
    return error_code(error) in BAD_CREDENTIALS


def remedy(error: BaseException) -> str:
    """Returns what to do about credentials that AWS turned down."""
    if error_code(error) in _WRONG_TIME or any(sign in str(error) for sign in _SIGNED_AT_ANOTHER_TIME):
        return "Set the clock of this machine: AWS takes no request that was signed some minutes ago or ahead"
    return "Log in again: they have expired" if error_code(error) in _EXPIRED else "Log in again, or set AWS_PROFILE"


def told(error: BaseException) -> str:
    """Returns an error as it may be shown: of one about credentials only its code."""
    code = error_code(error)
    if is_about_credentials(error):
        return f"AWS refused the credentials with {code}"
    return f"{type(error).__name__}: {error}"


def is_forbidden(error: BaseException) -> bool:
    """Returns whether IAM, or another policy, denies the call."""
    return error_code(error) in _FORBIDDEN


def is_busy(error: BaseException) -> bool:
    """Returns whether the service has no room now."""
    return error_code(error) in _FULL | _QUOTA


def is_quota_of_things(error: BaseException) -> bool:
    """Returns whether the account has as many things of a kind as it may: that is not lifted by waiting alone.

    A quota of what runs at the same time is.
    """
    return error_code(error) in _QUOTA and str(getattr(error, "operation_name", "")).startswith(("Create", "Put"))


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
    if is_about_credentials(error):
        return TaskFailure("user", f"{doing}: {told(error)}. {remedy(error)}")
    if isinstance(error, _REFUSED):
        return TaskFailure("user", f"{doing}: {error}")
    if not isinstance(error, ClientError):
        return TaskFailure("platform", f"{doing}: {told(error)}")
    kind = "platform" if is_worth_another_try(error) and not is_quota_of_things(error) else "user"
    text = str(error.response.get("Error", {}).get("Message", error))
    if error_code(error) in _FORBIDDEN:
        call = error.operation_name
        return TaskFailure("user", f"{doing}: the role that runs this may not call {call}: {text}. Allow it in IAM")
    if is_quota_of_things(error):
        text = f"{text}. Delete what is not needed, or ask for more in Service Quotas"
    return TaskFailure(kind, f"{doing}: {error_code(error)}: {text}")
