"""How DuckDB stores a value of a type of Trino while a query runs, and which type a column of DuckDB has.

A timestamp with time zone is its instant and its zone. Intervals are numbers of milliseconds or months. A `char` is
kept with its spaces.
"""

from __future__ import annotations

from typing import Any

from rheo_assets.platforms.local.presto.types.kinds import DAY_INTERVAL, YEAR_INTERVAL, ZONED, Type, array, decimal

_STORED = {
    "real": "FLOAT", "varbinary": "BLOB", "char": "VARCHAR", "varchar": "VARCHAR", "unknown": "INTEGER",
    DAY_INTERVAL: "BIGINT", YEAR_INTERVAL: "INTEGER", ZONED: "STRUCT(i TIMESTAMP, z VARCHAR)", "time": "TIME",
    "timestamp": "TIMESTAMP",
}  # fmt: skip
_READ = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "integer", "bigint": "bigint",
    "utinyint": "smallint", "usmallint": "integer", "uinteger": "bigint", "ubigint": "bigint", "hugeint": "bigint",
    "uhugeint": "bigint", "float": "real", "double": "double", "varchar": "varchar", "blob": "varbinary",
    "date": "date", "uuid": "uuid", "json": "json", "enum": "varchar", '"null"': "unknown",
}  # fmt: skip


def stored(kind: Type) -> str:
    """Returns the DuckDB type of a value while the query runs."""
    if kind.name == "array":
        return f"{stored(kind.args[0])}[]"
    if kind.name == "map":
        return f"MAP({stored(kind.args[0])}, {stored(kind.args[1])})"
    if kind.name == "row":
        return f"STRUCT({', '.join(f'{quoted(name)} {stored(field)}' for name, field in kind.fields)})"
    if kind.name == "decimal":
        return f"DECIMAL({kind.args[0]}, {kind.args[1]})"
    return _STORED.get(kind.name, kind.name.upper())


def quoted(name: str) -> str:
    """Returns a name as DuckDB reads it."""
    return '"' + name.replace('"', '""') + '"'


def of_column(kind: Any) -> Type:
    """Returns the type that Athena has for a column of DuckDB."""
    if kind.id in {"list", "array"}:
        return array(of_column(kind.children[0][1]))
    if kind.id == "map":
        return Type("map", tuple(of_column(child) for _, child in kind.children))
    if kind.id == "struct":
        return Type("row", tuple((name.lower() or None, of_column(child)) for name, child in kind.children))
    if kind.id == "decimal":
        (_, precision), (_, scale) = kind.children
        return decimal(precision, scale)
    name = str(kind).lower()
    if name == "timestamp with time zone":
        return Type(ZONED, (3,))
    if name.startswith("timestamp") or name == "time":
        return Type("timestamp" if name != "time" else "time", (3,))
    if name == "interval":
        return Type(DAY_INTERVAL)
    return Type(_READ.get(name) or _READ.get(kind.id, "varchar"))


def is_plain(kind: Type) -> bool:
    """Returns whether a value is stored in files as it is while the query runs."""
    if kind.name == "row":
        return all(is_plain(field) for _, field in kind.args)
    if kind.name in {"array", "map"}:
        return all(is_plain(inner) for inner in kind.args)
    return kind.name not in {ZONED, DAY_INTERVAL, YEAR_INTERVAL, "unknown"}


def out(sql: str, kind: Type) -> str:
    """Returns the SQL of a value as a file has it."""
    if is_plain(kind):
        return sql
    if kind.name == ZONED:
        return f"timezone('UTC', ({sql}).i)"
    if kind.name == DAY_INTERVAL:
        return f"athena_written_interval({sql})"
    if kind.name == YEAR_INTERVAL:
        return f"athena_written_months({sql})"
    if kind.name == "unknown":
        return "CAST(NULL AS VARCHAR)"
    if kind.name == "array":
        return f"list_transform({sql}, lambda o: {out('o', kind.args[0])})"
    if kind.name == "map":
        entry = f"{{'key': {out('o.key', kind.args[0])}, 'value': {out('o.value', kind.args[1])}}}"
        return f"map_from_entries(list_transform(map_entries({sql}), lambda o: {entry}))"
    fields = ", ".join(f"{quoted(name)} := {out(f'({sql}).{quoted(name)}', field)}" for name, field in kind.fields)
    return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({fields}) END"


def without_length(kind: Type) -> Type:
    """Returns a type with texts of any length, as the columns of a table have them."""
    if kind.name == "varchar":
        return Type("varchar")
    if kind.name == "row":
        return Type("row", tuple((name, without_length(field)) for name, field in kind.args))
    if kind.name in {"array", "map"}:
        return Type(kind.name, tuple(without_length(inner) for inner in kind.args))
    return kind
