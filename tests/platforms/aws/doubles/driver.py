"""The driver process of a double's Spark job: attaches to the JVM that is up, and runs the script as a service would.

Started by `host.py` with `python -I`, and without this checkout: what the script imports comes from the package that
was uploaded, or the job fails.
"""

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any


def attached(root: str, group: str) -> Any:
    """Returns a session on the JVM whose address is in the environment, with `s3://` below the root."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    gateway = launch_gateway()
    running = gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
    java = gateway.jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(running)
    context = SparkContext(jsc=java, gateway=gateway, conf=SparkConf(_jconf=java.getConf()))
    base = context._jvm.SparkSession.builder().getOrCreate()
    spark = SparkSession(context, base.newSession())
    context._jvm.SparkSession.setDefaultSession(base)

    def rooted(session: Any) -> Any:
        session.conf.set("fs.rheo.root", root)
        return session

    fresh = SparkSession.newSession
    SparkSession.newSession = lambda self: rooted(fresh(self))
    context.setLocalProperty("fs.rheo.root", root)
    context.setJobGroup(group, "a double's job", interruptOnCancel=True)
    return rooted(spark)


def main() -> None:
    given = json.loads(sys.stdin.read())
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
    sys.path[:] = [*given["python"], *(path for path in sys.path if not Path(path, "rheo_assets").is_dir())]
    code = 0
    try:
        attached(given["root"], given["group"])
        sys.argv = [given["script"], *given["arguments"]]
        runpy.run_path(given["script"], run_name="__main__")
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
