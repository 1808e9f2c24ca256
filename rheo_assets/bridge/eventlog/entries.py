"""The entry of an execution in an event of the log, and the partition that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster import EventLogRecord

from rheo_assets.bridge.names import EVENT_ENTRY, EXECUTION_ENTRY
from rheo_assets.model.dimensions import DimensionSpec, Partition
from rheo_assets.model.executions import Execution, Status

AWAITS_CHECKS = "awaits_checks"


def execution_entry(spec: DimensionSpec, execution: Execution) -> dict[str, Any]:
    """Returns the metadata entry that history reads; `spec` holds the dimensions of the execution's node."""
    fields = replace(execution, dimensions=spec.kinds).to_fields()
    return {EXECUTION_ENTRY: dg.MetadataValue.json(fields)}


def execution_of(record: EventLogRecord) -> Execution | None:
    """Returns the execution that an event records; None if it records none.

    An execution that never started has no end time: it ended when the event was recorded.
    """
    event: Any = record.asset_materialization or record.asset_observation
    entry = event.metadata.get(EXECUTION_ENTRY) if event is not None else None
    fields = getattr(entry, "data", None)
    if not isinstance(fields, dict):
        return None
    try:
        execution = Execution.of_fields(fields)
    except (KeyError, TypeError, ValueError):
        return None
    return execution if execution.ended else replace(execution, ended=datetime.fromtimestamp(record.timestamp, UTC))


def ended_execution(record: EventLogRecord) -> Execution | None:
    """Returns the execution whose end an event tells of; None for one whose blocking checks decide how it ends."""
    return None if awaits_checks(record) else execution_of(record)


def awaits_checks(record: EventLogRecord) -> bool:
    """Returns whether an event is the materialisation of an execution whose blocking checks decide how it ends."""
    materialization = record.asset_materialization
    return materialization is not None and event_fields(materialization.metadata).get("kind") == AWAITS_CHECKS


def event_fields(metadata: Mapping[str, Any], name: str = EVENT_ENTRY) -> dict[str, Any]:
    """Returns one of our JSON entries of an event's metadata; empty if it is missing."""
    value = getattr(metadata.get(name), "data", None)
    return dict(value) if isinstance(value, Mapping) else {}


def is_of(execution: Execution, spec: DimensionSpec, partition: Partition) -> bool:
    """Returns whether an execution under a partition's key built this partition.

    It did not if its node had other dimensions then: the key of a day is also the key of the month or week that begins
    with it.
    """
    return execution.partition == spec.render(partition) and execution.dimensions in {(), spec.kinds}


def replaces(execution: Execution, spec: DimensionSpec, partition: Partition) -> bool:
    """Returns whether an execution wrote another partition to this one's folder: a month over its first day."""
    is_same_text = execution.partition == spec.render(partition)
    return execution.status == Status.COMPLETED and is_same_text and not is_of(execution, spec, partition)
