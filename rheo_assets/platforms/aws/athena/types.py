"""Types of DuckDB as Hive spells them in the Glue Data Catalog, and types of Athena as DuckDB stores them."""

from __future__ import annotations

import re
from typing import Any, Final

_HIVE: Final = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "int", "bigint": "bigint",
    "utinyint": "smallint", "usmallint": "int", "uinteger": "bigint", "ubigint": "decimal(20,0)",
    "hugeint": "decimal(38,0)", "float": "float", "double": "double", "varchar": "string", "json": "string",
    "uuid": "string", "enum": "string", "blob": "binary", "date": "date", "timestamp": "timestamp",
    "timestamp_s": "timestamp", "timestamp_ms": "timestamp", "timestamp_ns": "timestamp",
    "timestamp with time zone": "timestamp", '"null"': "string",
}  # fmt: skip
_DUCKDB: Final = {"varchar": "VARCHAR", "char": "VARCHAR", "varbinary": "BLOB", "real": "FLOAT", "unknown": "VARCHAR"}


def hive_type(kind: Any) -> str:
    """Returns a DuckDB type as Hive spells it: `bigint`, `array<string>`, `struct<a:int>`."""
    if kind.id in {"list", "array"}:
        return f"array<{hive_type(kind.children[0][1])}>"
    if kind.id == "map":
        return f"map<{','.join(hive_type(child) for _, child in kind.children)}>"
    if kind.id == "struct":
        return f"struct<{','.join(f'{name}:{hive_type(child)}' for name, child in kind.children)}>"
    if kind.id == "decimal":
        return str(kind).lower().replace(" ", "")
    name = str(kind).lower()
    return _HIVE.get(name) or _HIVE.get(kind.id, "string")


def duckdb_type(athena: str) -> str:
    """Returns a type of a query's result as DuckDB stores it; nested ones as text, where no row has a value anyway."""
    name = re.sub(r"\(.*", "", athena.lower()).strip()
    if name in {"array", "map", "row"}:
        return "VARCHAR"
    if name == "decimal":
        return athena.upper()
    return _DUCKDB.get(name, name.upper())
