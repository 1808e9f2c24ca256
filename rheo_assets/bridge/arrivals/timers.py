"""Ticks: each scheduled time of a timer that has passed, once, also after downtime."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

from dagster import DagsterEventType

from rheo_assets.bridge.eventlog.journal import Journal
from rheo_assets.bridge.names import EVENT_ENTRY, asset_key
from rheo_assets.bridge.state.application_state import ApplicationState
from rheo_assets.model.dimensions import utc_naive
from rheo_assets.model.nodes import Timer

_PAGE = 500
_PREFIX = "tick:"


def record_ticks(
    timer: Timer,
    journal: Journal,
    state: ApplicationState,
    now: datetime,
    is_enough: Callable[[], bool] = lambda: False,
) -> bool:
    """Records the due ticks of a timer, oldest first; returns whether none is left.

    Records at most 500 ticks, and stops earlier if `is_enough` says so. The next call continues after the last one.

    A rate fires one full period after the first activation and keeps that phase. No timer fires at activation.
    """
    anchor = state.first_activation(timer.id)
    if anchor is None:
        return True
    after = max(_last_tick(timer, journal) or anchor, anchor)
    due = timer.schedule.ticks(anchor=anchor, after=after, until=now)
    for moment in islice(due, _PAGE):
        text = moment.astimezone(UTC).isoformat()
        value = timer.tick(utc_naive(moment))
        journal.arrived(timer.id, value, f"{_PREFIX}{timer.id}:{text}", {"scheduled": text})
        if is_enough():
            break
    return next(due, None) is None


def _last_tick(timer: Timer, journal: Journal) -> datetime | None:
    key = asset_key(timer.application, timer.id)
    for record in journal.log.of_asset(key, limit=20, kinds=[DagsterEventType.ASSET_MATERIALIZATION]):
        materialization = record.asset_materialization
        fields = getattr(materialization.metadata.get(EVENT_ENTRY), "data", None) if materialization else None
        identity = str(fields.get("identity", "")) if isinstance(fields, dict) else ""
        if identity.startswith(f"{_PREFIX}{timer.id}:"):
            return datetime.fromisoformat(identity.removeprefix(f"{_PREFIX}{timer.id}:"))
    return None
