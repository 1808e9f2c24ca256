"""DuckDB's types under Athena's names, and as what Athena stores them."""

from __future__ import annotations

from typing import Any

_NAMES = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "integer", "bigint": "bigint",
    "utinyint": "smallint", "usmallint": "integer", "uinteger": "bigint", "ubigint": "bigint", "hugeint": "bigint",
    "uhugeint": "bigint", "float": "real", "double": "double", "varchar": "varchar", "blob": "varbinary",
    "date": "date", "time": "time(3)", "timestamp": "timestamp(3)", "timestamp_s": "timestamp(3)",
    "timestamp_ms": "timestamp(3)", "timestamp_ns": "timestamp(3)",
    "timestamp with time zone": "timestamp(3) with time zone", "interval": "interval day to second", "uuid": "uuid",
    "json": "json", "enum": "varchar", '"null"': "unknown",
}  # fmt: skip
_STORED = {
    "utinyint": "SMALLINT", "usmallint": "INTEGER", "uinteger": "BIGINT", "ubigint": "BIGINT", "hugeint": "BIGINT",
    "uhugeint": "BIGINT", "timestamp_s": "TIMESTAMP", "timestamp_ms": "TIMESTAMP", "timestamp_ns": "TIMESTAMP",
    "enum": "VARCHAR", '"null"': "VARCHAR",
}  # fmt: skip

# What Athena can select but not write to a table.
NOT_WRITTEN = frozenset({"json", "time(3)", "interval day to second", "uuid", "timestamp(3) with time zone"})


def athena_name(kind: Any) -> str:
    """Returns Athena's name of a DuckDB type: `varchar`, `array(bigint)`, `row(a integer)`."""
    if kind.id in {"list", "array"}:
        return f"array({athena_name(kind.children[0][1])})"
    if kind.id == "map":
        return f"map({', '.join(athena_name(child) for _, child in kind.children)})"
    if kind.id == "struct":
        fields = (f"{name} {athena_name(child)}" if name else athena_name(child) for name, child in kind.children)
        return f"row({', '.join(fields)})"
    if kind.id == "decimal":
        return str(kind).lower().replace(" ", "")
    name = str(kind).lower()
    return _NAMES.get(name) or _NAMES.get(kind.id, name)


def stored(kind: Any, *, zoned: bool = True) -> str:
    """Returns the DuckDB type as which a value of the type is kept.

    Args:
        kind: The type.
        zoned: Whether times keep their zone: not in a table's files, where Athena knows none.
    """
    if kind.id in {"list", "array"}:
        return f"{stored(kind.children[0][1], zoned=zoned)}[]"
    if kind.id == "map":
        return f"MAP({', '.join(stored(child, zoned=zoned) for _, child in kind.children)})"
    if kind.id == "struct":
        fields = (
            f'"{_quoted(name or f"field{index}")}" {stored(child, zoned=zoned)}'
            for index, (name, child) in enumerate(kind.children)
        )
        return f"STRUCT({', '.join(fields)})"
    if not zoned and str(kind).upper() == "TIMESTAMP WITH TIME ZONE":
        return "TIMESTAMP"
    return _STORED.get(str(kind).lower()) or _STORED.get(kind.id) or str(kind)


def _quoted(name: str) -> str:
    return name.replace('"', '""')
