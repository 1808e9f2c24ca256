"""Copies a task's libraries to this machine: jars for Scala, zips and wheels for Python."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rheo_assets.runner.spark_failures import reason
from rheo_assets.runner.spark_files import hadoop_conf
from rheo_assets.runner.task import TaskFailure

PYTHON = (".zip", ".whl", ".egg")


def fetch_libraries(node: str, spark: Any, uris: Sequence[str], kinds: Sequence[str], cache: Path) -> tuple[Path, ...]:
    """Returns a copy of each library, which does not change if the original is replaced.

    Args:
        node: The node's id, for messages.
        spark: The task's session, whose file systems read the URIs.
        uris: The URIs of the libraries.
        kinds: The allowed file extensions.
        cache: The folder of the copies.

    Raises:
        TaskFailure: A library does not exist, or is not for this language.
    """
    return tuple(_fetched(node, spark, uri, kinds, cache) for uri in uris)


def use_python_libraries(node: str, spark: Any, uris: Sequence[str], cache: Path) -> None:
    """Adds zips and wheels to the path of this process and of Spark's Python workers.

    Raises:
        TaskFailure: A library does not exist, or is neither a zip nor a wheel.
    """
    paths = fetch_libraries(node, spark, uris, PYTHON, cache)
    if not paths:
        return
    # Workers are reused, with the modules that they have imported. Spark picks a worker by its environment.
    spark.sparkContext.environment["RHEO_LIBRARIES"] = " ".join(path.name for path in paths)
    for path in reversed(paths):
        sys.path.insert(0, str(path))
    for path in paths:
        spark.sparkContext.addPyFile(str(path))


def _fetched(node: str, spark: Any, uri: str, kinds: Sequence[str], cache: Path) -> Path:
    ending = Path(uri).suffix.lower()
    if ending not in kinds:
        raise TaskFailure("user", f"{node!r}: its library {uri!r} is not one of {', '.join(kinds)}")
    jvm = spark.sparkContext._jvm
    source = jvm.org.apache.hadoop.fs.Path(uri)
    try:
        found = source.getFileSystem(hadoop_conf(spark))
        status = found.getFileStatus(source)
        version = f"{status.getPath().toString()} {status.getLen()} {status.getModificationTime()}"
        digest = hashlib.sha256(version.encode()).hexdigest()[:16]
        # Python cannot import a `.whl` through Spark. The hash in the name separates versions of one library.
        name = f"{Path(uri).stem}-{digest}{'.jar' if ending == '.jar' else '.zip'}"
        copy = cache / "libraries" / name
        if not copy.exists():
            _copy(found, jvm, source, copy)
    except Exception as error:
        text = f"{node!r}: its library {uri!r} cannot be read: {reason(error)}"
        raise TaskFailure("user", text) from error
    return copy


def _copy(files: Any, jvm: Any, source: Any, copy: Path) -> None:
    import uuid

    copy.parent.mkdir(parents=True, exist_ok=True)
    fresh = copy.with_name(f".{uuid.uuid4().hex}")
    try:
        files.copyToLocalFile(False, source, jvm.org.apache.hadoop.fs.Path(fresh.as_uri()), True)
        fresh.replace(copy)
    finally:
        fresh.unlink(missing_ok=True)
