"""Runs inlined Python on the local platform: each task in its own child process.

A crash, `sys.exit` or an endless loop in user code ends that child and nothing else. The child gets a private working
folder that is removed afterwards. It is not a sandbox: user code runs with the rights and the environment of the
person who started it. The files in its own partition are checked. Writes to other partitions are refused, if they go
through Python.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.local.functions_child import ANSWER, CALL, CANNOT_ANSWER
from rheo_assets.platforms.local.requirements import refusal, unmet
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.full_disk import full_disk, says_full_disk
from rheo_assets.runner.task import Task, TaskFailure, TaskResult, lasting_failure

COMPLETION_FILE = "_SUCCESS"

_CHILD = Path(__file__).with_name("functions_child.py")
_TURN = 0.05  # seconds between checks of a child that prints nothing
_ASK = 0.25  # seconds between checks whether the task is cancelled
_LONGEST_LINE = 64 * 1024
_LAST_LINES = 40


class FunctionEngine:
    """Runs tasks of the language `INLINED`.

    Unlike batch and SQL engines it does not empty the output folder first: a callable is often the second target of a
    node, and the output of the first one must stay. The folder exists when the callable starts. If it fails, the files
    that it added are removed, so that a retry finds the same files.
    """

    title = "a child process"
    langs = ("INLINED",)

    def __init__(self, root: Path, *, in_s3: bool = False, environment: Mapping[str, str] | None = None) -> None:
        """Creates an engine for the folder that contains `s3/<bucket>/<key>`.

        Args:
            root: The root of the local platform, or of a mirror.
            in_s3: Whether it is a mirror, which is filled from S3 when callables read from it.
            environment: Additional environment variables of the child.
        """
        self._storage = LocalStorage(root)
        self.root = self._storage.root
        self._in_s3 = in_s3
        self._environment = dict(environment or {})

    def check_target(self, target: Target, application: str) -> None:  # noqa: ARG002  # all engines have this signature
        """Checks that the packages that a callable requires are installed; called by `activate()`.

        Raises:
            CapabilityMissing: A package is not installed here. Another version of it is accepted.
        """
        missing = [each for each in unmet(getattr(target, "requirements", ())) if not each.found]
        if missing:
            raise CapabilityMissing(refusal(missing))

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task's callable in a child process; see `Engine.run`.

        The output of the callable goes to `log` line by line. When it ends, all processes that it started end, too.
        """
        if task.lang not in self.langs:
            raise lasting_failure(f"node '{task.node}': inlined Python cannot run {task.lang} code")
        warnings = () if self._in_s3 else _other_versions(task)  # the owner of a mirror checks them
        try:
            output, *_ = [self._storage.path(uri) for uri in _uris(task)]
            output.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="rheo-inlined-"))
        except (OSError, ValueError) as error:
            raise _not_started(task, error) from error
        before = set(_files(output))
        try:
            result = self._run(task, folder, log, cancelled)
            _check_plain(task, output)
        except BaseException:
            _remove_new(output, before)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            announced = _withdraw_completion(output)
            with suppress(OSError):  # it is not empty
                output.rmdir()
        if announced:
            warning = f"node '{task.node}': its callable wrote {COMPLETION_FILE}, which was removed: do not write it"
            warnings = (*warnings, warning)
        return replace(result, warnings=(*result.warnings, *warnings))

    def _run(self, task: Task, folder: Path, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        lifeline, ours = os.pipe()
        try:
            try:
                child = _Child(task, self._start(task, folder, lifeline), log)
            except OSError as error:
                raise _not_started(task, error) from error
            finally:
                os.close(lifeline)
            try:
                child.wait(cancelled)
            finally:
                child.end()
        finally:
            os.close(ours)
        return _answer(task, folder, child)

    def _start(self, task: Task, folder: Path, lifeline: int) -> subprocess.Popen[bytes]:
        work = folder / "work"
        work.mkdir()
        call = {
            "task": task.to_json(),
            "root": str(self.root),
            "sys_path": [_absolute(entry) for entry in sys.path],
            "lifeline": lifeline,
            "in_s3": self._in_s3,
        }
        (folder / CALL).write_text(json.dumps(call), encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, "-P", str(_CHILD), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=work,
            env={**os.environ, **self._environment, "RHEO_ROOT": str(self.root)},
            pass_fds=(lifeline,),
            start_new_session=True,
        )


class _Child:
    """A running child: its output goes to the log, and it is ended after the task's time limit."""

    def __init__(self, task: Task, process: subprocess.Popen[bytes], log: Callable[[str], None]) -> None:
        assert process.stdout is not None
        self.task = task
        self.process = process
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        self._pipe = process.stdout
        self._log = log
        self._line = b""
        self._closed = False
        os.set_blocking(self._pipe.fileno(), False)

    def wait(self, cancelled: Callable[[], bool]) -> None:
        """Waits until the child ends; raises `TaskFailure` if it times out or is cancelled."""
        started = time.monotonic()
        asked = started - _ASK
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while self.process.poll() is None:
                now = time.monotonic()
                if self.task.timeout is not None and now - started >= self.task.timeout:
                    raise self._failure("timeout", f"ran longer than its {self.task.timeout:g} s")
                if now - asked >= _ASK:
                    asked = now
                    if cancelled():
                        raise self._failure("cancelled", "was cancelled")
                if self._closed:  # user code closed its stdout and stderr
                    with suppress(subprocess.TimeoutExpired):
                        self.process.wait(_TURN)
                elif selector.select(_TURN):
                    self._read()

    def end(self) -> None:
        """Ends the child and all processes that it started, and logs the rest of its output."""
        with suppress(ProcessLookupError, PermissionError):  # macOS returns EPERM for a group of zombies
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        until = time.monotonic() + 1
        while self._read() and time.monotonic() < until:
            pass
        if self._line:
            self._log_line(self._line)
        self._pipe.close()

    def _failure(self, kind: str, what: str) -> TaskFailure:
        return TaskFailure(kind, f"node '{self.task.node}': its callable {what} and was ended", "\n".join(self.last))

    def _read(self) -> bool:
        """Logs the output in the pipe; returns whether there was any."""
        try:
            content = os.read(self._pipe.fileno(), _LONGEST_LINE)
        except BlockingIOError:
            return False
        self._closed = not content
        *lines, self._line = (self._line + content).split(b"\n")
        for line in lines:
            self._log_line(line)
        if len(self._line) >= _LONGEST_LINE:
            self._log_line(self._line)
            self._line = b""
        return not self._closed

    def _log_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last.append(text)
        self._log(text)


def _other_versions(task: Task) -> tuple[str, ...]:
    """Returns a warning for each required package with another version; raises if one is not installed."""
    lacking = unmet(task.requirements)
    missing = [each for each in lacking if not each.found]
    if missing:
        raise TaskFailure("user", f"node '{task.node}': its callable cannot run here: {refusal(missing)}")
    return tuple(f"node '{task.node}': its callable ran without {each}" for each in lacking)


def _not_started(task: Task, error: Exception) -> TaskFailure:
    if says_full_disk(error):
        return full_disk(task.node, detail=str(error))
    return lasting_failure(f"node '{task.node}': its callable cannot be started: {error}")


def _answer(task: Task, folder: Path, child: _Child) -> TaskResult:
    path = folder / ANSWER
    ended = _ending(child.process.returncode)
    if not path.exists() and child.process.returncode == CANNOT_ANSWER:
        raise full_disk(task.node, f"below {tempfile.gettempdir()}", "\n".join(child.last))
    if not path.exists():
        raise TaskFailure(
            "user",
            f"node '{task.node}': its callable ended the Python process ({ended}) before it returned",
            "\n".join(child.last),
        )
    answer = json.loads(path.read_text(encoding="utf-8"))
    if "failure" in answer:
        raise TaskFailure.from_json(answer["failure"])
    result = TaskResult.from_json(answer["result"])
    if child.process.returncode != 0:
        warning = f"node '{task.node}': the Python process failed after its callable had returned ({ended})"
        result = replace(result, warnings=(*result.warnings, warning))
    return result


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"{name}; perhaps it ran out of memory" if name == "SIGKILL" else name


def _withdraw_completion(output: Path) -> bool:
    """Removes a completion file that user code wrote; only a successful execution may write it."""
    try:
        (output / COMPLETION_FILE).unlink()
    except OSError:
        return False
    return True


def _check_plain(task: Task, output: Path) -> None:
    """Refuses links, devices and pipes in an output: their data is not in the partition."""
    irregular = (
        ["."] if output.is_symlink() else [str(p.relative_to(output)) for p in _files(output) if not _is_plain(p)]
    )
    if irregular:
        raise TaskFailure(
            "user",
            f"node '{task.node}': its callable left links or special files in its output "
            f"({', '.join(sorted(irregular))}). Copy the data into plain files",
        )


def _remove_new(output: Path, before: set[Path]) -> None:
    """Removes the files that a failed callable added to the output."""
    if output.is_symlink():
        output.unlink()
    for path in _files(output):
        if path not in before:
            path.unlink(missing_ok=True)
    for folder, _, _ in os.walk(output, topdown=False):
        with suppress(OSError):  # it is not empty
            Path(folder).rmdir()


def _files(output: Path) -> list[Path]:
    """Returns everything below the folder except folders; links are not followed."""
    return [
        path
        for folder, folders, names in os.walk(output)
        for path in (Path(folder, name) for name in (*folders, *names))
        if path.is_symlink() or not path.is_dir()
    ]


def _uris(task: Task) -> list[str]:
    return [task.output.path, *(uri for item in task.inputs for uri in item.paths)]


def _absolute(entry: str) -> str:
    """Returns a search path entry as an absolute path; entries of import hooks, which are not folders, stay."""
    return str(Path(entry).absolute()) if not entry or Path(entry).exists() else entry


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
