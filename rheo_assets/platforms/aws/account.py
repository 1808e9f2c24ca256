"""What every service of the platform is given of the account it works in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.storage import S3Storage


@dataclass(frozen=True, slots=True)
class Account:
    """One AWS account and region, as the services see it.

    Attributes:
        clients: Opens the clients of the services.
        storage: The object store.
        home: Returns the URI of an application's bucket, `s3://<bucket>`.
    """

    clients: Clients
    storage: S3Storage
    home: Callable[[str], str]
