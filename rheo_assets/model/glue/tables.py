"""Tables of a Glue-like catalog as datasets: reads and writes responses of `GetTable`, without calling a catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import DataFormat, S3Dataset, check_options
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType
from rheo_assets.model.glue.projection import projected_digits, projected_format

FORMAT_PARAMETER: Final = "rheo.format."

_TYPES: Final[Mapping[str, DimensionType]] = {
    **dict.fromkeys(("string", "varchar", "char"), DimensionType.STRING),
    **dict.fromkeys(("tinyint", "smallint", "int", "integer", "bigint"), DimensionType.LONG),
    **dict.fromkeys(("date", "timestamp"), DimensionType.DATETIME),
}
_DATETIME_FORMATS: Final = {"date": "%Y-%m-%d", "timestamp": "%Y-%m-%d %H:%M:%S"}
_LOCATION = re.compile(r"s3[an]?://([^/]+)/+(.*?)/*\Z")
_TEMPLATE_KEY = re.compile(r"\$\{([^}]*)\}")
_ESCAPED = {"\\t": "\t", "\\u0001": "\x01", "\\001": "\x01"}
_HIVE_DELIMITER = "\x01"  # the default of LazySimpleSerDe


@dataclass(frozen=True, slots=True)
class _Storage:
    """The Hive classes that read and write one format."""

    serde: str
    input_format: str = "org.apache.hadoop.mapred.TextInputFormat"
    output_format: str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


_STORAGE: Final[Mapping[DataFormat, _Storage]] = {
    DataFormat.PARQUET: _Storage(
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    ),
    DataFormat.ORC: _Storage(
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
    ),
    DataFormat.JSON: _Storage("org.openx.data.jsonserde.JsonSerDe"),
    DataFormat.CSV: _Storage("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
}
# A part of a class name and its format; the SerDe is checked before the input format.
_TELLTALES: Final = (
    ("parquet", DataFormat.PARQUET),
    ("orc", DataFormat.ORC),
    ("json", DataFormat.JSON),
    ("lazysimpleserde", DataFormat.CSV),
    ("csv", DataFormat.CSV),
)


def dataset_of(
    table: Mapping[str, Any], dimension_spec: DimensionSpec | Mapping[str, Any] | None = None
) -> tuple[S3Dataset, DimensionSpec]:
    """Returns a table as a dataset, and its dimensions: one per partition key.

    The folders are Hive's, `region=NA/day=2021-09-20`, unless the table has a `storage.location.template`. The type of
    a key makes it STRING, LONG or DATETIME. The table parameter `rheo.format.<key>` makes it a DATETIME with that
    strftime format, whatever its type, and so does Athena's `projection.<key>.type` of `date` with its format.

    Args:
        table: A table as returned by Glue's `GetTable`, with or without `{"Table": …}` around it.
        dimension_spec: Replaces the dimensions: one per partition key, in the same order, possibly with other names.

    Raises:
        DeclarationError: The table is not a plain dataset on S3, or a key cannot be a dimension.
    """
    table = table.get("Table", table)
    where = f"Glue table '{table.get('DatabaseName', '?')}.{table.get('Name', '?')}'"
    parameters: Mapping[str, str] = table.get("Parameters") or {}
    if str(parameters.get("table_type", "")).upper() in {"ICEBERG", "DELTA"}:
        raise DeclarationError(
            where, f"has the table_type {parameters['table_type']}", "Only plain files in folders can be read"
        )
    storage: Mapping[str, Any] = table.get("StorageDescriptor") or {}
    location = _LOCATION.match(storage.get("Location") or "")
    if location is None or not location[2]:
        raise DeclarationError(
            where,
            f"has the location {storage.get('Location')!r}",
            "It must be s3://bucket/folder; views and tables of other stores cannot be read",
        )
    keys = [(str(key["Name"]), str(key.get("Type") or "string").lower()) for key in table.get("PartitionKeys") or ()]
    spec = _spec(keys, parameters, where) if dimension_spec is None else _overridden(keys, dimension_spec, where)
    data_format = _format_of(storage, parameters, where)
    options = _csv_options(storage, parameters, where) if data_format is DataFormat.CSV else {}
    dataset = S3Dataset(
        str(table.get("CatalogId") or ""),
        location[1],
        location[2],
        *_segments([name for name, _ in keys], location[0], parameters, where),
        dataset_format=data_format,
        columns=_columns(storage, where),
        **options,
    )
    dataset.check_spec(spec, where)
    return dataset, spec


@dataclass(frozen=True, slots=True)
class GlueTable:
    """The description of a table of plain files on S3: the inverse of `dataset_of`.

    Attributes:
        location: `s3://bucket/folder`.
        columns: `(name, Hive type)` pairs of the columns in the files.
        partition_keys: `(name, Hive type)` pairs, or `(name, Hive type, strftime format)` for a DATETIME.
        dataset_format: The files' format.
        delimiter: CSV: the character between columns. The default is `,`.
        header: CSV: whether the first line names the columns. The default is False.
        description: A text for users.

    Raises:
        DeclarationError: The format does not have an option, or a column or key is malformed.
    """

    location: str
    columns: Sequence[Sequence[str]] = ()
    partition_keys: Sequence[Sequence[str]] = ()
    dataset_format: DataFormat | str = field(default=DataFormat.PARQUET, kw_only=True)
    delimiter: str | None = field(default=None, kw_only=True)
    header: bool | None = field(default=None, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        where = f"Glue table at {self.location!r}"
        data_format = DataFormat.of(self.dataset_format, where)
        options = {"delimiter": self.delimiter, "header": self.header}
        check_options(data_format, {option: value for option, value in options.items() if value is not None}, where)
        object.__setattr__(self, "dataset_format", data_format)
        object.__setattr__(self, "columns", tuple(_column(one, where, longest=2) for one in self.columns))
        object.__setattr__(self, "partition_keys", tuple(_column(one, where, longest=3) for one in self.partition_keys))

    def describe(self, database: str, name: str) -> dict[str, Any]:
        """Returns the table as Glue's `GetTable` would describe it under a name."""
        data_format = DataFormat(self.dataset_format)
        parameters = {"EXTERNAL": "TRUE", "classification": str(data_format)}
        parameters |= {f"{FORMAT_PARAMETER}{key[0]}": key[2] for key in self.partition_keys if len(key) > 2}
        serde_parameters = {"serialization.format": "1"}
        if data_format is DataFormat.CSV:
            separator = self.delimiter or ","
            serde_parameters = {"field.delim": separator, "serialization.format": separator}
            if self.header:
                parameters["skip.header.line.count"] = "1"
        hive = _STORAGE[data_format]
        return {
            "Name": name,
            "DatabaseName": database,
            **({"Description": self.description} if self.description else {}),
            "StorageDescriptor": {
                "Columns": [{"Name": column[0], "Type": column[1]} for column in self.columns],
                "Location": self.location,
                "InputFormat": hive.input_format,
                "OutputFormat": hive.output_format,
                "SerdeInfo": {"SerializationLibrary": hive.serde, "Parameters": serde_parameters},
            },
            "PartitionKeys": [{"Name": key[0], "Type": key[1]} for key in self.partition_keys],
            "TableType": "EXTERNAL_TABLE",
            "Parameters": parameters,
        }


def _column(declared: Sequence[str], where: str, longest: int) -> tuple[str, ...]:
    is_pair = isinstance(declared, list | tuple) and 2 <= len(declared) <= longest
    if not is_pair or not all(isinstance(part, str) and part for part in declared):
        raise DeclarationError(where, f"column {declared!r} is not (name, type)", "Write e.g. ('region', 'string')")
    return tuple(declared)


def _spec(keys: Sequence[tuple[str, str]], parameters: Mapping[str, str], where: str) -> DimensionSpec:
    return DimensionSpec(tuple(_dimension(name, kind, parameters, where) for name, kind in keys))


def _dimension(name: str, hive_type: str, parameters: Mapping[str, str], where: str) -> Dimension:
    bare = hive_type.partition("(")[0].strip()
    declared = {key.lower(): form for key, form in parameters.items()}.get(f"{FORMAT_PARAMETER}{name}".lower())
    time_format = declared or projected_format(name, parameters)
    kind = DimensionType.DATETIME if time_format else _TYPES.get(bare)
    if kind is None:
        raise DeclarationError(
            where,
            f"partition key '{name}' is {hive_type}, which is not a type of a dimension",
            f"Give a dimension_spec; {sorted(_TYPES)} need none",
        )
    if kind is DimensionType.DATETIME:
        time_format = time_format or _DATETIME_FORMATS[bare]
    digits = projected_digits(name, parameters) if kind is DimensionType.LONG else None
    try:
        return Dimension(name, kind, format=time_format, digits=digits)
    except DeclarationError as error:
        raise DeclarationError(
            where, f"partition key '{name}' cannot be a dimension ({error})", "Give a dimension_spec with another name"
        ) from None


def _overridden(
    keys: Sequence[tuple[str, str]], declared: DimensionSpec | Mapping[str, Any], where: str
) -> DimensionSpec:
    spec = DimensionSpec.of(declared)
    names = [name for name, _ in keys]
    if len(spec) != len(names):
        raise DeclarationError(
            where,
            f"has the partition keys {names} but dimension_spec has {list(spec.names)}",
            "Give one dimension per key, in the same order",
        )
    moved = [name for name, key in zip(spec.names, names, strict=True) if name != key and name in names]
    if moved:
        raise DeclarationError(
            where,
            f"dimension_spec names {list(spec.names)} in another order than the partition keys {names}",
            "Nest the dimensions in the order of the keys",
        )
    return spec


def _segments(names: Sequence[str], location: str, parameters: Mapping[str, str], where: str) -> list[str]:
    template = parameters.get("storage.location.template")
    if not template:
        return [f"{name}={{}}" for name in names]
    root = location.rstrip("/") + "/"
    inside = template.rstrip("/").removeprefix(root)
    if not template.startswith(root) or _TEMPLATE_KEY.findall(inside) != list(names):
        raise DeclarationError(
            where,
            f"storage.location.template is {template!r}",
            f"It must start with {root!r} and name {list(names)} once each, in this order",
        )
    return _TEMPLATE_KEY.sub("{}", inside).split("/")


def _format_of(storage: Mapping[str, Any], parameters: Mapping[str, str], where: str) -> DataFormat:
    serde = (storage.get("SerdeInfo") or {}).get("SerializationLibrary") or ""
    hints = (serde, storage.get("InputFormat") or "", parameters.get("classification") or "")
    for text in hints:
        for part, data_format in _TELLTALES:
            if part in text.rpartition(".")[2].lower():
                return data_format
    raise DeclarationError(
        where,
        f"is stored in an unsupported format ({serde or hints[1] or 'unnamed'})",
        f"Readable formats: {[str(f) for f in DataFormat]}",
    )


def _columns(storage: Mapping[str, Any], where: str) -> dict[str, str] | None:
    """Returns the catalog's columns, which apply to every engine."""
    columns = {str(column["Name"]): str(column.get("Type") or "string") for column in storage.get("Columns") or ()}
    if len(columns) < len(storage.get("Columns") or ()):
        raise DeclarationError(where, "has a column twice", "Correct it in the catalog")
    return columns or None


def _csv_options(storage: Mapping[str, Any], parameters: Mapping[str, str], where: str) -> dict[str, Any]:
    serde = storage.get("SerdeInfo") or {}
    own: Mapping[str, str] = serde.get("Parameters") or {}
    is_lazy = "lazysimple" in (serde.get("SerializationLibrary") or "").lower()
    delimiter = own.get("field.delim") or own.get("separatorChar") or (_HIVE_DELIMITER if is_lazy else ",")
    skipped = str(parameters.get("skip.header.line.count") or own.get("skip.header.line.count") or 0)
    if skipped not in {"0", "1"}:
        raise DeclarationError(where, f"skip.header.line.count is {skipped}", "One header line can be skipped, or none")
    return {"delimiter": _ESCAPED.get(delimiter, delimiter), "header": skipped == "1"}
