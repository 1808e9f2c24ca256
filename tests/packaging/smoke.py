"""Tries the built wheel as a stranger would: a new environment, another folder, the README's first example.

python tests/packaging/smoke.py dist
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TYPED = "rheo_assets/py.typed"
_SHIPPED = {
    _TYPED,
    "rheo_assets/runner/scala/Compiler.scala",
    "rheo_assets/platforms/local/spark/LocalS3FileSystem.java",
}


def one(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    assert len(found) == 1, f"{folder} has {len(found)} files {pattern}"
    return found[0]


def check_contents(wheel: Path, sdist: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert names >= _SHIPPED, _SHIPPED - names
    assert not [name for name in names if not name.startswith("rheo_assets")], "the wheel holds more than the library"
    assert "License-Expression: Apache-2.0" in metadata
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert inside >= {"README.md", "LICENSE", "pyproject.toml", *_SHIPPED}


def try_wheel(wheel: Path, folder: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RHEO_", "DAGSTER_", "PYTHONPATH"))}
    environment["RHEO_HOME"] = str(folder / "home")

    def run(*command: str) -> str:
        return subprocess.run(command, check=True, cwd=folder, env=environment, text=True, capture_output=True).stdout

    run(sys.executable, "-m", "venv", "env")
    python = str(folder / "env/bin/python")
    run(python, "-m", "pip", "install", "-q", "-c", str(HERE / "constraints.txt"), f"{wheel}[pandas]")
    version = run(python, "-c", "import rheo_assets; print(rheo_assets.__version__)").strip()
    assert f"-{version}-" in wheel.name, f"the wheel {wheel.name} says that it is {version}"
    example = _PYTHON.search((HERE / "README.md").read_text(encoding="utf-8"))
    assert example is not None
    (folder / "first.py").write_text(example[1], encoding="utf-8")
    printed = run(python, "first.py")
    assert "hello" in printed, printed
    run(python, "-c", "import rheo_assets as r; [getattr(r, name) for name in r.__all__ if name != 'AwsPlatform']")


def main(dist: Path) -> None:
    wheel, sdist = one(dist, "*.whl"), one(dist, "*.tar.gz")
    check_contents(wheel, sdist)
    with tempfile.TemporaryDirectory() as folder:
        try:
            try_wheel(wheel, Path(folder))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{' '.join(error.cmd)} failed:\n{error.stdout}\n{error.stderr}")
    print(f"{wheel.name} and {sdist.name}: installed in a clean environment, first example passed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
