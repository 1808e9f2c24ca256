"""What the local Athena reads and writes: formats, locations, schemas, and its walls."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path

import pytest

from rheo_assets.runner.task import TaskInput, TaskOutput

duckdb = pytest.importorskip("duckdb")
_spec = importlib.util.spec_from_file_location("presto_lake", Path(__file__).with_name("test_presto.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Lake, OUT = _module.Lake, _module.OUT


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def dataset(fmt: str, *days: str, **options) -> TaskInput:
    return TaskInput(
        "t",
        tuple(f"s3://lake/t/{day}" for day in days),
        format=fmt,
        options=options,
        partitions=tuple((day,) for day in days),
    )


# Reading.


def test_csv_columns_are_named_by_the_header_and_typed_by_their_values(lake):
    lake.text("t/1/a.csv", 'n;x;when;name\n1;1.5;2021-09-20;"a;b"\n2;2;2021-09-21;\n')
    result = lake.run("select * from t order by n", dataset("csv", "1", delimiter=";"))
    assert [kind for _, kind in result.schema] == ["integer", "double", "date", "varchar"]
    assert [tuple(row.values()) for row in result.preview] == [
        (1, 1.5, "2021-09-20", "a;b"),
        (2, 2.0, "2021-09-21", None),
    ]


def test_csv_without_a_header_has_numbered_columns(lake):
    lake.text("t/1/a.csv", "1,a\n")
    assert lake.run("select * from t", dataset("csv", "1", header=False)).schema == (
        ("_c0", "integer"),
        ("_c1", "varchar"),
    )


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_csv_without_a_header_is_shown_as_the_next_node_reads_it(lake, compression):
    options = {"header": False, "compression": compression}
    made = lake.run("select 1 as a, 'x,\"y' as b", output=TaskOutput("s3://lake/t/1", "csv", options))
    assert made.schema == (("_c0", "integer"), ("_c1", "varchar"))
    assert made.preview == ({"_c0": 1, "_c1": 'x,"y'},)
    read = lake.run("select * from t", dataset("csv", "1", **options))
    assert (read.schema, read.preview) == (made.schema, made.preview)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_csv_may_begin_with_a_null_or_a_line_break(lake, compression):
    options = {"header": False, "compression": compression}
    for first, select in ((None, "cast(null as varchar)"), ("p\nq", "'p' || chr(10) || 'q'")):
        lake.run(f"select {select}", output=TaskOutput("s3://lake/t/1", "csv", options))
        assert lake.run("select * from t", dataset("csv", "1", **options)).preview == ({"_c0": first},)
        lake.run(f"select {select}, 1", output=TaskOutput("s3://lake/t/1", "csv", options))
        assert lake.run("select * from t", dataset("csv", "1", **options)).preview == ({"_c0": first, "_c1": 1},)


@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_an_empty_line_of_a_csv_is_no_row(lake, break_):
    lake.text("t/1/k=x/a.csv", break_.join(("", "1", "", '""', "", "2", "", "")))
    result = lake.run('select _c0, k, "$path" from t', dataset("csv", "1", header=False))
    assert [tuple(row.values()) for row in result.preview] == [
        (number, "x", "s3://lake/t/1/k=x/a.csv") for number in (1, None, 2)
    ]
    lake.text("t/2/a.csv", break_.join(("1,a", "", "2,b", "")))
    assert lake.run("select * from t", dataset("csv", "2", header=False)).rows == 2


def test_a_partition_that_is_written_again_has_its_new_columns(lake):
    for select, kind in (("1 AS a", "integer"), ("'x' AS a", "varchar"), ("2.5::DOUBLE AS a", "double")):
        file = lake.path("t/1/a.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        duckdb.execute(f"COPY (SELECT {select}) TO '{file}' (FORMAT parquet)")
        assert lake.run("select * from t", dataset("parquet", "1")).schema == (("a", kind),)


def test_json_text_that_looks_like_a_date_stays_text(lake):
    lake.text("t/1/a.json", '{"d": "2021-09-20", "m": {"k": [1]}, "n": null}\n')
    schema = dict(lake.run("select * from t", dataset("json", "1")).schema)
    assert schema == {"d": "varchar", "m": "row(k array(bigint))", "n": "varchar"}


def test_hidden_files_and_empty_parts_are_not_read(lake):
    lake.text("t/1/a.json", '{"a": 1}\n')
    for name in ("_SUCCESS", ".a.json.crc", "_temporary/0/b.json", "part-1.json"):
        lake.text(f"t/1/{name}", "" if name == "part-1.json" else "garbage")
    assert lake.rows("select * from t", dataset("json", "1")) == [(1,)]


def test_folders_below_a_partition_are_columns(lake):
    lake.put("select 1 as a", "t/1/region=N%2FA/x.parquet")
    lake.put("select 2 as a", "t/1/region=EU/x.parquet")
    assert lake.rows("select a, region from t order by a", dataset("parquet", "1")) == [(1, "N/A"), (2, "EU")]


def test_absent_partitions_are_named_in_a_warning(lake):
    orders = lake.orders(missing=("s3://lake/orders/2021-09-21",))
    result = lake.run("select count(*) from orders", orders)
    assert result.preview == ({"_col0": 2},)
    assert "without 1 of its 2 partitions" in result.warnings[0]
    assert "s3://lake/orders/2021-09-21" in result.warnings[0]


def test_an_absent_optional_input_fails_only_a_query_that_reads_it(lake):
    absent = TaskInput("extra", ("s3://lake/extra",), missing=("s3://lake/extra",), optional=True)
    assert lake.rows("select count(*) from orders", lake.orders(), absent) == [(3,)]
    assert "the input 'extra' is absent here (it is optional)" in lake.fails(
        "select * from extra", lake.orders(), absent
    )


def test_numbers_widen_and_nulls_fit_anything(lake):
    lake.text("t/1/a.json", '{"a": 1, "b": null}\n')
    lake.text("t/2/a.json", '{"a": 1.5, "b": "x"}\n')
    assert lake.rows("select * from t order by a", dataset("json", "1", "2")) == [(1.0, None), (1.5, "x")]


def test_a_number_that_becomes_text_is_refused_by_name(lake):
    lake.text("t/1/a.json", '{"a": 1}\n')
    lake.text("t/2/a.json", '{"a": "x"}\n')
    message = lake.fails("select * from t", dataset("json", "1", "2"))
    assert "the column 'a' of the input 't' has different types: bigint in 1, varchar in 2" in message
    lake.text("t/3/a.csv", "a\n1\n")
    lake.text("t/4/a.csv", "a\nx\n")
    assert "integer in 3, varchar in 4" in lake.fails("select * from t", dataset("csv", "3", "4"))


def test_a_column_that_some_partitions_lack_is_null_there_and_a_warning_says_so(lake):
    lake.text("t/1/a.json", '{"a": 1}\n')
    lake.text("t/2/a.json", '{"a": 1, "b": 2}\n')
    lake.put("select 1 as a", "t/3/a.parquet")
    lake.put("select 1 as a, 2 as b", "t/4/a.parquet")
    lake.text("t/5/a.csv", "a\n1\n")
    lake.text("t/6/a.csv", "a,b\n1,2\n")
    for fmt, old, new in (("json", "1", "2"), ("parquet", "3", "4"), ("csv", "5", "6")):
        result = lake.run("select a, b from t order by b", dataset(fmt, old, new))
        assert [tuple(row.values()) for row in result.preview] == [(1, 2), (1, None)]
        assert result.warnings == (f"input 't' has no column 'b' in {old}: it is null there",)


def test_a_parquet_type_that_changes_is_refused_by_name(lake):
    lake.put("select 1 as a", "t/1/a.parquet")
    lake.put("select 'x' as a", "t/2/a.parquet")
    message = lake.fails("select * from t", dataset("parquet", "2", "1"))
    assert "the column 'a' of the input 't' has different types: varchar in 2, integer in 1" in message


def test_damaged_and_empty_files_are_named(lake):
    lake.text("t/1/bad.parquet", "this is no parquet file at all")
    assert "the file s3://lake/t/1/bad.parquet cannot be read" in lake.fails("select * from t", dataset("parquet", "1"))
    lake.text("t/2/empty.parquet", "")
    assert "the file s3://lake/t/2/empty.parquet" in lake.fails("select * from t", dataset("parquet", "2"))
    lake.text("t/3/bad.json", '{"a": 1}\n{"a":\n')
    assert "s3://lake/t/3/bad.json" in lake.fails("select * from t", dataset("json", "3"))
    lake.text("t/4/bad.csv", "a,b\n1,2\n3\n")
    assert "s3://lake/t/4/bad.csv" in lake.fails("select * from t", dataset("csv", "4"))
    lake.text("t/5/_SUCCESS", "")
    assert "the input 't' has no data" in lake.fails("select * from t", dataset("parquet", "5"))


def test_orc_is_refused_with_what_to_use(lake):
    lake.text("t/1/a.orc", "ORC")
    assert "the format orc of the input 't' is not available in the local Athena: write it as parquet" in lake.fails(
        "select * from t", dataset("orc", "1")
    )
    assert "the output format orc" in lake.fails("select 1", output=TaskOutput(OUT, "orc"))


# Writing.


def test_the_partition_is_replaced_as_a_whole_and_gets_no_completion_file(lake):
    lake.text("out/day=2021-09-20/_SUCCESS", "")
    lake.text("out/day=2021-09-20/old.parquet", "old")
    lake.run("select 1 as a")
    assert [path.name for path in lake.path("out").iterdir()] == ["day=2021-09-20"]
    assert [path.name for path in lake.path("out/day=2021-09-20").iterdir()] == ["part-00000.parquet"]


def test_json_and_csv_are_written(lake):
    sql = "select 1 as a, 'x,y' as b"
    lake.run(sql, output=TaskOutput(OUT, "json"))
    assert lake.path("out/day=2021-09-20/part-00000.json").read_text() == '{"a":1,"b":"x,y"}\n'
    lake.run(sql, output=TaskOutput(OUT, "json", {"compression": "gzip"}))
    assert [path.name for path in lake.path("out/day=2021-09-20").iterdir()] == ["part-00000.json.gz"]
    lake.run(sql, output=TaskOutput(OUT, "csv", {"header": True}))
    assert lake.path("out/day=2021-09-20/part-00000.csv").read_text() == 'a,b\n1,"x,y"\n'
    lake.run(sql, output=TaskOutput(OUT, "csv", {"header": False, "delimiter": ";"}))
    assert lake.path("out/day=2021-09-20/part-00000.csv").read_text() == "1;x,y\n"


def test_a_result_of_no_rows_is_a_file_with_columns(lake):
    assert lake.run("select id from orders where false").rows == 0
    assert (
        duckdb.sql(f"DESCRIBE SELECT * FROM '{lake.path('out/day=2021-09-20/part-00000.parquet')}'").fetchall()[0][0]
        == "id"
    )


def test_created_tables_views_and_inserts_are_real_files(lake):
    rows = lake.rows(
        """
        create table big with (format = 'PARQUET', external_location = 's3://lake/big/{day}',
                               partitioned_by = array['customer'], write_compression = 'SNAPPY') as
            select id, amount, customer from orders where amount > 9;
        insert into big select id, amount, customer from orders where amount < 9;
        create or replace view v as select customer, sum(amount) as total from big group by customer;
        create table scratch as select 1 as x;
        drop table scratch;
        select * from v order by customer;
        """
    )
    assert rows == [("ann", 15.0), ("bob", 20.5)]
    base = lake.path("big/2021-09-20")
    assert sorted(path.name for path in base.iterdir()) == ["customer=ann", "customer=bob"]
    found = duckdb.sql(f"SELECT id, customer FROM read_parquet('{base}/*/*.parquet') ORDER BY id").fetchall()
    assert found == [(1, "ann"), (2, "bob"), (3, "ann")]


def test_a_last_create_table_is_the_output(lake):
    sql = "create table t with (format = 'JSON', external_location = 's3://lake/side') as select 1 as a"
    assert lake.rows(sql) == [(1,)]
    assert [path.name[-8:] for path in lake.path("side").iterdir()] == [".json.gz"]
    assert lake.path("out/day=2021-09-20/part-00000.parquet").exists()


def test_unload_writes_files(lake):
    lake.run(
        "unload (select 1 as a, 'x' as b) to 's3://lake/un' "
        "with (format = 'TEXTFILE', compression = 'NONE', field_delimiter = '|'); select 2 as c"
    )
    (file,) = lake.path("un").iterdir()
    assert file.read_text() == "1|x\n"


def test_unload_writes_a_null_of_the_only_column_of_a_text(lake):
    options = "format = 'TEXTFILE', compression = 'NONE', partitioned_by = array['day']"
    rows = "select * from (values (1, 'x'), (null, 'x')) as v(a, day)"
    lake.run(f"unload ({rows}) to 's3://lake/un' with ({options}); select 2 as c")
    (file,) = lake.path("un/day=x").iterdir()
    assert sorted(file.read_text().splitlines()) == ['""', "1"]


def test_a_location_with_data_is_refused_as_athena_does(lake):
    sql = "create table t with (external_location = 's3://lake/orders/2021-09-20') as select 1 as a; select 2 as b"
    assert "HIVE_PATH_ALREADY_EXISTS" in lake.fails(sql)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("insert into orders select * from orders; select 1", "only a table that this query created"),
        ("drop table orders; select 1", "only a table or view that this query created"),
        ("create table orders as select 1 as a; select 1", "is an input of the node"),
        ("insert into x values (1)", "the last statement has no result"),
        ("create table t with (format='ORC') as select 1 as a", "the format ORC is not available"),
        ("create table t with (bucket_count=3) as select 1 as a", "the table property bucket_count is not available"),
        (
            "create table t with (external_location='s3://lake/z', partitioned_by=array['a']) as select 1 as a, 2 as b",
            "are not the last columns",
        ),
        ("select 1 as a, 2 as A", "the column 'a' more than once"),
    ],
)
def test_statements_that_athena_or_the_node_would_not_allow_are_refused(lake, sql, reason):
    assert reason in lake.fails(sql)


# Walls.


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{secret}'",
        "attach '{secret}' as x; select 1",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "set threads = 9; select 1",
        "export database '{secret}'",
        "call pragma_version()",
        "select * from '{secret}'",
        'select * from "{secret}"',
        "select * from read_csv('{secret}')",
        "select * from read_text('{secret}')",
        "select * from glob('/*')",
        "select read_text('{secret}')",
        "select getenv('HOME')",
        "select current_setting('temp_directory')",
        "select * from duckdb_settings()",
        "select * from information_schema.tables",
        "select * from (select * from read_blob('{secret}'))",
        "with x as (select * from read_csv('{secret}')) select * from x",
        "create view v as select * from read_csv('{secret}'); select * from v",
        "select * from orders where exists (select 1 from query('select 1'))",
        "create table t with (external_location='s3://lake/../../x') as select 1 as a",
        "create table t with (external_location='s3://lake/%2e%2e/%2e%2e/x') as select 1 as a",
        "create table t with (external_location='s3://../x') as select 1 as a",
        "create table t with (external_location='{secret}') as select 1 as a",
        "unload (select 1 as a) to 'file://{secret}' with (format = 'JSON')",
        "explain analyze select 1",
        "delete from orders",
        "update orders set id = 1",
        "truncate table orders",
        "alter table orders add column x int",
    ],
)
def test_no_query_reaches_outside_the_store(lake, tmp_path_factory, sql):
    secret = tmp_path_factory.mktemp("outside") / "secret.csv"
    secret.write_text("a\n1\n")
    before = sorted(path for path in lake.root.rglob("*") if path.is_file())
    lake.fails(sql.replace("{secret}", str(secret)))
    assert secret.read_text() == "a\n1\n"
    assert sorted(path for path in lake.root.rglob("*") if path.is_file()) == before
    assert [path.name for path in secret.parent.iterdir()] == ["secret.csv"]


def test_a_link_out_of_the_store_is_not_followed(lake, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    lake.path("link").symlink_to(outside)
    assert "would leave the object store" in lake.fails("select 1 as a", output=TaskOutput("s3://lake/link/x"))


def test_the_connection_itself_is_walled(lake, tmp_path_factory):
    from rheo_assets.platforms.local.presto.paths import Store
    from rheo_assets.platforms.local.presto.session import session

    secret = tmp_path_factory.mktemp("outside") / "secret.csv"
    secret.write_text("a\n1\n")
    with session(Store(lake.root), threads=1, memory_limit="200MB") as connection:
        for sql in (
            f"SELECT * FROM '{secret}'",
            f"COPY (SELECT 1) TO '{secret}'",
            "SET threads = 2",
            f"ATTACH '{secret}.db'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


# Ending early.

ENDLESS = """select count(*) from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
             cross join unnest(sequence(1, 10000)) as c(z) where x * y % 7 = z % 5"""


def test_a_query_that_takes_too_long_is_ended(lake):
    assert "took longer than 0.3 s" in lake.fails(ENDLESS, kind="timeout", timeout=0.3)


def test_a_cancelled_query_is_ended_and_asks_on_the_callers_thread(lake):
    asked = []

    def cancelled():
        asked.append(threading.current_thread())
        return len(asked) > 3

    assert "was cancelled" in lake.fails(ENDLESS, kind="cancelled", cancelled=cancelled)
    assert set(asked) == {threading.current_thread()}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("presto-")]


def test_an_interrupt_of_the_caller_ends_the_query(lake):
    def cancelled():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lake.run(ENDLESS, cancelled=cancelled)
    time.sleep(0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("presto-")]
