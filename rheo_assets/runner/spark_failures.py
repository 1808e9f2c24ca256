"""Turns Spark's errors into sentences about the user's node."""

from __future__ import annotations

import re
import traceback

from rheo_assets.runner.full_disk import full_disk, says_full_disk
from rheo_assets.runner.task import TaskFailure, lasting_failure
from rheo_assets.runner.user_code import own_frames

_LOST = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError")
_STOPPED = ("stopped SparkContext", "SparkContext was shut down", "SparkContext has been shutdown")
_OUTSIDE = "is not where the node may write"
_CANCELLED = ("part of cancelled job group", "cancelled part of job group")
_PLACES = re.compile(r"; line \d+ pos \d+")
_READING = re.compile(
    r"(?:reading file|footer for file:?|FileStatus\{path=|[Ff]ile) ?((?:s3[an]?|file):/[^\s;,]+[^\s;,.])"
)
_DEEPEST = 20


def failure_of(node: str, error: BaseException, doing: str = "") -> TaskFailure:
    """Returns the failure that reports an error.

    Args:
        node: The node's id.
        error: The error.
        doing: What the node was doing, for the message: `while it read 'orders'`.
    """
    if isinstance(error, TaskFailure):
        return error
    text = reason(error)
    where = f" {doing}" if doing else ""
    detail = own_frames(error, _words)
    name = type(error).__name__
    if says_full_disk(error):
        return full_disk(node, doing, detail)
    if name in _LOST or any(mark in text for mark in _STOPPED):
        return lasting_failure(f"{node!r}: Spark stopped{where}: {text}", detail)
    if any(mark in text for mark in _CANCELLED):
        return TaskFailure("cancelled", f"{node!r} was cancelled{where}", detail)
    if _OUTSIDE in text:
        message = f"{node!r} wrote outside its own output{where}: {text}. Assign `output` and let the node write it"
        return TaskFailure("user", message, detail)
    return TaskFailure("user", f"{node!r} failed{where}: {text}", detail)


def reason(error: BaseException) -> str:
    """Returns the error's type and message, without the engine's stack and query plan."""
    name = type(error).__name__
    java = getattr(error, "java_exception", None)
    if java is not None:  # a Py4JJavaError: pyspark did not know the class
        try:
            return _java_reason(java)
        except Exception:
            return f"{name}: {_first(str(error))}"
    if name == "PythonException":
        return _python_reason(str(error))
    if isinstance(error, Exception) and type(error).__module__.startswith("pyspark."):
        return f"{name}: {_without_stage(str(error))}"
    return f"{name}: {_first(str(error))}" if str(error) else name


def _words(error: BaseException) -> str:
    """Returns an engine's error without its stack, but with the traceback of the user's function inside Spark."""
    module = type(error).__module__
    if not module.startswith(("pyspark", "py4j")):
        return "".join(traceback.format_exception_only(error)).rstrip()
    inside = re.search(r"Traceback \(most recent call last\):\n(?:  .*\n)+\S.*", str(error))
    return inside[0] if inside else reason(error)


def _python_reason(text: str) -> str:
    """Returns the error of a user's function inside Spark: the last line of its traceback."""
    raised = [line.strip() for line in text.splitlines() if re.match(r"[\w.]+(Error|Exception|Exit|Warning)\b", line)]
    return raised[-1] if raised else _first(text)


def _java_reason(java: object) -> str:
    summary = file = ""
    for _ in range(_DEEPEST):
        message = java.getMessage()  # type: ignore[attr-defined]
        kind = str(java.getClass().getSimpleName())  # type: ignore[attr-defined]
        file = next(iter(_READING.findall(message or "")), file)
        if message and kind == "PythonException":
            return _python_reason(str(message))
        if not _is_wrapper(kind, message or ""):
            summary = f"{kind}: {_without_stage(str(message))}" if message else summary or kind
        cause = java.getCause()  # type: ignore[attr-defined]
        if cause is None:
            break
        java = cause
    where = f" (in file {file})" if file and file not in summary else ""
    return (summary or "Spark failed without a reason") + where


def _is_wrapper(kind: str, message: str) -> bool:
    return kind in {"InvocationTargetException", "ExecutionException"} or message.startswith(
        "Task failed while writing"
    )


def _without_stage(text: str) -> str:
    """Removes `Job aborted due to stage failure: … (TID 3) (host executor driver):` and the stack below the reason."""
    match = re.search(r"executor driver\): (.*)", text, re.DOTALL)
    return _PLACES.sub("", _first(match[1] if match else text))


def _first(text: str) -> str:
    """Returns the first paragraph in one line, without stack lines or a query plan."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.startswith(("\tat ", "'Project", "Driver stacktrace", "JVM stacktrace", "== ")) or (
            lines and not line.strip()
        ):
            break
        lines.append(line.strip())
    return " ".join(lines)[:1500]
