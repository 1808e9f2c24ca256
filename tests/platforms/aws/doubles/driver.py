"""The driver process of a double's Spark job: attaches to the JVM that is up, and runs the script as a service would.

Started by `host.py` as a fork of `warm.py`, without this checkout: what the script imports comes from the package that
was uploaded, or the job fails.
"""

import json
import runpy
import sys
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


def clear(group: str) -> None:
    """Ends what a killed driver left running: a service ends the whole JVM, and this one goes on."""
    from pyspark.java_gateway import launch_gateway

    jvm = launch_gateway().jvm
    jvm.org.apache.spark.SparkContext.getOrCreate().cancelJobGroup(group)
    for thread in jvm.Thread.getAllStackTraces().keySet():
        if thread.getName() == f"rheo snippet {group}":
            thread.interrupt()


def main() -> None:
    given = json.loads(sys.argv[1])
    if given["is_over"]:
        clear(given["group"])
        return
    sys.path[:0] = given["python"]
    attached(given["root"], given["group"])
    sys.argv = [given["script"], *given["arguments"]]
    runpy.run_path(given["script"], run_name="__main__")


if __name__ == "__main__":
    main()
