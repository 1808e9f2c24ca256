"""The Scala compiler among Spark's own jars, for jars of a team's own: no JDK and no build tool is needed."""

from __future__ import annotations

import os

from rheo_assets.platforms.local.spark.filesystem import spark_jars
from rheo_assets.platforms.local.spark.java import find_java


def scala_compiler() -> list[str]:
    """Returns the command that compiles Scala against Spark; add `-d`, the jar, and the sources.

    Example:
        `subprocess.run([*scala_compiler(), "-d", "features.jar", "Features.scala"], check=True)`

    Raises:
        NoJava: There is no Java.
        ModuleNotFoundError: pyspark is not installed.
    """
    jars = f"{spark_jars()}{os.sep}*"
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return [find_java().executable, *quick, "-cp", jars, "scala.tools.nsc.Main", "-usejavacp", "-nowarn"]
