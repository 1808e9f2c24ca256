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
        outcome: ("GONE", …) makes the process of every event vanish a while ago, after it has begun.
        forbidden: The operations of AWS that the functions' role may not call: `PutObject`.
        lacks: A file that packages lack, unpacked from now on.
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
        self.forbidden: tuple[str, ...] = ()
        self.lacks = ""
        self._ran: list[str] = []

    @property
    def tokens(self) -> list[str]:
        """The tokens of the tasks that were run, when all calls have ended."""
        for thread in self.threads:
            thread.join(20)
        return self._ran

    def replace(self, patch: pytest.MonkeyPatch) -> None:
        """Replaces moto's way to call a function."""

        def invoke(backend: Any, function: str, qualifier: Any, body: Any, headers: Any, told: dict[str, Any]) -> str:
            found = backend.get_function(function, qualifier)
            text = body.decode() if isinstance(body, bytes) else body
            if headers["X-Amz-Invocation-Type"] == "RequestResponse":
                answer, is_error = self._handled(found, text)
                if is_error:
                    told["x-amz-function-error"] = "Unhandled"
                return json.dumps(answer)
            for _delivery in range(self.deliveries):
                thread = threading.Thread(target=self._run, args=(found, text), daemon=True)
                self.threads.append(thread)
                thread.start()
            return ""

        patch.setattr(LambdaBackend, "invoke", invoke)
        self._install_by_type(patch)

    def _install_by_type(self, patch: pytest.MonkeyPatch) -> None:
        """Puts the faults of `invoke` before events, and those of `probe` before calls that wait for their answer."""
        plain = LambdaResponse.invoke
        faulty = {name: self._faulty(name, plain) for name in ("invoke", "probe")}

        def invoke(response: Any) -> Any:
            is_event = response.headers.get("X-Amz-Invocation-Type") == "Event"
            return faulty["invoke" if is_event else "probe"](response)

        patch.setattr(LambdaResponse, "invoke", invoke)

    def _run(self, function: Any, text: str) -> None:
        self.hold.wait()
        uri = json.loads(text)["folder"]
        if self.outcome is not None:
            self._world.storage.create(f"{uri}/{STARTED_FILE}", b'{"at": "2024-01-01T00:00:00+00:00"}')
            return
        answer, _ = self._handled(function, text)
        self.answers.append(answer)
        if answer != {"again": True}:
            self._ran.append(uri.rsplit("/", 1)[-1])

    def _handled(self, function: Any, text: str) -> tuple[Any, bool]:
        """Returns what the handler answers, and whether that is an error, in the words of Lambda's Python."""
        work = self._scratch / "work" / uuid.uuid4().hex
        work.mkdir(parents=True)
        given = {
            "package": str(self._unpacked(function)),
            "handler": function.handler,
            "event": text,
            "seconds": self.seconds,
            "forbidden": self.forbidden,
        }
        process = forks("boto3").start(DRIVER, [json.dumps(given)], work, self._world.environment)
        self.processes.append(process)
        code = process.wait()
        for line in (work / "output").read_text().splitlines():
            sign, _, said = line.partition(" ")
            if sign in {"ANSWER", "ERROR"}:
                return json.loads(said), sign == "ERROR"
        ended = f"RequestId: {work.name} Error: Runtime exited with error: exit status {code}"
        return {"errorType": "Runtime.ExitError", "errorMessage": ended}, True

    def _unpacked(self, function: Any) -> Path:
        folder = self._scratch / f"{function.function_name}-{self.lacks.replace('/', '.')}"
        with self._lock:
            if not folder.exists():
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(folder)
                if self.lacks:
                    (folder / self.lacks).unlink()
        return folder

    def close(self) -> None:
        """Ends what still runs."""
        self.hold.set()
        for process in self.processes:
            process.kill()
        for thread in self.threads:
            thread.join(10)
