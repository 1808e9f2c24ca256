"""Compute targets: their languages, their hints, the code they hold, and which engine serves them."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.engines import PREFERENCE, read_kinds
from rheo_assets.model.compute.hints import HINTS
from rheo_assets.model.compute.parameters import PARAMETERS
from rheo_assets.model.compute.targets import Batch
from rheo_assets.model.compute.wrappers import as_targets

pytestmark = pytest.mark.fast


def engine_of(target: Any, engines: list[str] | None = None) -> str:
    (served,) = as_targets([target], "node 'n'", read_kinds(engines, "application 'a'"))
    return served.engine


# which engine (case J2) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "engine"),
    [
        (flow.SparkSQL("select 1"), "glue"),
        (flow.Glue("output = x"), "glue"),
        (flow.Spark("output = x"), "glue"),
        (flow.PrestoSQL("select 1"), "athena"),
        (flow.BatchCompute(flow.scala_script("x.limit(1)")), "glue"),
        (flow.EMR("output = x"), "emr"),
        (flow.Spark("output = x", InstanceConfig={"InstanceCount": 3}), "emr"),
        (flow.Spark("output = x", RuntimeConfig="emr-7.5.0"), "emr"),
        (flow.Spark("output = x", SparkCliArgs=["--conf", "a=b"]), "emr"),
        (flow.InlinedCompute(lambda inputs, output, params: None), "lambda"),
        (flow.InlinedCompute(lambda inputs, output, params: None, engine="process"), "process"),
        (flow.InlinedCompute(lambda inputs, output, params: None, timeout=3600), "process"),
        (flow.BatchCompute("output = x", engine="emr_serverless"), "emr_serverless"),
    ],
)
def test_language_and_hints_choose_the_engine(target: Any, engine: str) -> None:
    assert engine_of(target) == engine


def test_an_application_names_its_engines_in_its_own_order() -> None:
    assert engine_of(flow.Spark("output = x"), ["emr_serverless", "glue"]) == "emr_serverless"
    app = flow.Application("app", engines=["emr", "process"])
    node = app.create_data("n", compute_targets=[flow.Spark("output = x"), flow.InlinedCompute(lambda i, o, p: None)])
    assert [target.engine for target in node.targets] == ["emr", "process"]


def test_a_target_that_no_engine_of_the_application_serves_is_refused_where_it_is_declared() -> None:
    app = flow.Application("app", engines=["athena", "glue"])
    told = (
        "node 'n': no engine can run PYTHON code: Glue does not know RuntimeConfig. "
        "Remove RuntimeConfig for Glue, or add 'emr' to the application's engines"
    )
    with pytest.raises(ValueError, match=f"^{told}$"):
        app.create_data("n", compute_targets=[flow.Spark("output = x", RuntimeConfig="emr-7.5.0")])
    told = "none of Athena, Glue runs Python functions. Add 'lambda' to the application's engines$"
    with pytest.raises(ValueError, match=rf"node 'n': no engine can run callable '<lambda>': {told}"):
        app.create_data("n", compute_targets=[flow.InlinedCompute(lambda i, o, p: None)])
    with pytest.raises(ValueError, match="requests the engine 'emr', which the application does not have"):
        app.create_data("n", compute_targets=[flow.EMR("output = x")])


def test_hints_of_two_engines_are_told_with_what_to_leave_out() -> None:
    app = flow.Application("app")
    both = {"WorkerType": "G.1X", "InstanceConfig": {"InstanceCount": 3}}
    told = (
        "node 'n': no engine can run PYTHON code: Glue does not know InstanceConfig; EMR does not know WorkerType; "
        "EMR Serverless does not know InstanceConfig, WorkerType. "
        "Remove InstanceConfig for Glue, or remove WorkerType for EMR"
    )
    with pytest.raises(ValueError, match=f"^{told}$"):
        app.create_data("n", compute_targets=[flow.Spark("output = x", **both)])
    with pytest.raises(ValueError, match=r"Remove RuntimeConfig for Glue, or name the engine 'emr'$"):
        app.create_data("n", compute_targets=[flow.Glue("output = x", RuntimeConfig="emr-7.5.0")])
    with pytest.raises(ValueError, match=r"Athena does not know WorkerType\. Remove WorkerType for Athena"):
        app.create_data("n", compute_targets=[flow.PrestoSQL("select 1", WorkerType="G.1X")])


def test_an_engine_that_runs_another_language_is_told_alone() -> None:
    glue = flow.BatchCompute("select 1", "PRESTO_SQL", engine="glue")
    for target, engines, told in (
        (
            flow.PrestoSQL("select 1"),
            ["glue"],
            "Glue does not run PRESTO_SQL. Add 'athena' to the application's engines",
        ),
        (flow.PrestoSQL("select 1"), [], "the application has no engine. Add 'athena' to the application's engines"),
        (glue, ["glue", "athena"], "Glue does not run PRESTO_SQL. Name the engine 'athena'"),
    ):
        with pytest.raises(ValueError, match=f"no engine can run PRESTO_SQL code: {told}$"):
            engine_of(target, engines)


def test_a_function_longer_than_lambda_allows_is_not_sent_there() -> None:
    app = flow.Application("app", engines=["lambda"])
    told = "Lambda stops code after 900 s, but timeout is 901. Give a timeout of at most 900 s, or add 'process'"
    with pytest.raises(ValueError, match=told):
        app.create_data("n", compute_targets=[flow.InlinedCompute(lambda i, o, p: None, timeout=901)])


@pytest.mark.parametrize(
    ("wrapper", "said"),
    [(flow.Glue, {"engine": "emr"}), (flow.EMR, {"engine": "glue"}), (flow.SparkSQL, {"lang": "SCALA"})],
)
def test_what_a_wrapper_says_itself_cannot_be_said_again(wrapper: Any, said: dict[str, str]) -> None:
    with pytest.raises(DeclarationError, match=r"sets the (engine|lang) itself: use BatchCompute"):
        wrapper("select 1", **said)


def test_an_engine_that_nobody_has_is_refused_with_near_misses() -> None:
    with pytest.raises(ValueError, match=r"application 'app': there is no engine 'glu'.*Did you mean 'glue'"):
        flow.Application("app", engines=["glu"])
    with pytest.raises(ValueError, match="Give a list of names"):
        flow.Application("app", engines="glue")  # type: ignore[arg-type]  # what is tested


def test_the_order_of_preference_is_the_documented_one() -> None:
    assert [kind.name for kind in PREFERENCE] == ["athena", "glue", "emr", "emr_serverless", "lambda", "process"]


def test_csv_of_presto_sql_has_no_header_because_athena_writes_none() -> None:
    app = flow.Application("app")
    sql = flow.PrestoSQL("select 1 as one")
    with pytest.raises(ValueError, match="node 'n': asks Presto SQL for csv with a header"):
        app.create_data("n", compute_targets=[sql], dataset_format="csv", header=True)
    assert app.create_data("m", compute_targets=[sql], dataset_format="csv").options["header"] is False
    assert "header" not in app.create_data("k", compute_targets=[flow.Spark("x")], dataset_format="csv").options


@pytest.mark.parametrize("spelled", ["orc", "ORC", flow.DataFormat.ORC])
def test_orc_of_presto_sql_is_refused_where_it_is_declared_because_only_spark_writes_it(spelled: Any) -> None:
    app = flow.Application("app")
    targets = [flow.SparkSQL("select 1"), flow.PrestoSQL("select 1 as one")]
    with pytest.raises(ValueError, match=r"node 'n': asks Presto SQL for orc, .*\. Use parquet, or SparkSQL"):
        app.create_data("n", compute_targets=targets, dataset_format=spelled)
    assert app.create_data("m", compute_targets=targets[:1], dataset_format=spelled).format == "orc"


# hints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hints", "told"),
    [
        ({"MaxCapacity": 10, "WorkerType": "G.1X"}, "both MaxCapacity and WorkerType"),
        ({"MaxCapacity": 10, "NumberOfWorkers": 2}, "both MaxCapacity and NumberOfWorkers"),
        ({"GlueVersion": "1.0"}, "GlueVersion is '1.0'. Give one of auto, 2.0"),
        ({"WorkerType": "G.3X"}, "WorkerType is 'G.3X'"),
        ({"NumberOfWorkers": 0}, "NumberOfWorkers is 0"),
        ({"NumberOfWorkers": True}, "NumberOfWorkers is True"),
        ({"Timeout": 0}, "Timeout is 0"),
        ({"Timeout": 100_000}, "from 1 to 10079: Glue allows less than 7 days"),
        ({"Timeout": 10_080}, "from 1 to 10079"),
        ({"InstanceConfig": 3}, "InstanceConfig is 3"),
        ({"InstanceConfig": {"InstanceCount": -1}}, "InstanceCount must be a whole number"),
        ({"RuntimeConfig": "7.5"}, "release label"),
        ({"MaxCapacity": float("inf")}, "Give a number of DPUs"),
        ({"Timeout": "30"}, "Timeout is '30'. Give a number of minutes"),
        ({"Timeout": float("nan")}, "Give a number of minutes"),
        ({"InstanceConfig": {}}, "Give a dict with InstanceCount and InstanceType"),
        ({"InstanceConfig": {"InstanceType": "large"}}, "an EC2 instance type"),
        ({"RuntimeConfig": "emr-7.5.0; true"}, "release label"),
        ({"RuntimeConfig": "emr-"}, "release label"),
        ({"SparkCliArgs": "--conf a=b"}, "Give a list of strings"),
        ({"SparkCliArgs": ["other.py"]}, "'other.py' does not follow an option"),
        ({"SparkCliArgs": ["--verbose", "--conf"]}, "--conf has no value"),
        ({"SparkCliArgs": ["--py-files", "a.zip"]}, "Remove --py-files. Give external_library_paths"),
        ({"SparkCliArgs": ["--class=Main"]}, "Remove --class"),
        ({"retry_count": True}, "retry_count is True"),
        ({"glueVersion": "5.0"}, "has no hint 'glueVersion'. Write GlueVersion"),
        ({"timeout": 5}, "has no hint 'timeout'. Write Timeout"),
        ({"WorkerTyp": "G.1X"}, "Write WorkerType"),
        ({"external_library_paths": ["a.jar"]}, "Give it to scala_script"),
        ({"permissions": []}, "Write extra_permissions"),
        ({"MaxRetries": 3}, "has no hint 'MaxRetries'. Write retry_count; an argument of the code needs another name"),
        ({"NumWorkers": 3}, "Write NumberOfWorkers"),
        ({"Role": "jobs"}, r"AwsPlatform\(role=…\)"),
        ({"Tags": {"team": "sales"}}, r"AwsPlatform\(engine_options={'glue': {'tags': …}}\)"),
        ({"ReleaseLabel": "emr-7.9.0"}, "Write RuntimeConfig='emr-7.9.0'"),
        ({"ExecutionClass": "FLEX"}, "Remove it: a node cannot set it"),
    ],
)
def test_hints_that_no_engine_takes_are_refused(hints: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        flow.BatchCompute("output = x", **hints)


def test_every_parameter_of_the_calls_of_glue_and_emr_is_a_hint_or_refused() -> None:
    from botocore.loaders import Loader

    named: set[str] = set()
    for service, shapes in (("glue", ["CreateJobRequest", "StartJobRunRequest"]), ("emr", ["RunJobFlowInput"])):
        model = Loader().load_service_model(service, "service-2")
        named |= {name for shape in shapes for name in model["shapes"][shape]["members"]}
    assert set(PARAMETERS) == named - HINTS | {"NumWorkers"}


def test_an_argument_of_the_code_may_have_a_name_that_is_much_like_one_of_aws() -> None:
    target = flow.Spark("output = x", name="n", role="r", tags=["t"], command="c", max_retries=2)
    assert set(target.args) == {"name", "role", "tags", "command", "max_retries"}


def test_hints_that_make_sense_are_taken() -> None:
    words = ["--conf", "a=b c", "--verbose", "--driver-memory=4g", "--conf", "-x=-y"]
    for hints in (
        {"SparkCliArgs": words},
        {"RuntimeConfig": "emr-spark-8.0-preview"},
        {"InstanceConfig": {"InstanceType": "u7i-12tb.224xlarge"}},
        {"GlueVersion": 5.0},
        {"MaxCapacity": 2.5},
        {"Timeout": 0.5},
        {"Timeout": 10_079},
    ):
        assert dict(flow.BatchCompute("output = x", **hints).hints) == hints


def test_a_hint_that_is_none_is_none() -> None:
    target = flow.Spark("output = x", MaxCapacity=None, WorkerType="G.1X", InstanceConfig=None)
    assert dict(target.hints) == {"WorkerType": "G.1X"}
    assert engine_of(target) == "glue"


def test_arguments_reach_every_engine_as_json_holds_them() -> None:
    app = flow.Application("app")
    node = app.create_data("n", compute_targets=[flow.Spark("output = x", since=date(2021, 1, 1), days={2, 1})])
    (target,) = node.targets
    assert isinstance(target, Batch)
    assert target.args == {"since": "2021-01-01", "days": [1, 2]}
    with pytest.raises(ValueError, match="node 'm': argument who is b'x', a bytes, which cannot be recorded"):
        app.create_data("m", compute_targets=[flow.Spark("output = x", who=b"x")])


def test_an_argument_that_sql_would_not_find_is_refused() -> None:
    app = flow.Application("app")
    spec = {"day": {"type": "DATETIME"}}
    with pytest.raises(ValueError, match="node 'n': has both an argument and dimension 'day'"):
        app.create_data("n", output_dimension_spec=spec, compute_targets=[flow.SparkSQL("select '{day}'", day="x")])
    app.create_data("n", output_dimension_spec=spec, compute_targets=[flow.Spark("output = args['day']", day="x")])


def test_keyword_arguments_that_are_no_hints_reach_the_code() -> None:
    target = flow.BatchCompute("output = x", GlueVersion="3.0", my_param="PARAM1")
    assert (dict(target.args), dict(target.hints)) == ({"my_param": "PARAM1"}, {"GlueVersion": "3.0"})


def test_permissions_are_statements() -> None:
    reads = flow.Permission("arn:aws:s3:::models/*", ["s3:GetObject"])
    assert flow.BatchCompute("output = x", extra_permissions=[reads]).permissions == (reads,)
    with pytest.raises(ValueError, match="does not name a service"):
        flow.Permission("*", "GetObject")
    with pytest.raises(ValueError, match="Give Permission"):
        flow.InlinedCompute(lambda i, o, p: None, permissions=["s3:GetObject"])  # type: ignore[list-item]


@pytest.mark.parametrize("wrong", [3, "GetObject", flow.Permission("*", "s3:*")])
def test_permissions_that_are_no_list_of_them_are_refused_in_words(wrong: Any) -> None:
    if isinstance(wrong, flow.Permission):
        assert flow.BatchCompute("output = x", extra_permissions=wrong).permissions == (wrong,)
        return
    with pytest.raises(ValueError, match="Give Permission"):
        flow.BatchCompute("output = x", extra_permissions=wrong)
    with pytest.raises(ValueError, match="action is 3" if wrong == 3 else "does not name a service"):
        flow.Permission("*", wrong)


@pytest.mark.parametrize(
    ("requirement", "told"),
    [
        ("requests", "is not a package with its version. Pin it"),
        ("requests>=2", "Pin it"),
        ("requests==2.*", "Pin it"),
        ("requests==", "Pin it"),
        ("--index-url=http://elsewhere/==1", "Pin it"),
        ("-r other.txt==1", "Pin it"),
        ("requests @ http://elsewhere/requests==1.whl", "Pin it"),
        ("git+https://elsewhere/requests.git==1", "Pin it"),
        ("./requests==1", "Pin it"),
        ("requests==2.32.3 --hash=sha256:0", "Pin it"),
        ("requests==2.32.3\nother", "Pin it"),
        ("requests==2.32.3; true", "Pin it"),
        ("Flask_Cors==1", "requires Flask_Cors twice"),
    ],
)
def test_requirements_of_a_function_are_packages_with_versions_and_nothing_else(requirement: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        flow.InlinedCompute(lambda i, o, p: None, requirements=["flask-cors==2", requirement])


def test_requirements_are_a_list() -> None:
    with pytest.raises(ValueError, match=r"requirements is 'requests==1'\. Give a list"):
        flow.InlinedCompute(lambda i, o, p: None, requirements="requests==1")
    taken = ["requests[socks]==2.32.3", "pandas == 2.2.0rc1", "torch==2.1.0+cpu"]
    assert flow.InlinedCompute(lambda i, o, p: None, requirements=taken).requirements == tuple(taken)


@pytest.mark.parametrize("timeout", [0, -1, "5", None, True, float("nan"), float("inf")])
def test_the_seconds_of_a_function_are_a_number(timeout: Any) -> None:
    with pytest.raises(ValueError, match="Give a number of seconds above 0"):
        flow.InlinedCompute(lambda i, o, p: None, timeout=timeout)


# code ---------------------------------------------------------------------------------------------------------


def test_code_says_its_own_language() -> None:
    assert flow.BatchCompute(flow.scala_script("x.limit(1)")).lang is flow.Lang.SCALA
    with pytest.raises(ValueError, match="lang is PYTHON but the code is SCALA"):
        flow.BatchCompute(flow.scala_script("x.limit(1)"), lang=flow.Lang.PYTHON)
    with pytest.raises(ValueError, match=r"lang is 'SCLA'.*Did you mean 'SCALA'"):
        flow.BatchCompute("x", lang="SCLA")
    with pytest.raises(ValueError, match="abi is 'OTHER'"):
        flow.BatchCompute("x", abi="OTHER")


def test_a_scala_module_is_a_call_of_compiled_code() -> None:
    jar = "s3://jars/features.jar"
    code = flow.scala_module("com.example.features", [jar], "Daily", "make")
    target = flow.BatchCompute(code)
    assert target.code == "com.example.features.Daily.make(spark, inputs, dimensions, args)"
    assert target.libraries == (jar,)
    with pytest.raises(ValueError, match="is not a name in Scala"):
        flow.scala_module("com.example; System.exit(1)")


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (3, "external_library_paths is 3. Give a list"),
        ({"a.jar": 1}, "Give a list"),
        (["features.zip"], "'features.zip' is not one of .jar"),
        (["s3:/jars/a.jar"], "cannot be fetched. Write e.g. 's3://bucket/code.jar'"),
        (["https://elsewhere/a.jar"], "cannot be fetched"),
        ([None], "external library None"),
    ],
)
def test_libraries_that_cannot_be_meant_are_refused(paths: Any, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        flow.scala_script("x", external_library_paths=paths)


def test_a_library_of_this_machine_is_the_same_file_in_every_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert flow.scala_script("x", external_library_paths="a.jar").libraries == (str(tmp_path / "a.jar"),)


@pytest.mark.parametrize(
    ("code", "lang", "told"),
    [
        ("output = 1\noutput = (", "PYTHON", "its code is not Python: .* in line 2"),
        ("output = '\0'", "PYTHON", "its code is not Python"),
        (";;", "SPARK_SQL", "has no statement"),
        ("-- select 1", "PRESTO_SQL", "has no statement"),
    ],
)
def test_code_that_fails_wherever_it_runs_is_refused(code: str, lang: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        flow.BatchCompute(code, lang)


SCALA = "It looks like Scala: give lang=Lang.SCALA, or use scala_script(…)"
SQL = "It looks like SQL: use SparkSQL(…) or PrestoSQL(…)"
PYTHON = "Check the code with `python`"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("val big = orders.filter($'total' > 1)\nbig", SCALA),
        ("import org.apache.spark.sql.functions._\norders.select(col('a').as('b'))", SCALA),
        ("orders.as[Order]", SCALA),
        ("orders.map(order => order.total)", SCALA),
        ("case class Order(id: Long)\norders.limit(1)", SCALA),
        ("def big(total: Long) = total > 1\norders", SCALA),
        ("def one = 1\norders", SCALA),
        ("select * from orders", SQL),
        ("-- all of them\nSELECT\n  id\nFROM orders", SQL),
        ("with big as (select 1 as one) select * from big", SQL),
        ("create table t as select 1", SQL),
        ("INSERT INTO t VALUES (1)", SQL),
        ("output = (", PYTHON),
        ("select = (", PYTHON),
        ("with open('a') as file:\nprint(1)", PYTHON),
        ("def f(x=1):\n  y = (", PYTHON),
        ("def f(x: int = 1) -> int:\n  y = 2\n z = 3", PYTHON),
        ("print 'old'", PYTHON),
    ],
)
def test_code_that_is_not_python_is_told_what_it_looks_like(code: str, told: str) -> None:
    for lang in (None, "PYTHON"):
        with pytest.raises(DeclarationError) as caught:
            flow.BatchCompute(code, lang)
        assert str(caught.value).endswith(told)


def test_a_scala_script_may_name_the_object_that_is_called() -> None:
    code = flow.scala_script("object Daily { def main(a: Any, b: Any, c: Any, d: Any) = ??? }", entity="Daily")
    assert code.text.endswith("\nDaily.main(spark, inputs, dimensions, args)")
    with pytest.raises(ValueError, match="no entity"):
        flow.scala_script("x", method="main")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "features_pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "daily.sql").write_text("select 1 as one")
    (tmp_path / "features_code.py").write_text("output = orders.limit(3)\nraise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "features_pkg"


def test_a_python_module_is_read_not_imported(package: str) -> None:
    target = flow.BatchCompute(flow.python_module("features_code"))
    assert target.code.startswith("output = orders.limit(3)")
    assert "features_code" not in sys.modules
    with pytest.raises(ValueError, match=r"python_module\('no_such_module'\)"):
        flow.python_module("no_such_module")
    with pytest.raises(ValueError, match="is not a module with Python source"):
        flow.python_module("math" if "math" in sys.builtin_module_names else "itertools")


def test_an_sql_module_is_a_file_of_a_package(package: str) -> None:
    assert flow.PrestoSQL(flow.sql_module(package, "daily.sql")).code == "select 1 as one"
    with pytest.raises(ValueError, match=r"no file 'dayly.sql'.*Did you mean 'daily.sql'"):
        flow.sql_module(package, "dayly.sql")
    with pytest.raises(ValueError, match="is not a file name"):
        flow.sql_module(package, "../secrets.sql")
    with pytest.raises(ValueError, match="None is not a file name"):
        flow.sql_module(package, None)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="there is no package"):
        flow.sql_module("no_such_package", "daily.sql")


def test_text_as_a_target_is_pyspark_code() -> None:
    (target,) = as_targets("output = x.limit(100)", "node 'n'")
    assert (target.lang, target.code) == ("PYTHON", "output = x.limit(100)")


@pytest.mark.parametrize(
    "text",
    [
        "select * from x",
        "  SELECT\n 1",
        "-- all\nselect a from x",
        "/* all */ (select a from x)",
        "with y as (select 1) select * from y",
        "select -1",
        "insert into x select 1",
    ],
)
def test_text_that_reads_as_a_query_is_refused_with_what_to_say(text: str) -> None:
    with pytest.raises(ValueError, match=r"node 'n': .*looks like a query\. Write SparkSQL\(…\) or PrestoSQL\(…\)"):
        as_targets([text], "node 'n'")
