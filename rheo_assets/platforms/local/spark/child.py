"""What runs in the worker's forked children: one task, on a JVM that outlives it.

A child may exit, crash or hang: only its task is lost. It shares nothing with its parent but two pipes.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rheo_assets.runner.scala_task import OtherLibraries, StoppedSession, snippet_thread
from rheo_assets.runner.spark import run_spark_task
from rheo_assets.runner.task import Task, TaskFailure, lasting_failure

UNUSABLE = 75  # the exit code that says: the JVM's session is gone, start another
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_CANCEL_TRIES = 10
_SNIPPET_TRIES = 25
_ROOT = "fs.rheo.root"  # LocalS3FileSystem.ROOT


@dataclass(frozen=True, slots=True)
class Gateway:
    """How a process attaches to the JVM."""

    port: int
    secret: str


def fork(work: Callable[[], int], *, output: int, keep: tuple[int, ...] = ()) -> int:
    """Runs `work` in a child process and returns its id; the child exits with what `work` returns.

    Args:
        work: What to do.
        output: The file descriptor that becomes the child's standard output and error.
        keep: File descriptors that the child needs.
    """
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        _settle(parent, output, keep)
        code = work()
        sys.stdout.flush()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(code)


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do: the task as JSON, the root it works on, its group of Spark jobs, its own folder.

    `cache` is the folder of what outlives it.
    """

    text: str
    root: str
    group: str
    scratch: Path
    cache: Path


def run(gateway: Gateway, job: Job, answer: int) -> int:
    """Runs the task in this process and writes its answer to the pipe."""
    job.scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(job.scratch)  # files that user code writes without a folder are gone with the task
    task = Task.from_json(job.text)
    code = 0
    try:
        spark = _attached(gateway)
        for setting in (spark.sparkContext.setLocalProperty, spark.conf.set):
            setting(_ROOT, job.root)
        spark.sparkContext.setJobGroup(job.group, f"node {task.node}", interruptOnCancel=True)
        message: dict[str, Any] = {"result": run_spark_task(task, spark, isolated=True, cache=job.cache).to_json()}
        code = UNUSABLE if _stopped(spark) else 0
    except StoppedSession as failure:
        message, code = {"failure": failure.to_json(), "final": True}, UNUSABLE
    except OtherLibraries as failure:
        message, code = {"failure": failure.to_json()}, UNUSABLE
    except TaskFailure as failure:
        lost = _lost()  # then whatever user code was doing failed for that
        kind = "platform" if lost else failure.kind
        told = TaskFailure(kind, failure.message, failure.detail, lasting=lost or failure.lasting)
        message = {"failure": told.to_json()}
        code = UNUSABLE if lost else 0
    except BaseException as error:
        text = f"{task.node!r} could not be run: {type(error).__name__}: {error}"
        message = {"failure": lasting_failure(text).to_json()}
        code = UNUSABLE if _lost() else 0
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(answer, "wb", closefd=False) as pipe:
        pipe.write(json.dumps(message).encode())
    return code


def start_session(gateway: Gateway) -> int:
    """Starts the session that all tasks share."""
    context = _context(gateway, None)
    context._jvm.org.apache.spark.sql.SparkSession.builder().getOrCreate()
    return 0


def cancel(gateway: Gateway, group: str) -> int:
    """Cancels what a task that was ended left running in the JVM; `UNUSABLE` when its Scala does not end."""
    jvm = _java_gateway(gateway).jvm
    context = jvm.org.apache.spark.SparkContext.getOrCreate()
    for tried in range(_SNIPPET_TRIES):
        context.cancelJobGroup(group)  # between two of its jobs there is nothing to cancel, and it goes on
        left = [
            thread for thread in jvm.Thread.getAllStackTraces().keySet() if thread.getName() == snippet_thread(group)
        ]
        if not left and tried >= _CANCEL_TRIES:
            return 0
        for thread in left:
            thread.interrupt()
        time.sleep(0.2)
    return UNUSABLE


def _settle(parent: int, output: int, keep: tuple[int, ...]) -> None:
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(name, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The parent's sockets, pipes and locks must not live on here. They are covered, not closed: objects that were
    # copied with this process still hold their numbers.
    for entry in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):  # noqa: PTH208
        number = int(entry)
        if number > 2 and number not in keep and number != null and _is_open(number):
            os.dup2(null, number, inheritable=False)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _java_gateway(gateway: Gateway) -> Any:
    from pyspark.java_gateway import launch_gateway

    os.environ["PYSPARK_GATEWAY_PORT"] = str(gateway.port)
    os.environ["PYSPARK_GATEWAY_SECRET"] = gateway.secret
    return launch_gateway()


def _context(gateway: Gateway, existing: Callable[[Any], Any] | None) -> Any:
    from pyspark import SparkConf, SparkContext

    java = _java_gateway(gateway)
    if existing is None:
        return SparkContext(conf=SparkConf(_jvm=java.jvm), gateway=java)
    context = existing(java.jvm)
    return SparkContext(jsc=context, gateway=java, conf=SparkConf(_jconf=context.getConf()))


def _attached(gateway: Gateway) -> Any:
    """Returns a new session on the JVM that is up."""
    from pyspark.sql import SparkSession

    def existing(jvm: Any) -> Any:
        return jvm.JavaSparkContext.fromSparkContext(jvm.org.apache.spark.SparkContext.getOrCreate())

    context = _context(gateway, existing)
    base = context._jvm.SparkSession.builder().getOrCreate()
    spark = SparkSession(context, base.newSession())
    context._jvm.SparkSession.setDefaultSession(base)
    ignored = "stop() is ignored: the session belongs to all nodes of this machine"
    for kind in (SparkSession, type(context)):
        kind.stop = lambda _: print(ignored)
    return spark


def _stopped(spark: Any) -> bool:
    try:
        return bool(spark.sparkContext._jsc.sc().isStopped())
    except Exception:
        return True


def _lost() -> bool:
    """Returns whether the JVM's session cannot be used any more."""
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    try:
        return context is None or bool(context._jsc.sc().isStopped())
    except Exception:
        return True
