"""Hints: what a target asks of its engine, in the words of the engine's own API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rheo_assets.compute.vocabulary import GlueVersion, GlueWorkerType
from rheo_assets.errors import DeclarationError, listed

GLUE_HINTS: Final = frozenset({"GlueVersion", "WorkerType", "NumberOfWorkers", "MaxCapacity"})
EMR_HINTS: Final = frozenset({"InstanceConfig", "RuntimeConfig", "SparkCliArgs"})
COMMON_HINTS: Final = frozenset({"Timeout"})
HINTS: Final = GLUE_HINTS | EMR_HINTS | COMMON_HINTS

LONGEST_MINUTES: Final = 7 * 24 * 60  # of a Glue job: https://docs.aws.amazon.com/glue/latest/dg/add-job.html


def check_hints(hints: Mapping[str, Any], where: str) -> None:
    """Checks what can be checked without an engine.

    Raises:
        DeclarationError: A value that no engine takes, or two hints that contradict each other.
    """
    for name, check in _CHECKS.items():
        if hints.get(name) is not None:
            problem = check(hints[name])
            if problem:
                raise DeclarationError(where, f"{name} is {hints[name]!r}", problem)
    if "MaxCapacity" in hints:
        other = next((name for name in ("WorkerType", "NumberOfWorkers") if name in hints), None)
        if other:
            raise DeclarationError(where, f"has both MaxCapacity and {other}", "AWS Glue takes one of them")


def _whole(value: object) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "" if good else "A whole number above 0"


def _number(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return "" if good else "A number of DPUs above 0"


def _minutes(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_MINUTES
    return "" if good else f"A number of minutes above 0, at most {LONGEST_MINUTES} (7 days)"


def _one_of(values: type[GlueVersion] | type[GlueWorkerType]) -> Callable[[object], str]:
    known = [str(value) for value in values]
    return lambda value: "" if str(value) in known else f"One of {listed(known, 12)}"


def _instances(value: object) -> str:
    good = isinstance(value, Mapping) and set(value) <= {"InstanceCount", "InstanceType"}
    if not good:
        return "A dict with InstanceCount and InstanceType, such as {'InstanceCount': 3, 'InstanceType': 'm5.xlarge'}"
    assert isinstance(value, Mapping)
    return _whole(value.get("InstanceCount", 1)) and "InstanceCount is a whole number above 0"


def _release(value: object) -> str:
    return "" if isinstance(value, str) and value.startswith("emr-") else "A release label of EMR, such as 'emr-7.5.0'"


def _words(value: object) -> str:
    good = isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
    return "" if good else "A list of texts, such as ['--conf', 'spark.sql.shuffle.partitions=64']"


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
