"""`run_spark_task`, through the worker that runs it on a laptop."""

import json
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

pytestmark = pytest.mark.spark

OUT = "s3://lake/out/NA/2024-01-03"


class Node:
    """A node under test: lands its inputs, runs its code, keeps what it logged."""

    def __init__(self, engine: SparkEngine) -> None:
        self.engine = engine
        self.root = engine.root / "s3" / "lake"
        self.log: list[str] = []

    def land(self, name: str, day: str, content: str, file: str = "part-0") -> None:
        folder = self.root / name / "NA" / day
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)

    def rows(self, name: str, day: str, *rows: dict) -> None:
        self.land(name, day, "".join(json.dumps(row) + "\n" for row in rows))

    def run(
        self, code: str, *inputs: TaskInput, lang: str = "PYTHON", output: TaskOutput | None = None, **more
    ) -> TaskResult:
        output = output or TaskOutput(OUT)
        task = Task("tpdex", lang, code, inputs, output, {"region": "NA", "day": "2024-01-03"}, **more)
        return self.engine.run(task, self.log.append, lambda: False)

    def fails(self, code: str, *inputs: TaskInput, **more) -> TaskFailure:
        with pytest.raises(TaskFailure) as caught:
            self.run(code, *inputs, **more)
        assert "'tpdex'" in caught.value.message
        return caught.value

    def files(self, path: str = "out/NA/2024-01-03") -> list[str]:
        return sorted(file.name for file in (self.root / path).iterdir())


@pytest.fixture
def node(engine: SparkEngine) -> Node:
    return Node(engine)


def days(name: str, *days: str, missing: tuple[str, ...] = (), **more) -> TaskInput:
    path = f"s3://lake/{name}/NA"
    return TaskInput(
        more.pop("alias", name),
        tuple(f"{path}/{day}" for day in days),
        missing=tuple(f"{path}/{day}" for day in missing),
        format=more.pop("format", "json"),
        partitions=tuple(("NA", day) for day in days),
        **more,
    )


def timer(value: str) -> TaskInput:
    return TaskInput("tick", value=value)


def test_user_code_gets_its_inputs_by_name_and_assigns_output(node):
    node.rows("orders", "2024-01-03", {"id": 1, "x": 1.5}, {"id": 2, "x": None})
    code = """
        |assert dimensions == {"region": "NA", "day": "2024-01-03"} and args == {"k": 7}
        |assert inputs["orders"] is orders and inputs["tick"] == tick == "2024-01-03T00:00"
        |assert runtime_platform == "local"
        |assert input0 is orders and input1 == tick and dimensions_map == dimensions
        |assert orders_signal.get_materialized_resource_paths() == ["s3://lake/orders/NA/2024-01-03"]
        |assert tick_signal.value == tick
        |print("rows:", spark.table("orders").count())
        |def twice(x): return x * k
        |k = args["k"]
        |from pyspark.sql.functions import udf
        |output = orders.withColumn("y", udf(twice, "long")("id")).orderBy("id")
        """
    code = "\n".join(line.strip().removeprefix("|") for line in code.splitlines())
    result = node.run(code, days("orders", "2024-01-03"), timer("2024-01-03T00:00"), args={"k": 7})
    assert result.rows == 2
    assert result.schema == (("id", "bigint"), ("x", "double"), ("y", "bigint"))
    assert result.preview == ({"id": 1, "x": 1.5, "y": 7}, {"id": 2, "x": None, "y": 14})
    assert result.engine == "Spark 3.5.6"
    assert "rows: 2" in node.log
    assert [name.partition("-")[0] for name in node.files()] == ["part"], "one file, no _SUCCESS, no .crc"
    assert [path.name for path in (node.root / "out/NA").iterdir()] == ["2024-01-03"], "nothing is left beside it"


def test_an_output_is_replaced_as_a_whole_and_may_be_read_while_it_is_computed(node):
    node.run("output = spark.range(3)")
    again = days("out", "2024-01-03", alias="before", format="parquet")
    assert node.run("output = before.where('id > 0')", again).rows == 2
    assert len(node.files()) == 1
    node.fails("output = before.selectExpr('raise_error(string(id))')", again)
    assert node.run("output = before", again).rows == 2, "a failed task leaves the old content"
    assert [path.name for path in (node.root / "out/NA").iterdir()] == ["2024-01-03"]


def test_only_little_data_goes_through_one_task_a_stage_and_what_user_code_set_stays(node):
    code = """
from rheo_assets.runner.spark_output import _suit_small_inputs
def told(size, **said):
    own = spark.newSession()
    for name, value in said.items():
        own.conf.set(f"spark.sql.{name}.partitions", value)
    frame = own.range(size)
    _suit_small_inputs(own, frame.join(frame, "id").groupBy("id").count())
    return own.conf.get("spark.sql.shuffle.partitions") + " " + own.conf.get("spark.sql.adaptive.enabled")
output = spark.sql(f"SELECT '{told(9)}' AS little, '{told(1 << 40)}' AS much, '{told(9, shuffle='7')}' AS said")
"""
    assert node.run(code).preview == ({"little": "1 false", "much": "4 true", "said": "7 false"},)


@pytest.mark.parametrize("form", ["parquet", "orc", "json", "csv"])
def test_what_one_node_writes_the_next_one_reads(node, form):
    options = {"delimiter": "|", "header": True} if form == "csv" else {}
    code = "output = spark.sql(\"SELECT 1 AS a, 'x' AS b, CAST(NULL AS DOUBLE) AS c UNION ALL SELECT 2, 'y|z', 0.5\")"
    for day in ("2024-01-03", "2024-01-02"):
        node.run(code, output=TaskOutput(f"s3://lake/mid/NA/{day}", form, options))
    result = node.run("output = mid", days("mid", "2024-01-03", "2024-01-02", format=form, options=options))
    assert sorted(map(str, (tuple(row.values()) for row in result.preview))) == [
        "(1, 'x', None)", "(1, 'x', None)", "(2, 'y|z', 0.5)", "(2, 'y|z', 0.5)",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "json", "csv"])
def test_an_output_without_rows_keeps_its_columns(node, form):
    options = {"header": False} if form == "csv" else {}
    node.run("output = spark.range(0)", output=TaskOutput("s3://lake/mid/NA/2024-01-03", form, options))
    result = node.run("output = mid", days("mid", "2024-01-03", format=form, options=options))
    assert (result.rows, result.schema) == (0, (("_c0" if form == "csv" else "id", "bigint"),))


def test_the_columns_of_a_csv_without_header_are_shown_as_the_next_node_reads_them(node):
    output = TaskOutput("s3://lake/mid/NA/2024-01-03", "csv", {"header": False})
    made = node.run("output = spark.sql(\"SELECT 1 AS a, 'x' AS b\")", output=output)
    assert made.schema == (("_c0", "int"), ("_c1", "string"))
    assert made.preview == ({"_c0": 1, "_c1": "x"},)
    result = node.run("output = mid", days("mid", "2024-01-03", format="csv", options={"header": False}))
    assert (result.schema, result.preview) == (made.schema, made.preview)


def test_csv_without_header_and_columns_in_another_order_are_read_by_name(node):
    node.land("a", "2024-01-03", "x;y\n1;one\n")
    node.land("a", "2024-01-02", "y;x\ntwo;2\n")
    node.land("b", "2024-01-03", "1,one\n")
    inputs = days("a", "2024-01-03", "2024-01-02", format="csv", options={"delimiter": ";"})
    other = days("b", "2024-01-03", format="csv", options={"header": False})
    result = node.run("output = a.select('x', 'y').union(b.select('_c0', '_c1')).orderBy('x', 'y')", inputs, other)
    assert result.preview == ({"x": 1, "y": "one"}, {"x": 1, "y": "one"}, {"x": 2, "y": "two"})


def test_several_statements_share_a_session_and_the_last_one_is_the_output(node):
    node.rows("orders", "2024-01-03", {"id": 1}, {"id": 2})
    sql = """
        -- a comment; with a semicolon
        CREATE TEMPORARY VIEW big AS SELECT *, '{day}; {who}' AS day FROM orders WHERE id >= {least};
        SELECT day, count(*) AS n, '{nobody}' AS kept, '{tick}' AS tick FROM big GROUP BY day;
    """
    inputs = (days("orders", "2024-01-03"), timer("2024-01-03"))
    result = node.run(sql, *inputs, lang="SPARK_SQL", args={"least": 2, "who": "O'Hare"})
    assert result.preview == ({"day": "2024-01-03; O'Hare", "n": 1, "kept": "{nobody}", "tick": "2024-01-03"},)
    assert "TABLE_OR_VIEW_NOT_FOUND" in node.fails("SELECT * FROM big", lang="SPARK_SQL").message


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (" ; -- nothing", "its SQL has no statement"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", "last statement returns no table"),
        ("SELECT 1; SELEC 2; SELECT 3", "statement 2 of 3: ParseException"),
        ("SELECT * FROM gone", "its optional input 'gone' has no data"),
    ],
)
def test_what_is_wrong_with_a_statement_is_said(node, sql, message):
    gone = days("gone", "2024-01-03", missing=("2024-01-03",), optional=True)
    assert message in node.fails(sql, gone, lang="SPARK_SQL").message


def test_absent_partitions_are_named_and_a_wholly_absent_input_fails(node):
    node.rows("a", "2024-01-02", {"id": 1})
    result = node.run("output = a", days("a", "2024-01-03", "2024-01-02", missing=("2024-01-03",)))
    assert result.rows == 1
    assert result.warnings == ("input 'a': 1 of 2 partitions have no data: s3://lake/a/NA/2024-01-03",)
    gone = ("2024-01-03", "2024-01-01")
    failure = node.fails("output = a", days("a", *gone, missing=gone))
    assert "'a' has no data: none of s3://lake/a/NA/2024-01-03, s3://lake/a/NA/2024-01-01 exists" in failure.message
    assert (
        node.run("assert a is None; output = spark.range(1)", days("a", *gone, missing=gone, optional=True)).rows == 1
    )


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("x = 1", "did not assign `output`", ""),
        ("output = [1]", "value of type list; assign a Spark DataFrame", ""),
        ("import pandas\noutput = pandas.DataFrame()", "assign spark.createDataFrame(output)", ""),
        (
            "\n\ndef f():\n  raise ValueError('bad day')\nf()",
            "ValueError: bad day",
            'File "<node tpdex>", line 4, in f',
        ),
        ("x = 1\noutput = = 2", "its code is not Python: invalid syntax in line 2", ""),
        ("import sys\nsys.exit(3)", "called exit(3)", 'File "<node tpdex>", line 2'),
        ("output = spark.range(1).select('nope')", "`nope` cannot be resolved", 'File "<node tpdex>", line 1'),
        (
            "from pyspark.sql.functions import udf\ndef f(x):\n  return 1 // 0\noutput = spark.range(1).select(udf(f)('id'))",  # noqa: E501
            "ZeroDivisionError: integer division or modulo by zero",
            'File "<node tpdex>", line 3, in f',
        ),
        ("spark.range(1).write.parquet('s3://lake/other/x')", "wrote outside its own output", "s3://lake/other/x"),
        ("output = spark.read.json('s3://nowhere/x')", "s3://nowhere/x", 'File "<node tpdex>", line 1'),
        ("spark.range(1).write.json('s3://nowhere/x')", "NoSuchBucket: s3://nowhere", 'File "<node tpdex>", line 1'),
        ("output = spark.read.json('s3://lake/../../x')", "would lead outside", ""),
    ],
)
def test_what_is_wrong_with_the_code_is_said_in_the_users_own_lines(node, code, message, line):
    failure = node.fails(code)
    assert failure.kind == "user"
    assert message in failure.message
    assert line in failure.detail
    assert "/rheo_assets/" not in failure.detail
    assert "py4j" not in failure.detail
    assert not (node.root / "out/NA/2024-01-03").exists()


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        (
            "json",
            '{"id": 1}\n{"id": 2',
            "1 corrupt line in partition NA/2024-01-02, first in s3://lake/a/NA/2024-01-02/part-0",
        ),
        ("parquet", "PAR1 not really", "corrupt or empty file in partition NA/2024-01-02"),
        ("parquet", "", "corrupt or empty file in partition NA/2024-01-02"),
        ("orc", "nonsense", "corrupt or empty file in partition NA/2024-01-02"),
        ("csv", "id\n1\n2,3\n", "corrupt line in s3://lake/a/NA/2024-01-02"),
    ],
)
def test_a_corrupt_or_empty_file_is_named(node, form, content, message):
    output = TaskOutput("s3://lake/a/NA/2024-01-03", form)
    node.run("output = spark.sql('select 1L as id')", output=output)
    node.land("a", "2024-01-02", content)
    for partitions in (("2024-01-03", "2024-01-02"), ("2024-01-02",)):
        failure = node.fails("output = a", days("a", *partitions, format=form))
        assert failure.kind == "user"
        assert message in failure.message
        assert "'a'" in failure.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({"id": 1, "x": "a"}, {"id": 1, "x": 5}, "column 'x' is bigint in NA/2024-01-03 but string in NA/2024-01-02"),
        ({"id": [1]}, {"id": 1}, "column 'id' is bigint in NA/2024-01-03 but array<bigint> in NA/2024-01-02"),
    ],
)
def test_a_schema_that_changes_between_days_is_told_by_column_types_and_days(node, old, new, message):
    node.rows("a", "2024-01-02", old)
    node.rows("a", "2024-01-03", new)
    failure = node.fails("output = a", days("a", "2024-01-03", "2024-01-02"))
    assert failure.kind == "user"
    assert message in failure.message
    assert "write the older partition again" in failure.message


def test_numbers_widen_and_a_column_without_values_has_any_type(node):
    node.rows("a", "2024-01-03", {"id": 1, "x": None, "o": {"p": 1}})
    node.rows("a", "2024-01-02", {"id": 1.5, "x": 7, "o": {"q": "z"}})
    result = node.run("output = a.orderBy('id')", days("a", "2024-01-03", "2024-01-02"))
    assert result.schema == (("id", "double"), ("o", "struct<p:bigint,q:string>"), ("x", "bigint"))
    assert result.preview == (
        {"id": 1.0, "o": {"p": 1, "q": None}, "x": None},
        {"id": 1.5, "o": {"p": None, "q": "z"}, "x": 7},
    )


@pytest.mark.parametrize("form", ["parquet", "orc"])
def test_types_of_files_are_merged_where_one_holds_both_and_refused_otherwise(node, form):
    for day, kind in (("2024-01-03", "bigint"), ("2024-01-02", "int"), ("2024-01-01", "string")):
        code = f"output = spark.sql('SELECT CAST(1 AS {kind}) AS id')"
        node.run(code, output=TaskOutput(f"s3://lake/a/NA/{day}", form))
    result = node.run("output = a", days("a", "2024-01-02", "2024-01-03", format=form))
    assert (result.rows, result.schema) == (2, (("id", "bigint"),))
    failure = node.fails("output = a", days("a", "2024-01-03", "2024-01-01", format=form))
    assert "column 'id' is bigint in NA/2024-01-03 but string in NA/2024-01-01" in failure.message


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_partition_of_empty_files_is_left_out_of_a_range_and_refused_alone(node, form):
    node.land("a", "2024-01-02", "")
    node.run("output = spark.sql('select 1L as id')", output=TaskOutput("s3://lake/a/NA/2024-01-03", form))
    result = node.run("output = a", days("a", "2024-01-03", "2024-01-02", format=form))
    assert result.rows == 1
    assert result.warnings == ("input 'a': 1 partitions have only empty files: NA/2024-01-02",)
    failure = node.fails("output = a", days("a", "2024-01-02", format=form))
    assert "no columns in partition NA/2024-01-02" in failure.message


def test_a_column_that_a_day_lacks_is_null_there_and_a_warning_says_so(node):
    node.rows("a", "2024-01-02", {"id": 1})
    node.rows("a", "2024-01-03", {"id": 2, "x": 5})
    result = node.run("output = a.orderBy('id')", days("a", "2024-01-03", "2024-01-02"))
    assert result.preview == ({"id": 1, "x": None}, {"id": 2, "x": 5})
    assert result.warnings == ("input 'a' has no column 'x' in NA/2024-01-02: it is null there",)


def test_names_that_mean_something_to_a_shell_are_only_names(node):
    for day in ("a*", "ab", "{x}", "d=1", "100%", "so me"):
        node.rows("odd", day, {"id": day})
        result = node.run("output = odd", days("odd", day), output=TaskOutput(f"s3://lake/out/{day}"))
        assert result.preview == ({"id": day},)
        assert (node.root / "out" / day).is_dir()


def test_values_of_every_type_have_a_preview(node):
    code = """output = spark.sql("SELECT DATE'2024-01-03' d, TIMESTAMP'2024-01-03 01:02:03' t, 1.50BD m, X'01ff' b, "
        "array(1, 2) a, map('k', 1.5D) o, named_struct('p', double('nan')) s, true z")"""
    (row,) = node.run(code).preview
    assert row == {
        "d": "2024-01-03", "t": "2024-01-03T01:02:03", "m": "1.50", "b": "Af8=",
        "a": [1, 2], "o": {"k": 1.5}, "s": {"p": "nan"}, "z": True,
    }  # fmt: skip


def test_paths_that_leave_the_root_never_reach_spark(node, tmp_path: Path):
    failure = node.fails("output = a", TaskInput("a", ("s3://lake/%2e%2e/x",), format="json"))
    assert "%2e%2e" in failure.message
    assert "is a bucket" in node.fails("output = 1", output=TaskOutput("s3://lake")).message


def test_an_alias_named_as_one_of_rheoceros_names_is_the_input(node):
    node.rows("orders", "2024-01-03", {"id": 1})
    node.rows("returns", "2024-01-03", {"id": 2})
    inputs = days("orders", "2024-01-03"), days("returns", "2024-01-03", alias="input0")
    assert node.run("output = input0", *inputs).preview == ({"id": 2},)
