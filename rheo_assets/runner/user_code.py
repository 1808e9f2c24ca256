"""Runs a node's Python source and reports its errors with the user's own lines."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rheo_assets.runner.task import TaskFailure

_RUNNER = f"{Path(__file__).parent}/"
_ENGINES = ("/pyspark/", "/py4j/")
_LONGEST = 4000


def run_source(node: str, code: str, names: dict[str, Any]) -> None:
    """Runs the source with the names; its assignments are in `names` afterwards.

    Raises:
        TaskFailure: The source is not Python, raised, or tried to end the process.
    """
    file = f"<node {node}>"
    # So that tracebacks, `inspect` and pickled functions find the source, which is not in a file.
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    try:
        exec(compile(code, file, "exec"), names)  # the user's own code is what a node runs
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        message = (
            f"{node!r}: its code called exit({'' if error.code is None else repr(error.code)}); "
            "a node ends when its code ends: assign `output`, or raise an exception to fail"
        )
        raise TaskFailure("user", message, own_frames(error)) from error
    except SyntaxError as error:
        where = f" in line {error.lineno}" if error.filename == file else f" ({error.filename}, line {error.lineno})"
        raise TaskFailure("user", f"{node!r}: its code is not Python: {error.msg}{where}", own_frames(error)) from error


def own_frames(error: BaseException | None, words: Callable[[BaseException], str] | None = None) -> str:
    """Returns the traceback of the user's code, without our frames and the engine's.

    Args:
        error: The error.
        words: Returns the text of an error. The default is Python's format.
    """
    if error is None:
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    text = words(error) if words else "".join(traceback.format_exception_only(error)).rstrip()
    stack = "Traceback (most recent call last):\n" + "".join(traceback.format_list(frames)) if frames else ""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = own_frames(cause, words) if frames and cause is not None and _is_user(cause) else ""
    joint = "\n\nwhich led to:\n\n" if before else ""
    return _shortened(f"{before}{joint}{stack}{text}")


def _is_user(error: BaseException) -> bool:
    return any(not _is_machinery(frame.filename) for frame in traceback.extract_tb(error.__traceback__))


def _is_machinery(file: str) -> bool:
    return file.startswith(_RUNNER) or any(engine in file for engine in _ENGINES)


def _shortened(text: str) -> str:
    # The engine's text can contain a plan of hundreds of lines; its start and the end of the traceback are enough.
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}\n  …\n{text[-_LONGEST // 2 :]}"
