"""The protocol between a client and the Spark worker: JSON lines over a connection on 127.0.0.1.

The client opens with `{"token": …, "task": …, "root": …}` or `{"token": …, "stop": true}` and may add
`{"cancel": true}`. The worker answers `{"accepted": true}`, then `{"log": line}` any number of times, then once
`{"result": …}` or `{"failure": …, "again": bool}`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.spark.filesystem import spark_jars

HOME = "RHEO_SPARK_HOME"
_HERE = Path(__file__).parent
_RUNNER = _HERE.parents[2] / "runner"


def encode(message: Mapping[str, Any]) -> bytes:
    """Returns the message as one line."""
    return json.dumps(message).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Address:
    """The port and the secret of a worker, stored in a file that only the owner can read."""

    port: int
    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class Home:
    """The files of one worker.

    A root has its own, unless `RHEO_SPARK_HOME` names a folder whose worker several roots share. Roots below the
    system's temporary folder share one worker: a test suite with one root per test starts one JVM.
    A worker serves one set of versions: after an upgrade of the library, Python or Spark, a new worker starts. The old
    one ends when it has been idle.
    """

    root: Path
    version: str

    @classmethod
    def of(cls, root: Path) -> Home:
        """Returns the home of the worker that serves the root."""
        return cls(Path(os.environ.get(HOME) or _temporary_home(root) or root).resolve(), fingerprint())

    @property
    def folder(self) -> Path:
        """The folder of Spark's files below the root."""
        return self.root / "spark"

    @property
    def address_file(self) -> Path:
        """The file with the worker's address; removed when the worker accepts no more tasks."""
        return self.folder / f"worker-{self.version}.json"

    @property
    def lock_file(self) -> Path:
        """The file that the worker locks as long as it lives."""
        return self.folder / f"worker-{self.version}.lock"

    @property
    def start_lock_file(self) -> Path:
        """The file that a client locks while it starts a worker."""
        return self.folder / f"worker-{self.version}.start"

    @property
    def scratch(self) -> Path:
        """The folder for temporary files of the worker, JVM and tasks; emptied when a worker starts and ends."""
        return self.folder / f"tmp-{self.version}"

    @property
    def log_file(self) -> Path:
        """The log file of the worker and its JVM."""
        return self.folder / "worker.log"

    def prepare(self) -> None:
        """Creates the folder, readable only by its owner."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def announce(self, address: Address) -> None:
        """Writes the address in one step."""
        fresh = self.address_file.with_suffix(f".{address.pid}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"port": address.port, "token": address.token, "pid": address.pid}, file)
        fresh.replace(self.address_file)

    def address(self) -> Address | None:
        """Returns the recorded address of the worker, which may be out of date; None if there is none."""
        try:
            fields = json.loads(self.address_file.read_text())
            return Address(int(fields["port"]), str(fields["token"]), int(fields["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _temporary_home(root: Path) -> Path | None:
    """Returns the folder of the worker that temporary roots share, None if the root is not temporary."""
    temporary = Path(tempfile.gettempdir()).resolve()
    if not Path(root).resolve().is_relative_to(temporary):
        return None
    folder = temporary / f"rheo-spark-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return folder if is_ours else None  # another user may have made it, to read what is sent to the worker


def fingerprint() -> str:
    """Returns a hash of what a worker and its clients must share: Python, Spark, our own source, the choice of Java."""
    settings = [os.environ.get(name, "") for name in ("RHEO_JAVA", "RHEO_SPARK_MEMORY", "JAVA_HOME")]
    # The environment, not the executable: its `python` and `python3` are one Python.
    shared = "\n".join([_sources(), sys.prefix, sys.version, str(spark_jars()), *settings])
    return hashlib.sha256(shared.encode()).hexdigest()[:12]


@cache
def _sources() -> str:
    sources = [*_HERE.glob("*.py"), *_HERE.glob("*.java"), *_RUNNER.glob("*.py"), *_RUNNER.glob("scala/*")]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()
