"""What the documentation says is true: its first example runs, its links lead somewhere, its doctests pass.

`test_guide.py` runs the snippets of the user guide.
"""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in [*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")]
    if not any(part.startswith(".") for part in page.relative_to(HERE).parts)
)
IMAGES = "docs/images"  # screenshots are made from a running UI
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)


def modules_with_examples() -> list[str]:
    return [
        ".".join(file.relative_to(HERE).with_suffix("").parts).removesuffix(".__init__")
        for file in sorted((HERE / "rheo_assets").rglob("*.py"))
        if _EXAMPLE.search(file.read_text(encoding="utf-8"))
    ]


def test_the_first_example_of_the_readme_runs(tmp_path):
    script = tmp_path / "first.py"
    found = _PYTHON.search((HERE / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    script.write_text(found[1], encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    ended = subprocess.run(
        [sys.executable, str(script)],
        env={**environment, "RHEO_HOME": str(tmp_path / "home"), "RHEO_PLATFORM": "local"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "hello" in ended.stdout
    assert (tmp_path / "home/s3/rheo-first/internal_data/greeting/2024-03-01/_SUCCESS").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_every_relative_link_of_a_page_exists(page):
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in _LINK.findall(text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = (page.parent / target.partition("#")[0]).resolve()
        if not path.is_relative_to(HERE / IMAGES) and not path.exists():
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_every_python_block_of_a_page_is_python(page):
    for block in _PYTHON.findall(page.read_text(encoding="utf-8")):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_are_right(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
