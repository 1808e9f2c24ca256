"""The Scala compiler in Spark's jars, for a team's own jars: it needs no JDK and no build tool."""

from __future__ import annotations

import os

from rheo_assets.platforms.local.spark.filesystem import spark_jars
from rheo_assets.platforms.local.spark.java import find_java


def scala_compiler() -> list[str]:
    """Returns the command that compiles Scala against Spark. Append `-d`, the jar, and the sources.

    Example:
        `subprocess.run([*scala_compiler(), "-d", "features.jar", "Features.scala"], check=True)`

    Raises:
        NoJava: No Java can run Spark.
        ModuleNotFoundError: pyspark is not installed.
    """
    jars = f"{spark_jars()}{os.sep}*"
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return [find_java().executable, *quick, "-cp", jars, "scala.tools.nsc.Main", "-usejavacp", "-nowarn"]
