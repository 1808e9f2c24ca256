"""The private names of Dagster that `bridge/dagster_internals.py` relies on, one test per name.

Each was seen in dagster 1.13.27. When a test fails, Dagster has changed: read its new code, change
`dagster_internals.py`, and write the new release here.
"""

from __future__ import annotations

import inspect
import re
import shutil
import warnings
from pathlib import Path

import dagster as dg
import pytest
from packaging.version import Version

from rheo_assets.bridge import dagster_internals as internals

SEEN_IN = Version("1.13.27")
BRIDGE = Path(internals.__file__).parents[1]


@pytest.fixture
def storage(tmp_path: Path, empty_dagster_home: Path):
    shutil.copytree(empty_dagster_home, tmp_path / "dagster")
    with dg.DagsterInstance.from_ref(internals.InstanceRef.from_dir(str(tmp_path / "dagster"))) as instance:
        yield instance.event_log_storage


def test_this_dagster_is_of_the_minor_release_in_which_the_names_were_seen():
    assert Version(dg.__version__).release[:2] == SEEN_IN.release[:2]


def test_no_other_module_takes_a_private_name_of_dagster():
    private = re.compile(r"dagster\._|from dagster import .*\b_")
    offenders = [
        str(f) for f in BRIDGE.rglob("*.py") if f.name != "dagster_internals.py" and private.search(f.read_text())
    ]
    assert not offenders


def test_every_name_is_there_and_used():
    texts = "\n".join(f.read_text() for f in BRIDGE.rglob("*.py") if f.name != "dagster_internals.py")
    for name in internals.__all__:
        assert hasattr(internals, name)
        assert name in texts, f"{name} is not used: delete it"


def test_instance_ref_opens_a_folder_with_settings_that_replace_those_of_its_file(tmp_path):
    reference = internals.InstanceRef.from_dir(str(tmp_path), overrides={"compute_logs": internals.NO_LOG_CAPTURE})
    with dg.DagsterInstance.from_ref(reference) as instance:
        assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"


def test_the_storage_of_a_folder_is_the_sqlite_one_and_writes_in_order(storage):
    assert isinstance(storage, internals.SqliteEventLogStorage)
    assert isinstance(storage, internals.WRITES_IN_ORDER)


def test_the_storage_of_an_ephemeral_instance_writes_in_order():
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(instance.event_log_storage, internals.WRITES_IN_ORDER)


def test_initdb_takes_an_engine_and_whether_it_is_the_index(storage):
    assert list(inspect.signature(storage._initdb).parameters) == ["engine", "for_index_shard"]


def test_create_engine_opens_a_sqlite_file(tmp_path):
    engine = internals.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select 1").scalar() == 1


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_event_to_row", ["event"]),
        ("_store_asset_event_tags", ["conn", "events", "event_ids"]),
        ("_store_asset_event", ["conn", "event", "event_id"]),
    ],
)
def test_the_storage_has_the_methods_that_a_batch_needs(storage, method, parameters):
    found = list(inspect.signature(getattr(storage, method)).parameters)
    assert found[: len(parameters)] == parameters


def test_the_storage_locks_with_db_lock(storage):
    assert hasattr(storage, "_db_lock")
    assert hasattr(storage, "run_connection")
    assert hasattr(storage, "index_transaction")


def test_an_instance_asks_for_its_batch_size_by_this_name():
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(instance._get_event_batch_size(), int)


def test_only_a_storage_that_can_write_batches_gets_them(monkeypatch):
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        internals.enable_event_batches(instance, 7, lambda _storage, _events: None)
        assert instance._get_event_batch_size() == 0

        class Batching(type(instance.event_log_storage)):
            """Stands for PostgreSQL's, which has a statement for a whole batch."""

            def store_event_batch(self, events):
                return super().store_event_batch(events)

        instance.event_log_storage.__class__ = Batching
        internals.enable_event_batches(instance, 7, lambda _storage, _events: None)
        assert instance._get_event_batch_size() == 7


def test_a_sensor_state_has_the_fields_that_tell_whether_its_daemon_is_alive():
    data = internals.SensorInstigatorData(last_tick_start_timestamp=1.0, min_interval=5)
    assert (data.last_tick_start_timestamp, data.min_interval) == (1.0, 5)
    assert {status.name for status in internals.InstigatorStatus} >= {"RUNNING", "STOPPED", "DECLARED_IN_CODE"}
    assert internals.InstigatorType.SENSOR


def test_define_asset_job_returns_an_unresolved_asset_job():
    assert isinstance(dg.define_asset_job("job"), internals.UnresolvedAssetJobDefinition)


def test_a_wrong_argument_of_an_asset_is_a_check_error():
    with pytest.raises(internals.CheckError):
        dg.AssetSpec("node", owners="not a list")


def test_disable_dagster_warnings_silences_what_is_marked_beta():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with internals.disable_dagster_warnings():
            dg.MultiPartitionMapping({})
    assert not [warning for warning in heard if "beta" in str(warning.message)]
    with pytest.warns(Warning, match="beta"):
        dg.MultiPartitionMapping({})


def test_a_step_tells_its_blocking_checks_and_whether_its_process_executes_the_whole_run():
    seen = []

    @dg.asset
    def table(context):
        seen.append((internals.blocking_checks(context), internals.is_whole_run_here(context)))

    def check(name: str, blocking: bool) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=table, name=name, blocking=blocking)
        def passes() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        return passes

    checks = [check("two", True), check("soft", False), check("one", True)]
    job = dg.Definitions(assets=[table], asset_checks=checks).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance)
        job.execute_in_process(instance=instance, asset_selection=[table.key])
        job.get_subset(asset_selection={table.key}, asset_check_selection=set()).execute_in_process(instance=instance)
    assert seen == [(["one", "two"], True), (["one", "two"], True), ([], True)]
