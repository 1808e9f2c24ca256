"""Hints: a target's settings for its engine, under the names of the engine's API."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rheo_assets.errors import DeclarationError, listed
from rheo_assets.model.compute.parameters import PARAMETERS
from rheo_assets.model.compute.vocabulary import GlueVersion, GlueWorkerType

GLUE_HINTS: Final = frozenset({"GlueVersion", "WorkerType", "NumberOfWorkers", "MaxCapacity"})
EMR_HINTS: Final = frozenset({"InstanceConfig", "RuntimeConfig", "SparkCliArgs"})
COMMON_HINTS: Final = frozenset({"Timeout"})
HINTS: Final = GLUE_HINTS | EMR_HINTS | COMMON_HINTS
_FOLDED: Final = {name.casefold(): name for name in sorted(HINTS)}

# Options of spark-submit that the library sets itself, and what to write instead.
_OURS: Final = {
    "--py-files": "Give external_library_paths",
    "--class": "Give scala_module(…)",
    "--name": "Jobs are named after their node",
    "--deploy-mode": "The driver runs in the process of spark-submit",
}
_FLAGS: Final = frozenset({"--verbose", "-v", "--supervise"})
# Settings that belong elsewhere, and would be lost among the code's own arguments.
_ELSEWHERE: Final = {
    "external_library_paths": "Give it to scala_script(…), scala_module(…) or python_module(…)",
    "permissions": "Write extra_permissions",
}

# A Glue job runs for less than seven days: Timeout of CreateJob in botocore's model (glue/2017-03-31).
LONGEST_MINUTES: Final = 7 * 24 * 60 - 1


def read_hints(given: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a target's keyword arguments into hints and the code's arguments. A hint that is None is dropped.

    Raises:
        DeclarationError: An argument can only be meant as a hint.
    """
    hints, args = {}, {}
    for name, value in given.items():
        if name in HINTS:
            if value is not None:
                hints[name] = value
        elif name in _ELSEWHERE:
            raise DeclarationError(where, f"has no argument {name!r}", _ELSEWHERE[name])
        elif name in PARAMETERS:
            remedy = f"{PARAMETERS[name]}; an argument of the code needs another name"
            raise DeclarationError(where, f"has no hint {name!r}", remedy)
        elif near := difflib.get_close_matches(name.casefold(), list(_FOLDED), n=1, cutoff=0.9):
            remedy = f"Write {_FOLDED[near[0]]}; an argument of the code needs a less similar name"
            raise DeclarationError(where, f"has no hint {name!r}", remedy)
        else:
            args[name] = value
    return hints, args


def check_hints(hints: Mapping[str, Any], where: str) -> None:
    """Checks the hints as far as possible without an engine.

    Raises:
        DeclarationError: No engine accepts a value, or two hints contradict each other.
    """
    for name, check in _CHECKS.items():
        if hints.get(name) is not None:
            problem = check(hints[name])
            if problem:
                raise DeclarationError(where, f"{name} is {hints[name]!r}", problem)
    if "MaxCapacity" in hints:
        other = next((name for name in ("WorkerType", "NumberOfWorkers") if name in hints), None)
        if other:
            raise DeclarationError(where, f"has both MaxCapacity and {other}", "Give one: AWS Glue accepts only one")


def _whole(value: object) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "" if good else "Give a whole number above 0"


def _number(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    return "" if good else "Give a number of DPUs above 0"


def _minutes(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_MINUTES
    return "" if good else f"Give a number of minutes from 1 to {LONGEST_MINUTES}: Glue allows less than 7 days"


def _one_of(values: type[GlueVersion] | type[GlueWorkerType]) -> Callable[[object], str]:
    known = [str(value) for value in values]
    return lambda value: "" if str(value) in known else f"Give one of {listed(known, 12)}"


def _instances(value: object) -> str:
    good = isinstance(value, Mapping) and value and set(value) <= {"InstanceCount", "InstanceType"}
    if not good:
        return "Give a dict with InstanceCount and InstanceType, e.g. {'InstanceCount': 3, 'InstanceType': 'm5.xlarge'}"
    assert isinstance(value, Mapping)
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", str(value.get("InstanceType", "m5.xlarge"))):
        return "InstanceType must be an EC2 instance type, such as 'm5.xlarge'"
    return _whole(value.get("InstanceCount", 1)) and "InstanceCount must be a whole number above 0"


def _release(value: object) -> str:
    good = isinstance(value, str) and re.fullmatch(r"emr-([a-z]+-)?\d+\.\d+(\.\d+)?(-[\w.-]+)?", value)
    return "" if good else "Give a release label of EMR, such as 'emr-7.5.0'"


def _words(value: object) -> str:
    """Checks the arguments of spark-submit: a value without an option would be read as the script."""
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        return "Give a list of strings, such as ['--conf', 'spark.sql.shuffle.partitions=64']"
    waiting = ""
    for word in value:
        if waiting:
            waiting = ""
            continue
        name = word.partition("=")[0]
        if name in _OURS:
            return f"Remove {name}. {_OURS[name]}"
        if not name.startswith("-"):
            return f"{word!r} does not follow an option; write e.g. ['--conf', 'name=value']"
        waiting = word if "=" not in word and word not in _FLAGS else ""
    return f"{waiting} has no value" if waiting else ""


_CHECKS: Final[Mapping[str, Callable[[object], str]]] = {
    "GlueVersion": _one_of(GlueVersion),
    "WorkerType": _one_of(GlueWorkerType),
    "NumberOfWorkers": _whole,
    "MaxCapacity": _number,
    "Timeout": _minutes,
    "InstanceConfig": _instances,
    "RuntimeConfig": _release,
    "SparkCliArgs": _words,
}
