"""Releases of EMR, of clusters and of serverless applications: which one runs a task."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from rheo_assets.runner.task import Task, TaskResult

RELEASE: Final = "emr-7.9.0"  # Spark 3.5
PYTHON: Final = "/usr/bin/python3.11"  # /usr/bin/python3 of Amazon Linux 2023 is 3.9, too old for the runner
# The first release with a Python that the runner can use; emr-7.0 has 3.9, emr-6 has 3.7:
# https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-release-app-versions-7.x.html
_OLDEST: Final = (7, 1)


def emr_release(task: Task, release: str, *, brings_python: bool) -> tuple[str, str]:
    """Returns the release that runs the task, and the one that was asked for.

    Args:
        task: Its hint `RuntimeConfig` goes before the settings.
        release: That of the settings.
        brings_python: Whether the settings see to a Python that the runner can use, whatever the release has.
    """
    asked = str(task.hints.get("RuntimeConfig") or release)
    numbers = re.search(r"(\d+)\.(\d+)", asked)
    is_old = numbers is not None and (int(numbers[1]), int(numbers[2])) < _OLDEST
    return (RELEASE if is_old and not brings_python else asked), asked


def with_release(result: TaskResult, release: str, asked: str) -> TaskResult:
    """Returns the result with a word about a release that is not the one asked for."""
    if release == asked:
        return result
    remedy = f"To run on {asked}, give the engine the option python=, a Python of 3.10 or later"
    told = f"{asked} is too old for the runner: the job ran on {release}. {remedy}"
    return replace(result, warnings=(*result.warnings, told))
