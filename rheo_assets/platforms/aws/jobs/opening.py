"""How the engines of a platform are opened: the same for every service whose jobs run elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from rheo_assets.errors import CapabilityMissing, DeclarationError, did_you_mean, listed
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import JobService
from rheo_assets.platforms.aws.jobs.watching import process_watcher

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from rheo_assets.platforms.aws.platform import AwsPlatform

Settings = TypeVar("Settings", bound="DataclassInstance")
Opens = Callable[[Account, Settings], JobService]


def remote_engine(
    service: Opens[Settings], settings: type[Settings], engine: str, platform: AwsPlatform, otherwise: str = ""
) -> RemoteEngine:
    """Returns the engine that runs tasks as jobs of a service.

    Args:
        service: Makes the service of the account and the settings.
        settings: What the service may be told.
        engine: The engine's name, under which the platform has its options.
        platform: Whose engine it is.
        otherwise: What else people can do where the platform has no role.

    Raises:
        DeclarationError: An option that the engine does not have.
        CapabilityMissing: The jobs have no role to run as.
    """
    told = settings_of(settings, engine, platform, otherwise)
    account = Account(platform.clients_of(engine), platform.storage, platform.home)
    return RemoteEngine(service(account, told), process_watcher())


def settings_of(kind: type[Settings], engine: str, platform: AwsPlatform, otherwise: str = "") -> Settings:
    """Returns an engine's settings: the platform's role where it takes one, and the options given for the engine."""
    known = [field.name for field in fields(kind)]
    given: dict[str, Any] = {**({"role": platform.role or ""} if "role" in known else {}), **platform.options(engine)}
    strange = next((name for name in given if name not in known), None)
    if strange is not None:
        hint = f"Its options are {listed(known, 12)}.{did_you_mean(strange, known)}"
        raise DeclarationError("AwsPlatform", f"engine_options of {engine!r} name {strange!r}", hint)
    if "role" in known and not given["role"]:
        raise CapabilityMissing(
            f"jobs of {engine!r} need an IAM role: set RHEO_ROLE to its ARN, or say AwsPlatform(role=…){otherwise}"
        )
    return kind(**given)
