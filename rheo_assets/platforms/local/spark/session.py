"""The settings of the local Spark session, and the command that starts its JVM."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rheo_assets.platforms.local.spark.filesystem import CLASS, GUARD, compiled_filesystem, spark_jars
from rheo_assets.platforms.local.spark.java import Java, find_java

MEMORY = "RHEO_SPARK_MEMORY"
_SHUFFLE_PARTITIONS = 4
_SCHEMES = ("s3", "s3a", "s3n")
# The modules that Spark's own launcher opens on Java 9 and later (org.apache.spark.launcher.JavaModuleOptions).
_OPENED = (
    *(f"java.base/java.{name}" for name in ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "util")),
    *(f"java.base/java.util.concurrent{name}" for name in ("", ".atomic")),
    *(f"java.base/{name}" for name in ("jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action")),
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
# For small jobs, the second compiler and a parallel garbage collector cost more than they gain.
_QUICK = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Duser.timezone=UTC",
    "-Djava.net.preferIPv4Stack=true",
)


def local_spark_settings(root: Path | str) -> dict[str, str]:
    """Returns the settings of the local session, for the Spark session of a team's own assets.

    A session with these settings reads and writes the same `s3://` objects as the nodes. `JAVA_HOME` is set in this
    process if there is no system Java that Spark runs on.

    Example:
        `LazyPySparkResource(spark_config=local_spark_settings(root))`

    Raises:
        NoJava: No Java can run Spark.
        ModuleNotFoundError: pyspark is not installed.
    """
    java = find_java()
    if java.source != "PATH":
        os.environ["JAVA_HOME"] = str(java.home)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return {
        **session_settings(Path(root)),
        "spark.driver.extraClassPath": str(compiled_filesystem(Path(root), java)),
        "spark.driver.extraJavaOptions": " ".join(_QUICK),
        "spark.driver.memory": memory(),
    }


def session_settings(root: Path) -> dict[str, str]:
    """Returns the settings that do not depend on the JVM."""
    home = Path(root).resolve()
    return {
        "spark.app.name": "rheo_assets",
        "spark.master": f"local[{max(2, os.cpu_count() or 2)}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.scheduler.mode": "FAIR",
        "spark.default.parallelism": str(_SHUFFLE_PARTITIONS),
        "spark.sql.shuffle.partitions": str(_SHUFFLE_PARTITIONS),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": (home / "spark" / "warehouse").as_uri(),
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",  # a listing job costs more than the listing
        "spark.pyspark.python": sys.executable,
        "spark.hadoop.fs.rheo.root": str(home),
        **{f"spark.hadoop.fs.{scheme}.impl": CLASS for scheme in _SCHEMES},
        **{f"spark.hadoop.fs.{scheme}.impl.disable.cache": "true" for scheme in _SCHEMES},  # it belongs to a session
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    }


def memory() -> str:
    """Returns the JVM's heap size: `RHEO_SPARK_MEMORY`, or 2 GB by default."""
    return os.environ.get(MEMORY, "2g")


def jvm_command(root: Path, java: Java, scratch: Path) -> list[str]:
    """Returns the command that starts the JVM and waits for Python; Spark's own scripts would start two more JVMs."""
    opened = [f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED]
    path = os.pathsep.join((str(compiled_filesystem(root, java)), f"{spark_jars()}{os.sep}*"))
    settings = {**session_settings(root), "spark.local.dir": str(scratch)}
    return [
        java.executable,
        f"-Xmx{memory()}",
        *_QUICK,
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:+IgnoreUnrecognizedVMOptions",
        *opened,
        "-Djdk.reflect.useDirectMethodHandle=false",
        f"-Djava.security.manager={GUARD}",
        "-cp",
        path,
        "org.apache.spark.deploy.SparkSubmit",
        *(part for name, value in settings.items() for part in ("--conf", f"{name}={value}")),
        "pyspark-shell",
    ]
