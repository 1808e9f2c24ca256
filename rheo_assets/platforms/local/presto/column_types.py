"""Kinds of columns as DuckDB's types, and back."""

from __future__ import annotations

from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind
from rheo_assets.platforms.local.presto.session import identifier
from rheo_assets.runner.text_values import Dialect

_KINDS: Final = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "int", "bigint": "bigint",
    "utinyint": "smallint", "usmallint": "int", "uinteger": "bigint", "ubigint": "decimal(20,0)",
    "hugeint": "decimal(38,0)", "float": "float", "double": "double", "varchar": "string", "enum": "string",
    "blob": "binary", "date": "date", "timestamp": "timestamp_ntz", "timestamp_s": "timestamp_ntz",
    "timestamp_ms": "timestamp_ntz", "timestamp_ns": "timestamp_ntz", "timestamp with time zone": "timestamp",
    '"null"': UNKNOWN,
}  # fmt: skip
_TYPES: Final = {
    "int": "INTEGER", "string": "VARCHAR", "binary": "BLOB", "timestamp_ntz": "TIMESTAMP", UNKNOWN: "VARCHAR",
}  # fmt: skip


def kind_of_type(kind: Any) -> Kind:
    """Returns the kind of a DuckDB type; one that no other engine has stands for itself."""
    if kind.id in {"list", "array"}:
        return [kind_of_type(kind.children[0][1])]
    if kind.id == "map":
        return tuple(kind_of_type(child) for _, child in kind.children)
    if kind.id == "struct":
        return {name: kind_of_type(child) for name, child in kind.children}
    if kind.id == "decimal":
        return str(kind).lower().replace(" ", "")
    return _KINDS.get(str(kind).lower()) or _KINDS.get(kind.id) or str(kind).lower()


def type_of_kind(kind: Kind) -> str:
    """Returns the DuckDB type of a kind. Times have no zone: they are UTC."""
    if isinstance(kind, list):
        return f"{type_of_kind(kind[0])}[]"
    if isinstance(kind, tuple):
        return f"MAP({type_of_kind(kind[0])}, {type_of_kind(kind[1])})"
    if isinstance(kind, dict):
        if not kind:  # an object that never had a key
            return "VARCHAR"
        return f"STRUCT({', '.join(f'{identifier(name)} {type_of_kind(field)}' for name, field in kind.items())})"
    return _TYPES.get(kind, str(kind).upper())


DUCKDB: Final = Dialect(
    matches=lambda value, pattern: f"regexp_full_match({value}, '{pattern}')",
    cast=lambda value, kind: f"TRY_CAST({value} AS {type_of_kind(kind)})",
)
