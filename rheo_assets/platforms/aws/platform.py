"""The AWS platform: data on S3, tables of the Glue Data Catalog, engines of the account."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from importlib import import_module
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from rheo_assets.errors import CapabilityMissing, DeclarationError, did_you_mean, listed
from rheo_assets.model.compute.targets import Target
from rheo_assets.model.topology import Topology
from rheo_assets.platforms.aws.buckets import NAMED, bucket_name, check_pattern, make_bucket
from rheo_assets.platforms.aws.catalog import GlueCatalog
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.policies import policies
from rheo_assets.platforms.aws.statements import Place
from rheo_assets.platforms.aws.storage import S3Storage
from rheo_assets.platforms.capabilities import RETRY_FOR, Engine
from rheo_assets.platforms.engines import Engines
from rheo_assets.platforms.home import rheo_home

# Each engine's module has a function of this name that takes the platform; it is imported when a node needs it.
_MAKERS: Final[Mapping[str, tuple[str, str]]] = {
    "athena": ("athena.queries", "athena_engine"),
    "glue": ("spark.glue", "glue_engine"),
    "emr": ("spark.emr", "emr_engine"),
    "emr_serverless": ("spark.emr_serverless", "emr_serverless_engine"),
    "lambda": ("functions.lambdas", "lambda_engine"),
    "process": ("functions.process", "process_engine"),
}
_OF_CLIENTS: Final = ("region_name", "endpoint_url")
_UNKNOWN_ACCOUNT: Final = "000000000000"
_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d")


class AwsPlatform:
    """Storage, engines and catalog of one AWS account and region.

    Nothing is asked of AWS until something is needed. Credentials are boto3's own unless they are given here; then they
    are kept in memory only.

    Args:
        account_id: The account; that of the credentials unless said otherwise. Activation refuses another one.
        region: The region; `AWS_REGION`, `AWS_DEFAULT_REGION`, else `us-east-1`.
        bucket: The name of each application's bucket, with `{application}` in it, and `{account}` and `{region}`.
        role: The ARN of the IAM role that jobs and functions run as; `RHEO_ROLE` otherwise.
        kms_key: The KMS key that encrypts what is written; the bucket's default otherwise.
        engine_options: Options of engines by the engine's name: `{"athena": {"workgroup": "team"}}`.
        concurrency: How many executions of one run go at once: they only wait.
        retry_for: For how many seconds an execution waits for a service without room, or that is out of reach; a day.
        access_id: An access key's id.
        access_key: Its secret.
        session_token: The token of temporary credentials.
        profile: A profile of the shared configuration.
        endpoint_url: Another endpoint for all services.

    Attributes:
        clients: Opens the clients of AWS's services.
        root: The folder of this machine for the Dagster instance, where `DAGSTER_HOME` names none.

    Raises:
        DeclarationError: A value that AWS cannot take.
    """

    name = "aws"

    def __init__(
        self,
        account_id: str | None = None,
        region: str | None = None,
        *,
        bucket: str = NAMED,
        role: str | None = None,
        kms_key: str | None = None,
        engine_options: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: int = 64,
        retry_for: float = RETRY_FOR,
        access_id: str | None = None,
        access_key: str | None = None,
        session_token: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if account_id is not None and not _ACCOUNT.fullmatch(account_id):
            raise DeclarationError("AwsPlatform", f"account_id is {account_id!r}", "An account's id has twelve digits")
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        if not _REGION.fullmatch(region):
            raise DeclarationError("AwsPlatform", f"region is {region!r}", "Write it as AWS does: 'eu-west-1'")
        self.region = region
        self.role = role or os.environ.get("RHEO_ROLE")
        self.kms_key = kms_key
        self.concurrency = concurrency
        self.retry_for = retry_for
        self.root = rheo_home()
        self.clients = Clients(
            region,
            access_id=access_id,
            access_key=access_key,
            session_token=session_token,
            profile=profile,
            endpoint_url=endpoint_url,
        )
        self.storage = S3Storage(self.clients, kms_key=kms_key)
        self.catalog = GlueCatalog(self.clients)
        self._named_account = account_id
        self._bucket = check_pattern(bucket)
        self._options = _read_options(engine_options or {})
        self._engines = Engines(self, {name: partial(self._make, name) for name in _MAKERS})
        self._undeclared: str | None = None
        self._variants: dict[str, AwsPlatform] = {}
        self._lock = Lock()

    @cached_property
    def account_id(self) -> str:
        """The account: the given one, else that of the credentials.

        Raises:
            CapabilityMissing: There are no usable credentials.
        """
        return self._named_account or self.clients.account_id("the AWS platform")

    def bucket(self, application: str) -> str:
        """Returns the bucket that holds an application's own data and state.

        Where the name needs the account and nobody knows it, nodes can still be declared and looked at: the bucket then
        has an account of zeros, and activation fails.

        Raises:
            DeclarationError: S3 does not take the name; says what to change.
        """
        return bucket_name(self._bucket, application, self._account_or_zeros(), self.region)

    def home(self, application: str) -> str:
        """Returns the URI of an application's bucket."""
        return f"s3://{self.bucket(application)}"

    def prepare(self, application: str) -> None:
        """Checks the credentials and makes the application's bucket where it is missing.

        Raises:
            CapabilityMissing: No usable credentials, those of another account, or a bucket that cannot be had.
        """
        subject = f"application '{application}'"
        found = self.clients.account_id(subject)
        if self._undeclared is not None:
            raise CapabilityMissing(
                f"{subject} was declared without usable credentials, so that its account was unknown. There are some "
                f"now: declare it again, in a new process. What was wrong then: {self._undeclared}"
            )
        if found != self.account_id:
            raise CapabilityMissing(
                f"{subject} is for account {self.account_id}, but the credentials are of account {found}. Log in to "
                "the one, or name the other"
            )
        make_bucket(self.clients, self.bucket(application), found, self.kms_key, subject)

    def engine(self, target: Target) -> Engine:
        """Returns the engine that serves a target.

        Raises:
            CapabilityMissing: The platform does not have it, or it lacks something.
        """
        return self._engines.of(target)

    def options(self, engine: str) -> Mapping[str, Any]:
        """Returns the options that were given for an engine, without those of its clients."""
        given = self._options.get(engine, MappingProxyType({}))
        return {name: value for name, value in given.items() if name not in _OF_CLIENTS}

    def clients_of(self, engine: str) -> Clients:
        """Returns the clients of an engine: the platform's, unless the engine has a region or endpoint of its own."""
        given = {name: self._options.get(engine, {}).get(name) for name in _OF_CLIENTS}
        return self.clients if not any(given.values()) else self.clients.elsewhere(**given)

    def configured(self, options: Mapping[str, Mapping[str, Any]]) -> AwsPlatform:
        """Returns this platform with other options of some engines; the same options give the same platform."""
        wanted = _read_options({**self._options, **options})
        if wanted == self._options:
            return self
        key = json.dumps({name: dict(given) for name, given in wanted.items()}, sort_keys=True, default=str)
        with self._lock:
            if key not in self._variants:
                other = copy.copy(self)
                other._options = wanted
                other._engines = Engines(other, {name: partial(other._make, name) for name in _MAKERS})
                self._variants[key] = other
            return self._variants[key]

    def params(self) -> Mapping[str, Any]:
        """Returns what callables get in `params` besides `dimensions`, as JSON holds it.

        `AWS_BOTO_SESSION` is not among it: a session is opened in the process that runs the callable.
        """
        return {"platform": self.name, "AWS_REGION": self.region, "AWS_ACCOUNT_ID": self.account_id}

    def policies(self, topology: Topology) -> dict[str, dict[str, Any]]:
        """Returns the IAM policy document of each role that an application needs; see `policies.policies`.

        It asks nothing of AWS but the account's id. Without credentials that is a number of zeros.
        """
        try:
            account = self.account_id
        except CapabilityMissing:
            account = _UNKNOWN_ACCOUNT
        options = {name: {"role": self.role, **self.options(name)} for name in _MAKERS}
        application = topology.application
        place = Place(
            application,
            account,
            self.region,
            self.bucket(application),
            self.kms_key,
            options,
            frozenset(self.catalog.asked),
        )
        return policies(topology, place)

    def forget_gone(self, application: str, kept: Collection[tuple[str, int]]) -> list[str]:
        """Deletes what AWS keeps for targets that are not declared any more; returns the names.

        Args:
            application: The application.
            kept: What is declared: node ids and positions of targets.
        """
        delete: Callable[..., list[str]] = import_module(f"{__package__}.spark.gone_jobs").delete_gone_jobs
        return delete(self.clients_of("glue"), application, kept)

    def save_private(self, uri: str, content: bytes) -> None:
        """Writes an object where there is none; the whole bucket is private."""
        if self.storage.version(uri) is None:
            self.storage.write(uri, content)

    def _account_or_zeros(self) -> str:
        if "{account}" not in self._bucket:
            return ""
        if self._undeclared is None:
            try:
                return self.account_id
            except CapabilityMissing as error:
                self._undeclared = str(error)
        return _UNKNOWN_ACCOUNT

    def _make(self, name: str) -> Engine:
        module, function = _MAKERS[name]
        make: Callable[[AwsPlatform], Engine] = getattr(import_module(f"{__package__}.{module}"), function)
        return make(self)

    def __repr__(self) -> str:
        account = "" if self._named_account is None else f"{self._named_account!r}, "
        return f"AwsPlatform({account}region={self.region!r})"


def _read_options(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    from rheo_assets.model.compute.engines import plugins

    known = [*_MAKERS, *plugins()]
    for name in options:
        if name not in known:
            raise DeclarationError(
                "AwsPlatform",
                f"engine_options names {name!r}",
                f"The engines are {listed(known)}.{did_you_mean(name, known)}",
            )
    return {name: MappingProxyType(dict(given)) for name, given in options.items()}
