"""Runs a node's Scala snippet in the running JVM.

The Python runner reads the inputs and writes the output; only the snippet itself is Scala. It is compiled once, stored
as a jar under the hash of everything that it depends on, and called with the DataFrames.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rheo_assets.runner.libraries import fetch_libraries
from rheo_assets.runner.scala_bridge import bridge, bridge_digest, scala_version, snippets
from rheo_assets.runner.spark_failures import failure_of
from rheo_assets.runner.task import Task, TaskFailure

_RESERVED = {"spark", "inputs", "inputTable", "dimensions", "args", "runtime_platform", "execParams"}
_LISTEN = 0.1  # seconds between two reads of the printed output

_FRAME = """\
package {package}

import org.apache.spark.sql.{{Column, DataFrame, Dataset, Row, SparkSession}}
import org.apache.spark.sql.functions._
import scala.language.{{existentials, higherKinds, implicitConversions, postfixOps, reflectiveCalls}}

object Snippet extends Serializable {{
  def rheo_output(value: Any): Any = value

  def run(
      spark: SparkSession, inputs: Map[String, DataFrame], rheo_texts: Map[String, String],
      dimensions: Map[String, String], args: Map[String, String], runtime_platform: String): Any = {{
    val inputTable = inputs
    val execParams = args ++ dimensions + ("runtime_platform" -> runtime_platform)
    import spark.implicits._
{names}
    rheo_output({{ rheo_code }})
  }}
}}
"""


def snippet_thread(group: str) -> str:
    """Returns the name of the JVM thread that runs a snippet of this job group."""
    return f"rheo snippet {group}"


class StoppedSession(TaskFailure):
    """The task's code stopped the shared session; running it again would stop the next one, too."""


class OtherLibraries(TaskFailure):
    """The JVM has loaded another version of one of the task's libraries; another JVM can run the task."""


def run_scala(task: Task, spark: Any, inputs: Mapping[str, Any], cache: Path) -> Any:
    """Returns the DataFrame that the task's snippet returns.

    Args:
        task: The task; its `code` is the snippet, its `libraries` are jars.
        spark: The task's own session.
        inputs: The value of each alias: a DataFrame, text, or None for an optional input without data.
        cache: The folder of compiled snippets, shared by tasks and JVMs.

    Raises:
        TaskFailure: The snippet does not compile, or failed; the message names its line.
    """
    from pyspark.sql import DataFrame

    jars = [str(path) for path in fetch_libraries(task.node, spark, task.libraries, (".jar",), cache)]
    helper = _bridge(task.node, spark, cache)
    name, jar = _compiled(task, spark, helper, jars, cache)
    other = helper.load(spark._jsparkSession, [*jars, str(jar)])
    if other:
        raise OtherLibraries("platform", _conflict(task.node, other), lasting=True)
    frames = {alias: value._jdf for alias, value in inputs.items() if isinstance(value, DataFrame)}
    texts = {alias: value for alias, value in inputs.items() if isinstance(value, str)}
    values = (frames, texts, dict(task.dimensions), {key: _text(value) for key, value in task.args.items()})
    try:
        with _printed() as file:
            frame = helper.call(spark._jsparkSession, name, *values, task.runtime_platform, str(file))
    except Exception as error:
        raise _failure(task, spark, inputs, error) from error
    _refuse_stopped(task.node, spark)
    return DataFrame(frame, spark)


def scala_place(task: Task, spark: Any, error: BaseException) -> str:
    """Returns a phrase for the snippet's line that raised: `in line 3 (…) `; empty if unknown."""
    java = _java(error)
    line = 0
    if task.lang == "SCALA" and java is not None:
        with contextlib.suppress(Exception):  # Spark has stopped: the error reports it
            line = int(snippets(spark).line(java))
    lines = task.code.splitlines()
    return f"in line {line} ({lines[line - 1].strip()[:120]}) " if 0 < line <= len(lines) else ""


def _bridge(node: str, spark: Any, cache: Path) -> Any:
    try:
        return bridge(spark, cache)
    except RuntimeError as error:
        raise TaskFailure("platform", f"{node!r}: {error}", lasting=True) from error


def _compiled(task: Task, spark: Any, helper: Any, jars: list[str], cache: Path) -> tuple[str, Path]:
    """Returns the snippet's package and jar; compiles it if needed."""
    kinds = [(item.alias, item.value is not None) for item in task.inputs if item.alias not in _RESERVED]
    made_of = [task.code, kinds, _FRAME, bridge_digest(), spark.version, scala_version(spark), jars]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:24]
    name = f"rheo.node_{digest}"
    jar = cache / "scala" / f"snippet-{digest}.jar"
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        names = "\n".join(_name(alias, is_text=is_text) for alias, is_text in kinds)
        wrong = str(helper.compile(task.code, _FRAME.format(package=name, names=names), jars, str(jar)))
        if wrong:
            first = wrong.partition("\n")[0]
            raise TaskFailure("user", f"{task.node!r}: its Scala does not compile: {first}", wrong)
    return name, jar


def _name(alias: str, *, is_text: bool) -> str:
    kind, value = ("String", "rheo_texts({})") if is_text else ("DataFrame", "inputs.getOrElse({}, null)")
    return f"    val `{alias}`: {kind} = {value.format(json.dumps(alias))}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _failure(task: Task, spark: Any, inputs: Mapping[str, Any], error: Exception) -> TaskFailure:
    _refuse_stopped(task.node, spark)
    java = _java(error)
    found = _no_table(java)
    if found:
        return TaskFailure(
            "user", f"{task.node!r}: its Scala returned {found}; its last expression must be a DataFrame (or a Dataset)"
        )
    place = scala_place(task, spark, error)
    failure = failure_of(task.node, error, f"{place}{_absent(place, inputs)}".strip())
    if java is not None and failure.kind == "user":
        with contextlib.suppress(Exception):
            failure.detail = str(snippets(spark).told(java))
    return failure


def _java(error: BaseException) -> Any:
    """Returns the JVM's exception behind an exception of py4j or pyspark, or None."""
    return getattr(error, "java_exception", None) or getattr(error, "_origin", None)


def _no_table(java: Any) -> str:
    try:
        is_it = java is not None and java.getClass().getName() == "rheo.snippets.NoTable"
        return str(java.getMessage()) if is_it else ""
    except Exception:
        return ""


def _absent(place: str, inputs: Mapping[str, Any]) -> str:
    for alias, value in inputs.items():
        if value is None and re.search(rf"\b{re.escape(alias)}\b", place):
            return f'(its optional input {alias!r} has no data and is null: check inputs.contains("{alias}"))'
    return ""


def _refuse_stopped(node: str, spark: Any) -> None:
    try:
        stopped = bool(spark.sparkContext._jsc.sc().isStopped())
    except Exception:
        return  # the JVM has stopped, which is reported elsewhere
    if stopped:
        raise StoppedSession(
            "user", f"{node!r}: its Scala stopped the Spark session, which all nodes share; remove stop()"
        )


def _conflict(node: str, name: str) -> str:
    shown = name.removesuffix(".class").replace("/", ".")
    return f"{node!r}: this JVM has already loaded another version of {shown}, which its libraries contain"


@contextlib.contextmanager
def _printed() -> Iterator[Path]:
    """Prints what is written to the yielded file, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="rheo-scala-") as folder:
        file = Path(folder) / "printed"
        file.touch()
        ended = threading.Event()
        with file.open(encoding="utf-8", errors="replace", newline="") as stream:
            listener = threading.Thread(target=_listen, args=(stream, ended), daemon=True)
            listener.start()
            try:
                yield file
            finally:
                ended.set()
                listener.join()


def _listen(stream: Any, ended: threading.Event) -> None:
    last = False
    while not last:
        last = ended.wait(_LISTEN)
        while text := stream.read(1 << 16):
            sys.stdout.write(text)
        sys.stdout.flush()
