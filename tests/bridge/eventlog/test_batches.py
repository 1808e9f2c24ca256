"""Events that are stored together, against Dagster's own way of storing one after the other on SQLite."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.events import AssetMaterializationPlannedData, DagsterEventBatchMetadata, StepMaterializationData
from dagster._core.instance import InstanceRef

from rheo_assets.bridge.eventlog.batches import store_in_batches

RUN = "0f0f0f0f-0000-4000-8000-000000000000"
MADE_AT = {"create_timestamp", "migration_completed"}
DAYS = [f"2024-01-{day:02}" for day in range(1, 8)]
ORDERS, PRICES = dg.AssetKey(["app", "orders"]), dg.AssetKey(["app", "prices"])


@pytest.fixture
def instances(tmp_path: Path, empty_dagster_home: Path) -> Iterator[tuple[dg.DagsterInstance, dg.DagsterInstance]]:
    """One instance that stores in batches, and one as Dagster opens it."""
    for name in ("batches", "single"):
        shutil.copytree(empty_dagster_home, tmp_path / name)
    references = [InstanceRef.from_dir(str(tmp_path / name)) for name in ("batches", "single")]
    with dg.DagsterInstance.from_ref(references[0]) as batches, dg.DagsterInstance.from_ref(references[1]) as single:
        store_in_batches(batches)
        yield batches, single


def entry(number: int, event: DagsterEvent) -> EventLogEntry:
    return EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=RUN,
        timestamp=1_700_000_000.0 + number,
        step_key="step",
        job_name="job",
        dagster_event=event,
    )


def planned(number: int, key: dg.AssetKey, day: str) -> EventLogEntry:
    data = AssetMaterializationPlannedData(key, partition=day)
    return entry(number, DagsterEvent.build_asset_materialization_planned_event("job", "step", data))


def materialised(number: int, key: dg.AssetKey, day: str) -> EventLogEntry:
    materialization = dg.AssetMaterialization(
        key, partition=day, metadata={"number": number}, tags={"dagster/data_version": f"v{number}", "other": "tag"}
    )
    event = DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value,
        "job",
        step_key="step",
        event_specific_data=StepMaterializationData(materialization),
    )
    return entry(number, event)


def report(instance: dg.DagsterInstance, name: str, events: list[EventLogEntry]) -> None:
    for event in events:
        instance.handle_new_event(event, batch_metadata=DagsterEventBatchMetadata(name, event is events[-1]))


def tables(instance: dg.DagsterInstance) -> dict[str, list[Any]]:
    """Returns every row of the run's file and of the index, but for the times at which the files were made."""
    files = Path(instance.root_directory) / "history" / "runs"
    found = {}
    for name in ("index", RUN):
        with sqlite3.connect(files / f"{name}.db") as connection:
            for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
                kept = ", ".join(f'"{column}"' for column in columns if column not in MADE_AT)
                found[f"{name}.{table}"] = connection.execute(f"select {kept} from {table}").fetchall()
    return found


def test_what_is_stored_together_is_what_dagster_stores_one_by_one(instances):
    for instance in instances:
        report(instance, "planned", [planned(n, ORDERS, day) for n, day in enumerate(DAYS)])
        report(instance, "first", [materialised(10 + n, ORDERS, day) for n, day in enumerate(DAYS)])
        report(instance, "again", [materialised(20 + n, ORDERS, day) for n, day in enumerate(reversed(DAYS))])
        report(instance, "two", [planned(30 + n, key, DAYS[n]) for n, key in enumerate([PRICES, ORDERS] * 3)])
        report(instance, "one", [materialised(40, PRICES, DAYS[0])])
    batches, single = (tables(instance) for instance in instances)
    assert len(batches["index.event_logs"]) == 3 * len(DAYS) + 7
    assert len(batches["index.asset_event_tags"]) == 2 * len(DAYS) + 1
    assert batches == single


def test_an_instance_reads_what_was_stored_together(instances):
    batches, _ = instances
    report(batches, "first", [materialised(n, ORDERS, day) for n, day in enumerate(DAYS)])
    assert batches.get_materialized_partitions(ORDERS) == set(DAYS)
    latest = batches.get_latest_materialization_event(ORDERS)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.partition == DAYS[-1]
    assert len(batches.all_logs(RUN)) == len(DAYS)


def test_many_events_are_stored_in_several_transactions_and_none_is_left_over(instances):
    batches, _ = instances
    report(batches, "many", [planned(n, ORDERS, f"key-{n}") for n in range(1203)])
    partitions = [row[-1] for row in tables(batches)["index.event_logs"]]
    assert partitions == [f"key-{n}" for n in range(1203)]


def test_a_batch_that_fails_leaves_nothing_behind_twice(instances, capsys):
    batches, _ = instances
    report(batches, "before", [materialised(0, ORDERS, DAYS[0])])
    index = Path(batches.root_directory) / "history" / "runs" / "index.db"
    with sqlite3.connect(index) as connection:
        connection.execute(
            f"create trigger refuse before insert on event_logs when new.partition = '{DAYS[3]}' "
            "begin select raise(abort, 'refused'); end"
        )
    with pytest.raises(Exception, match="refused"):
        report(batches, "failing", [materialised(n, ORDERS, DAYS[n]) for n in range(1, 5)])
    assert "refused" in capsys.readouterr().err
    found = tables(batches)
    # Dagster's own way, one by one, begins anew and gets as far as the refused one: in the run's log, not in the index.
    assert [row[-1] for row in found["index.event_logs"]] == DAYS[:3]
    assert [row[-1] for row in found[f"{RUN}.event_logs"]] == DAYS[:4]
