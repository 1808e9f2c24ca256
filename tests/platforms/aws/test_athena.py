"""Presto SQL on Athena: real queries over what lies in S3, by the shapes of Athena's own calls.

What every engine promises is in `test_engine_contract.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rheo_assets import PrestoSQL
from rheo_assets.errors import CapabilityMissing
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.athena.names import give_names
from rheo_assets.platforms.aws.athena.queries import AthenaQueries, AthenaSettings
from rheo_assets.platforms.aws.athena.tables import Tables, database_name
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.service import Phase
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.presto.session import literal
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult
from tests.platforms.aws.doubles.athena import AthenaDouble
from tests.platforms.aws.doubles.engines import home, patient
from tests.platforms.aws.doubles.world import World

BUCKET = "rheo-shop"
OUT = f"s3://{BUCKET}/internal_data/daily/NA/2024-01-02"


@dataclass
class Bench:
    """A query engine over a bucket of moto's, with an Athena that answers."""

    s3: Any
    glue: Any
    storage: Any
    double: AthenaDouble
    engine: RemoteEngine
    folder: Path

    def put(self, uri: str, sql: str, kind: str = "parquet", options: str = "") -> None:
        """Lands the rows of a DuckDB query as one file."""
        path = self.folder / f"file.{kind}"
        duckdb.execute(f"COPY ({sql}) TO '{path}' (FORMAT {kind}{options})")
        self.storage.write(f"{uri}/part-0.{kind}", path.read_bytes())

    def rows(self, kind: str = "parquet") -> list[tuple[Any, ...]]:
        """Returns the rows that lie in the output, sorted."""
        prefix = f"{OUT.removeprefix('s3://' + BUCKET + '/')}/"
        found: list[tuple[Any, ...]] = []
        for item in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ()):
            path = self.folder / Path(item["Key"]).name
            self.s3.download_file(BUCKET, item["Key"], str(path))
            read = {"parquet": "read_parquet", "json": "read_json", "csv": "read_csv"}[kind]
            found += duckdb.execute(f"SELECT * FROM {read}('{path}')").fetchall()
        return sorted(found)

    def run(self, task: Task, told: Callable[[str], None] = lambda _: None) -> TaskResult:
        """Runs the task to its end."""
        return self.engine.run(task, told, lambda: False)


@pytest.fixture
def bench(world: World, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    world.reset(BUCKET)
    s3, glue = world.clients.client("s3"), world.clients.client("glue")
    double = AthenaDouble(world.clients, scratch / "athena")
    double.replace(monkeypatch)
    engine = patient(AthenaQueries(Account(world.clients, world.storage, home), AthenaSettings()), slowest=0.1)
    return Bench(s3, glue, world.storage, double, engine, tmp_path)


def orders(days: int = 1, **more: Any) -> TaskInput:
    paths = tuple(f"s3://{BUCKET}/in/2024-01-{day:02}" for day in range(days, 0, -1))
    partitions = tuple((path.rsplit("/", 1)[-1],) for path in paths)
    return TaskInput("orders", paths, partitions=partitions, **more)


def task(sql: str, *inputs: TaskInput, kind: str = "parquet", token: str = "t-0", **more: Any) -> Task:
    dimensions = {"region": "NA", "day": "2024-01-02"}
    output = TaskOutput(OUT, kind, more.pop("options", {}))
    return Task("daily", "PRESTO_SQL", sql, tuple(inputs), output, dimensions, application="shop", token=token, **more)


def land(bench: Bench, days: int = 1) -> None:
    for day in range(1, days + 1):
        sql = f"SELECT {day}::BIGINT AS id, {day} * 1.5 AS amount, 'o{day}' AS name, DATE '2024-01-01' AS at"
        bench.put(f"s3://{BUCKET}/in/2024-01-{day:02}", sql)


def test_a_query_unloads_its_rows_and_tells_what_they_are(bench: Bench) -> None:
    land(bench)
    result = bench.run(task("SELECT name, amount * 2 AS twice, '{day}' AS day FROM orders WHERE id = 1", orders()))
    assert bench.rows() == [("o1", 3.0, "2024-01-02")]
    assert (result.rows, result.preview) == (1, ({"name": "o1", "twice": "3.0", "day": "2024-01-02"},))
    assert [name for name, _ in result.schema] == ["name", "twice", "day"]
    assert (result.metadata["bytes scanned"], result.metadata["engine seconds"]) == (1234, 0.25)
    assert result.metadata["cost estimate (USD)"] == pytest.approx(0.000052, abs=1e-6)
    assert "athena/home?region=us-east-1" in result.metadata["job page"]["value"]
    assert result.engine == "Athena (primary)"


def workgroup(world: World, name: str = "team", **configuration: Any) -> None:
    settings = {"EnforceWorkGroupConfiguration": False, **configuration}
    world.clients.client("athena").create_work_group(Name=name, Configuration=settings)


@pytest.mark.parametrize("may_look", [True, False])
@pytest.mark.parametrize(
    ("configuration", "place"),
    [
        ({}, f"s3://{BUCKET}/athena/"),
        ({"ResultConfiguration": {"OutputLocation": "s3://team/"}}, f"s3://{BUCKET}/athena/"),
        ({"ManagedQueryResultsConfiguration": {"Enabled": True}}, "managed"),
        (
            {"ResultConfiguration": {"OutputLocation": "s3://team/"}, "EnforceWorkGroupConfiguration": True},
            "s3://team/",
        ),
    ],
)
def test_a_workgroup_has_the_last_word_on_where_results_go(
    bench: Bench, world: World, configuration: dict[str, Any], place: str, may_look: bool
) -> None:
    workgroup(world, **configuration)
    if not may_look:
        bench.double.refuse("get_work_group", "AccessDeniedException", times=1)
    land(bench)
    engine = patient(AthenaQueries(Account(world.clients, world.storage, home), AthenaSettings("team")), slowest=0.1)
    result = engine.run(task("SELECT id FROM orders WHERE id > 1", orders()), lambda _: None, lambda: False)
    assert (result.rows, [name for name, _ in result.schema]) == (0, ["id"])
    assert bench.double.settings == [("team", place)] * 2, "the query, and the one that asks for the columns of no row"


def test_a_workgroup_that_becomes_managed_while_a_process_runs_is_no_failure(bench: Bench, world: World) -> None:
    workgroup(world)
    land(bench)
    engine = patient(AthenaQueries(Account(world.clients, world.storage, home), AthenaSettings("team")), slowest=0.1)
    engine.run(task("SELECT id FROM orders", orders()), lambda _: None, lambda: False)
    world.clients.client("athena").delete_work_group(WorkGroup="team")
    workgroup(world, ManagedQueryResultsConfiguration={"Enabled": True})
    engine.run(task("SELECT id FROM orders", orders(), token="t-1"), lambda _: None, lambda: False)
    assert [place for _, place in bench.double.settings] == [f"s3://{BUCKET}/athena/", "managed"]


def test_a_workgroup_that_does_not_exist_is_named(bench: Bench, world: World) -> None:
    land(bench)
    engine = patient(AthenaQueries(Account(world.clients, world.storage, home), AthenaSettings("taem")))
    with pytest.raises(TaskFailure, match="WorkGroup taem is not found"):
        engine.run(task("SELECT id FROM orders", orders()), lambda _: None, lambda: False)


@pytest.mark.parametrize(
    ("kind", "options", "names"),
    [
        ("parquet", {}, ["part-00000.parquet"]),
        ("json", {}, ["part-00000.json"]),
        ("csv", {"delimiter": ","}, ["part-00000.csv"]),
        ("json", {"compression": "gzip"}, ["part-00000.json.gz"]),
    ],
)
def test_files_have_the_names_and_the_packing_that_the_laptop_gives_them(
    bench: Bench, tmp_path: Path, kind: str, options: dict[str, Any], names: list[str]
) -> None:
    land(bench)
    made = task("SELECT id, name FROM orders", orders(), kind=kind, options=options)
    bench.run(made)
    assert list(bench.storage.children(OUT)) == names
    assert bench.rows(kind) == [(1, "o1")]
    local = LocalStorage(tmp_path / "laptop")
    local.write(f"s3://{BUCKET}/in/2024-01-01/part-0.parquet", (bench.folder / "file.parquet").read_bytes())
    PrestoEngine(tmp_path / "laptop").run(made, print, lambda: False)
    assert [name for name in local.children(OUT) if not name.startswith("_")] == names


def test_names_are_given_once_whatever_dies_in_between(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.storage.write(f"{OUT}/2024_{name}", name.encode())
    output = TaskOutput(OUT)
    give_names(bench.storage, output, f"s3://{BUCKET}/jobs/t-0/names.json")
    bench.storage.write(f"{OUT}/2024_b", b"b")  # what a driver leaves that dies before the last deletion
    give_names(bench.storage, output, f"s3://{BUCKET}/jobs/t-0/names.json")
    found = {name: bench.storage.read(f"{OUT}/{name}") for name in bench.storage.children(OUT)}
    assert found == {"part-00000.parquet": b"a", "part-00001.parquet": b"b", "part-00002.parquet": b"c"}


def test_a_query_goes_where_its_settings_say_with_a_token_of_its_own(bench: Bench, world: World) -> None:
    land(bench)
    workgroup(world)
    bench.double.hold = True
    settings = AthenaSettings("team", f"s3://{BUCKET}/results/")
    service = AthenaQueries(Account(world.clients, world.storage, home), settings)
    made = task("SELECT {least} AS least FROM orders", orders(), args={"least": 3})
    first, again = service.submit(made), service.submit(made)
    other = service.submit(replace(made, token="t-1"))
    assert first == again != other, "a repeated start is answered with the query that there is"
    assert all(len(token) == 64 for token in bench.double.tokens), "as long as ClientRequestToken wants it"
    assert bench.double.settings == [("team", f"s3://{BUCKET}/results/")] * 2
    assert bench.double.queries[first].sql.startswith("UNLOAD (\nSELECT 3 AS least FROM orders\n) TO 's3://")
    for job in (first, other):
        service.stop(job)
    assert {state.phase for state in service.states([first, other]).values()} == {Phase.STOPPED}


@pytest.mark.parametrize("kind", ["parquet", "json", "csv"])
def test_inputs_of_each_format_have_their_types(bench: Bench, kind: str) -> None:
    sql = "SELECT 1 AS id, 2.5::DOUBLE AS amount, 'a, \"b\"' AS name UNION ALL SELECT 2, NULL, 'c'"
    bench.put(f"s3://{BUCKET}/in/2024-01-01", sql, kind, ", header true" if kind == "csv" else "")
    query = "SELECT id + 1 AS id, amount, name FROM orders"
    assert bench.run(task(query, orders(format=kind), kind="json")).rows == 2
    assert bench.rows("json") == [(2, 2.5, 'a, "b"'), (3, None, "c")]


def test_a_csv_with_backslashes_quotes_and_blanks_is_read_as_on_the_laptop(bench: Bench) -> None:
    texts = ["C:\\new", "\\", 'a\\"b', 'a"b', '"', "a, b", " a ", "\\\\", "x"]
    rows = ", ".join(f"({number}, {literal(text)})" for number, text in enumerate(texts))
    sql = f"FROM (VALUES {rows}, ({len(texts)}, NULL)) v(id, name)"
    bench.put(f"s3://{BUCKET}/in/2024-01-01", sql, "csv", ", header true")
    assert bench.run(task("SELECT id, name FROM orders", orders(format="csv"), kind="json")).rows == len(texts) + 1
    assert bench.rows("json") == [*enumerate(texts), (len(texts), None)]


@pytest.mark.parametrize("kind", ["parquet", "json", "csv"])
def test_outputs_of_each_format_are_counted_and_shown(bench: Bench, kind: str) -> None:
    land(bench, 3)
    options = {"header": False, "delimiter": "|"} if kind == "csv" else {}
    result = bench.run(task("SELECT id, name FROM orders ORDER BY id", orders(3), kind=kind, options=options))
    assert (result.rows, len(result.preview)) == (3, 3)
    assert (
        list(result.preview[0])
        == [name for name, _ in result.schema]
        == (["_c0", "_c1"] if options else ["id", "name"])
    )
    assert bench.rows(kind) == [(1, "o1"), (2, "o2"), (3, "o3")]


def test_a_result_without_rows_keeps_its_columns(bench: Bench) -> None:
    land(bench)
    result = bench.run(task("SELECT id, name FROM orders WHERE id > 5", orders()))
    assert (result.rows, result.schema) == (0, (("id", "bigint"), ("name", "varchar")))
    path = bench.folder / "empty.parquet"
    path.write_bytes(bench.storage.read(f"{OUT}/part-00000.parquet"))
    assert duckdb.read_parquet(str(path)).columns == ["id", "name"]


def test_statements_before_the_last_make_tables_and_views_of_the_query(bench: Bench) -> None:
    land(bench, 2)
    script = (
        "CREATE TABLE big AS SELECT * FROM orders WHERE id > 1;\n"
        "CREATE VIEW named AS SELECT name FROM big;\n"
        "SELECT upper(name) AS name FROM named"
    )
    assert bench.run(task(script, orders(2))).rows == 1
    assert bench.rows() == [("O2",)]
    assert len(bench.double.queries) == 3


def after_the_first(bench: Bench, code: str) -> Callable[[str], None]:
    """Returns what makes the start of the second statement fail."""

    def told(_: str) -> None:
        bench.double.refuse("start_query_execution", code, times=1)

    return told


def test_a_later_statement_that_is_turned_away_is_started_later_and_none_is_left_out(bench: Bench) -> None:
    script = (
        "CREATE TABLE one AS SELECT 1 AS id;\nCREATE TABLE two AS SELECT id + 1 AS id FROM one;\nSELECT id FROM two"
    )
    assert bench.run(task(script), after_the_first(bench, "TooManyRequestsException")).rows == 1
    assert bench.rows() == [(2,)]
    assert len(bench.double.queries) == 3
    assert bench.double.calls["start_query_execution"] == 4


def test_a_later_statement_that_athena_does_not_take_fails_its_own_node_only(bench: Bench) -> None:
    script = "CREATE TABLE one AS SELECT 1 AS id;\nSELECT id FROM one"
    service = bench.engine.service
    other, job = service.submit(task("SELECT 1 AS id", token="other")), service.submit(task(script))
    bench.double.refuse("start_query_execution", "InvalidRequestException")
    seen: dict[str, Any] = {}
    deadline = time.monotonic() + 60
    while not all(state.phase.has_ended for state in seen.values()) or not seen:
        seen |= service.states([name for name in (other, job) if name not in seen or not seen[name].phase.has_ended])
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (seen[other].phase, seen[job].phase) == (Phase.SUCCEEDED, Phase.FAILED)
    assert "InvalidRequestException" in seen[job].reason


def test_a_wrong_query_is_told_with_the_lines_of_the_users_sql(bench: Bench) -> None:
    land(bench)
    with pytest.raises(TaskFailure, match=r"'daily': its query failed: .*nme") as told:
        bench.run(task("SELECT id,\n  nme\nFROM orders", orders()))
    assert told.value.kind == "user"
    assert bench.rows() == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE daily\nWITH (format = 'PARQUET') AS\nSELECT id, 'a;b' AS text FROM orders",
        f"UNLOAD (\n\nSELECT id, 'a;b' AS text FROM orders) TO '{OUT}/' WITH (format = 'PARQUET')",
    ],
)
def test_what_a_last_statement_writes_is_the_output_as_on_the_laptop(bench: Bench, sql: str) -> None:
    land(bench)
    bench.run(task(sql, orders()))
    assert bench.rows() == [(1, "a;b")]
    (query,) = bench.double.queries.values()
    assert query.sql.startswith("UNLOAD (\n\n\nSELECT id"), "on its own line, so that Athena's messages name it"


def test_a_query_without_a_result_is_refused_before_it_starts(bench: Bench) -> None:
    with pytest.raises(TaskFailure, match="'daily': the last statement has no result"):
        bench.run(task("CREATE VIEW x AS SELECT 1 AS one"))
    with pytest.raises(TaskFailure, match="the last statement writes to s3://lake/side, not to the node's output"):
        bench.run(task("UNLOAD (SELECT 1 AS one) TO 's3://lake/side' WITH (format = 'PARQUET')"))
    with pytest.raises(TaskFailure, match=r"no value for \{dya\}"):
        bench.run(task("SELECT '{dya}' AS day"))
    assert not bench.double.queries


def test_partitions_whose_columns_differ_are_refused_with_both_names(bench: Bench) -> None:
    land(bench)
    bench.put(f"s3://{BUCKET}/in/2024-01-02", "SELECT 'x' AS id, 1.5 AS amount, 'o' AS name, DATE '2024-01-01' AS at")
    with pytest.raises(TaskFailure, match=r"2024-01-02.*2024-01-01|2024-01-01.*2024-01-02"):
        bench.run(task("SELECT id FROM orders", orders(2)))


def test_declared_columns_are_those_of_the_table_whatever_the_files_have(bench: Bench, world: World) -> None:
    columns = (("id", "string"), ("amount", "decimal(10,2)"))
    for form in ("json", "parquet", "csv"):
        bench.storage.delete(f"s3://{BUCKET}/in")
        bench.put(f"s3://{BUCKET}/in/2024-01-01", "SELECT '1.10' AS amount, '007' AS id", form)
        made = task("SELECT id FROM orders", orders(format=form, columns=columns), token=form)
        (table,) = Tables(Account(world.clients, bench.storage, home)).make(made)
        assert table.columns == columns
        name = "orders__text" if form == "csv" else "orders"
        stored = bench.glue.get_table(DatabaseName=database_name(made), Name=name)["Table"]["StorageDescriptor"]
        found = [(column["Name"], column["Type"]) for column in stored["Columns"]]
        assert found == ([("amount", "string"), ("id", "string")] if form == "csv" else list(columns))
    assert table.view.endswith('SELECT CAST(NULLIF("id", \'\') AS varchar) AS "id", CAST(NULLIF("amount", \'\') '
                               'AS decimal(10,2)) AS "amount" FROM "orders__text"')  # fmt: skip


def test_csv_files_whose_columns_stand_in_another_order_are_refused_since_athena_goes_by_position(bench: Bench) -> None:
    for day, header in (("2024-01-01", "id,name"), ("2024-01-02", "name,id")):
        bench.storage.write(f"s3://{BUCKET}/in/{day}/a.csv", f"{header}\n1,2\n".encode())
    with pytest.raises(TaskFailure, match=r"by their position.*2024-01-0[12].*2024-01-0[12]"):
        bench.run(task("SELECT id FROM orders", orders(2, format="csv")))


def test_nothing_of_a_query_is_left_in_the_catalog(bench: Bench) -> None:
    land(bench)
    made = task("SELECT id FROM orders", orders())
    bench.run(made)
    with pytest.raises(TaskFailure):
        bench.run(replace(made, code="SELECT wrong FROM orders", token="t-1"))
    bench.double.refuse("start_query_execution", "AccessDeniedException")
    with pytest.raises(TaskFailure, match="may not call StartQueryExecution"):
        bench.run(replace(made, token="t-2"))
    with pytest.raises(TaskFailure, match="its input 'gone' has no data"):
        bench.run(replace(made, code="SELECT * FROM orders, gone", inputs=(orders(), TaskInput("gone")), token="t-3"))
    bench.double.outcome = ("SYSTEM", "GENERIC_INTERNAL_ERROR")
    with pytest.raises(TaskFailure, match="could not run"):
        bench.run(replace(made, token="t-4"))
    bench.double.outcome, bench.double.hold = None, True
    with pytest.raises(TaskFailure, match="was stopped"):
        bench.engine.run(replace(made, token="t-5"), print, lambda: bool(bench.double.calls))
    assert bench.glue.get_databases()["DatabaseList"] == []
    keys = [item["Key"] for item in bench.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
    assert not [key for key in keys if database_name(made) in key]


def test_leftovers_of_a_failed_attempt_do_not_stop_the_next(bench: Bench) -> None:
    land(bench)
    for name in ("part-old.parquet", "_hidden", "empty.parquet"):
        bench.storage.write(f"{OUT}/{name}", b"" if name.startswith("empty") else b"half")
    assert bench.run(task("SELECT id FROM orders", orders())).rows == 1
    assert bench.rows() == [(1,)]


def test_states_of_many_queries_are_asked_fifty_a_call(bench: Bench) -> None:
    land(bench)
    bench.double.hold = True
    service = bench.engine.service
    jobs = [service.submit(task("SELECT 1 AS one", token=f"t-{number}")) for number in range(53)]
    assert len(service.states(jobs)) == 53
    assert bench.double.batches == [50, 3]
    for job in jobs:
        service.stop(job)


def test_the_manifest_and_the_table_say_how_the_files_are_read(bench: Bench, world: World) -> None:
    bench.put(f"s3://{BUCKET}/in/2024-01-01", "SELECT 1 AS id, 'x' AS name", "csv", ", header true, delim '|'")
    given = orders(format="csv", options={"delimiter": "|", "header": True})
    made = task("SELECT id FROM orders", given)
    tables = Tables(Account(world.clients, bench.storage, home))
    (table,) = tables.make(made)
    assert table.columns == (("id", "int"), ("name", "string"))
    assert table.view.startswith('CREATE OR REPLACE VIEW "orders" AS SELECT CAST(NULLIF("id", \'\') AS integer)')
    stored = bench.glue.get_table(DatabaseName=database_name(made), Name="orders__text")["Table"]
    assert stored["StorageDescriptor"]["SerdeInfo"]["Parameters"]["separatorChar"] == "|"
    assert stored["Parameters"]["skip.header.line.count"] == "1"
    manifest = bench.storage.read(f"{stored['StorageDescriptor']['Location']}/manifest").decode()
    assert manifest == f"s3://{BUCKET}/in/2024-01-01/part-0.csv"
    assert json.dumps(table.columns)


def test_sql_that_is_longer_than_athena_takes_is_refused_before_it_runs(bench: Bench) -> None:
    bench.engine.check_target(PrestoSQL("select '" + "x" * 258_000 + "'"), "shop")
    with pytest.raises(CapabilityMissing, match="its SQL has 258,049 bytes; Athena takes 258,048"):
        bench.engine.check_target(PrestoSQL("select '" + "ö" * 129_020 + "'"), "shop")


def test_a_query_that_its_workgroup_cuts_off_is_not_taken_for_one_that_somebody_stopped(
    bench: Bench, world: World
) -> None:
    land(bench)
    bench.double.hold = True
    service = AthenaQueries(Account(world.clients, world.storage, home), AthenaSettings())
    made = task("SELECT id FROM orders", orders())
    job = service.submit(made)
    query = bench.double.queries[job]
    query.state, query.error = "CANCELLED", {"ErrorMessage": "Query cancelled! : Bytes scanned limit was exceeded"}
    query.ended.set()
    (state,) = service.states([job]).values()
    assert (state.phase, "limit was exceeded" in service.failure(made, job, state).message) == (Phase.FAILED, True)
