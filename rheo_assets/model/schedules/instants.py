"""The moments given to schedules."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime, name: str) -> datetime:
    """Returns an aware moment in UTC; the name is for the message."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {moment.isoformat()}, without a time zone: give an aware datetime")
    return moment.astimezone(UTC)
