"""How runs of EMR Serverless stand, from the service's own descriptions of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rheo_assets.platforms.aws.costs import REGION, serverless_dollars
from rheo_assets.platforms.aws.jobs.service import JobState, Phase

_PHASES: Final = {
    "SUBMITTED": Phase.WAITING,
    "PENDING": Phase.WAITING,
    "SCHEDULED": Phase.WAITING,
    "QUEUED": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "CANCELLING": Phase.RUNNING,
    "SUCCESS": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELLED": Phase.STOPPED,
}
_NO_FAULT: Final = (
    "internal error",
    "internal service",
    "insufficient capacity",
    "could not be allocated",
    "exceeded the maximum capacity",
    "maximum capacity limit",
    "vcpu quota",
    "service unavailable",
)
_TOO_LATE: Final = ("execution timeout", "timed out", "timeout exceeded")


def serverless_state(run: Mapping[str, Any]) -> JobState:
    """Returns how a run stands, from the service's own description of it."""
    name, reason = str(run["state"]), str(run.get("stateDetails") or "")
    phase = _PHASES.get(name, Phase.RUNNING)
    if phase is Phase.FAILED and any(words in reason.lower() for words in _NO_FAULT):
        phase = Phase.LOST
    if phase in {Phase.FAILED, Phase.STOPPED} and any(words in reason.lower() for words in _TOO_LATE):
        phase = Phase.TIMED_OUT
    return JobState(phase, name, reason, _facts(run) if phase.has_ended else {})


def _facts(run: Mapping[str, Any]) -> dict[str, Any]:
    used = run.get("billedResourceUtilization") or run.get("totalResourceUtilization") or {}
    vcpu, memory, storage = (float(used.get(name) or 0) for name in ("vCPUHour", "memoryGBHour", "storageGBHour"))
    return {
        "execution seconds": float(run.get("totalExecutionDurationSeconds") or 0),
        "vCPU-hours": vcpu,
        "memory GB-hours": memory,
        "release": str(run.get("releaseLabel") or ""),
        f"cost estimate (USD, {REGION})": serverless_dollars(vcpu, memory, storage),
    }
