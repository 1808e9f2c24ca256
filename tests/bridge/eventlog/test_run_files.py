"""A run's file that is copied, against one that Dagster makes itself."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef

from rheo_assets.bridge.eventlog.run_files import copy_empty_run_files

RUNS = [f"0f0f0f0f-0000-4000-8000-00000000000{n}" for n in range(4)]


@pytest.fixture
def folder(tmp_path: Path, empty_dagster_home: Path) -> Path:
    shutil.copytree(empty_dagster_home, tmp_path / "dagster")
    return tmp_path / "dagster"


@pytest.fixture
def instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as opened:
        copy_empty_run_files(opened)
        yield opened


def say(instance: dg.DagsterInstance, run_id: str, text: str) -> None:
    run = dg.DagsterRun("job", run_id=run_id)
    instance.report_engine_event(text, run)


def said(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.message for entry in instance.all_logs(run_id)]


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [*connection.iterdump(), *map(str, connection.execute("pragma journal_mode"))]


def test_a_copied_file_is_what_dagster_makes(instance, folder):
    copied = [dump(folder / "history" / "runs" / f"{run}.db") for run in RUNS[:2] if said(instance, run) == []]
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as plain:
        assert said(plain, RUNS[3]) == []
    assert copied == [dump(folder / "history" / "runs" / f"{RUNS[3]}.db")] * 2
    assert "CREATE TABLE event_logs" in "\n".join(copied[0])
    assert not list((folder / "history" / "runs").glob(".*"))


def test_each_run_has_its_own_events_and_another_process_reads_them(instance, folder):
    for run in RUNS:
        say(instance, run, f"in {run}")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as plain:
        assert [said(plain, run) for run in RUNS] == [[f"in {run}"] for run in RUNS]


def test_a_file_that_is_there_keeps_what_is_in_it(instance, folder):
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as plain:
        say(plain, RUNS[0], "before")
    say(instance, RUNS[0], "after")
    assert said(instance, RUNS[0]) == ["before", "after"]


def test_instances_that_begin_one_run_at_once_lose_no_event(folder):
    instances = [dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) for _ in range(4)]
    for one in instances:
        copy_empty_run_files(one)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: say(instances[n], RUNS[0], f"from {n}"), range(4)))
    assert sorted(said(instances[0], RUNS[0])) == [f"from {n}" for n in range(4)]
    for one in instances:
        one.dispose()
