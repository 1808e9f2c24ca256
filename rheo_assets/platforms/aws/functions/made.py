"""The functions of Lambda that run callables: made where they are missing, tried out once, remembered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.targets import LAMBDA_SECONDS
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.functions.job import PROBE_FILE
from rheo_assets.platforms.aws.functions.package import PYTHON, Code, NoIndex, function_code
from rheo_assets.runner.task import Task, TaskFailure, lasting_failure

_HANDLER: Final = "rheo_assets.platforms.aws.functions.job.handler"
_MADE_WITHIN: Final = 120.0
# As botocore tells it inside the function: "An error occurred (AccessDenied) when calling the PutObject operation".
_DENIED: Final = re.compile(r"\((?:AccessDenied\w*|AllAccessDisabled|403)\)")


@dataclass(frozen=True, slots=True)
class LambdaSettings:
    """How functions are made.

    Attributes:
        role: The ARN of the role that they run as.
        memory: Megabytes, 128 to 10,240.
        disk: Megabytes of `/tmp`, where data is worked on, 512 to 10,240.
    """

    role: str
    memory: int = 1024
    disk: int = 2048


class MadeFunctions:
    """Makes functions and knows those that work.

    A function is tried out before its first task: an asynchronous call that fails early, as its role lacks rights or
    its code cannot be imported, tells nobody.

    Args:
        account: Where the functions run.
        settings: How functions are made.
    """

    def __init__(self, account: Account, settings: LambdaSettings) -> None:
        self._clients = account.clients
        self._storage = account.storage
        self._home = account.home
        self._settings = settings
        self._working: set[str] = set()
        self._codes: dict[tuple[str, tuple[str, ...]], Code] = {}
        self._making = Lock()

    def code(self, application: str, requirements: tuple[str, ...]) -> Code:
        """Returns the zip of functions with these requirements, in the application's bucket.

        Raises:
            CapabilityMissing: The requirements cannot be packed.
        """
        key = (application, requirements)
        if key not in self._codes:
            self._codes[key] = function_code(requirements, self._storage, self._home(application))
        return self._codes[key]

    def of(self, task: Task) -> str:
        """Returns the name of the function that runs the task; makes it where there is none.

        Raises:
            TaskFailure: It cannot be made, or does not work.
        """
        try:
            code = self.code(task.application, task.requirements)
        except CapabilityMissing as error:
            kind = "platform" if isinstance(error, NoIndex) else "user"
            raise TaskFailure(kind, f"{task.node!r}: {error}") from None
        name = self._name(task.application, code)
        with self._making:
            if name not in self._working:
                self._make(task, name, code)
                self._try_out(task, name)
                self._working.add(name)
        return name

    def forget(self, task: Task, name: str) -> None:
        """Forgets a function that somebody has deleted, and where its code lies, which may be gone, too."""
        self._working.discard(name)
        self._codes.pop((task.application, task.requirements), None)

    def _name(self, application: str, code: Code) -> str:
        settings = self._settings
        said = json.dumps([code.digest, f"python{PYTHON}", settings.role, settings.memory, settings.disk])
        return f"rheo-{application[:40]}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    def _make(self, task: Task, name: str, code: Code) -> None:
        bucket, _, key = code.uri.removeprefix("s3://").partition("/")
        client = self._clients.client("lambda")
        # Where another driver was faster: the name says what is in it.
        with contextlib.suppress(client.exceptions.ResourceConflictException):
            client.create_function(
                FunctionName=name,
                Runtime=f"python{PYTHON}",
                Role=self._settings.role,
                Handler=_HANDLER,
                Code={"S3Bucket": bucket, "S3Key": key},
                Timeout=int(LAMBDA_SECONDS),
                MemorySize=self._settings.memory,
                EphemeralStorage={"Size": self._settings.disk},
                Description=f"Runs the Python callables of {task.application} (rheo_assets)",
                Tags={"rheo:application": task.application},
            )
        # What failed is tried again by us, as another attempt with another token.
        client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        deadline = time.monotonic() + _MADE_WITHIN
        while (found := client.get_function_configuration(FunctionName=name)).get("State") == "Pending":
            if time.monotonic() > deadline:
                raise TaskFailure("platform", f"{task.node!r}: Lambda does not get its function {name} ready")
            time.sleep(1)
        if found.get("State") == "Failed":  # one that is Inactive becomes active when it is called
            reason = found.get("StateReason") or found.get("StateReasonCode")
            raise TaskFailure("user", f"{task.node!r}: Lambda could not make its function {name}: {reason}")

    def _try_out(self, task: Task, name: str) -> None:
        """Lets the function read and write in the application's bucket, and waits for its answer."""
        home = self._home(task.application)
        folder = f"{home}/jobs/probe-{name}"
        self._storage.write(f"{folder}/{PROBE_FILE}", b"{}")  # encrypted as tasks are, which it must be able to read
        answer = self._clients.client("lambda", repeats=False).invoke(
            FunctionName=name, InvocationType="RequestResponse", Payload=json.dumps({"probe": folder}).encode()
        )
        if answer.get("FunctionError"):
            raise self._unfit(task, name, home, _said(answer["Payload"].read()))

    def _unfit(self, task: Task, name: str, home: str, said: str) -> TaskFailure:
        function = f"{task.node!r}: its function {name} on Lambda"
        if _DENIED.search(said):
            return TaskFailure(
                "user",
                f"{function} runs as the role {self._settings.role}, which may not use {home}: {said}. Allow it "
                "s3:GetObject, s3:PutObject and s3:ListBucket there and, where the bucket has a KMS key, kms:Decrypt "
                "and kms:GenerateDataKey",
            )
        return lasting_failure(f"{function} does not start: {said}")


def _said(payload: bytes) -> str:
    """Returns what Lambda says about a call that failed: `{"errorType": …, "errorMessage": …}`."""
    text = payload.decode(errors="replace")
    try:
        told = json.loads(text)
    except ValueError:
        return text
    if not isinstance(told, Mapping):
        return text
    told_of: Mapping[str, Any] = told
    return f"{told_of.get('errorType', 'error')}: {told_of.get('errorMessage', '')}"
