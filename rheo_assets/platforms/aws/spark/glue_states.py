"""How runs of Glue stand, from Glue's own descriptions of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rheo_assets.platforms.aws.costs import REGION, dpus, glue_dollars
from rheo_assets.platforms.aws.jobs.service import JobState, Phase

_PHASES: Final = {
    "STARTING": Phase.WAITING,
    "WAITING": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "STOPPING": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "STOPPED": Phase.STOPPED,
    "TIMEOUT": Phase.TIMED_OUT,
    "ERROR": Phase.LOST,
    "EXPIRED": Phase.LOST,  # it waited in the queue for too long
}
# What Glue says when it failed a run for want of room or for a fault of its own:
# https://docs.aws.amazon.com/glue/latest/dg/job-run-statuses.html
_NO_FAULT: Final = (
    "concurrent runs exceeded",
    "maximum concurrent compute capacity",
    "max concurrent",
    "resource unavailable",
    "not enough capacity",
    "insufficient capacity",
    "internal service error",
    "service unavailable",
    "rate exceeded",
)


def glue_state(run: Mapping[str, Any]) -> JobState:
    """Returns how a run stands, from Glue's own description of it."""
    name, reason = str(run["JobRunState"]), str(run.get("ErrorMessage") or run.get("StateDetail") or "")
    phase = _PHASES.get(name, Phase.LOST if run.get("CompletedOn") else Phase.RUNNING)
    if phase is Phase.FAILED and any(words in reason.lower() for words in _NO_FAULT):
        phase = Phase.LOST
    return JobState(phase, name, reason, _facts(run) if phase.has_ended else {})


def _facts(run: Mapping[str, Any]) -> dict[str, Any]:
    seconds = float(run.get("ExecutionTime") or 0)
    worker_type, workers = str(run.get("WorkerType") or "G.1X"), int(run.get("NumberOfWorkers") or 0)
    capacity = dpus(worker_type, workers) if workers else float(run.get("MaxCapacity") or 0)
    dpu_seconds = float(run.get("DPUSeconds") or seconds * capacity)
    return {
        "execution seconds": seconds,
        "DPU-seconds": dpu_seconds,
        "workers": f"{workers} x {worker_type}",
        "Glue version": str(run.get("GlueVersion") or ""),
        f"cost estimate (USD, {REGION})": glue_dollars(dpu_seconds, seconds, worker_type),
    }
