"""Errors of AWS: whose fault they are, whether another try helps, and words that say what to do."""

from __future__ import annotations

import re
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

# Of Lambda with status 502, as if it were broken: its answer will be the same until somebody changes something.
_MISCONFIGURED: Final = frozenset(
    {
        "EC2AccessDeniedException",
        "EFSMountFailureException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
    }
)
_KMS: Final = re.compile(r"\bKMS|\bkms:")
# What passes within a minute or two: https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
_NOT_YET: Final = frozenset({"CodeArtifactUserPendingException", "ENINotReadyException", "ResourceNotReadyException"})
_IN_STATE: Final = re.compile(r"following state: (Pending|Inactive)|update is in progress")
# IAM tells the services of a new role some seconds after it has been made, each in words of its own.
_NEW_ROLE: Final = re.compile(
    r"cannot be assumed|be given assume role permissions|not authorized to assume|unable to assume"
    r"|not authorized to perform: sts:AssumeRole|Invalid InstanceProfile",
    re.IGNORECASE,
)
_LAKE_FORMATION: Final = "Lake Formation"

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
    return error_code(error) in _FULL | _QUOTA or is_settling(error)


def is_settling(error: BaseException) -> bool:
    """Returns whether something new is not ready yet: a role that no service can assume, a function that is made."""
    code, text = error_code(error), str(error)
    if code in _NOT_YET or (code == "ResourceConflictException" and _IN_STATE.search(text)):
        return True
    return bool(code) and code not in _MISCONFIGURED and _NEW_ROLE.search(text) is not None


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
        return error_code(error) in _BROKEN or (status >= 500 and error_code(error) not in _MISCONFIGURED | _NOT_YET)
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
    is_lasting = is_quota_of_things(error) or is_settling(error)
    kind = "platform" if is_worth_another_try(error) and not is_lasting else "user"
    text = str(error.response.get("Error", {}).get("Message", error)).rstrip(".")
    advice = _advice(error, text)
    if error_code(error) in _FORBIDDEN:
        call = error.operation_name
        return TaskFailure("user", f"{doing}: the role that runs this may not call {call}: {text}. {advice}")
    return TaskFailure(kind, ". ".join(filter(None, [f"{doing}: {error_code(error)}: {text}", advice])))


def _advice(error: BaseException, text: str) -> str:
    """Returns what to do about an error of AWS; empty if nobody knows."""
    if _LAKE_FORMATION in text:
        return "Grant it in Lake Formation: IAM alone does not"
    if "explicit deny" in text:
        return "A policy denies it, of the organization, the bucket or the key: IAM cannot allow it"
    if is_quota_of_things(error):
        return "Delete what is not needed, or ask for more in Service Quotas"
    if _NEW_ROLE.search(text):
        return "Let the service assume the role, as `trust of …` of app.policies() shows"
    if _KMS.search(f"{error_code(error)} {text}"):
        return "Allow kms:Decrypt and kms:GenerateDataKey on the key, in IAM and in the key's policy, and enable it"
    return "Allow it in IAM" if error_code(error) in _FORBIDDEN else ""
