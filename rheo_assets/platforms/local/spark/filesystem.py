"""Compiles the local object store for Spark, and the guard of its JVM: `LocalS3FileSystem.java` and `NoExit.java`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from rheo_assets.platforms.local.spark.java import Java

CLASS = "rheo.local.LocalS3FileSystem"
GUARD = "rheo.local.NoExit"
_HERE = Path(__file__).parent
_COMPILER = _HERE / "CompileFileSystem.java"
_SOURCES = (_HERE / "LocalS3FileSystem.java", _HERE / "NoExit.java")
_PATIENCE = 120  # seconds


def spark_jars() -> Path:
    """Returns the folder of the jars that pyspark ships.

    Raises:
        ModuleNotFoundError: pyspark is not installed; the message has the pip command.
    """
    from importlib.util import find_spec

    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("Spark nodes need pyspark: run pip install 'rheo-assets[spark]'", name="pyspark")
    return Path(found.origin).parent / "jars"


def compiled_filesystem(root: Path, java: Java) -> Path:
    """Returns the jar of the file system, compiled once per root, source and Spark version.

    janino, the compiler of Spark's generated code, takes one to two seconds and needs no JDK.
    """
    jars = spark_jars()
    content = b"".join(source.read_bytes() for source in (*_SOURCES, _COMPILER))
    spark = next((jar.name for jar in jars.glob("spark-core_*.jar")), "")
    digest = hashlib.sha256(content + spark.encode()).hexdigest()[:16]
    jar = Path(root) / "cache" / f"spark-filesystem-{digest}.jar"
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
            _compile(java, jars, Path(folder))
            packed = shutil.make_archive(f"{folder}/packed", "zip", folder, "rheo")
            Path(packed).replace(jar)  # of two processes that compile at once, the second changes nothing
    return jar


def _compile(java: Java, jars: Path, folder: Path) -> None:
    command = [java.executable, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}{os.sep}*"]
    command += ["org.codehaus.janino.SimpleCompiler", str(_COMPILER), _COMPILER.stem, str(folder)]
    command += map(str, _SOURCES)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode or not any(folder.rglob("*.class")):
        errors = [line for line in done.stderr.splitlines() if not line.startswith("\tat ")]
        raise RuntimeError(f"the local s3:// file system could not be compiled for Spark: {' '.join(errors)[:2000]}")
