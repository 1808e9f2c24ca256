"""Runs a Python callable whose data lies in S3, in a child process of this machine: a Lambda's, or that of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.aws.errors import in_words
from rheo_assets.platforms.local.functions import FunctionEngine
from rheo_assets.platforms.local.requirements import refusal, unmet
from rheo_assets.runner.mirror import Mirror
from rheo_assets.runner.task import Task, TaskFailure, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.clients import Clients
    from rheo_assets.platforms.aws.platform import AwsPlatform

_ON_LAMBDA: Final = ", or let Lambda run it: without engine='process', and with a timeout of at most 900 s"


def run_function(
    task: Task,
    client: Any,
    environment: Mapping[str, str],
    log: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> TaskResult:
    """Runs the callable to its end, and puts what it left in its output's folder into S3.

    Args:
        task: An `INLINED` task; `task.code` is the URI of the blob.
        client: A client of S3.
        environment: What the child needs to open a session of its own.
        log: Takes a line that the callable prints.
        cancelled: Whether it is to end.

    Raises:
        TaskFailure: The callable did not succeed; then nothing is put into S3.
    """
    with tempfile.TemporaryDirectory(prefix="rheo-function-") as folder:
        mirror = Mirror(None, Path(folder).resolve(), client)
        blob = mirror.fetch_object(task.code)
        engine = FunctionEngine(mirror.root, in_s3=True, environment=environment)
        try:
            result = engine.run(replace(task, code=str(blob)), log, cancelled)
        except TaskFailure as failure:
            message, detail = mirror.in_uris(failure.message), mirror.in_uris(failure.detail)
            raise TaskFailure(failure.kind, message, detail, lasting=failure.lasting) from None
        mirror.push(task.output.path)
        return TaskResult.from_json(mirror.in_uris(result.to_json()))


class ProcessFunctions:
    """Runs callables beside the Dagster run instead of on Lambda; see `Engine`.

    Args:
        clients: Opens the client of S3; a callable's own session has the same credentials.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def check_target(self, target: Target, application: str) -> None:  # noqa: ARG002  # asked of every engine
        """Looks for the packages that a callable requires; activation asks this.

        Raises:
            CapabilityMissing: One is not installed here, or in another version.
        """
        lacking = unmet(getattr(target, "requirements", ()))
        if lacking:
            raise CapabilityMissing(refusal(lacking, _ON_LAMBDA))

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the callable in a child process of this machine."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        lacking = unmet(task.requirements)  # again: the machine of a run may be another than that of the activation
        if lacking:
            raise TaskFailure(
                "user", f"{task.node!r}: its callable cannot run beside the run: {refusal(lacking, _ON_LAMBDA)}"
            )
        environment = self._clients.child_environment()
        try:
            return run_function(task, self._clients.client("s3"), environment, log, cancelled)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise in_words(error, f"{task.node!r}: its callable's data on S3") from None


def process_engine(platform: AwsPlatform) -> ProcessFunctions:
    """Returns the engine that runs callables in a process of the run."""
    return ProcessFunctions(platform.clients)
