"""DuckDB stays warm between the tasks of a process, and no task sees anything of another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.session import warm_session

duckdb = pytest.importorskip("duckdb")


def opened(root: Path, memory_limit: str = "200MB"):
    return warm_session(Store(root), threads=1, memory_limit=memory_limit)


def test_the_next_task_of_a_root_finds_the_same_warm_engine(tmp_path):
    with opened(tmp_path) as first:
        pass
    with opened(tmp_path) as second:
        assert second is first


def test_tasks_at_the_same_time_have_an_engine_each(tmp_path):
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.execute("CREATE TABLE t AS SELECT 1 AS a")
        with pytest.raises(duckdb.CatalogException):
            second.execute("SELECT * FROM t")


def test_a_task_sees_nothing_that_another_left(tmp_path):
    with opened(tmp_path) as connection:
        connection.execute(
            "CREATE VIEW v AS SELECT 1 AS a; CREATE TABLE t AS SELECT 2 AS b; CREATE TEMP TABLE u (c INT)"
        )
    with opened(tmp_path) as again:
        assert again is connection
        assert again.execute("SELECT table_name FROM information_schema.tables").fetchall() == []


def test_other_roots_and_limits_have_engines_of_their_own(tmp_path):
    with opened(tmp_path / "one") as first:
        pass
    with opened(tmp_path / "two") as second, opened(tmp_path / "one", "100MB") as third:
        assert len({id(first), id(second), id(third)}) == 3
        (tmp_path / "one" / "s3" / "a.csv").write_text("n\n1\n")
        with pytest.raises(duckdb.PermissionException):
            second.execute(f"SELECT * FROM read_csv('{tmp_path}/one/s3/a.csv')")
        assert third.execute(f"SELECT * FROM read_csv('{tmp_path}/one/s3/a.csv')").fetchall() == [(1,)]


def test_a_warm_engine_stays_locked(tmp_path):
    for _ in range(2):
        with opened(tmp_path) as connection:
            pass
    with opened(tmp_path) as connection, pytest.raises(duckdb.Error, match="locked"):
        connection.execute("SET threads = 9")


def test_a_task_that_fails_leaves_no_engine_behind(tmp_path):
    with pytest.raises(duckdb.Error), opened(tmp_path) as first:
        first.execute("SELECT nonsense")
    with opened(tmp_path) as second:
        assert second is not first
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_an_engine_that_spilled_is_closed_and_its_files_are_gone(tmp_path):
    with opened(tmp_path, "20MB") as first:
        first.execute("CREATE TABLE t AS SELECT md5(i::VARCHAR) AS m FROM range(1500000) r(i)")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".presto-")]
    assert [path.name for path in tmp_path.iterdir()] == ["s3"]
    with opened(tmp_path, "20MB") as second:
        assert second is not first


def test_a_file_that_is_written_again_is_read_anew(tmp_path):
    file = tmp_path / "s3" / "n.parquet"
    for number in (1, 2, 3):
        file.parent.mkdir(exist_ok=True)
        duckdb.execute(f"COPY (SELECT {number} AS n) TO '{file}' (FORMAT parquet)")
        with opened(tmp_path) as connection:
            assert connection.execute(f"SELECT n FROM read_parquet('{file}')").fetchall() == [(number,)]


def test_engines_go_from_thread_to_thread(tmp_path):
    found: list[int] = []

    def work() -> None:
        with opened(tmp_path) as connection:
            found.extend(connection.execute("SELECT 7 // 2").fetchone())

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [3, 3, 3]


def test_only_a_few_idle_engines_are_kept(tmp_path):
    connections = []
    for number in range(4):
        with opened(tmp_path / str(number)) as connection:
            connections.append(connection)
    with pytest.raises(duckdb.ConnectionException):
        connections[0].execute("SELECT 1")
    connections[3].execute("SELECT 1")
