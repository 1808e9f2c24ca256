"""Clients of AWS's services: one boto3 session a platform, opened when it is first needed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final, NoReturn

from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.platforms.aws.errors import error_code, is_about_credentials, remedy
from rheo_assets.platforms.aws.heads import explain_heads

_ATTEMPTS: Final = 8
_CONNECTIONS: Final = 64
_NO_BOTO3: Final = "AWS needs boto3: pip install 'rheo-assets[aws]'"


class Clients:
    """Opens boto3 clients and keeps them; safe to share between threads.

    A call that is throttled, or gets no good answer, is tried again by botocore. Credentials that are given here are
    kept in memory only: they are in no `repr`, and an object that holds this one cannot be pickled.

    Args:
        region: The region of every client.
        access_id: An access key's id; boto3 finds credentials by itself otherwise.
        access_key: Its secret.
        session_token: The token of temporary credentials.
        profile: A profile of the shared configuration.
        endpoint_url: Another endpoint for all services; `AWS_ENDPOINT_URL` sets one, too.

    Raises:
        DeclarationError: An id without a key, or the other way round.
    """

    def __init__(
        self,
        region: str,
        *,
        access_id: str | None = None,
        access_key: str | None = None,
        session_token: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if bool(access_id) != bool(access_key):
            raise DeclarationError(
                "the AWS platform", "got one half of an access key", "Give both access_id and access_key, or neither"
            )
        self.region = region
        self.endpoint_url = endpoint_url
        self.profile = profile
        self.has_key = bool(access_id)
        self._environment = _hidden(
            {"AWS_ACCESS_KEY_ID": access_id, "AWS_SECRET_ACCESS_KEY": access_key, "AWS_SESSION_TOKEN": session_token}
        )
        self._lock = RLock()
        self._session: Any = None
        self._clients: dict[tuple[str, bool], Any] = {}

    def session(self) -> Any:
        """Returns a boto3 session of the platform's credentials: a new one, as sessions are for one thread each.

        Raises:
            CapabilityMissing: boto3 is not installed, or there is no such profile.
        """
        with self._lock:
            opened = self._open()
            with self.explaining("a session of AWS"):
                # The credentials are found once and renewed in one place, not asked for with every session.
                opened._session._credentials = self._shared().get_credentials()
            return opened

    def _shared(self) -> Any:
        """Returns the session of our own clients, only ever used under the lock."""
        if self._session is None:
            self._session = self._open()
        return self._session

    def client(self, service: str, *, repeats: bool = True) -> Any:
        """Returns the client of a service, always the same one: `client("glue")`.

        Args:
            service: In boto3's words.
            repeats: Whether it tries calls again by itself; who starts jobs waits between two tries in its own way.
        """
        key = (service, repeats)
        with self._lock:
            if key not in self._clients:
                with self.explaining(f"a client of {service}"):
                    from botocore.config import Config

                    config = Config(
                        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS if repeats else 1},
                        max_pool_connections=_CONNECTIONS,
                        connect_timeout=10,
                        user_agent_extra="rheo_assets",
                    )
                    made = self._shared().client(
                        service, region_name=self.region, endpoint_url=self.endpoint_url, config=config
                    )
                    if service == "s3":
                        explain_heads(made)
                    self._clients[key] = made
            return self._clients[key]

    def account_id(self, subject: str) -> str:
        """Returns the account of the credentials, as STS tells it.

        Args:
            subject: Who asks, for the message.

        Raises:
            CapabilityMissing: There are no usable credentials, or STS cannot be reached.
        """
        with self.explaining(subject):
            return str(self.client("sts").get_caller_identity()["Account"])

    @contextmanager
    def explaining(self, subject: str) -> Iterator[None]:
        """Turns the errors of botocore that are about credentials or the network into `CapabilityMissing`.

        Args:
            subject: What needs AWS, for the message: `application 'shop'`.
        """
        try:
            from botocore import exceptions as boto
        except ImportError:
            raise CapabilityMissing(_NO_BOTO3) from None
        try:
            yield
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            missing = f", {error.kwargs['cred_var']} is missing" if "cred_var" in error.kwargs else ""
            raise self._no_credentials(subject, f"none were found{missing}") from None
        except boto.CredentialRetrievalError as error:
            raise self._no_credentials(subject, f"{error.kwargs.get('provider')} gave none") from None
        except (boto.SSOError, boto.TokenRetrievalError) as error:
            raise self._no_credentials(subject, f"the login has ended ({type(error).__name__})") from None
        except boto.EndpointConnectionError as error:
            raise CapabilityMissing(
                f"{subject} asks for AWS in {self.region}, which is out of reach: {error}"
            ) from None
        except boto.ClientError as error:
            if not is_about_credentials(error):
                raise
            # AWS's own text may quote the request that was signed, session token and all: only the code is told.
            raise self._no_credentials(subject, f"AWS refused them with {error_code(error)}", remedy(error)) from None

    def elsewhere(self, region_name: str | None = None, endpoint_url: str | None = None) -> Clients:
        """Returns clients with the same credentials for another region or endpoint."""
        other = object.__new__(type(self))  # not `copy`: these are never written down
        other.__dict__.update(self.__dict__)
        other.region = region_name or self.region
        other.endpoint_url = endpoint_url or self.endpoint_url
        other._lock, other._session, other._clients = RLock(), None, {}
        return other

    def child_environment(self) -> Mapping[str, str]:
        """Returns the environment variables by which a child process opens the same session."""
        profile = {} if self.profile is None else {"AWS_PROFILE": self.profile}
        endpoint = {} if self.endpoint_url is None else {"AWS_ENDPOINT_URL": self.endpoint_url}
        region = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return {**region, **profile, **endpoint, **self._environment()}

    def _open(self) -> Any:
        try:
            import boto3
            from botocore.exceptions import ProfileNotFound
        except ImportError:
            raise CapabilityMissing(_NO_BOTO3) from None
        given = self._environment()
        if given:
            _keep_wire_logs_quiet()
        try:
            return boto3.Session(
                aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
                aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
                aws_session_token=given.get("AWS_SESSION_TOKEN"),
                region_name=self.region,
                profile_name=self.profile,
            )
        except ProfileNotFound as error:
            raise CapabilityMissing(f"{error}. `aws configure list-profiles` shows those that there are") from None

    def _no_credentials(
        self, subject: str, problem: str, remedy: str = "Log in or set AWS_PROFILE"
    ) -> CapabilityMissing:
        return CapabilityMissing(
            f"{subject} asks for AWS in {self.region}, but there are no usable credentials: {problem} (tried: "
            f"{self._tried()}). {remedy}, or set RHEO_PLATFORM=local to run the same file on this machine"
        )

    def _tried(self) -> str:
        if self.has_key:
            return "the access_id and access_key given in code"
        if self.profile is not None:
            return f"the profile {self.profile!r}"
        key = "AWS_ACCESS_KEY_ID" if os.environ.get("AWS_ACCESS_KEY_ID") else "no AWS_ACCESS_KEY_ID"
        named = os.environ.get("AWS_PROFILE")
        profile = f"the profile {named!r} of AWS_PROFILE" if named else "the default profile"
        return f"{key} in the environment, {profile}, the container's and the instance's role"

    def __repr__(self) -> str:
        return f"Clients({self.region!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AWS session is not written down: it may hold credentials. In a callable use params['AWS_BOTO_SESSION']"
        )


def _hidden(variables: Mapping[str, str | None]) -> Callable[[], dict[str, str]]:
    """Returns a function that returns the variables that have a value: nothing that prints an object shows them."""
    given = {name: value for name, value in variables.items() if value}
    return lambda: dict(given)


def _keep_wire_logs_quiet() -> None:
    """Keeps botocore's debug lines, which hold signed headers, out of a root logger that shows everything.

    A level that somebody has set for botocore itself stays.
    """
    for name in ("botocore", "urllib3"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
