"""Compute targets: their languages, their hints, the code they hold, and which engine serves them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets.compute.engines import PREFERENCE, read_kinds
from rheo_assets.compute.wrappers import as_targets
from rheo_assets.errors import DeclarationError

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
    with pytest.raises(ValueError, match=r"node 'n': no engine serves PYTHON code.*Glue does not know RuntimeConfig"):
        app.create_data("n", compute_targets=[flow.Spark("output = x", RuntimeConfig="emr-7.5.0")])
    with pytest.raises(ValueError, match=r"node 'n'.*Athena does not run INLINED"):
        app.create_data("n", compute_targets=[flow.InlinedCompute(lambda i, o, p: None)])
    with pytest.raises(ValueError, match="asks for the engine 'emr', which the application does not have"):
        app.create_data("n", compute_targets=[flow.EMR("output = x")])


def test_a_function_longer_than_lambda_allows_is_not_sent_there() -> None:
    app = flow.Application("app", engines=["lambda"])
    with pytest.raises(ValueError, match="Lambda ends code after 900 s, and timeout is 901"):
        app.create_data("n", compute_targets=[flow.InlinedCompute(lambda i, o, p: None, timeout=901)])


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


# hints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hints", "told"),
    [
        ({"MaxCapacity": 10, "WorkerType": "G.1X"}, "both MaxCapacity and WorkerType"),
        ({"MaxCapacity": 10, "NumberOfWorkers": 2}, "both MaxCapacity and NumberOfWorkers"),
        ({"GlueVersion": "1.0"}, "GlueVersion is '1.0'. One of auto, 2.0"),
        ({"WorkerType": "G.3X"}, "WorkerType is 'G.3X'"),
        ({"NumberOfWorkers": 0}, "NumberOfWorkers is 0"),
        ({"NumberOfWorkers": True}, "NumberOfWorkers is True"),
        ({"Timeout": 0}, "Timeout is 0"),
        ({"Timeout": 100_000}, "at most 10080 .7 days"),
        ({"InstanceConfig": 3}, "InstanceConfig is 3"),
        ({"InstanceConfig": {"InstanceCount": -1}}, "InstanceCount is a whole number"),
        ({"RuntimeConfig": "7.5"}, "release label"),
        ({"SparkCliArgs": "--conf a=b"}, "A list of texts"),
    ],
)
def test_hints_that_no_engine_takes_are_refused(hints: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        flow.BatchCompute("output = x", **hints)


def test_keyword_arguments_that_are_no_hints_reach_the_code() -> None:
    target = flow.BatchCompute("output = x", GlueVersion="3.0", my_param="PARAM1")
    assert (dict(target.args), dict(target.hints)) == ({"my_param": "PARAM1"}, {"GlueVersion": "3.0"})


def test_permissions_are_statements() -> None:
    reads = flow.Permission("arn:aws:s3:::models/*", ["s3:GetObject"])
    assert flow.BatchCompute("output = x", extra_permissions=[reads]).permissions == (reads,)
    with pytest.raises(ValueError, match="names no service"):
        flow.Permission("*", "GetObject")
    with pytest.raises(ValueError, match="Give Permission"):
        flow.InlinedCompute(lambda i, o, p: None, permissions=["s3:GetObject"])  # type: ignore[list-item]


def test_requirements_of_a_function_are_pinned() -> None:
    with pytest.raises(ValueError, match="'requests' has no version"):
        flow.InlinedCompute(lambda i, o, p: None, requirements=["requests"])


# code ---------------------------------------------------------------------------------------------------------


def test_code_says_its_own_language() -> None:
    assert flow.BatchCompute(flow.scala_script("x.limit(1)")).lang is flow.Lang.SCALA
    with pytest.raises(ValueError, match="lang is PYTHON and the code is SCALA"):
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
    with pytest.raises(ValueError, match="is a path"):
        flow.sql_module(package, "../secrets.sql")
    with pytest.raises(ValueError, match="there is no package"):
        flow.sql_module("no_such_package", "daily.sql")
