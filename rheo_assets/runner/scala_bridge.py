"""Loads our own Scala code, which compiles and calls snippets, into the running JVM. It is compiled at first use.

It needs only Spark's own jars: the Scala compiler is one of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_SOURCES = ("Compiler.scala", "Snippets.scala")
_LOADED = "rheo.bridge"  # the JVM property with the hash of the loaded bridge: a JVM keeps loaded classes


def bridge(spark: Any, folder: Path) -> Any:
    """Returns the JVM's `rheo.snippets.Snippets`.

    Args:
        spark: A session of the JVM.
        folder: The cache, where the compiled classes are kept.

    Raises:
        RuntimeError: The JVM cannot compile or load it; the message says what it needs.
    """
    system = java_class(spark, "java.lang.System")
    if system.getProperty(_LOADED) == bridge_digest():
        return snippets(spark)
    version = f"{spark.version}-{scala_version(spark)}"
    jar = folder / "scala" / f"bridge-{version}-{bridge_digest()}.jar"
    if not jar.exists():
        with _locked(jar.with_suffix(".lock")):
            if not jar.exists():
                _compile(spark, jar)
    loader = java_class(spark, "java.lang.Thread").currentThread().getContextClassLoader()
    try:
        loader.addURL(java_class(spark, "java.io.File")(str(jar)).toURI().toURL())
    except Exception as error:
        kind = loader.getClass().getName()
        raise RuntimeError(
            f"Scala needs a JVM that spark-submit started; this one has a class loader {kind}"
        ) from error
    system.setProperty(_LOADED, bridge_digest())
    return snippets(spark)


def snippets(spark: Any) -> Any:
    """Returns `rheo.snippets.Snippets` of a JVM into which `bridge` has loaded it."""
    return java_class(spark, "rheo.snippets.Snippets")


def java_class(spark: Any, name: str) -> Any:
    """Returns the class with one lookup; `jvm.a.b.C` would search all jars for `a` and `a.b` first."""
    from py4j.java_gateway import JavaClass

    return JavaClass(name, spark.sparkContext._gateway._gateway_client)


@lru_cache(maxsize=1)
def scala_version(spark: Any) -> str:
    """Returns the version of Scala that Spark was built with."""
    return str(java_class(spark, "scala.util.Properties").versionNumberString())


@cache
def bridge_digest() -> str:
    """Returns the hash of our Scala sources."""
    return hashlib.sha256("".join(_source(name) for name in _SOURCES).encode()).hexdigest()[:16]


def _source(name: str) -> str:
    return files("rheo_assets.runner").joinpath("scala", name).read_text(encoding="utf-8")


def _compile(spark: Any, jar: Path) -> None:
    jvm = spark.sparkContext._jvm
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        made, sources = Path(folder) / "bridge.jar", [Path(folder) / name for name in _SOURCES]
        for source in sources:
            source.write_text(_source(source.name), encoding="utf-8")
        given = ["-usejavacp", "-nowarn", "-d", str(made), *map(str, sources)]
        arguments = spark.sparkContext._gateway.new_array(jvm.java.lang.String, len(given))
        for place, argument in enumerate(given):
            arguments[place] = argument
        jvm.scala.tools.nsc.Main.process(arguments)
        if not made.exists():
            raise RuntimeError("rheo_assets could not compile its own Scala code; see the JVM's log")
        made.replace(jar)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Locks a file, so that one process at a time runs the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
