"""The bucket of an application's own data: its name, and how it is made."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.errors import error_code, is_about_credentials, is_forbidden
from rheo_assets.platforms.aws.replacement import STAGING

NAMED: Final = "rheo-{application}-{account}-{region}"

_ALLOWED = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_PRIVATE: Final = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_OURS: Final = "rheo-"
_RULES: Final = (
    {
        "ID": f"{_OURS}leftovers",  # of failed executions
        "Status": "Enabled",
        "Filter": {"Prefix": f"{STAGING}/"},
        "Expiration": {"Days": 7},
    },
    {
        "ID": f"{_OURS}cut-uploads",  # of any process that died: nobody sees them, and they are charged
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    {
        "ID": f"{_OURS}old-versions",  # if somebody turns versioning on
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
)
_log = logging.getLogger("rheo_assets")


def bucket_name(pattern: str, application: str, account: str, region: str) -> str:
    """Returns the name of an application's bucket.

    >>> bucket_name(NAMED, "shop", "111222333444", "eu-west-1")
    'rheo-shop-111222333444-eu-west-1'

    Raises:
        DeclarationError: S3 does not take the name; says what to change.
    """
    name = pattern.format(application=application, account=account, region=region)
    if _ALLOWED.fullmatch(name) and not _ADDRESS.fullmatch(name):
        return name
    strange = sorted(set(re.findall(r"[^a-z0-9.-]", name)))
    problem = f"has {', '.join(map(repr, strange))}" if strange else f"has {len(name)} characters"
    raise DeclarationError(
        f"application '{application}'",
        f"its bucket would be {name!r}, which {problem}; S3 takes 3 to 63 lower-case letters, digits and '-'",
        "Give the application another name, or AwsPlatform another bucket='team-{application}'",
    )


def check_pattern(pattern: str) -> str:
    """Returns the pattern of bucket names.

    Raises:
        DeclarationError: It has no place for the application, or unknown ones.
    """
    try:
        pattern.format(application="", account="", region="")
        is_readable = "{application}" in pattern
    except (LookupError, ValueError):
        is_readable = False
    if not is_readable:
        raise DeclarationError(
            "AwsPlatform",
            f"bucket is {pattern!r}",
            "Name each application's own bucket by '{application}'; '{account}' and '{region}' may stand in it, too",
        )
    return pattern


def make_bucket(clients: Clients, bucket: str, account: str, kms_key: str | None, subject: str) -> None:
    """Makes the bucket where it is missing: private, encrypted, cleared of what failed executions leave.

    What somebody has set on a bucket stays, but that nobody may make it public.

    Raises:
        CapabilityMissing: It belongs to another account, or the credentials may not make or see it.
    """
    from botocore.exceptions import ClientError

    s3 = clients.client("s3")
    with clients.explaining(subject):
        try:
            region = _region(s3, bucket, account)
            if region is None:
                _create(s3, bucket, clients.region, account)
        except ClientError as error:
            if is_about_credentials(error):
                raise
            raise CapabilityMissing(_problem(error, s3, subject, bucket, account)) from None
        if region not in {None, "", clients.region}:
            raise CapabilityMissing(
                f"{subject} runs in {clients.region}, but its bucket {bucket!r} is in {region}: every request would "
                f"cross regions, and Athena, Glue and Lambda would refuse it. Give AwsPlatform region={region!r}, or "
                "another bucket='team-{application}-{region}'"
            )
        for step in (_block_public, _encrypt, _expire_leftovers):
            try:
                step(s3, bucket, kms_key)
            except ClientError as error:
                if error_code(error) != "AccessDenied":
                    raise
                _log.warning("%s: the bucket %s is used as it is: %s is denied", subject, bucket, error.operation_name)


def _region(s3: Any, bucket: str, account: str) -> str | None:
    """Returns where a bucket of the account is, empty if S3 does not say it; None if there is no such bucket."""
    from botocore.exceptions import ClientError

    try:
        found = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchBucket"}:
            return None
        raise
    headers = found.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(found.get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def _create(s3: Any, bucket: str, region: str, account: str) -> None:
    from botocore.exceptions import ClientError

    # us-east-1 is the one region that S3 does not take as a constraint.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        if error_code(error) not in {"BucketAlreadyOwnedByYou", "OperationAborted"}:  # another process makes it
            raise
    waiter = s3.get_waiter("bucket_exists")
    waiter.wait(Bucket=bucket, ExpectedBucketOwner=account, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def _is_of_another(s3: Any, bucket: str) -> bool:
    """Returns whether a bucket that was refused is there for these credentials: then another account has it."""
    from botocore.exceptions import ClientError

    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def _problem(error: Any, s3: Any, subject: str, bucket: str, account: str) -> str:
    code = error_code(error)
    is_refused = is_forbidden(error) and error.operation_name == "HeadBucket"
    if code == "BucketAlreadyExists" or (is_refused and _is_of_another(s3, bucket)):
        return (
            f"{subject} cannot have the bucket {bucket!r}: another account has it. Give AwsPlatform another "
            "bucket='team-{application}'"
        )
    if is_forbidden(error):
        return (
            f"{subject} needs the bucket {bucket!r} of account {account}: S3 refuses {error.operation_name}. Allow "
            "s3:CreateBucket and s3:ListBucket, or have somebody make the bucket in that account"
        )
    return f"{subject} needs the bucket {bucket!r}: {error.operation_name} failed with {code}"


def _block_public(s3: Any, bucket: str, _: str | None) -> None:
    found = _asked(s3.get_public_access_block, bucket, "NoSuchPublicAccessBlockConfiguration")
    if found.get("PublicAccessBlockConfiguration") != _PRIVATE:
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_PRIVATE)


def _encrypt(s3: Any, bucket: str, kms_key: str | None) -> None:
    found = _asked(s3.get_bucket_encryption, bucket, "ServerSideEncryptionConfigurationNotFoundError")
    rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    if default and (kms_key is None or default.get("KMSMasterKeyID") == kms_key):
        return
    wanted = {"SSEAlgorithm": "AES256"} if kms_key is None else {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
    rule = {"ApplyServerSideEncryptionByDefault": wanted, "BucketKeyEnabled": kms_key is not None}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _expire_leftovers(s3: Any, bucket: str, _: str | None) -> None:
    found = _asked(s3.get_bucket_lifecycle_configuration, bucket, "NoSuchLifecycleConfiguration").get("Rules", ())
    names = {rule.get("ID", "") for rule in found}
    if names != {rule["ID"] for rule in _RULES} and all(name.startswith(_OURS) for name in names):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(_RULES)})


def _asked(call: Any, bucket: str, absent: str) -> dict[str, Any]:
    """Returns what a question about a bucket is answered with; nothing where there is no such setting."""
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = call(Bucket=bucket)
    except ClientError as error:
        if error_code(error) == absent:
            return {}
        raise
    return answer
