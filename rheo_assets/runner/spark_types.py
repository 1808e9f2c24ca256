"""Converts kinds to Spark types, and columns from one type to another."""

from __future__ import annotations

from typing import Any, Final

from rheo_assets.model.column_types import UNKNOWN, Kind, may_round, spelled
from rheo_assets.runner.text_values import LARGEST_EXACT, Dialect

SPARK: Final = Dialect(
    matches=lambda value, pattern: f"{value} rlike '^({pattern})\\\\z'",
    cast=lambda value, kind: f"try_cast({value} as {kind})",
)


def kind_of_type(kind: Any) -> Kind:
    """Returns the kind of a Spark type; a type that only Spark has is its own kind."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(kind, ArrayType):
        return [kind_of_type(kind.elementType)]
    if isinstance(kind, MapType):
        return (kind_of_type(kind.keyType), kind_of_type(kind.valueType))
    if isinstance(kind, StructType):
        return {field.name: kind_of_type(field.dataType) for field in kind}
    return kind.simpleString()


def type_of_kind(kind: Kind) -> Any:
    """Returns the Spark type of a kind; a kind without values is text."""
    from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType, _parse_datatype_string

    if isinstance(kind, list):
        return ArrayType(type_of_kind(kind[0]))
    if isinstance(kind, tuple):
        return MapType(type_of_kind(kind[0]), type_of_kind(kind[1]))
    if isinstance(kind, dict):
        return StructType([StructField(name, type_of_kind(field)) for name, field in kind.items()])
    return StringType() if kind == UNKNOWN else _parse_datatype_string(kind)


def conformed(column: Any, have: Kind, want: Kind, label: str) -> Any:
    """Converts a column to a kind that can hold its values: fields are matched by name, in any order.

    Args:
        column: The column.
        have: The kind of the column.
        want: The kind to convert to.
        label: How the error about a rounded integer names the column.
    """
    from pyspark.sql import functions

    if spelled(have) == spelled(want):
        return column
    if isinstance(want, list):
        return functions.transform(column, lambda item: conformed(item, have[0], want[0], label))
    if isinstance(want, tuple):
        values = functions.transform_values(column, lambda _, value: conformed(value, have[1], want[1], label))
        return functions.transform_keys(values, lambda key, _: conformed(key, have[0], want[0], label))
    if isinstance(want, dict):
        return functions.when(column.isNotNull(), functions.struct(*_fields(column, have, want, label)))
    cast = column.cast(type_of_kind(want))
    if not may_round(have, want):
        return cast
    rounded = functions.concat(functions.lit(f"{label} is a double elsewhere, which would round "), column)
    exact = column.isNull() | column.between(-LARGEST_EXACT, LARGEST_EXACT)
    return functions.when(exact, cast).otherwise(functions.raise_error(rounded).cast("double"))


def _fields(column: Any, have: dict[str, Kind], want: dict[str, Kind], label: str) -> list[Any]:
    from pyspark.sql import functions

    spelling = {name.lower(): name for name in have}
    fields = []
    for name, kind in want.items():
        known = spelling.get(name.lower())
        if known is None:
            fields.append(functions.lit(None).cast(type_of_kind(kind)).alias(name))
        else:
            fields.append(conformed(column.getField(known), have[known], kind, label).alias(name))
    return fields
