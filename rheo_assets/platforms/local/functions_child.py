"""The child process of `functions`: runs one inlined task and writes its answer to a file.

It is started by path, so that it imports only the standard library, cloudpickle and the runner.
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
# The positions of the changed paths in the arguments of an event, and of the folders that they are relative to.
_CHANGES = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
}


def main(folder: Path) -> None:
    """Runs the task of `folder/call.json` and writes `folder/answer.json` in one step."""
    call = json.loads((folder / CALL).read_text(encoding="utf-8"))
    _end_with(call["lifeline"])
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.path[:] = call["sys_path"]
    process = os.getpid()
    answer = _answer(call["task"], Path(call["root"]), in_s3=call["in_s3"])
    if os.getpid() == process:  # a forked process of user code must not write an answer
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
        task = Task.from_json(task_json)
        if mirror is None:  # a mirror is filled from S3 while the callable runs, and is deleted afterwards
            _keep_inside(root, task.output.path, task.node)
        return {"result": run_inlined(task, root, mirror).to_json()}
    except TaskFailure as failure:
        return {"failure": failure.to_json()}


def _keep_inside(root: Path, output: str, node: str) -> None:
    """Refuses writes of this process to the store outside its own partition.

    It sees only writes through Python: a native library that opens a file itself is not checked.
    """
    store = (root / "s3").resolve()
    own = (store / output.removeprefix("s3://")).resolve()

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        for real in _written(event, arguments):
            if real.is_relative_to(store) and not real.is_relative_to(own):
                raise PermissionError(
                    f"it writes to {real}, outside its own partition: '{node}' may write only to output.local_paths[0]"
                )

    sys.addaudithook(refuse)


def _written(event: str, arguments: tuple[Any, ...]) -> list[Path]:
    """Returns the real paths that an audit event is about to change."""
    if event == "open":
        path, _, flags = arguments
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        return [Path(os.fsdecode(path)).resolve()] if changes and isinstance(path, str | bytes) else []
    found = []
    for name, folder in _CHANGES.get(event, ()):
        path = arguments[name]
        if isinstance(path, str | bytes):
            named = _folder(arguments, folder) / os.fsdecode(path)
            found.append(named.parent.resolve() / named.name)  # the link itself, not its target
    return found


def _folder(arguments: tuple[Any, ...], position: int | None) -> Path:
    """Returns the folder that a name is relative to."""
    descriptor = -1 if position is None else arguments[position]
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink() if descriptor >= 0 else Path()
    except OSError:
        return Path()


def _end_with(lifeline: int) -> None:
    """Ends this process group when the engine's process ends, even by `kill -9`: that closes its end of the pipe."""
    os.set_inheritable(lifeline, False)

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="rheo-lifeline", daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
