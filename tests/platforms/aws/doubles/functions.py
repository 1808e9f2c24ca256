"""A Lambda that runs: moto takes the calls, the uploaded zip is unpacked and its handler called in a process.

The process sees the zip, the standard library and what a Lambda has (boto3), not this checkout.
"""

from __future__ import annotations

import io
import json
import threading
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from moto.awslambda.models import LambdaBackend
from moto.awslambda.responses import LambdaResponse

from rheo_assets.platforms.aws.functions.job import STARTED_FILE
from tests.platforms.aws.doubles.faults import Faults
from tests.platforms.aws.doubles.warm import Started, forks
from tests.platforms.aws.doubles.world import World

DRIVER = Path(__file__).with_name("function_driver.py")


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
        self.processes: list[Started] = []
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
        work = self._scratch / "work" / uuid.uuid4().hex
        work.mkdir(parents=True)
        given = {"package": str(folder), "handler": function.handler, "event": text, "seconds": self.seconds}
        process = forks("boto3").start(DRIVER, [json.dumps(given)], work, self._world.environment)
        self.processes.append(process)
        process.wait()
        output = (work / "output").read_text()
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
