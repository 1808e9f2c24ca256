"""Parameters, and what the local Athena says when it does not run a query."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheo_assets.platforms.local.presto.parameters import fill
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput

pytest.importorskip("duckdb")
VALUES = {"day": "2021-09-20", "n": 7, "name": "o'neil", "table": "orders", "bad": "1; drop", "none": None}


@pytest.mark.parametrize(
    ("sql", "filled"),
    [
        ("where day = '{day}'", "where day = '2021-09-20'"),
        ("limit {n}", "limit 7"),
        ("from {table}", "from orders"),
        ("name = '{name}'", "name = 'o''neil'"),
        ("x is {none}", "x is NULL"),
        ('select 1 as "{day}"', 'select 1 as "2021-09-20"'),
        (r"regexp_like(x, '\d{4}-\d{2,3}')", r"regexp_like(x, '\d{4}-\d{2,3}')"),
        ("""json_parse('{"a": {"b": 1}}')""", """json_parse('{"a": {"b": 1}}')"""),
        ("""'{"a": {n}}'""", """'{"a": 7}'"""),
        ("'{{day}}'", "'{day}'"),
        ("""'{{"a": {{"d": "{day}"}}}}'""", """'{"a": {"d": "2021-09-20"}}'"""),
        ("1 -- {nobody}\n/* {nobody} */", "1 -- {nobody}\n/* {nobody} */"),
        ("4 / 2 - 1", "4 / 2 - 1"),
    ],
)
def test_parameters_are_filled_in_where_they_stand(sql, filled):
    assert fill(sql, VALUES).text == filled


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("'{dya}'", "the query has no value for {dya} (known: day, n, name, table, bad, none). Did you mean 'day'?"),
        ("{bad}", "the value '1; drop' of {bad} is no number or identifier: write '{bad}' to use it as text"),
        ("{day}", "the value '2021-09-20' of {day} is no number or identifier"),
        ("'{none}'", "the value None of {none}"),
    ],
)
def test_a_parameter_that_cannot_be_filled_in_is_named(sql, reason):
    with pytest.raises(Refusal) as refusal:
        fill(sql, VALUES)
    assert reason in refusal.value.reason


@settings(deadline=None)
@given(st.text())
def test_a_value_in_a_string_stays_inside_the_string(value):
    import duckdb

    value = value.replace("\0", "")
    assert duckdb.execute(fill("select '{v}'", {"v": value}).text).fetchone() == (value,)


@settings(deadline=None)
@given(st.text(alphabet="ab'\"-/*{} \n"))
def test_text_without_parameters_is_only_unescaped(text):
    if "{{" not in text and "{a" not in text and "{b" not in text:
        assert fill(text, {}).text == text


def test_a_place_is_that_of_the_users_text():
    query = fill("select '{name}',\n  '{day}', x", VALUES)
    assert str(query.place(query.text.index("x"))) == "line 2, column 12"


@pytest.fixture
def fails(tmp_path):
    from rheo_assets.platforms.local.presto import PrestoEngine

    folder = tmp_path / "s3" / "lake" / "orders"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text('{"id": 1, "customer": "ann", "items": ["a"]}\n')

    def run(sql: str) -> str:
        orders = TaskInput("orders", ("s3://lake/orders",), format="json")
        task = Task("report", "PRESTO_SQL", sql, (orders,), TaskOutput("s3://lake/out"), {"day": "2021-09-20"})
        with pytest.raises(TaskFailure) as failure:
            PrestoEngine(tmp_path).run(task, lambda line: None, lambda: False)
        assert failure.value.kind == "user"
        assert str(tmp_path) not in failure.value.message
        return failure.value.message

    return run


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "the query is empty"),
        ("selct id from orders", "begins with 'selct' at line 1, column 1"),
        ("select id,\n  from orders wher x", "syntax error at line 2, column 3: a name is expected"),
        ("select '{day}' ||| 'x'", "syntax error at line 1, column 18"),
        ("select 'abc from orders", "a string that starts at line 1, column 8 does not end"),
        (
            "select id,\n custmer from orders",
            (
                "there is no column 'custmer' at line 2, column 2 (the columns are: id, customer, items). "
                "Did you mean 'customer'?"
            ),
        ),
        ("select o.custmer from orders o", "there is no column 'custmer' at line 1, column 10"),
        (
            "select * from ordrs",
            "there is no table 'ordrs' (the inputs and tables are: orders). Did you mean 'orders'?",
        ),
        ('select * from "db"."orders"', "names a database"),
        ("select 1 / (id - 1) from orders", "the query fails: Division by zero"),
        ("select items[3] from orders", "the query fails: No element at 3: the array has 1"),
        ("select cast('x' as integer)", "the query fails: Cannot cast 'x' to a whole number"),
        ("select cast(id as string) from orders", "the type string is not a type of Athena's queries: write varchar"),
        ("select id::varchar from orders", "'::' at line 1, column 10 is not Athena's SQL"),
        ("select substr('a') from orders", "substr with 1 arguments"),
        ("select date_add('fortnight', 1, current_date)", "'fortnight' is no unit of time"),
        (
            "select date_format(current_date, customer) from orders",
            "a computed date pattern of date_format is not available",
        ),
        ("select date_format(current_date, '%U')", "%U in the date pattern '%U' is not available in the local Athena"),
        (
            "select json_extract(customer, '$.*') from orders",
            "the JSON path '$.*' is not available in the local Athena",
        ),
        ("select id, count(*) from orders", "GROUP BY"),
    ],
)
def test_a_query_that_is_wrong_is_told_how(fails, sql, reason):
    message = fails(sql)
    assert message.startswith("'report': ")
    assert reason in message


OUTSIDE = """
    list_transform strftime epoch_ms list_aggregate struct_pack string_agg quantile_cont approx_quantile regexp_matches
    numeric_histogram approx_set st_point word_stem inet_host json_value
"""


@pytest.mark.parametrize("name", OUTSIDE.split())
def test_a_function_outside_the_set_fails_by_its_name(fails, name):
    assert f"{name} is not available in the local Athena" in fails(f"select {name}(customer) from orders")


@pytest.mark.parametrize(
    "sql",
    [
        "select * exclude (id) from orders",
        "select distinct on (id) * from orders",
        "select id ilike 'x' from orders",
        "select * from orders pivot (sum(id) for customer in ('a'))",
        "select id, count(*) from orders group by all",
        "select * from orders fetch first 1 rows with ties",
        "select * from orders tablesample bernoulli (10)",
        "select 1 union all by name select 2",
        "select id from orders for timestamp as of timestamp '2021-01-01 00:00:00'",
        """select "$file_size" from orders""",
    ],
)
def test_syntax_of_other_engines_is_refused(fails, sql):
    message = fails(sql)
    refused = ("not available in the local Athena", "syntax error", "there is no column")
    assert any(words in message for words in refused)
