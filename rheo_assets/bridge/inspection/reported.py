"""Reports without data: materialisations that somebody reported to Dagster, and that start nothing."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from rheo_assets.bridge.eventlog.entries import event_fields
from rheo_assets.bridge.loop.session import Session
from rheo_assets.bridge.names import asset_key
from rheo_assets.errors import Contradiction, Undetermined
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode, ExternalData

_LATELY = 5


def reported_without_data(session: Session, node: DataNode, partition: Partition) -> list[str]:
    """Returns a sentence for the partition itself, and each input of it, that was reported and has no complete data."""
    return [
        f"{signal.describe(reported)} was reported as materialised, but {folder} has no complete data, so the report "
        f"starts nothing. {_remedy(signal)}"
        for signal, reported in {(signal.id, p): (signal, p) for signal, p in _keys(node, partition)}.values()
        if not session.binding.readiness.is_ready(signal, reported) and _is_reported(session, signal, reported)
        for folder in [session.binding.readiness.folder(signal, reported)]
    ]


def _keys(node: DataNode, partition: Partition) -> Iterator[tuple[DataNode | ExternalData, Partition]]:
    yield node, partition
    try:
        tips = node.linkage.resolve_output(partition)
    except (Undetermined, Contradiction):
        return
    for alias, view in node.inputs.items():
        if isinstance(view.node, DataNode | ExternalData) and view.needs_event:
            yield view.node, tips[alias]


def _is_reported(session: Session, signal: DataNode | ExternalData, partition: Partition) -> bool:
    """Returns whether the last word about a partition is a driver's that found nothing."""
    key = session.binding.codec(signal).encode(partition)
    records = session.driver.log.of_asset(
        asset_key(signal.application, signal.id),
        [key] if key else None,
        limit=_LATELY,
        kinds=[dg.DagsterEventType.ASSET_OBSERVATION],
    )
    found = (event_fields(record.asset_observation.metadata) for record in records if record.asset_observation)
    looks = [fields for fields in found if fields.get("kind") == "looked_at"]
    return bool(looks) and looks[0]["identity"] is None


def _remedy(signal: DataNode | ExternalData) -> str:
    if isinstance(signal, DataNode):
        return "Execute it instead"
    names = signal.protocol.files if signal.protocol is not None else ()
    return "Write its data" + (f", and {names[0]} last" if names else "")
