"""`AWSApplication`: RheocerOS's name for an application on AWS."""

from __future__ import annotations

from typing import Any, Final

from rheo_assets.application.application import Application
from rheo_assets.errors import DeclarationError, listed
from rheo_assets.platforms.selection import is_local_forced

_PLATFORM_OPTIONS: Final = {
    "role",
    "bucket",
    "kms_key",
    "engine_options",
    "concurrency",
    "session_token",
    "profile",
    "endpoint_url",
}


def AWSApplication(  # noqa: N802  # RheocerOS's name
    name: str,
    region: str = "us-east-1",
    access_id: str | None = None,
    access_key: str | None = None,
    dev_role_account_id: str | None = None,
    **params: Any,
) -> Application:
    """Returns an application on AWS; `RHEO_PLATFORM=local` runs the same file on a laptop.

    The default credentials are boto3's own. Credentials are never stored, and the local platform ignores them. They
    are not needed until the application is activated.

    Args:
        name: The application's name.
        region: The AWS region.
        access_id: The access key ID.
        access_key: The secret access key.
        dev_role_account_id: The account. The default is the account of the credentials.
        **params: Arguments of `Application` and of `AwsPlatform`: `role`, `bucket`, `engine_options`, …

    Raises:
        DeclarationError: Only half of an access key is given, or the account or region is not valid on AWS.
    """
    of_aws = {option: params.pop(option) for option in sorted(_PLATFORM_OPTIONS & params.keys())}
    if is_local_forced():
        return Application(name, region, **params)
    if "platform" in params:
        if of_aws:
            raise DeclarationError(
                "AWSApplication", f"has a platform and {listed(of_aws)}", "Give them to the platform"
            )
        return Application(name, region, **params)
    from rheo_assets.platforms.aws.platform import AwsPlatform

    platform = AwsPlatform(dev_role_account_id, region, access_id=access_id, access_key=access_key, **of_aws)
    return Application(name, region, platform=platform, **params)
