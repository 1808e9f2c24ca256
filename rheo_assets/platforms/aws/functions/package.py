"""The zip of a Lambda function: the runner of callables, cloudpickle, and what the callable itself needs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.aws.package import Package, library_files, package_files, packed

ENTRY: Final = "rheo_assets.platforms.aws.functions.job"
_INSTALL_WITHIN: Final = 600.0
_LAMBDA_PLATFORM: Final = "manylinux2014_x86_64"
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_LARGEST: Final = 250 * 1024 * 1024


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
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        wanted = ["--platform", _LAMBDA_PLATFORM, "--python-version", python, "--only-binary=:all:", "--target", folder]
        quiet = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-input"]
        command = [sys.executable, "-m", "pip", "install", *quiet, *wanted, "--", *requirements]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_WITHIN, check=False)
        if done.returncode:
            told = next((line for line in done.stderr.splitlines() if "ERROR" in line), done.stderr.strip()[-300:])
            raise CapabilityMissing(f"the requirements {', '.join(requirements)} cannot be packed for Lambda: {told}")
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
