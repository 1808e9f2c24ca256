"""Runs an inlined callable, `callable(inputs, output, params)`, in this process.

The caller chooses the process: a child process on the local platform, a Lambda on AWS.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, NoReturn

from rheo_assets.errors import UnusableCallable
from rheo_assets.runner.blobs import load_callable
from rheo_assets.runner.full_disk import full_disk, says_full_disk
from rheo_assets.runner.metadata import metadata_entries
from rheo_assets.runner.mirror import Mirror
from rheo_assets.runner.signals import InlinedSignal, input_signal
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

_RUNNER = f"{Path(__file__).parent}/"
_NEVER_RAN = (CoroutineType, GeneratorType, AsyncGeneratorType)


class Inputs(dict[str, InlinedSignal]):
    """The inputs of a callable by alias; the error for an unknown alias lists the known ones."""

    def __missing__(self, alias: str) -> NoReturn:
        raise KeyError(f"no input {alias!r}: this node has {', '.join(self) or 'no inputs'}")


def run_inlined(task: Task, root: Path | None = None, mirror: Mirror | None = None) -> TaskResult:
    """Runs the task's callable in this process.

    Args:
        task: An `INLINED` task; `task.code` is the local path of the blob.
        root: The folder for `local_paths`: the local platform's root, or the mirror's.
        mirror: Fetches remote objects.

    Raises:
        TaskFailure: The callable cannot be opened, raises, or calls `sys.exit`.
    """
    fn = _open(task)
    locate = _locator(root, mirror)
    inputs = Inputs({item.alias: input_signal(item, locate) for item in task.inputs})
    started = time.monotonic()
    try:
        returned = fn(inputs, _output(task, locate), _params(task, mirror))
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise TaskFailure(
            "user",
            f"node '{task.node}': its callable called sys.exit({error.code!r}); return to succeed, raise to fail",
            _own_frames(error),
        ) from None
    except BaseException as error:
        raise _failure(task, error) from None
    seconds = time.monotonic() - started
    if isinstance(returned, _NEVER_RAN):
        kind = type(returned).__name__
        if isinstance(returned, CoroutineType):
            returned.close()  # otherwise Python warns that it was never awaited
        raise TaskFailure(
            "user",
            f"node '{task.node}': its callable returned a {kind}, so its body never ran; "
            "give InlinedCompute a plain function, without async or yield",
        )
    metadata, warnings = _entries(task.node, returned)
    return TaskResult(metadata=metadata, warnings=warnings, engine=engine_name(), seconds=seconds)


def engine_name() -> str:
    """Returns the name of the engine for the records: `Python 3.11.7`."""
    return "Python {}.{}.{}".format(*sys.version_info)


def local_path(uri: str, root: Path) -> str:
    """Returns the folder of an `s3://` URI of the local platform, without checking the disk.

    Raises:
        ValueError: The URI does not have that form, or leads outside the root.
    """
    scheme, _, rest = uri.partition("://")
    parts = rest.rstrip("/").split("/")
    if scheme not in {"s3", "s3a", "s3n"} or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{uri!r} is not a path under the local root: expected s3://bucket/key without '..'")
    return str(root.joinpath("s3", *parts))


def _locator(root: Path | None, mirror: Mirror | None) -> Callable[[str], str] | None:
    if mirror is not None:
        return lambda uri: str(mirror.fetch(uri))
    return None if root is None else lambda uri: local_path(uri, root)


def _open(task: Task) -> Callable[..., Any]:
    try:
        return load_callable(Path(task.code).read_bytes())
    except UnusableCallable as error:
        raise TaskFailure("user", f"node '{task.node}': {error}", _own_frames(error.__cause__)) from None
    except OSError as error:
        raise lasting_failure(f"node '{task.node}': its recorded callable cannot be read: {error}") from None


def _output(task: Task, locate: Callable[[str], str] | None) -> InlinedSignal:
    partition = tuple(task.dimensions.values())
    return InlinedSignal(
        alias=task.node,
        paths=[task.output.path],
        missing=[],
        partition=partition,
        partitions=[partition],
        dimensions=dict(task.dimensions),
        format=task.output.format,
        _locate=locate,
    )


def _params(task: Task, mirror: Mirror | None) -> dict[str, Any]:
    """Returns the `params` of the callable; the AWS names always exist, so that it runs on both platforms."""
    return {
        "AWS_REGION": os.environ.get("AWS_REGION", "us-east-1"),
        "AWS_ACCOUNT_ID": "000000000000",
        "args": dict(task.args),
        **task.params,
        "dimensions": dict(task.dimensions),
        "dimensions_map": dict(task.dimensions),  # RheocerOS's name
        "platform": task.params.get("platform", task.runtime_platform),
        "runtime_platform": task.runtime_platform,
        **({} if mirror is None else {"AWS_BOTO_SESSION": mirror.session}),
    }


def _entries(node: str, returned: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    if returned is None or returned is ...:  # `lambda inputs, output, params: ...` is RheocerOS's no-op
        return {}, ()
    if isinstance(returned, Mapping):
        return metadata_entries(node, returned)
    kind = type(returned).__name__
    return {}, (f"node '{node}': its callable returned a {kind}, which is ignored; return None or a dict of metadata",)


def _failure(task: Task, error: BaseException) -> TaskFailure:
    summary = "".join(traceback.format_exception_only(error)).strip()
    if says_full_disk(error):
        return full_disk(task.node, "while its callable ran", _own_frames(error))
    return TaskFailure("user", f"node '{task.node}': its callable raised {summary}", _own_frames(error))


def _own_frames(error: BaseException | None) -> str:
    """Formats the traceback, starting at the first frame that is not the runner's."""
    if error is None:
        return ""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_RUNNER):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))
