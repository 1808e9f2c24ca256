"""What runs inside a Lambda: one inlined callable, once, whatever Lambda delivers twice.

The driver and the function leave things for each other in the job's folder: the task, the mark that it has started,
what it says, its result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from rheo_assets.platforms.aws.errors import told
from rheo_assets.platforms.aws.functions.process import run_function
from rheo_assets.runner.remote_messages import FilesChannel
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

TASK_FILE: Final = "task.json"
STARTED_FILE: Final = "started.json"
CANCEL_FILE: Final = "cancel"
RESULT_FILE: Final = "result.json"
PROBE_FILE: Final = "probe.json"
_PROBED_FILE: Final = "probed.json"
MESSAGES_FOLDER: Final = "messages"
_ASK: Final = 5.0  # seconds between two looks whether it is to end
_RESERVE: Final = 20.0  # seconds that are left for the answer, and for what was written


class Folder:
    """The job's folder in S3."""

    def __init__(self, session: Any, uri: str) -> None:
        self._client = session.client("s3")
        self._bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")

    def read(self, name: str) -> str:
        """Returns the text of a file."""
        answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}")
        return str(answer["Body"].read().decode())

    def write(self, name: str, text: str) -> None:
        """Writes a file."""
        self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}", Body=text.encode())

    def create(self, name: str, text: str) -> bool:
        """Writes a file only if there is none."""
        key = f"{self._prefix}/{name}"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=text.encode(), IfNoneMatch="*")
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in {409, 412}:
                return False
            raise
        return True

    def has(self, name: str) -> bool:
        """Returns whether there is a file."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}")
        except self._client.exceptions.ClientError:
            return False
        return True


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The function that Lambda calls.

    Args:
        event: `{"folder": "s3://…/jobs/<token>"}`, or `{"probe": "s3://…/jobs/probe-<name>"}` to try the function out.
        context: Lambda's own.
    """
    import boto3

    session = boto3.Session()
    if "probe" in event:
        return _probed(Folder(session, event["probe"]))
    folder = Folder(session, event["folder"])
    if not folder.create(STARTED_FILE, json.dumps({"at": datetime.now(UTC).isoformat()})):
        return {"again": True}
    try:
        answer = {"result": json.loads(_run(session, folder, context).to_json())}
    except TaskFailure as failure:
        answer = {"failure": json.loads(failure.to_json())}
    except Exception as error:  # whatever it is: without an answer the driver waits until all time is over
        answer = {"failure": json.loads(lasting_failure(f"its Lambda failed: {told(error)}").to_json())}
    folder.write(RESULT_FILE, json.dumps(answer))
    return {"again": False}


def _run(session: Any, folder: Folder, context: Any) -> TaskResult:
    """Runs the task of the folder, which says there what its callable prints."""
    task = Task.from_json(folder.read(TASK_FILE))
    left = context.get_remaining_time_in_millis() / 1000 - _RESERVE
    limited = replace(task, timeout=left if task.timeout is None else min(task.timeout, left))
    channel = FilesChannel(lambda name, text: folder.write(f"{MESSAGES_FOLDER}/{name}", text))

    def log(line: str) -> None:
        print(line)
        params = {"stream": "stdout", "text": f"{line}\n", "extras": {}}
        channel.write_message({"__dagster_pipes_version": "0.1", "method": "log_external_stream", "params": params})

    try:
        return run_function(limited, session.client("s3"), {}, log, _cancelled(folder))
    finally:
        channel.close()


def _probed(folder: Folder) -> dict[str, Any]:
    """Does what a task needs before its callable runs; what is wrong is raised, so that the driver is told."""
    import cloudpickle  # noqa: F401  # as the child process will

    import rheo_assets.runner.inlined  # noqa: F401

    folder.write(_PROBED_FILE, folder.read(PROBE_FILE))
    folder.read(_PROBED_FILE)
    return {"probed": True}


def _cancelled(folder: Folder) -> Callable[[], bool]:
    asked = time.monotonic()
    answer = False

    def cancelled() -> bool:
        nonlocal asked, answer
        if not answer and time.monotonic() - asked > _ASK:
            asked = time.monotonic()
            answer = folder.has(CANCEL_FILE)
        return answer

    return cancelled
