"""Scala snippets, in the JVM of a worker."""

import json
import textwrap
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rheo_assets as flow
from rheo_assets.platforms.local.spark import SparkEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

pytestmark = pytest.mark.spark


@pytest.fixture
def spark_home(mortal_spark_home: Path) -> Path:
    """Some of these tests end their worker."""
    return mortal_spark_home


OUT = "s3://lake/out/NA/2024-01-03"
COMPILE = """
jvm = spark._jvm
given = ["-usejavacp", "-d", args["jar"], args["source"]]
array = spark.sparkContext._gateway.new_array(jvm.java.lang.String, len(given))
for place, word in enumerate(given):
    array[place] = word
jvm.scala.tools.nsc.Main.process(array)
output = spark.range(1)
"""
FEATURES = """
package com.example.features
import org.apache.spark.sql.{{DataFrame, SparkSession}}
import org.apache.spark.sql.functions._
case class Score(id: Long, value: String)
object Daily {{
  def label(id: Long): String = "{label}" + id
  def main(
      spark: SparkSession, inputs: Map[String, DataFrame], dimensions: Map[String, String], args: Map[String, String]
  ): DataFrame =
    make(inputs("orders"), dimensions("day") + args("mark"))
  def make(orders: DataFrame, mark: String): DataFrame = {{
    import orders.sparkSession.implicits._
    orders.select($"id".as[Long]).map(id => Score(id, label(id) + mark)).toDF()
  }}
  def leave(): DataFrame = sys.exit(3)
  def halt(orders: DataFrame): DataFrame = {{ orders.sparkSession.stop(); orders }}
}}
"""


class Node:
    """A node under test: lands its inputs, runs its Scala, keeps what it logged."""

    def __init__(self, engine: SparkEngine) -> None:
        self.engine = engine
        self.log: list[str] = []

    def land(self, name: str, *rows: dict) -> TaskInput:
        folder = self.engine.root / "s3/lake" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part-0").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return TaskInput(name, (f"s3://lake/{name}",), format="json", partitions=(("NA", "2024-01-03"),))

    def run(self, code: str, *inputs: TaskInput, lang: str = "SCALA", out: str = OUT, **more) -> TaskResult:
        dimensions = {"region": "NA", "day": "2024-01-03"}
        code = textwrap.dedent(code).strip("\n")
        task = Task(more.pop("node", "tpdex"), lang, code, inputs, TaskOutput(out), dimensions, **more)
        return self.engine.run(task, self.log.append, lambda: False)

    def fails(self, code: str, *inputs: TaskInput, **more) -> TaskFailure:
        with pytest.raises(TaskFailure) as caught:
            self.run(code, *inputs, **more)
        assert "'tpdex'" in caught.value.message
        return caught.value

    def worker(self) -> str:
        code = "import os\noutput = spark.sql(f'SELECT {os.getppid()} AS worker')"
        return self.run(code, lang="PYTHON", out="s3://lake/worker/x").preview[0]["worker"]

    def jar(self, label: str) -> str:
        """Compiles our library and puts it where a node's library lies."""
        source, folder = self.engine.root / f"{label}.scala", self.engine.root / "s3/jars"
        source.write_text(FEATURES.format(label=label))
        folder.mkdir(parents=True, exist_ok=True)
        jar = folder / f"features-{label}.jar"
        self.run(COMPILE, lang="PYTHON", args={"jar": str(jar), "source": str(source)})
        return f"s3://jars/{jar.name}"


@pytest.fixture
def node(engine: SparkEngine) -> Node:
    return Node(engine)


@pytest.fixture
def orders(node: Node) -> TaskInput:
    return node.land("orders", {"id": 1, "x": 1.5}, {"id": 2, "x": None})


def test_the_snippet_of_the_first_example_runs_as_it_is(node):
    code = """
                                          pdex
                                            .filter(
                                              (col("addressId") isNotNull)
                                                && (col("requestId") isNotNull)
                                                && (col("asin") isNotNull)
                                                && (col("entityId") isNotNull)
                                                && (col("deliveryOption") isNotNull)
                                            )
                                            .select(
                                              pdex.col("*"),
                                              explode(col("deliveryOption")).as("flatDeliveryOption")
                                            )
                                            .select(
                                              "datestamp",
                                              "entityId",
                                              "requestId",
                                              "marketplaceId",
                                              "asin",
                                              "sessionId",
                                              "merchant_id",
                                              "client_id",
                                              "addressId",
                                              "offerSku"
                                            )
                                            .distinct()
                                               """
    names = ["datestamp", "entityId", "requestId", "marketplaceId", "asin"]
    names += ["sessionId", "merchant_id", "client_id", "addressId", "offerSku"]
    row = {**dict.fromkeys(names, "x"), "deliveryOption": ["fast", "slow"]}
    pdex = node.land("pdex", row, {**row, "asin": "y"}, {**row, "addressId": None})
    result = node.run(flow.BatchCompute(flow.scala_script(code)).code, pdex)
    assert result.rows == 2
    assert [name for name, _ in result.schema] == names
    assert result.engine == "Spark 3.5.6 (Scala 2.12.18)"


def test_a_snippet_finds_its_inputs_dimensions_and_arguments_by_name(node, orders):
    code = """
        val day = dimensions("day")
        val known = Seq(
          inputs("orders") == orders, inputTable("orders") == orders, spark.table("orders").count == 2,
          runtime_platform == "local", execParams("my_param") == "PARAM1", execParams("region") == "NA",
          execParams("runtime_platform") == "local", inputs.get("nothing").isEmpty, nothing == null,
          tick == "2024-01-03T00:00", `type` == "text", args("n") == "7", args("flag") == "true")
        println(s"known: $known")
        System.err.println("to nobody")
        orders.select($"id", lit(day).as("day"), lit(args("my_param")).as("param")).where(lit(known.forall(identity)))
    """
    inputs = (
        orders,
        TaskInput("tick", value="2024-01-03T00:00"),
        TaskInput("type", value="text"),
        TaskInput("nothing", ("s3://lake/no",), missing=("s3://lake/no",), optional=True),
    )
    result = node.run(code, *inputs, args={"my_param": "PARAM1", "n": 7, "flag": True})
    assert result.rows == 2
    assert set(result.preview[0].items()) == {("id", 1), ("day", "2024-01-03"), ("param", "PARAM1")}
    assert [line for line in node.log if line.startswith("known: List(true, true")]


def test_case_classes_objects_closures_and_functions_reach_spark(node, orders):
    code = """
        import org.apache.spark.sql.types._
        import scala.collection.mutable

        case class Order(id: Long, x: Option[Double])
        object Order { def zero: Order = Order(0, None) }
        sealed trait Size
        case object Big extends Size
        implicit class Rich(order: Order) { def plus(n: Long): Order = order.copy(id = order.id + n) }
        val n = args("n").toLong
        case class Local(x: Long) { def more: Long = x + n }  // uses a value of the snippet
        def twice(x: Long): Long = x * 2 + n
        val seen = mutable.Map("a" -> 1L)
        val udfs = udf((x: Long) => twice(x) + seen("a"))
        orders.as[Order].union(Seq(Order.zero).toDS)
          .map(order => order.plus(Local(1).more))
          .withColumn("y", udfs($"id"))
          .withColumn("size", lit(Big.toString))
          .orderBy("id")
    """
    result = node.run(code, orders, args={"n": 10})
    assert [(row["id"], row["x"], row["y"], row["size"]) for row in result.preview] == [
        (11, None, 33, "Big"), (12, 1.5, 35, "Big"), (13, None, 37, "Big"),
    ]  # fmt: skip


def test_a_typed_dataset_is_an_output_too(node):
    result = node.run('case class P(a: Int, b: String)\nSeq(P(1, "x")).toDS')
    assert result.preview == ({"a": 1, "b": "x"},)
    assert node.run("Seq(1, 2).toDS").rows == 2


EXITS = "would end the JVM that runs other nodes, too"
STOPS = "would stop the session of other nodes, too"


@pytest.mark.parametrize(
    ("code", "message", "source"),
    [
        ("val a = 1\norders.filter(a)", "line 2, column 8: overloaded method", "  orders.filter(a)\n         ^"),
        ("orders\n  .limit(1\n", "line 2, column 11: ')' expected but eof found", "  .limit(1\n"),
        ("orders }", "line 1, column 8: eof expected but '}' found", "  orders }\n"),
        ("orders\n  .limt(1)", "line 2, column 4: value limt is not a member of", "  .limt(1)\n     ^"),
        ("import com.no.Job\norders", "line 1, column 12: object no is not a member of package com", "com.no.Job\n"),
        ("val x = orders", "line 1, column 5: the snippet ends with a definition", "val x"),
        ("// nothing", "the snippet is empty", ""),
        ("orders\norders.count", "line 2, column 8: the last expression is of type Long; it must be", "orders.count\n"),
        ("orders.show()", "the last expression is of type Unit; it must be a DataFrame", "orders.show()\n"),
        ("if (orders == null) sys.exit(3)\norders", f"line 1, column 25: scala.sys.exit {EXITS}", "sys.exit(3)\n"),
        ("System.exit(3)\norders", f"java.lang.System.exit {EXITS}", "System.exit(3)\n"),
        ("Runtime.getRuntime.halt(3)\norders", f"java.lang.Runtime.halt {EXITS}", "halt(3)\n"),
        ("spark.stop()\norders", f"org.apache.spark.sql.SparkSession.stop {STOPS}", "stop()\n"),
        ("spark.sparkContext.stop()\norders", f"org.apache.spark.SparkContext.stop {STOPS}", "stop()\n"),
    ],
)
def test_what_does_not_compile_is_told_with_the_users_line_and_column(node, orders, code, message, source):
    failure = node.fails(code, orders)
    assert failure.kind == "user"
    assert "its Scala does not compile" in failure.message
    assert message in failure.message
    assert source in failure.detail


def test_every_mistake_is_told_at_once(node, orders):
    failure = node.fails("val a: Int = orders\nval b = nope\norders", orders)
    assert "line 1, column 14: type mismatch" in failure.detail
    assert "line 2, column 9: not found: value nope" in failure.detail


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "val x = 0\nval y = List(1)\n  .map(1 / _ / x)\norders",
            "in line 3 (.map(1 / _ / x)): ArithmeticException: / by",
        ),
        ('orders\n  .select("nope")', 'in line 2 (.select("nope")): AnalysisException: [UNRESOLVED_COLUMN'),
        (
            'orders.select(udf((id: Long) =>\n  1 / (id - id)).apply($"id"))',
            'in line 2 (1 / (id - id)).apply($"id"))) while',
        ),
        (
            'throw new IllegalStateException("rain")',
            '(throw new IllegalStateException("rain")): IllegalStateException: rain',
        ),
        ("val rows = orders\n  .as[Long].collect()\norders", "failed in line 2"),
        ("def deep(n: Int): Int = 1 + deep(n)\nif (deep(1) > 0) orders else orders", "StackOverflowError"),
        ("val data: Any = List(1)\ndata", "its Scala returned scala.collection.immutable.$colon$colon; its last"),
        ("orders.filter(_ => null.asInstanceOf[String].isEmpty)", "failed in line 1 (orders.filter(_ => null"),
    ],
)
def test_what_fails_is_told_with_the_users_line(node, orders, code, message):
    failure = node.fails(code, orders)
    assert failure.kind == "user"
    assert message in failure.message


def test_an_optional_input_without_data_is_null_and_says_so(node, orders):
    absent = TaskInput("older", ("s3://lake/older",), missing=("s3://lake/older",), optional=True)
    failure = node.fails("val all = orders\n  .union(older.limit(1))\nall", orders, absent)
    assert "failed in line 2" in failure.message
    assert "its optional input 'older' has no data and is null" in failure.message
    code = 'inputs.get("older").fold(orders)(orders.union)'
    assert node.run(code, orders, absent).rows == 2


def test_two_snippets_at_once_compile_and_run_apart(node, orders):
    def run(n: int) -> tuple:
        code = (
            f'case class P(id: Long, n: Int)\nval n = {n}\norders.select($"id".as[Long]).map(P(_, n)).where("id = 1")'
        )
        return node.run(code, orders, out=f"s3://lake/out/{n}").preview

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, [1, 2, 3, 4]))
    assert found == [({"id": 1, "n": n},) for n in (1, 2, 3, 4)]


def test_a_snippet_writes_its_own_partition_only(node, orders):
    assert (
        "wrote outside its own output" in node.fails('orders.write.json("s3://lake/elsewhere")\norders', orders).message
    )


def test_jars_are_called_by_module_and_from_a_snippet(node, orders):
    jar = node.jar("a")
    module = flow.scala_module("com.example.features", [jar], "Daily")
    result = node.run(module.text, orders, libraries=module.libraries, args={"mark": "!"})
    assert result.preview == ({"id": 1, "value": "a12024-01-03!"}, {"id": 2, "value": "a22024-01-03!"})
    code = """
        import com.example.features.{Daily, Score}
        val label = udf((id: Long) => Daily.label(id))
        Daily.make(orders, "?").as[Score].filter(_.id > 1).withColumn("label", label($"id"))
    """
    assert node.run(code, orders, libraries=(jar,)).preview == ({"id": 2, "value": "a2?", "label": "a2"},)
    assert "object example is not a member of package com" in node.fails(code, orders).message, "undeclared: not seen"
    exits = node.fails("com.example.features.Daily.leave()", orders, libraries=(jar,))
    assert "failed in line 1" in exits.message
    assert "wants to end the JVM that runs other nodes" in exits.message
    before = node.worker()
    stops = node.fails("com.example.features.Daily.halt(orders)", orders, libraries=(jar,))
    assert stops.kind == "user"
    assert "stopped the Spark session" in stops.message
    assert "is not there" not in stops.message
    assert node.worker() != before, "another worker takes over"
    assert "cannot be read" in node.fails("orders", orders, libraries=("s3://jars/none.jar",)).message
    assert "is not one of .jar" in node.fails("orders", orders, libraries=("s3://jars/none.py",)).message


def test_another_version_of_a_library_gets_another_jvm(node, orders):
    (one, two) = (node.jar("one"), node.jar("two"))
    code = 'com.example.features.Daily.make(orders, "")'
    assert node.run(code, orders, libraries=(one,)).preview[0]["value"] == "one1"
    assert node.run(code, orders, libraries=(two,)).preview[0]["value"] == "two1"
    assert any("another version of com.example.features" in line and "JVM" in line for line in node.log)


def test_python_libraries_are_seen_by_the_code_and_its_functions_and_by_nobody_else(node, tmp_path):
    def pack(version: int, name: str) -> str:
        file = tmp_path / str(version) / name
        file.parent.mkdir()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("rheo_example/__init__.py", f"def version(): return {version}")
        return str(file)

    code = """
        from rheo_example import version
        from pyspark.sql.functions import lit, udf
        def inside(_):
            import rheo_example
            return rheo_example.version()
        output = spark.range(1).select(udf(inside, "int")("id").alias("there"), lit(version()).alias("here"))
    """
    for version, name in [(1, "example.zip"), (2, "example-2-py3-none-any.whl"), (3, "example.zip")]:
        result = node.run(code, lang="PYTHON", libraries=(pack(version, name),))
        assert result.preview == ({"there": version, "here": version},)
    assert "No module named 'rheo_example'" in node.fails(code, lang="PYTHON").message


def test_an_older_glue_version_runs_here_and_says_so_once(node):
    for _ in range(2):
        node.run("spark.range(1).toDF", hints={"GlueVersion": "2.0"}, node="old_scala")
    node.run("output = spark.range(1)", lang="PYTHON", hints={"GlueVersion": "3.0"}, node="old_python")
    node.run("SELECT 1 AS a", lang="SPARK_SQL", hints={"GlueVersion": "4.0"}, node="old_sql")
    node.run("SELECT 1 AS a", lang="SPARK_SQL", hints={"GlueVersion": "5.0"}, node="new_sql")
    assert [line for line in node.log if "GlueVersion" in line] == [
        "'old_scala': GlueVersion 2.0 (Spark 2.4) runs here on Spark 3.5.6 (Scala 2.12)",
        "'old_python': GlueVersion 3.0 (Spark 3.1) runs here on Spark 3.5.6 (Scala 2.12)",
        "'old_sql': GlueVersion 4.0 (Spark 3.3) runs here on Spark 3.5.6 (Scala 2.12)",
    ]


@pytest.mark.parametrize("how", ["timeout", "cancelled"])
def test_spark_jobs_of_a_snippet_end_with_it(node, how):
    before, started = node.worker(), threading.Event()
    code = 'println("go")\nspark.range(1L << 40).selectExpr("sum(sqrt(id))").collect()\nspark.range(1).toDF'
    task = Task("tpdex", "SCALA", code, (), TaskOutput(OUT), timeout=6 if how == "timeout" else None)
    log = lambda line: started.set() if line == "go" else None  # noqa: E731
    with pytest.raises(TaskFailure) as caught:
        node.engine.run(task, log, lambda: how == "cancelled" and started.is_set())
    assert caught.value.kind == how
    wait = """
        val end = System.currentTimeMillis + 30000
        def jobs = spark.sparkContext.statusTracker.getActiveJobIds.length
        while (jobs > 0 && System.currentTimeMillis < end) Thread.sleep(50)
        Seq(jobs).toDF("active")
    """
    assert node.run(wait).preview == ({"active": 0},)
    assert node.worker() == before


def test_a_snippet_that_never_ends_costs_the_worker_and_other_tasks_run_again(node, tmp_path: Path):
    before = node.worker()
    mark = tmp_path / "mark"
    other = f"""
        import os, time
        first = not os.path.exists({str(mark)!r})
        open({str(mark)!r}, "a").write("x")
        time.sleep(60 if first else 0)
        output = spark.range(5)
    """
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(node.run, other, lang="PYTHON", out="s3://lake/out/other")
        endless = "var n = 0L\nwhile (true) { n += 1 }\nspark.range(n).toDF"
        failure = node.fails(endless, timeout=3)
        assert failure.kind == "timeout"
        assert slow.result().rows == 5
    assert mark.read_text() == "xx"
    assert any("did not stop with its task" in line for line in node.log)
    assert node.worker() != before
