"""The queries of a team, answered by the local Athena with Trino's rows and types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rheo_assets.platforms.local.presto import PrestoEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

duckdb = pytest.importorskip("duckdb")

ORDERS = """
    SELECT * FROM (VALUES
        (1, 'ann', 10.0::DOUBLE, ['a', 'b'], MAP {'color': 'red'}),
        (2, 'bob', 20.5::DOUBLE, ['b'], MAP {'color': 'blue', 'size': 'L'}),
        (3, 'ann', 5.0::DOUBLE, []::VARCHAR[], MAP {}::MAP(VARCHAR, VARCHAR))
    ) AS t(id, customer, amount, items, attrs)
"""
OUT = "s3://lake/out/day=2021-09-20"


class Lake:
    """A local store with the tables `orders` (by day) and `events`, and an engine over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put(f"{ORDERS} WHERE id < 3", "orders/2021-09-20/part-0.parquet")
        self.put(f"{ORDERS} WHERE id = 3", "orders/2021-09-21/part-0.parquet")
        self.text(
            "events/part-0.json",
            '{"id": 1, "payload": "{\\"a\\": 1, \\"b\\": {\\"c\\": \\"x\\"}, \\"l\\": [1, 2]}"}\n'
            '{"id": 2, "payload": "no json"}\n',
        )

    def path(self, key: str) -> Path:
        path = self.root / "s3" / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put(self, select: str, key: str) -> None:
        duckdb.sql(f"COPY ({select}) TO '{self.path(key)}' (FORMAT parquet)")

    def text(self, key: str, content: str) -> None:
        self.path(key).write_text(content)

    def orders(self, **changes) -> TaskInput:
        days = ("2021-09-21", "2021-09-20")
        fields = {
            "alias": "orders",
            "paths": tuple(f"s3://lake/orders/{day}" for day in days),
            "partitions": tuple((day,) for day in days),
        }
        return TaskInput(**{**fields, **changes})

    def events(self) -> TaskInput:
        return TaskInput("events", ("s3://lake/events",), format="json", partitions=(("all",),))

    def run(self, sql: str, *inputs: TaskInput, cancelled=lambda: False, **changes) -> TaskResult:
        fields = {
            "node": "report",
            "lang": "PRESTO_SQL",
            "code": sql,
            "inputs": inputs or (self.orders(), self.events()),
            "output": TaskOutput(OUT),
            "dimensions": {"day": "2021-09-20"},
        }
        return PrestoEngine(self.root).run(Task(**{**fields, **changes}), lambda line: None, cancelled)

    def rows(self, sql: str, *inputs: TaskInput, **changes) -> list[tuple]:
        return [tuple(row.values()) for row in self.run(sql, *inputs, **changes).preview]

    def fails(self, sql: str, *inputs: TaskInput, kind: str = "user", **changes) -> str:
        with pytest.raises(TaskFailure) as failure:
            self.run(sql, *inputs, **changes)
        assert failure.value.kind == kind
        assert failure.value.message.startswith("'report': ")
        return failure.value.message


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


ANSWERS = {
    "date_parse_and_date_format": (
        "select date_format(date_parse('2021-09-20 10:05:07', '%Y-%m-%d %H:%i:%s'), '%M %e, %Y %h:%i %p') as x",
        "varchar",
        [("September 20, 2021 10:05 AM",)],
    ),
    "date_parse": ("select date_parse('20/09/21', '%d/%m/%y')", "timestamp(3)", [("2021-09-20 00:00:00.000",)]),
    "approx_distinct": ("select approx_distinct(customer) from orders", "bigint", [(2,)]),
    "unnest": (
        "select id, item from orders cross join unnest(items) as t(item) order by id, item",
        "integer, varchar",
        [(1, "a"), (1, "b"), (2, "b")],
    ),
    "unnest_with_ordinality_counts_from_one": (
        "select id, item, n from orders cross join unnest(items) with ordinality as t(item, n) order by id, n",
        "integer, varchar, bigint",
        [(1, "a", 1), (1, "b", 2), (2, "b", 1)],
    ),
    "unnest_of_a_map": (
        "select id, k, v from orders cross join unnest(attrs) as t(k, v) order by 1, 2",
        "integer, varchar, varchar",
        [(1, "color", "red"), (2, "color", "blue"), (2, "size", "L")],
    ),
    "unnest_of_a_map_with_ordinality": (
        (
            "select k, v, n from (values map(array['a'], array[1])) as q(m) cross join unnest(m) "
            "with ordinality as t(k, v, n)"
        ),
        "varchar, integer, bigint",
        [("a", 1, 1)],
    ),
    "unnest_of_rows": (
        "select x, y from unnest(array[cast(row(1, 'z') as row(x integer, y varchar))]) as a(x, y)",
        "integer, varchar",
        [(1, "z")],
    ),
    "unnest_of_two_arrays_fills_with_nulls": (
        "select * from unnest(array[1, 2], array['a']) with ordinality as t(x, y, n)",
        "integer, varchar, bigint",
        [(1, "a", 1), (2, None, 2)],
    ),
    "left_join_unnest_keeps_empty_arrays": (
        "select id, i from orders left join unnest(items) as t(i) on true order by id, i",
        "integer, varchar",
        [(1, "a"), (1, "b"), (2, "b"), (3, None)],
    ),
    "try_cast_takes_whole_numbers_only": (
        "select try_cast('x' as integer), try_cast('2.5' as integer), cast(2.5e0 as bigint), try_cast(' 7 ' as bigint)",
        "integer, integer, bigint, bigint",
        [(None, None, 3, 7)],
    ),
    "json_extract_scalar_is_null_for_objects_and_text": (
        (
            "select json_extract_scalar(payload, '$.b.c'), json_extract_scalar(payload, '$.b'), "
            "json_extract_scalar(payload, '$.l[1]') from events order by id"
        ),
        "varchar, varchar, varchar",
        [("x", None, "2"), (None, None, None)],
    ),
    "json_extract": ("select json_extract(payload, '$.b') from events order by id", "json", [('{"c":"x"}',), (None,)]),
    "json_parse_and_json_format": (
        """select json_format(json_parse('{"a": [1, 2]}')), json_array_length('[1, 2]')""",
        "varchar, bigint",
        [('{"a":[1,2]}', 2)],
    ),
    "json_cast_to_a_map": (
        """select cast(json_parse('{"a": 1}') as map(varchar, integer))['a']""",
        "integer",
        [(1,)],
    ),
    "casts_to_and_from_json_keep_text_as_text": (
        """select cast('a' as json), cast(json_parse('"a"') as varchar)""",
        "json, varchar",
        [('"a"', "a")],
    ),
    "map_agg_keeps_one_value_a_key": (
        "select map_agg(customer, 1), map_keys(map_agg(customer, id)) from orders",
        "map(varchar, integer), array(varchar)",
        [({"ann": 1, "bob": 1}, ["bob", "ann"])],
    ),
    "map_agg_with_a_filter": (
        "select map_agg(customer, id) filter (where id = 2) from orders",
        "map(varchar, integer)",
        [({"bob": 2},)],
    ),
    "cardinality_of_arrays_and_maps": (
        "select cardinality(items), cardinality(attrs) from orders order by id",
        "bigint, bigint",
        [(2, 1), (1, 2), (0, 0)],
    ),
    "array_agg_in_order": (
        "select customer, array_agg(id order by amount desc) from orders group by customer order by customer",
        "varchar, array(integer)",
        [("ann", [1, 3]), ("bob", [2])],
    ),
    "element_at_answers_null_for_what_is_not_there": (
        "select element_at(items, -1), element_at(items, 9), element_at(attrs, 'size') from orders order by id",
        "varchar, varchar, varchar",
        [("b", None, None), ("b", None, "L"), (None, None, None)],
    ),
    "regular_expressions": (
        (
            r"select regexp_extract('abc123', '([a-z]+)(\d+)', 2), regexp_like('abc', 'b'), "
            r"regexp_replace('a1b2', '(\d)', '<$1>'), regexp_extract('x', '\d{4}')"
        ),
        "varchar, boolean, varchar, varchar",
        [("123", True, "a<1>b<2>", None)],
    ),
    "lambdas_over_arrays": (
        (
            "select transform(array[1, 2], x -> x + 1), filter(array[1, 2, 3], x -> x > 1), "
            "reduce(array[1, 2, 3], 0, (s, x) -> s + x, s -> s * 10)"
        ),
        "array(integer), array(integer), integer",
        [([2, 3], [2, 3], 60)],
    ),
    "matches_know_three_values": (
        (
            "select any_match(array['a', 'b'], i -> i = 'a'), all_match(array['a', 'b'], i -> i = 'b'), "
            "none_match(array['a'], i -> i = 'z'), any_match(array[1, null], x -> x > 5)"
        ),
        "boolean, boolean, boolean, boolean",
        [(True, False, True, None)],
    ),
    "lambdas_over_maps": (
        (
            "select map_filter(map(array['a', 'b'], array[1, 2]), (k, v) -> v > 1), "
            "transform_values(map(array['a'], array[1]), (k, v) -> v + 1), "
            "zip_with(array[1, 2], array[10, 20], (x, y) -> x + y)"
        ),
        "map(varchar, integer), map(varchar, integer), array(integer)",
        [({"b": 2}, {"a": 2}, [11, 22])],
    ),
    "window_functions": (
        (
            "select row_number() over (partition by customer order by id), lag(amount) over (order by id), "
            "lag(amount, 1, 0e0) ignore nulls over (order by id) from orders order by id"
        ),
        "bigint, double, double",
        [(1, None, 0.0), (1, 10.0, 10.0), (2, 20.5, 20.5)],
    ),
    "aggregates": (
        (
            "select max_by(customer, amount), min_by(id, amount), arbitrary(1), count_if(amount > 6), "
            "bool_and(amount > 6), "
            "histogram(customer), approx_percentile(amount, 0.5), approx_percentile(id, array[0.5, 0.9]) from orders"
        ),
        "varchar, integer, integer, bigint, boolean, map(varchar, bigint), double, array(bigint)",
        [("bob", 3, 1, 2, False, {"ann": 2, "bob": 1}, 10.0, [2, 3])],
    ),
    "sums_and_counts_are_bigint": (
        "select sum(id), count(*), count(distinct customer), avg(id), 7 / 2, -7 / 2, sum(id) / count(*) from orders",
        "bigint, bigint, bigint, double, integer, integer, bigint",
        [(6, 3, 2, 2.0, 3, -3, 2)],
    ),
    "dates_stay_dates": (
        (
            "select date_trunc('month', date '2021-09-20'), date_add('day', -1, date '2021-09-01'), "
            "date '2021-01-31' + interval '1' month, timestamp '2021-01-01 00:00:00' - interval '1' hour"
        ),
        "date, date, date, timestamp(3)",
        [("2021-09-01", "2021-08-31", "2021-02-28", "2020-12-31 23:00:00.000")],
    ),
    "date_diff_counts_whole_units": (
        (
            "select date_diff('day', timestamp '2021-09-20 23:00:00', timestamp '2021-09-21 01:00:00'), "
            "date_diff('month', date '2021-01-31', date '2021-03-01')"
        ),
        "bigint, bigint",
        [(0, 1)],
    ),
    "at_time_zone_moves_the_clock": (
        (
            "select cast(timestamp '2021-01-01 00:00:00' at time zone 'America/New_York' as varchar), "
            "hour(timestamp '2021-01-01 00:00:00 UTC' at time zone 'America/New_York'), "
            "to_unixtime(timestamp '2021-01-01 00:00:00' at time zone 'America/New_York')"
        ),
        "varchar, bigint, double",
        [("2020-12-31 19:00:00 America/New_York", 19, 1609459200.0)],
    ),
    "unix_times": (
        "select from_unixtime(1.5), to_unixtime(timestamp '2021-01-01 00:00:00')",
        "timestamp(3) with time zone, double",
        [("1970-01-01 00:00:01.500 UTC", 1609459200.0)],
    ),
    "values_as_a_statement": (
        "values (1, 'a'), (2, 'b')",
        "integer, varchar",
        [(1, "a"), (2, "b")],
    ),
    "rows": (
        (
            "select cast(row(1, 'a') as row(n integer, s varchar)), cast(row(1, 'a') as row(n integer, s varchar)).s, "
            "r[1] "
            "from (select row(1, 'a') as r)"
        ),
        "row(n integer, s varchar), varchar, integer",
        [({"n": 1, "s": "a"}, "a", 1)],
    ),
    "grouping_sets": (
        (
            "select customer, day, count(*), grouping(customer, day) from (select customer, 'd' as day from orders) "
            "group by grouping sets ((customer), (day), ()) order by 1, 2"
        ),
        "varchar, varchar, bigint, integer",
        [("ann", None, 2, 1), ("bob", None, 1, 1), (None, "d", 3, 2), (None, None, 3, 3)],
    ),
    "common_tables_and_nulls": (
        "with a as (select count(*) n from orders) select coalesce(nullif(n, 3), -1) from a",
        "bigint",
        [(-1,)],
    ),
    "arrays": (
        (
            "select split('a,b', ','), array_join(array['a', null, 'b'], '-'), flatten(array[array[1], array[2]]), "
            "array_distinct(array[3, 1, 3]), sequence(3, 1)"
        ),
        "array(varchar), varchar, array(integer), array(integer), array(bigint)",
        [(["a", "b"], "a-b", [1, 2], [3, 1], [3, 2, 1])],
    ),
    "sequence_of_dates": (
        (
            "select sequence(date '2021-01-30', date '2021-02-01'), "
            "sequence(date '2021-01-01', date '2021-01-05', interval '2' day)"
        ),
        "array(date), array(date)",
        [(["2021-01-30", "2021-01-31", "2021-02-01"], ["2021-01-01", "2021-01-03", "2021-01-05"])],
    ),
    "addresses": (
        (
            "select url_extract_host('https://u@ex.com:80/a?q=1'), url_extract_port('https://ex.com:80/'), "
            "url_extract_path('https://ex.com/a%20b?q'), url_extract_parameter('https://ex.com/a?q=1&r=x+y', 'r')"
        ),
        "varchar, bigint, varchar, varchar",
        [("ex.com", 80, "/a b", "x y")],
    ),
    "text": (
        (
            "select strpos('abc', 'c'), substr('abc', 2), substr('abc', -2, 1), substr('abc', 0), "
            "concat('a', 'b', 'c'), "
            "cast('abc' as varchar(2)), split_part('a,b', ',', 5), position('b' in 'abc'), trim(both 'x' from 'xax')"
        ),
        "bigint, varchar, varchar, varchar, varchar, varchar, varchar, bigint, varchar",
        [(3, "bc", "b", "", "abc", "ab", None, 2, "a")],
    ),
    "concat_with_a_null_is_null": (
        "select concat(customer, element_at(attrs, 'none')) from orders where id = 1",
        "varchar",
        [(None,)],
    ),
    "joda_patterns": (
        (
            "select format_datetime(timestamp '2021-09-20 10:05:07', 'yyyy-MM-dd''T''HH:mm:ss.SSSZ'), "
            "parse_datetime('2021-09-20 10', 'yyyy-MM-dd HH')"
        ),
        "varchar, timestamp(3) with time zone",
        [("2021-09-20T10:05:07.000+0000", "2021-09-20 10:00:00.000 UTC")],
    ),
    "path": (
        """select distinct "$path" from orders order by 1""",
        "varchar",
        [("s3://lake/orders/2021-09-20/part-0.parquet",), ("s3://lake/orders/2021-09-21/part-0.parquet",)],
    ),
    "hashes": ("select to_hex(md5(to_utf8('a')))", "varchar", [("0CC175B9C0F1B6A831C399E269772661",)]),
    "listagg": ("select listagg(customer, ',') within group (order by id) from orders", "varchar", [("ann,bob,ann",)]),
    "greatest_is_null_where_one_is": ("select greatest(1, null), least(2, 1)", "integer, integer", [(None, 1)]),
    "try_answers_null": ("select try(1 / 0), try(items[9]) from orders limit 1", "integer, varchar", [(None, None)]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_query_is_answered_as_trino_documents(lake, name):
    sql, types, rows = ANSWERS[name]
    result = lake.run(sql)
    found = [tuple(row.values()) for row in result.preview]
    if name == "map_agg_keeps_one_value_a_key":
        found, rows = [(m, sorted(k)) for m, k in found], [(m, sorted(k)) for m, k in rows]
    assert found == rows
    assert ", ".join(kind for _, kind in result.schema) == types
    json.dumps(result.preview)


def test_the_hidden_path_is_no_part_of_a_star(lake):
    sql = """select *, "$path" as p from orders o where "$path" like '%20/%'"""
    assert [name for name, _ in lake.run(sql).schema] == ["id", "customer", "amount", "items", "attrs", "p"]
    assert [name for name, _ in lake.run("""select o.* from orders o where o."$path" <> ''""").schema][-1] == "attrs"


def test_the_result_says_what_was_written(lake):
    result = lake.run("select id, Amount as Total, count(*) over () from orders order by id")
    assert (result.rows, result.engine) == (3, f"DuckDB {duckdb.__version__} (Presto SQL)")
    assert result.schema == (("id", "integer"), ("total", "double"), ("_col2", "bigint"))
    assert duckdb.sql(
        f"SELECT id, total, _col2 FROM '{lake.path('out/day=2021-09-20/part-00000.parquet')}'"
    ).fetchall()[0] == (1, 10.0, 3)


def test_importing_the_engine_loads_no_engine():
    code = "import sys, rheo_assets, rheo_assets.platforms.local.presto; print({'duckdb'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_only_types_that_athena_cannot_write_are_warned_of(lake):
    sql = """select timestamp '2021-01-01 00:00:00' as ts, date '2021-01-01' as d, json_parse('1') as j,
             timestamp '2021-01-01 00:00:00' at time zone 'Europe/Paris' as local"""
    result = lake.run(sql)
    assert result.preview[0]["local"] == "2021-01-01 00:00:00.000 UTC"
    assert [warning.split(",")[0] for warning in result.warnings] == [
        "the column 'j' is of type json",
        "the column 'local' is of type timestamp(0) with time zone",
    ]
