"""The columns of partitions without rows: DuckDB's types as Spark's schema, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.session import identifier
from rheo_assets.runner.empty_outputs import EMPTY_SCHEMA

_SPARK = {
    "boolean": "boolean", "tinyint": "byte", "smallint": "short", "integer": "integer", "bigint": "long",
    "float": "float", "double": "double", "varchar": "string", "blob": "binary", "date": "date",
    "timestamp": "timestamp", "timestamp with time zone": "timestamp",
}  # fmt: skip
_DUCKDB = {spark: duckdb.upper() for duckdb, spark in reversed(_SPARK.items())} | {"timestamp_ntz": "TIMESTAMP"}


def leave_schema(folder: Path, columns: Iterable[tuple[str, Any]]) -> None:
    """Writes the names and DuckDB types of an output without rows beside its file."""
    (folder / EMPTY_SCHEMA).write_text(json.dumps(_struct(columns)), encoding="utf-8")


def schema_left_behind(folder: Path, where: str) -> dict[str, str] | None:
    """Returns the columns that a partition without rows has, with the DuckDB types to read them as, or None.

    Raises:
        Refusal: The file is damaged; `where` says whose it is.
    """
    try:
        return columns_of((folder / EMPTY_SCHEMA).read_bytes(), where)
    except (FileNotFoundError, NotADirectoryError):
        return None


def columns_of(content: bytes, where: str) -> dict[str, str]:
    """Returns the columns of a schema that was left behind, with the DuckDB types to read them as.

    Raises:
        Refusal: It is damaged; `where` says whose it is.
    """
    try:
        return {field["name"]: _duckdb(field["type"]) for field in json.loads(content)["fields"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{where} has no rows, and its {EMPTY_SCHEMA} is damaged: {error!r}. Write it again") from None


def _struct(columns: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields = [{"name": name, "type": _spark(kind), "nullable": True, "metadata": {}} for name, kind in columns]
    return {"type": "struct", "fields": fields}


def _spark(kind: Any) -> str | dict[str, Any]:
    if kind.id in {"list", "array"}:
        return {"type": "array", "elementType": _spark(kind.children[0][1]), "containsNull": True}
    if kind.id == "map":
        (_, key), (_, value) = kind.children
        return {"type": "map", "keyType": _spark(key), "valueType": _spark(value), "valueContainsNull": True}
    if kind.id == "struct":
        return _struct(kind.children)
    if kind.id == "decimal":
        return str(kind).lower()
    return _SPARK.get(str(kind).lower(), "string")


def _duckdb(kind: str | Mapping[str, Any]) -> str:
    if isinstance(kind, str):
        return kind.upper() if kind.startswith("decimal") else _DUCKDB.get(kind, "VARCHAR")
    if kind["type"] == "array":
        return f"{_duckdb(kind['elementType'])}[]"
    if kind["type"] == "map":
        return f"MAP({_duckdb(kind['keyType'])}, {_duckdb(kind['valueType'])})"
    fields = ", ".join(f"{identifier(field['name'])} {_duckdb(field['type'])}" for field in kind["fields"])
    return f"STRUCT({fields})"
