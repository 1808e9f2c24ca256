"""Executions and the records of their compute targets, as users see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The states of an execution."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class ComputeRecord:
    """One compute target of one execution.

    Attributes:
        node: The node's id.
        partition: The output partition, with values as text.
        target: The target's position, from 0.
        title: A readable name: `SPARK_SQL code`, `callable 'report'`.
        status: A `Status` value.
        started: When it started, UTC.
        ended: When it finished, UTC; None while it runs.
        error: Why it failed; None if it did not.
        detail: The user's traceback or the engine's own text.
        engine: The engine that ran it.
        rows: The number of rows written; None if it does not write a table.
        attempts: The number of starts.
    """

    node: str
    partition: tuple[str, ...]
    target: int
    title: str
    status: str
    started: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
    detail: str = ""
    engine: str = ""
    rows: int | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a node's targets for one output partition.

    Attributes:
        id: The identity, the same for every driver.
        node: The node's id.
        partition: The output partition, with values as text.
        status: A `Status` value.
        inputs: The partitions that each input was resolved to, with values as text, tip first.
        missing: The partitions of `inputs` that did not exist.
        records: One per target.
        started: When it started, UTC; None while queued.
        ended: When it finished, UTC; None until then.
        run_id: The Dagster run.
        error: Why it failed; None if it did not.
        dimensions: The dimensions of its node, as `('region STRING', 'day DAY')`; empty if not recorded.
        versions: The version of each of `inputs` that was read, empty if it did not exist; no entry if they were not
            recorded.
    """

    id: str
    node: str
    partition: tuple[str, ...]
    status: str
    inputs: Mapping[str, list[tuple[str, ...]]] = field(default_factory=dict)
    missing: Mapping[str, list[tuple[str, ...]]] = field(default_factory=dict)
    records: tuple[ComputeRecord, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    run_id: str | None = None
    error: str | None = None
    dimensions: tuple[str, ...] = ()
    versions: Mapping[str, list[str]] = field(default_factory=dict)

    def to_fields(self) -> dict[str, Any]:
        """Returns the execution as JSON fields."""
        return _jsonable(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Execution:
        """Reads what `to_fields` wrote."""
        values = dict(fields)
        values["partition"] = tuple(values["partition"])
        values["dimensions"] = tuple(values.get("dimensions", ()))
        values["records"] = tuple(
            ComputeRecord(
                **{
                    **record,
                    "partition": tuple(record["partition"]),
                    "started": _moment(record["started"]),
                    "ended": _moment(record["ended"]),
                }
            )
            for record in values["records"]
        )
        for name in ("inputs", "missing"):
            values[name] = {alias: [tuple(p) for p in partitions] for alias, partitions in values[name].items()}
        values["started"], values["ended"] = _moment(values["started"]), _moment(values["ended"])
        return cls(**values)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value
