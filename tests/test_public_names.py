"""The public face: what is exported is what is named, and importing it stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import rheo_assets

HEAVY = ("boto3", "pyspark", "pandas", "duckdb")


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff's RUF022 keeps `__all__` in."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _typed_names() -> set[str]:
    """Returns the names that type checkers see: those imported under `if TYPE_CHECKING`."""
    tree = ast.parse(Path(rheo_assets.__file__).read_text(encoding="utf-8"))
    guarded = [statement for statement in tree.body if isinstance(statement, ast.If)]
    return {
        alias.name
        for block in guarded
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert rheo_assets.__all__ == sorted(set(rheo_assets.__all__), key=_order)


def test_all_is_exactly_what_can_be_imported_and_what_type_checkers_see() -> None:
    assert set(rheo_assets.__all__) == set(rheo_assets._HOME) == _typed_names() == set(dir(rheo_assets))


@pytest.mark.parametrize("name", rheo_assets.__all__)
def test_every_public_name_is_importable(name: str) -> None:
    assert getattr(rheo_assets, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Aplication'"):
        _ = rheo_assets.Aplication


@pytest.mark.parametrize(
    "statement", ["import rheo_assets", f"from rheo_assets import {', '.join(rheo_assets.__all__)}"]
)
def test_importing_loads_none_of_the_heavy_packages(statement: str) -> None:
    code = f"{statement}; import json, sys; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
