"""The platform of an application that names none."""

from __future__ import annotations

import os
from typing import Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.capabilities import Platform

VARIABLE: Final = "RHEO_PLATFORM"


def chosen_platform(region: str) -> Platform:
    """Returns the platform that `RHEO_PLATFORM` names: `local`, the default, or `aws` in the region.

    Raises:
        CapabilityMissing: `RHEO_PLATFORM` has another value.
    """
    named = os.environ.get(VARIABLE) or "local"
    if named == "local":
        from rheo_assets.platforms.local.platform import LocalPlatform

        return LocalPlatform()
    if named == "aws":
        from rheo_assets.platforms.aws.platform import AwsPlatform

        return AwsPlatform(region=region)
    raise CapabilityMissing(f"{VARIABLE} is {named!r}: set it to 'local' or 'aws'")


def is_local_forced() -> bool:
    """Returns whether `RHEO_PLATFORM` makes applications for AWS run on this machine, too."""
    return os.environ.get(VARIABLE) == "local"
