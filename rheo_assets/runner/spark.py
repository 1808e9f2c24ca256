"""Runs a task on Spark: reads the inputs, runs the user's code, writes the output.

It depends neither on Dagster nor on a platform: the same module runs in the local worker and in a Glue or EMR job.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rheo_assets.model.compute.statements import fill_parameters, split_statements
from rheo_assets.runner.libraries import use_python_libraries
from rheo_assets.runner.scala_bridge import scala_version
from rheo_assets.runner.scala_task import run_scala, scala_place
from rheo_assets.runner.signals import input_signal
from rheo_assets.runner.spark_failures import failure_of
from rheo_assets.runner.spark_inputs import malformed_partition, read_input
from rheo_assets.runner.spark_output import as_declared, writable, write_output
from rheo_assets.runner.task import Task, TaskFailure, TaskResult
from rheo_assets.runner.user_code import run_source

LANGUAGES = ("PYTHON", "SCALA", "SPARK_SQL")
_WRITABLE = "rheo.writable"  # a file system that knows the property refuses to write elsewhere


def run_spark_task(task: Task, spark: Any, *, isolated: bool = False, cache: Path | None = None) -> TaskResult:
    """Runs a PySpark, Scala or Spark SQL task and writes its output as a whole, without the completion file.

    Args:
        task: The task; its `lang` is `PYTHON`, `SCALA` or `SPARK_SQL`.
        spark: A SparkSession; the task runs in a new session on it, so that views and settings are its own.
        isolated: Whether `spark` is already a session that only this task uses.
        cache: The folder of compiled Scala and libraries. The default is a new folder.

    Raises:
        TaskFailure: The task failed.
    """
    if task.lang not in LANGUAGES:
        raise TaskFailure("user", f"{task.node!r}: Spark runs {', '.join(LANGUAGES)}, not {task.lang}")
    session = spark if isolated else spark.newSession()
    session.sparkContext.setLocalProperty(_WRITABLE, "\n".join(writable(task.output)))
    try:
        return _run(task, session, cache or Path(tempfile.mkdtemp(prefix="rheo-")))
    except Exception as error:
        failure = failure_of(task.node, error)
        if failure.kind == "platform":
            _let_go(session)
        raise failure from error
    finally:
        _quietly_reset(session)


def _run(task: Task, spark: Any, cache: Path) -> TaskResult:
    inputs: dict[str, Any] = {}
    warnings: list[str] = []
    for item in task.inputs:
        inputs[item.alias], found = read_input(spark, task.node, item)
        warnings.extend(found)
        if item.value is None and inputs[item.alias] is not None:
            inputs[item.alias].createOrReplaceTempView(item.alias)
    began = time.monotonic()
    frame = as_declared(task.node, _output(task, spark, inputs, cache), task.output)
    try:
        written = write_output(spark, frame, task.output)
    except Exception as error:
        bad = malformed_partition(spark, task.inputs) if "MALFORMED" in str(error) else ""
        raise failure_of(
            task.node, error, f"{scala_place(task, spark, error)}while it computed and wrote its output{bad}"
        ) from error
    return TaskResult(
        rows=written.rows,
        schema=written.schema,
        preview=written.preview,
        warnings=tuple(warnings),
        engine=f"Spark {spark.version}" + (f" (Scala {scala_version(spark)})" if task.lang == "SCALA" else ""),
        seconds=time.monotonic() - began,
    )


def _output(task: Task, spark: Any, inputs: Mapping[str, Any], cache: Path) -> Any:
    """Returns the DataFrame that the user's code assigns or selects."""
    if task.lang == "SCALA":
        return run_scala(task, spark, inputs, cache)
    if task.lang == "PYTHON":
        use_python_libraries(task.node, spark, task.libraries, cache)
        return _python(task, spark, inputs)
    return _sql(task, spark, inputs)


def _python(task: Task, spark: Any, inputs: Mapping[str, Any]) -> Any:
    from pyspark.sql import DataFrame

    names = {
        **_names_of_rheoceros(task, inputs),
        **inputs,
        "__name__": "__main__",  # functions of the source are pickled by value, as in a script
        "spark": spark,
        "inputs": dict(inputs),
        "dimensions": dict(task.dimensions),
        "args": dict(task.args),
        "runtime_platform": task.runtime_platform,
    }
    run_source(task.node, task.code, names)
    output = names.get("output")
    if output is None:
        raise TaskFailure("user", f"{task.node!r}: its code did not assign `output`; assign it the DataFrame to write")
    if not isinstance(output, DataFrame):
        remedy = (
            "spark.createDataFrame(output)" if type(output).__module__.startswith("pandas") else "a Spark DataFrame"
        )
        kind = f"{type(output).__module__}.{type(output).__qualname__}".removeprefix("builtins.")
        raise TaskFailure("user", f"{task.node!r}: its code assigned `output` a value of type {kind}; assign {remedy}")
    return output


def _names_of_rheoceros(task: Task, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the extra names that RheocerOS offers to code; an alias with the same name takes precedence."""
    numbered = {f"input{number}": inputs[item.alias] for number, item in enumerate(task.inputs)}
    signals = {f"{item.alias}_signal": input_signal(item) for item in task.inputs}
    return {**numbered, **signals, "dimensions_map": dict(task.dimensions)}


def _sql(task: Task, spark: Any, inputs: Mapping[str, Any]) -> Any:
    statements = split_statements(task.code)
    if not statements:
        raise TaskFailure("user", f"{task.node!r}: its SQL has no statement")
    texts = {alias: value for alias, value in inputs.items() if isinstance(value, str)}
    values = {**texts, **task.args, **task.dimensions}
    frame = None
    for place, statement in enumerate(statements, start=1):
        try:
            frame = spark.sql(fill_parameters(statement, values))
        except Exception as error:
            hint = _absent_table(str(error), inputs)
            which = f"in statement {place} of {len(statements)}" if len(statements) > 1 else "in its SQL"
            raise failure_of(task.node, error, f"{which}{hint}") from error
    if frame is None or not frame.columns:
        raise TaskFailure(
            "user", f"{task.node!r}: its last statement returns no table; end the script with the SELECT to write"
        )
    return frame


def _absent_table(text: str, inputs: Mapping[str, Any]) -> str:
    absent = [alias for alias, value in inputs.items() if value is None and f"`{alias}`" in text]
    if absent:
        return f" (its optional input {absent[0]!r} has no data, so this table does not exist)"
    return f" (its inputs are {', '.join(inputs) or 'none'})" if "TABLE_OR_VIEW_NOT_FOUND" in text else ""


def _let_go(spark: Any) -> None:
    """Makes the JVM close files that a failed writer left open: until then, deleted files still fill the disk."""
    with contextlib.suppress(Exception):
        spark.sparkContext._jvm.System.gc()


def _quietly_reset(spark: Any) -> None:
    try:
        spark.sparkContext.setLocalProperty(_WRITABLE, None)
    except Exception:  # Spark has stopped: that failure is already being raised
        return
