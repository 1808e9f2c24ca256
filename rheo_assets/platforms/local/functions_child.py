"""The child process of `functions`: runs one inlined task and leaves its answer in a file.

It is started by its path, so that it imports the standard library, cloudpickle and the runner, and nothing else.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

CALL = "call.json"
ANSWER = "answer.json"
CANNOT_ANSWER = 74  # EX_IOERR


def main(folder: Path) -> None:
    """Runs the task of `folder/call.json` and writes `folder/answer.json`, whole or not at all."""
    call = json.loads((folder / CALL).read_text(encoding="utf-8"))
    _end_with(call["lifeline"])
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.path[:] = call["sys_path"]
    process = os.getpid()
    answer = _answer(call["task"], Path(call["root"]), in_s3=call["in_s3"])
    if os.getpid() == process:  # a fork in user code that comes back here has no answer to give
        part = folder / f"{ANSWER}.part"
        try:
            part.write_text(json.dumps(answer), encoding="utf-8")
        except OSError as error:
            sys.stderr.write(f"the answer cannot be written: {error}\n")
            sys.exit(CANNOT_ANSWER)
        part.replace(folder / ANSWER)


def _answer(task_json: str, root: Path, *, in_s3: bool) -> dict[str, Any]:
    from rheo_assets.runner.inlined import run_inlined
    from rheo_assets.runner.mirror import Mirror
    from rheo_assets.runner.task import Task, TaskFailure

    try:
        mirror = None
        if in_s3:
            import boto3

            mirror = Mirror(boto3.Session(), root)
        return {"result": run_inlined(Task.from_json(task_json), root, mirror).to_json()}
    except TaskFailure as failure:
        return {"failure": failure.to_json()}


def _end_with(lifeline: int) -> None:
    """Ends this process group when the engine's process is gone, even by `kill -9`: its end of the pipe closes then."""
    os.set_inheritable(lifeline, False)

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="rheo-lifeline", daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
