"""Which platform an application gets that names none."""

from __future__ import annotations

import os
from typing import Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.capabilities import Platform

VARIABLE: Final = "RHEO_PLATFORM"


def chosen_platform(region: str) -> Platform:
    """Returns the platform that `RHEO_PLATFORM` names: `local`, the default, or `aws` in the region.

    Raises:
        CapabilityMissing: It names another one.
    """
    named = os.environ.get(VARIABLE) or "local"
    if named == "local":
        from rheo_assets.platforms.local.platform import LocalPlatform

        return LocalPlatform()
    if named == "aws":
        from rheo_assets.platforms.aws.platform import AwsPlatform

        return AwsPlatform(region=region)
    raise CapabilityMissing(f"{VARIABLE} is {named!r}: it can be 'local' or 'aws'")


def is_local_forced() -> bool:
    """Returns whether `RHEO_PLATFORM` says that even an application for AWS runs on this machine."""
    return os.environ.get(VARIABLE) == "local"
