"""The zip of a Lambda function: the runner of callables, cloudpickle, and what the callable itself needs."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.aws.package import Package, library_files, package_files, packed
from rheo_assets.platforms.capabilities import Storage

ENTRY: Final = "rheo_assets.platforms.aws.functions.job"
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_INSTALL_WITHIN: Final = 600.0
# The glibc of Lambda's images: Amazon Linux 2 up to Python 3.11, Amazon Linux 2023 from then on.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_OLD_GLIBC: Final = 26
_NEW_GLIBC: Final = 34
_OLDEST_GLIBC: Final = 5
_FIRST_NEW: Final = (3, 12)
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_LARGEST: Final = 250 * 1024 * 1024
_NO_NETWORK: Final = re.compile(r"connection broken by|Failed to establish a new connection|name resolution")
_SOME_VERSION: Final = re.compile(r"from versions: (?!none)")
_TELLING: Final = ("No matching distribution", "Could not find a version")
_packing = Lock()  # executions of one run ask for the same at once


class NoIndex(CapabilityMissing):
    """Requirements that pip could not even look for: another try may find them."""


@dataclass(frozen=True, slots=True)
class Code:
    """The zip of a function where Lambda takes it from.

    Attributes:
        digest: The sha256 of it.
        uri: Where it lies.
    """

    digest: str
    uri: str


def function_code(requirements: tuple[str, ...], storage: Storage, home: str) -> Code:
    """Returns the zip of functions with these requirements in an application's bucket; packs it where there is none.

    What came of a set of requirements is noted in the bucket, so that pip is asked once, at activation, and not again
    in every process that runs something; and what the packages need in turn stays the same.

    Args:
        requirements: Pinned, as pip reads them.
        storage: Where the bucket is.
        home: The URI of the bucket.

    Raises:
        CapabilityMissing: pip does not find one of them, or all together are larger than Lambda takes.
    """
    note = f"{home}/runner/functions/{_identity(requirements)}"
    with _packing:
        known = _noted(note, storage, home) if requirements else None
        if known is not None:
            return known
        package = function_package(requirements)
        code = Code(package.digest, package.upload(storage, home))
        if requirements:
            storage.write(note, code.digest.encode())
        return code


def _noted(note: str, storage: Storage, home: str) -> Code | None:
    try:
        digest = storage.read(note).decode()
    except FileNotFoundError:
        return None
    uri = f"{home}/runner/{digest}.zip"
    return Code(digest, uri) if storage.version(uri) is not None else None


def _identity(requirements: tuple[str, ...]) -> str:
    said = json.dumps([sorted(requirements), PYTHON, platforms(PYTHON), function_package(()).digest])
    return hashlib.sha256(said.encode()).hexdigest()


@cache
def function_package(requirements: tuple[str, ...]) -> Package:
    """Returns the package of functions with these requirements; the same requirements give the same one.

    Args:
        requirements: Pinned, as pip reads them. Only wheels that run on Lambda are taken.

    Raises:
        CapabilityMissing: pip does not find one of them, or all together are larger than Lambda takes.
    """
    ours = {**library_files(ENTRY), **package_files("dagster_pipes"), **package_files("cloudpickle")}
    return packed({**_installed(requirements), **ours})


def _installed(requirements: tuple[str, ...]) -> dict[str, bytes]:
    if not requirements:
        return {}
    with tempfile.TemporaryDirectory(prefix="rheo-requirements-") as folder:
        install(requirements, folder)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
    size = sum(len(content) for content in files.values())
    if size > _LARGEST:
        raise CapabilityMissing(
            f"the requirements {', '.join(requirements)} are {size // 2**20} MB unpacked; Lambda takes 250 MB. "
            "Use InlinedCompute(…, engine='process')"
        )
    return files


def platforms(python: str) -> list[str]:
    """Returns the platforms of wheels that Lambda's Python of a version runs, the newest first.

    >>> platforms("3.11")[0], platforms("3.12")[0], platforms("3.12")[-1]
    ('manylinux_2_26_x86_64', 'manylinux_2_34_x86_64', 'manylinux1_x86_64')
    """
    newest = _NEW_GLIBC if tuple(map(int, python.split("."))) >= _FIRST_NEW else _OLD_GLIBC
    return _glibc(newest)


def _glibc(newest: int) -> list[str]:
    numbered = [f"manylinux_2_{minor}_x86_64" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
    return [*numbered, *(f"manylinux{year}_x86_64" for year in ("2014", "2010", "1"))]  # pip knows no order of them


def install(requirements: tuple[str, ...], folder: str, python: str = PYTHON) -> None:
    """Installs requirements as wheels that Lambda's Python of a version runs.

    Raises:
        CapabilityMissing: pip does not find one of them.
    """
    told = _pip(requirements, folder, python, platforms(python))
    if not told:
        return
    is_too_new = platforms(python) != _glibc(_NEW_GLIBC) and not _pip(
        requirements, folder, python, _glibc(_NEW_GLIBC), "--dry-run"
    )
    raise _refused(requirements, told, python, is_too_new)


def _pip(requirements: tuple[str, ...], folder: str, python: str, wheels: Sequence[str], *more: str) -> str:
    """Runs `pip install` and returns what it says if it fails."""
    wanted = [word for platform in wheels for word in ("--platform", platform)]
    wanted += ["--python-version", python, "--only-binary=:all:", "--target", folder]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-input"]
    command = [sys.executable, "-m", "pip", "install", *quiet, *wanted, *more, "--", *requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        raise NoIndex(f"{_not_packed(requirements)}: pip took more than {_INSTALL_WITHIN:.0f} s") from None
    return (done.stderr or f"pip ended with {done.returncode}") if done.returncode else ""


def _refused(requirements: tuple[str, ...], told: str, python: str, is_too_new: bool) -> CapabilityMissing:
    """Returns pip's reason; of its many lines the one that says which package it is about."""
    if _NO_NETWORK.search(told) and not _SOME_VERSION.search(told):
        return NoIndex(
            f"{_not_packed(requirements)}: pip does not reach its package index from here. Check the network, or name "
            "an index that can be reached in PIP_INDEX_URL"
        )
    errors = [line.removeprefix("ERROR:").strip() for line in told.splitlines() if line.startswith("ERROR:")]
    reasons = [line for line in errors if not line.startswith("Ignored the following")]
    lines = [line for sign in _TELLING for line in reasons if line.startswith(sign)] or reasons
    if is_too_new:
        newer = ".".join(map(str, _FIRST_NEW))
        return CapabilityMissing(
            f"{_not_packed(requirements)}: their wheels need a newer Linux than Lambda's Python {python} has (Amazon "
            f"Linux 2, glibc 2.{_OLD_GLIBC}). Run the application with Python {newer} or later, name versions with "
            f"wheels for manylinux2014, or use InlinedCompute(…, engine='process')"
        )
    return CapabilityMissing(
        f"{_not_packed(requirements)}: {lines[0] if lines else told.strip()[-300:]}. Name versions that have a wheel "
        f"for Python {python} on Linux (x86_64), or use InlinedCompute(…, engine='process')"
    )


def _not_packed(requirements: tuple[str, ...]) -> str:
    return f"the requirements {', '.join(requirements)} cannot be packed for Lambda"
