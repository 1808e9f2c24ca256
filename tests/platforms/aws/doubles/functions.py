"""A Lambda that runs: moto takes the calls, the uploaded zip is unpacked and its handler called in a process.

The process sees the zip, the standard library and what a Lambda has (boto3), not this checkout.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.awslambda.models import LambdaBackend
from moto.awslambda.responses import LambdaResponse

from rheo_assets.platforms.aws.function_job import STARTED_FILE
from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.world import World

_START = """
import json, sys
folder, site, handler, event, seconds = sys.argv[1:]
sys.path[:] = [folder, *(path for path in sys.path if "site-packages" not in path and path), site]
module, _, name = handler.rpartition(".")
class Context:
    def get_remaining_time_in_millis(self):
        return float(seconds) * 1000
import importlib
answer = getattr(importlib.import_module(module), name)(json.loads(event), Context())
print("ANSWER", json.dumps(answer))
"""


class LambdaDouble(Faults):
    """Takes the place of moto's calls of functions.

    Args:
        scratch: Where the packages are unpacked; the same name of a function means the same package.
        world: Where functions find S3.

    Attributes:
        seconds: What a function is told that it has left.
        answers: What handlers returned, or the error with which their process ended.
        deliveries: How often each event is delivered: Lambda may do so twice.
        hold: While it is cleared, events wait.
        outcome: ("GONE", …) makes the process of every call vanish a while ago, after it has begun.
    """

    no_faults = (("GONE", ""),)

    def __init__(self, scratch: Path, world: World) -> None:
        super().__init__()
        self._scratch = scratch
        self._world = world
        self._lock = threading.Lock()
        self.seconds = 900.0
        self.answers: list[Any] = []
        self.deliveries = 1
        self.hold = threading.Event()
        self.hold.set()
        self.processes: list[subprocess.Popen[str]] = []
        self.threads: list[threading.Thread] = []
        self.outcome: tuple[str, str] | None = None
        self._ran: list[str] = []

    @property
    def tokens(self) -> list[str]:
        """The tokens of the tasks that were run, when all calls have ended."""
        for thread in self.threads:
            thread.join(20)
        return self._ran

    def replace(self, patch: pytest.MonkeyPatch) -> None:
        """Replaces moto's way to call a function."""

        def invoke(backend: Any, function: str, qualifier: Any, body: Any, headers: Any, _: dict[str, Any]) -> str:
            assert headers["X-Amz-Invocation-Type"] == "Event"
            found = backend.get_function(function, qualifier)
            for _delivery in range(self.deliveries):
                thread = threading.Thread(target=self._run, args=(found, body), daemon=True)
                self.threads.append(thread)
                thread.start()
            return ""

        patch.setattr(LambdaBackend, "invoke", invoke)
        self.install(patch, LambdaResponse, "invoke")

    def _run(self, function: Any, event: Any) -> None:
        self.hold.wait()
        text = event.decode() if isinstance(event, bytes) else event
        uri = json.loads(text)["folder"]
        if self.outcome is not None:
            self._world.storage.create(f"{uri}/{STARTED_FILE}", b'{"at": "2024-01-01T00:00:00+00:00"}')
            return
        folder = self._scratch / function.function_name
        with self._lock:
            if not folder.exists():
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(folder)
        site = str(Path(boto3.__file__).parents[1])  # boto3 is part of Lambda's runtime
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(folder), site, function.handler, text, str(self.seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"], **self._world.environment},
            cwd=folder,
        )
        self.processes.append(process)
        output, _ = process.communicate()
        told = next((line for line in output.splitlines() if line.startswith("ANSWER ")), None)
        answer = json.loads(told.removeprefix("ANSWER ")) if told else output
        self.answers.append(answer)
        if answer != {"again": True}:
            self._ran.append(uri.rsplit("/", 1)[-1])

    def close(self) -> None:
        """Ends what still runs."""
        self.hold.set()
        for process in self.processes:
            process.kill()
        for thread in self.threads:
            thread.join(10)
