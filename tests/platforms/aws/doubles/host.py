"""Runs a Spark job for real: the very script and zips that lie in S3, in a process of its own, on the tests' JVM.

What the job sees as `s3://` is a copy of the buckets, made when it starts. What it writes is uploaded: its messages as
they come, the rest at the end. So a job that succeeds has landed its rows in S3, and a job that raises has failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskOutput
from tests.platforms.aws.doubles.warm import Started, forks

DRIVER = Path(__file__).with_name("driver.py")
_IMPORTED = ("pyspark.sql.functions", "pyspark.sql.types", "pyspark.java_gateway")
_FRESH = 15.0  # seconds: a worker that nobody asks for a minute ends
_SETTLED = 0.3  # seconds without a change: then a file is whole
_ASK = """
import os
print("GATEWAY", os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"])
output = spark.range(1)
"""

State = tuple[int, int]


class SparkHost:
    """Where the jobs of all doubles run.

    Args:
        engine: Its worker's JVM is attached to.
        s3: A client of S3.
        scratch: A folder for the copies of the buckets.
        environment: What jobs find in their environment.
    """

    def __init__(self, engine: SparkEngine, s3: Any, scratch: Path, environment: Mapping[str, str]) -> None:
        self.s3 = s3
        self.scratch = scratch
        self.environment = environment
        self.jobs: list[HostedJob] = []
        self._engine = engine
        self._gateway: tuple[str, str] = ("", "")
        self._asked = 0.0
        self._lock = threading.Lock()

    def start(
        self, script: str, python: Sequence[str], arguments: Sequence[str], ended: Callable[[HostedJob], None]
    ) -> HostedJob:
        """Starts a job; `ended` is called when it has ended, however it did."""
        job = HostedJob(self, script, python, arguments, ended)
        self.jobs.append(job)
        return job

    def gateway(self) -> tuple[str, str]:
        """Returns the port and the secret of the JVM: a task tells them, as it has them in its environment."""
        with self._lock:
            if time.monotonic() - self._asked > _FRESH:
                lines: list[str] = []
                task = Task("gateway", "PYTHON", _ASK, (), TaskOutput("s3://doubles/gateway"))
                self._engine.run(task, lines.append, lambda: False)
                told = next(line for line in lines if line.startswith("GATEWAY ")).split()
                self._gateway = (told[1], told[2])
                self._asked = time.monotonic()
            return self._gateway

    def fetch(self, uri: str, folder: Path) -> str:
        """Downloads an object into the folder, and returns where it lies."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        path = folder / key.rsplit("/", 1)[-1]
        path.write_bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return str(path)

    def close(self) -> None:
        """Ends what still runs."""
        for job in self.jobs:
            job.stop()
        for job in self.jobs:
            job.thread.join(20)


class HostedJob:
    """One job of the host."""

    def __init__(
        self,
        host: SparkHost,
        script: str,
        python: Sequence[str],
        arguments: Sequence[str],
        ended: Callable[[HostedJob], None],
    ) -> None:
        self.output = ""
        self.code: int | None = None
        self.is_stopped = False
        self.began = time.monotonic()
        self.seconds = 0.0
        self._host = host
        self._given = (script, list(python), list(arguments))
        self._ended = ended
        self._root = host.scratch / uuid.uuid4().hex
        self._known: dict[Path, State] = {}
        self._process: Started | None = None
        self.thread = threading.Thread(target=self._run, name="double-job", daemon=True)
        self.thread.start()

    @property
    def reason(self) -> str:
        """The last line that the job said: its error."""
        return next((line for line in reversed(self.output.splitlines()) if line.strip()), "")

    def stop(self) -> None:
        """Kills the driver."""
        if self.code is None:
            self.is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self.output += f"\nthe double could not run the job: {type(error).__name__}: {error}"
            self.code = 70
        self.seconds = time.monotonic() - self.began
        self._ended(self)

    def _work(self) -> None:
        script, python, arguments = self._given
        libraries = self._root / "libraries"
        libraries.mkdir(parents=True)
        given = {
            "script": self._host.fetch(script, self._root),
            "python": [self._host.fetch(uri, libraries) for uri in python],
            "arguments": arguments,
            "root": str(self._root),
            "group": self._root.name,
            "is_over": False,
        }
        self._mirror()
        port, secret = self._host.gateway()
        environment = {
            **self._host.environment,
            "PYSPARK_GATEWAY_PORT": port,
            "PYSPARK_GATEWAY_SECRET": secret,
            "PYSPARK_PYTHON": sys.executable,
        }
        if self.is_stopped:
            self.code = -9
            return
        warm = forks(*_IMPORTED)
        self._process = warm.start(DRIVER, [json.dumps(given)], self._root, environment)
        while (code := self._process.wait(0.1)) is None:
            self._upload_messages()
        if self.is_stopped:
            warm.start(DRIVER, [json.dumps({**given, "is_over": True})], self._root, environment).wait()
        else:
            self._upload()
        self.output = (self._root / "output").read_text()
        self.code = code

    def _mirror(self) -> None:
        s3 = self._host.s3
        for bucket in (found["Name"] for found in s3.list_buckets()["Buckets"]):
            folder = self._root / "s3" / bucket
            folder.mkdir(parents=True)
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for found in page.get("Contents", ()):
                    path = folder / found["Key"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
        self._known = self._files()

    def _files(self) -> dict[Path, State]:
        """Returns all files of the copy; those of Hadoop's checksums are none."""
        walked = (Path(folder, name) for folder, _, names in os.walk(self._root / "s3") for name in names)
        return self._states(path for path in walked if not path.name.endswith(".crc"))

    @staticmethod
    def _states(paths: Iterable[Path]) -> dict[Path, State]:
        states: dict[Path, State] = {}
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                states[path] = (status.st_mtime_ns, status.st_size)
        return states

    def _upload_messages(self) -> None:
        """Uploads the messages that are whole."""
        now = time.time_ns()
        for path, state in self._states((self._root / "s3").glob("*/jobs/*/messages/*.json")).items():
            if now - state[0] >= _SETTLED * 1e9:
                self._put(path, state)

    def _upload(self) -> None:
        """Brings S3 to what the job has made of its copy."""
        files = self._files()
        for path, state in files.items():
            self._put(path, state)
        for path in self._known.keys() - files.keys():
            bucket, key = self._key(path)
            self._host.s3.delete_object(Bucket=bucket, Key=key)

    def _put(self, path: Path, state: State) -> None:
        if self._known.get(path) != state:
            bucket, key = self._key(path)
            self._host.s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
            self._known[path] = state

    def _key(self, path: Path) -> tuple[str, str]:
        bucket, _, key = path.relative_to(self._root / "s3").as_posix().partition("/")
        return bucket, key
