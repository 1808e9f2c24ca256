"""The main program of a Glue or EMR job: reads the task, runs it with the laptop's runner, writes the result.

It needs only Spark: objects are read and written with Spark's own file system, so the cluster needs neither boto3 nor
more permissions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rheo_assets.runner.remote_messages import reporting
from rheo_assets.runner.spark import run_spark_task
from rheo_assets.runner.task import Task, TaskFailure

JOB = "--rheo_job"  # the argument that names the job's folder
TOKEN = "--rheo_token"  # the argument by which a driver recognises the job
TASK_FILE = "task.json"
RESULT_FILE = "result.json"
MESSAGES_FOLDER = "messages"


class JobFolder:
    """The folder in which a driver and its job exchange files.

    Args:
        spark: The job's session.
        uri: The folder's URI.
    """

    def __init__(self, spark: Any, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._jvm = spark.sparkContext._jvm
        self._conf = spark._jsparkSession.sessionState().newHadoopConf()

    def read(self, name: str) -> str:
        """Returns the text of a file."""
        path = self._path(name)
        stream = path.getFileSystem(self._conf).open(path)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write(self, name: str, text: str) -> None:
        """Writes a file as a whole."""
        path = self._path(name)
        stream = path.getFileSystem(self._conf).create(path, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def _path(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(f"{self._uri}/{name}")


def main(code: str, arguments: Sequence[str] | None = None) -> None:
    """Runs the job's task.

    Args:
        code: The user's source, as in the script.
        arguments: The script's arguments. The default is `sys.argv`.

    Raises:
        TaskFailure: The task failed; the job fails with its message.
    """
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    folder = JobFolder(spark, argument(sys.argv if arguments is None else arguments, JOB))
    task = replace(Task.from_json(folder.read(TASK_FILE)), code=code)
    try:
        with reporting(task, lambda name, text: folder.write(f"{MESSAGES_FOLDER}/{name}", text)):
            result = run_spark_task(task, spark)
    except TaskFailure as failure:
        folder.write(RESULT_FILE, json.dumps({"failure": json.loads(failure.to_json())}))
        print(failure.detail, file=sys.stderr, flush=True)  # for readers of the service's log
        raise
    folder.write(RESULT_FILE, json.dumps({"result": json.loads(result.to_json())}))


def argument(arguments: Sequence[str], name: str) -> str:
    """Returns the value that follows a name among the arguments.

    Raises:
        ValueError: The argument is missing.
    """
    for place, word in enumerate(arguments[:-1]):
        if word == name:
            return arguments[place + 1]
    raise ValueError(f"the job has no argument {name}; start it through rheo_assets, which adds it")
