"""A table of the catalog is a dataset with one dimension a partition key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import DataFormat
from rheo_assets.model.dimensions import DatetimeGranularity, DimensionType
from rheo_assets.model.glue.tables import GlueTable, dataset_of

pytestmark = pytest.mark.fast

PARQUET = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
TEXT = "org.apache.hadoop.mapred.TextInputFormat"


def table(keys: Any = (), parameters: Any = None, serde: Any = None, **storage: Any) -> dict[str, Any]:
    """Returns a table as `GetTable` describes it."""
    return {
        "Name": "orders",
        "DatabaseName": "shop",
        "CatalogId": "111222333444",
        "StorageDescriptor": {
            "Columns": [{"Name": "id", "Type": "bigint"}],
            "Location": "s3://lake/orders/",
            "InputFormat": PARQUET,
            "SerdeInfo": serde or {},
            **storage,
        },
        "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in keys],
        "Parameters": parameters or {},
    }


def csv(parameters: Any = None, serde: Any = None, library: str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"):
    return table((), parameters, {"SerializationLibrary": library, "Parameters": serde or {}}, InputFormat=TEXT)


def test_partitions_lie_in_hive_folders_named_after_the_keys():
    dataset, spec = dataset_of(table([("region", "string"), ("day", "date")]))
    partition = spec.read(("NA", "2021-09-20"))
    assert dataset.layout.uri(spec, partition) == "s3://lake/orders/region=NA/day=2021-09-20"
    assert dataset.account_id == "111222333444"


def test_the_answer_of_get_table_is_read_with_its_envelope():
    assert dataset_of({"Table": table(), "ResponseMetadata": {}})[0].layout.root == "s3://lake/orders"


def test_a_table_without_partitions_has_no_dimensions():
    dataset, spec = dataset_of(table())
    assert (len(spec), dataset.layout.segments) == (0, ())


@pytest.mark.parametrize(
    ("hive_type", "kind"),
    [
        ("string", DimensionType.STRING),
        ("varchar(12)", DimensionType.STRING),
        ("char(2)", DimensionType.STRING),
        ("tinyint", DimensionType.LONG),
        ("smallint", DimensionType.LONG),
        ("int", DimensionType.LONG),
        ("BIGINT", DimensionType.LONG),
        ("date", DimensionType.DATETIME),
        ("timestamp", DimensionType.DATETIME),
    ],
)
def test_a_key_becomes_a_dimension_after_its_type(hive_type: str, kind: DimensionType):
    _, spec = dataset_of(table([("key", hive_type)]))
    assert spec["key"].type is kind


def test_a_date_steps_by_days_and_a_timestamp_by_seconds():
    _, spec = dataset_of(table([("day", "date"), ("at", "timestamp")]))
    assert [d.granularity for d in spec] == [DatetimeGranularity.DAY, DatetimeGranularity.SECOND]


@pytest.mark.parametrize("hive_type", ["string", "int", "date"])
def test_a_format_parameter_makes_a_key_a_datetime(hive_type: str):
    _, spec = dataset_of(table([("Hour", hive_type)], {"rheo.format.hour": "%Y%m%d%H"}))
    assert spec.read(("2021092005",)) == (datetime(2021, 9, 20, 5),)
    assert spec["Hour"].granularity is DatetimeGranularity.HOUR


def projected(**keys: str) -> dict[str, Any]:
    """Returns a table with date keys of these Java formats, projected onto `…/<key>/<key>`."""
    parameters = {f"projection.{key}.type": "date" for key in keys}
    parameters |= {f"projection.{key}.format": form for key, form in keys.items()}
    parameters |= {"storage.location.template": "s3://lake/orders/" + "/".join(f"${{{key}}}" for key in keys)}
    return table([(key, "string") for key in keys], parameters)


@pytest.mark.parametrize(
    ("form", "folder"),
    [
        ("yyyy/MM/dd", "2021/09/05"),
        ("yyyy/MM/dd/HH", "2021/09/05/07"),
        ("'year='yyyy'/month='M", "year=2021/month=9"),
        ("yyyy-MM-dd''HH", "2021-09-05'07"),
    ],
)
def test_a_key_that_athena_projects_as_a_date_is_a_datetime_in_its_format(form: str, folder: str):
    dataset, spec = dataset_of(projected(day=form))
    assert spec["day"].type is DimensionType.DATETIME
    partition = spec.read(["2021-09-05T07"])
    assert dataset.layout.uri(spec, partition) == f"s3://lake/orders/{folder}"
    assert dataset.layout.parse(spec, tuple(folder.split("/"))) == partition


def test_a_format_of_java_that_strftime_has_not_leaves_the_key_what_its_type_says():
    assert dataset_of(projected(day="yyyy'W'ww"))[1]["day"].type is DimensionType.STRING


@pytest.mark.parametrize(("digits", "text"), [("2", "07"), ("0", "7"), ("two", "7"), (None, "7")])
def test_a_key_that_athena_projects_as_a_number_is_padded_as_it_says(digits: str | None, text: str):
    said = {"projection.hour.type": "integer", "projection.hour.digits": digits}
    _, spec = dataset_of(table([("hour", "int")], {key: value for key, value in said.items() if value is not None}))
    assert spec.render(spec.read([7])) == (text,)


def test_a_given_spec_replaces_types_and_names_but_not_folders():
    given_spec = {"area": {"type": "STRING", "hour": {"type": "LONG", "digits": 2}}}
    dataset, spec = dataset_of(table([("region", "binary"), ("hour", "int")]), given_spec)
    assert dataset.layout.uri(spec, spec.read(("NA", 7))) == "s3://lake/orders/region=NA/hour=07"


@pytest.mark.parametrize(
    ("given_spec", "problem"),
    [
        ({"region": {"type": "STRING"}}, "partition keys ['region', 'day'] but dimension_spec has ['region']"),
        ({"day": {"type": "DATETIME", "region": {"type": "STRING"}}}, "in another order than the partition keys"),
    ],
)
def test_a_given_spec_that_does_not_fit_the_keys_is_refused(given_spec: Any, problem: str):
    with pytest.raises(DeclarationError) as caught:
        dataset_of(table([("region", "string"), ("day", "date")]), given_spec)
    assert problem in str(caught.value)
    assert "'shop.orders'" in str(caught.value)


def test_a_location_template_says_where_partitions_lie():
    parameters = {"storage.location.template": "s3://lake/orders/${region}/d-${day}/"}
    dataset, spec = dataset_of(table([("region", "string"), ("day", "date")], parameters))
    assert dataset.layout.uri(spec, spec.read(("NA", "2021-09-20"))) == "s3://lake/orders/NA/d-2021-09-20"


@pytest.mark.parametrize(
    "template", ["s3://lake/orders/${day}/${region}", "s3://other/${region}/${day}", "s3://lake/orders"]
)
def test_a_location_template_that_cannot_be_read_is_refused(template: str):
    with pytest.raises(DeclarationError, match=r"storage\.location\.template is"):
        dataset_of(table([("region", "string"), ("day", "date")], {"storage.location.template": template}))


@pytest.mark.parametrize(
    ("library", "input_format", "classification", "data_format"),
    [
        ("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", "", "", DataFormat.PARQUET),
        ("org.apache.hadoop.hive.ql.io.orc.OrcSerde", "", "", DataFormat.ORC),
        ("org.openx.data.jsonserde.JsonSerDe", TEXT, "", DataFormat.JSON),
        ("org.apache.hive.hcatalog.data.JsonSerDe", TEXT, "", DataFormat.JSON),
        ("org.apache.hadoop.hive.serde2.OpenCSVSerde", TEXT, "", DataFormat.CSV),
        ("", PARQUET, "", DataFormat.PARQUET),
        ("", "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat", "", DataFormat.ORC),
        ("", TEXT, "json", DataFormat.JSON),
    ],
)
def test_the_format_is_told_by_serde_then_input_format_then_classification(
    library: str, input_format: str, classification: str, data_format: DataFormat
):
    found = table((), {"classification": classification}, {"SerializationLibrary": library}, InputFormat=input_format)
    assert dataset_of(found)[0].format is data_format


@pytest.mark.parametrize(
    ("found", "options"),
    [
        (csv({"skip.header.line.count": "1"}, {"field.delim": "|"}), {"delimiter": "|", "header": True}),
        (csv({}, {"field.delim": "\\t", "skip.header.line.count": "1"}), {"delimiter": "\t", "header": True}),
        (csv({"skip.header.line.count": "0"}, {"field.delim": ","}), {"delimiter": ",", "header": False}),
        (csv(), {"delimiter": "\x01", "header": False}),
        (csv(library="a.OpenCSVSerde"), {"delimiter": ",", "header": False}),
        (csv({}, {"separatorChar": ";"}, "a.OpenCSVSerde"), {"delimiter": ";", "header": False}),
    ],
)
def test_csv_is_read_as_hive_would(found: dict[str, Any], options: dict[str, Any]):
    assert dataset_of(found)[0].options == options


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (table(Location=None), "has the location None"),
        (table(Location="s3://lake"), "has the location 's3://lake'"),
        (table(Location="hdfs://lake/x"), "has the location 'hdfs://lake/x'"),
        (table(Location="s3://lake/../x"), "'../x' is not a key prefix"),
        (table((), {"table_type": "ICEBERG"}), "has the table_type ICEBERG"),
        (
            table(InputFormat="org.apache.avro.AvroInputFormat"),
            "is stored in an unsupported format (org.apache.avro.AvroInputFormat)",
        ),
        (table(InputFormat=None), "is stored in an unsupported format (unnamed)"),
        (table([("price", "decimal(4,2)")]), "partition key 'price' is decimal(4,2)"),
        (table([("order-day", "date")]), "partition key 'order-day' cannot be a dimension"),
        (table([("day", "string")], {"rheo.format.day": "daily"}), "partition key 'day' cannot be a dimension"),
        (csv({"skip.header.line.count": "2"}), "skip.header.line.count is 2"),
        (csv({}, {"field.delim": "::"}), "delimiter '::' is not one character"),
    ],
)
def test_a_table_that_is_no_readable_dataset_is_refused(found: dict[str, Any], problem: str):
    with pytest.raises(DeclarationError) as caught:
        dataset_of(found)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"columns": ["id"]},
        {"columns": [("id", "bigint", "%Y")]},
        {"partition_keys": [("day",)]},
        {"partition_keys": ["ab"]},
        {"header": True},
        {"dataset_format": "xls"},
        {"dataset_format": "csv", "delimiter": "ab"},
    ],
)
def test_a_malformed_description_is_refused(arguments: dict[str, Any]):
    with pytest.raises(DeclarationError):
        GlueTable("s3://lake/orders", **arguments)


@given(
    st.sampled_from(DataFormat),
    st.sampled_from([None, ",", "|", "\t", "\x01"]),
    st.sampled_from([None, True, False]),
    st.lists(st.sampled_from(["string", "bigint", "date", ("string", "%Y%m%d")]), max_size=4),
)
def test_what_is_described_is_read_back(
    data_format: DataFormat, delimiter: str | None, header: bool | None, kinds: list[Any]
):
    is_csv = data_format is DataFormat.CSV
    keys = [(f"k{i}", *([kind] if isinstance(kind, str) else kind)) for i, kind in enumerate(kinds)]
    table = GlueTable(
        "s3://lake/orders",
        [("id", "bigint")],
        keys,
        dataset_format=data_format,
        delimiter=delimiter if is_csv else None,
        header=header if is_csv else None,
    )
    dataset, spec = dataset_of(table.describe("shop", "orders"))
    assert dataset.format is data_format
    assert dataset.options == ({"delimiter": delimiter or ",", "header": bool(header)} if is_csv else {})
    expected = [DimensionType.DATETIME if len(key) > 2 or key[1] == "date" else key[1] for key in keys]
    assert [{"STRING": "string", "LONG": "bigint"}.get(d.type, d.type) for d in spec] == expected
    assert dataset.layout.segments == tuple(f"{key[0]}={{}}" for key in keys)


def test_the_columns_of_the_catalog_are_declared_and_one_that_no_file_can_have_is_refused():
    columns = [{"Name": "id", "Type": "string"}, {"Name": "m", "Type": "map<string,array<struct<a:int>>>"}]
    dataset, _ = dataset_of(table([("day", "date")], Columns=columns))
    assert dataset.columns == (("id", "string"), ("m", "map<string,array<struct<a:int>>>"))
    assert dataset_of(table(Columns=[]))[0].columns == ()
    with pytest.raises(DeclarationError, match="'u' is declared 'uniontype<int,string>'"):
        dataset_of(table(Columns=[{"Name": "u", "Type": "uniontype<int,string>"}]))
