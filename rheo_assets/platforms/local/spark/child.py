"""The code of the worker's forked children: each runs one task, on a JVM that outlives it.

A child may exit, crash or hang: only its task is lost. It shares only two pipes with its parent.
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

UNUSABLE = 75  # exit code: the JVM's session cannot be used, start another JVM
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_CANCEL_TRIES = 10
_SNIPPET_TRIES = 25
_ROOT = "fs.rheo.root"  # LocalS3FileSystem.ROOT


@dataclass(frozen=True, slots=True)
class Gateway:
    """The address and secret with which a process attaches to the JVM."""

    port: int
    secret: str


def fork(work: Callable[[], int], *, output: int, keep: tuple[int, ...] = ()) -> int:
    """Runs `work` in a child process and returns its id; the child exits with what `work` returns.

    Args:
        work: The function to run.
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
    """The job of a child: the task as JSON, the root of its data, its Spark job group, its own folder.

    `cache` is the folder of files that outlive it.
    """

    text: str
    root: str
    group: str
    scratch: Path
    cache: Path


def run(gateway: Gateway, job: Job, answer: int) -> int:
    """Runs the task in this process and writes its answer to the pipe."""
    job.scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(job.scratch)  # files that user code writes to relative paths are removed with the task
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
        lost = _lost()  # then this is why user code failed
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
    """Cancels the work of an ended task in the JVM; returns `UNUSABLE` if its Scala code does not end."""
    jvm = _java_gateway(gateway).jvm
    context = jvm.org.apache.spark.SparkContext.getOrCreate()
    for tried in range(_SNIPPET_TRIES):
        context.cancelJobGroup(group)  # again and again: between two of its jobs, nothing can be cancelled
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
    # The parent's sockets, pipes and locks must not stay open here. They are replaced, not closed: objects that were
    # copied from the parent still use their numbers.
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
    """Returns a new session on the running JVM."""
    from pyspark.sql import SparkSession

    def existing(jvm: Any) -> Any:
        return jvm.JavaSparkContext.fromSparkContext(jvm.org.apache.spark.SparkContext.getOrCreate())

    context = _context(gateway, existing)
    base = context._jvm.SparkSession.builder().getOrCreate()
    spark = SparkSession(context, base.newSession())
    context._jvm.SparkSession.setDefaultSession(base)
    ignored = "stop() is ignored: all nodes on this machine share the session"
    for kind in (SparkSession, type(context)):
        kind.stop = lambda _: print(ignored)
    return spark


def _stopped(spark: Any) -> bool:
    try:
        return bool(spark.sparkContext._jsc.sc().isStopped())
    except Exception:
        return True


def _lost() -> bool:
    """Returns whether the JVM's session can no longer be used."""
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    try:
        return context is None or bool(context._jsc.sc().isStopped())
    except Exception:
        return True
