"""The local catalog keeps tables as files that people read and write."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from rheo_assets import Application, PrestoSQL, SparkSQL
from rheo_assets.errors import DeclarationError, ExecutionFailed, StateError
from rheo_assets.model.datasets import SUCCESS, DataFormat
from rheo_assets.model.glue.tables import GlueTable, dataset_of
from rheo_assets.platforms.local.catalog import LocalCatalog


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    made = LocalCatalog(tmp_path)
    keys = [("region", "string"), ("day", "date")]
    made.register("shop", "orders", GlueTable("s3://lake/orders", [("id", "bigint")], keys))
    made.register("shop", "items", GlueTable("s3://lake/items", dataset_format="csv", header=True, delimiter="|"))
    return made


def test_a_registered_table_is_a_readable_file_in_the_shape_of_get_table(catalog: LocalCatalog, tmp_path: Path):
    table = json.loads((tmp_path / "catalog/shop/orders.json").read_text())
    assert table == catalog.table("shop", "orders")
    assert (table["Name"], table["DatabaseName"]) == ("orders", "shop")
    assert table["StorageDescriptor"]["Location"] == "s3://lake/orders"
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "id", "Type": "bigint"}]
    assert [key["Name"] for key in table["PartitionKeys"]] == ["region", "day"]


def test_a_table_comes_back_as_the_dataset_that_was_registered(catalog: LocalCatalog):
    dataset, spec = dataset_of(catalog.table("shop", "items"))
    assert (dataset.format, dataset.options, len(spec)) == (DataFormat.CSV, {"delimiter": "|", "header": True}, 0)


def test_names_are_found_in_any_case(catalog: LocalCatalog):
    assert catalog.table("SHOP", "Orders")["Name"] == "orders"


def test_databases_and_tables_are_listed_in_order(catalog: LocalCatalog):
    catalog.register("archive", "old", GlueTable("s3://lake/old"))
    assert catalog.databases() == ["archive", "shop"]
    assert catalog.tables("shop") == ["items", "orders"]


def test_an_empty_root_has_no_databases(tmp_path: Path):
    assert LocalCatalog(tmp_path / "new").databases() == []


def test_registering_again_replaces_the_table_and_leaves_nothing_else(catalog: LocalCatalog, tmp_path: Path):
    catalog.register("shop", "orders", GlueTable("s3://lake/orders-2"))
    assert catalog.table("shop", "orders")["StorageDescriptor"]["Location"] == "s3://lake/orders-2"
    assert sorted(file.name for file in (tmp_path / "catalog/shop").iterdir()) == ["items.json", "orders.json"]


def test_what_the_aws_command_prints_may_be_saved_as_it_is(catalog: LocalCatalog, tmp_path: Path):
    storage = {"Location": "s3://lake/saved", "InputFormat": "x.ParquetInputFormat"}
    answer = {"Table": {"Name": "saved", "DatabaseName": "shop", "StorageDescriptor": storage}}
    (tmp_path / "catalog/shop/saved.json").write_text(json.dumps(answer))
    assert dataset_of(catalog.table("shop", "saved"))[0].layout.root == "s3://lake/saved"


def test_an_unknown_table_names_near_misses_and_how_to_register_it(catalog: LocalCatalog):
    with pytest.raises(LookupError, match=r"no table 'order' in database 'shop' \(it has items, orders\)") as caught:
        catalog.table("shop", "order")
    assert "Did you mean 'orders'?" in str(caught.value)
    assert ".register('shop', 'order', GlueTable('s3://…'" in str(caught.value)


def test_an_unknown_database_names_near_misses(catalog: LocalCatalog):
    with pytest.raises(LookupError, match=r"no database 'shpo' \(it has shop\)\. Did you mean 'shop'\?"):
        catalog.table("shpo", "orders")
    with pytest.raises(LookupError, match="no database 'shpo'"):
        catalog.tables("shpo")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "%2e%2e", "a\0b", "a.b", "x" * 300, "\ud800", None]
)
def test_names_cannot_leave_the_catalog(catalog: LocalCatalog, name: str):
    with pytest.raises(DeclarationError, match="is not allowed as a name in the local catalog"):
        catalog.table("shop", name)
    with pytest.raises(DeclarationError, match="is not allowed as a name in the local catalog"):
        catalog.register(name, "orders", GlueTable("s3://lake/orders"))


def test_a_symbolic_link_cannot_leave_the_catalog(catalog: LocalCatalog, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "catalog/linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeclarationError, match="symbolic link that leads outside"):
        catalog.register("linked", "orders", GlueTable("s3://lake/orders"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_table_that_could_never_be_read_is_not_registered(catalog: LocalCatalog):
    with pytest.raises(DeclarationError, match="partition key 'price' is double"):
        catalog.register("shop", "bad", GlueTable("s3://lake/bad", [], [("price", "double")]))
    with pytest.raises(DeclarationError, match="location 'lake/bad'"):
        catalog.register("shop", "bad", GlueTable("lake/bad"))
    assert catalog.tables("shop") == ["items", "orders"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"Table": 5}', '{"Name": "x"}', "[" * 100_000])
def test_a_damaged_file_is_refused_by_name(catalog: LocalCatalog, tmp_path: Path, content: str):
    file = tmp_path / "catalog/shop/orders.json"
    file.write_text(content)
    with pytest.raises(StateError, match=r"orders\.json .*Register the table again"):
        catalog.table("shop", "orders")


@pytest.mark.parametrize("engine", ["presto", pytest.param("spark", marks=pytest.mark.spark)])
def test_the_catalogs_columns_hold_for_engines_load_data_and_preview(
    app: Application, engine: str, spark_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RHEO_SPARK_HOME", str(spark_home))
    columns = [("id", "string"), ("zip", "string"), ("amount", "decimal(10,2)")]
    described = GlueTable("s3://lake/orders", columns, [("day", "date")], dataset_format="csv", delimiter=",")
    LocalCatalog(app.platform.root).register("shop", "orders", described)
    orders = app.glue_table("shop", "orders", protocol=SUCCESS)
    target = (PrestoSQL if engine == "presto" else SparkSQL)("select id, zip, amount from orders")
    made = app.create_data("made", [orders], compute_targets=[target])
    folder = app.platform.root / "s3/lake/orders/day=2024-01-01"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("0007,00501,1.10\n")
    (folder / "_SUCCESS").touch()
    app.execute(made["2024-01-01"])
    for node in (orders, made):
        (row,) = app.load_data(node["2024-01-01"]).to_dict("records")
        assert row == {"id": "0007", "zip": "00501", "amount": Decimal("1.10")}
    app.preview_data(orders["2024-01-01"])
    assert "00501" in capsys.readouterr().out
    (folder / "b.csv").write_text("1,2,1.105\n")
    with pytest.raises(ExecutionFailed, match=r"day=2024-01-01/b\.csv.*'amount'.*row 1.*1\.105"):
        app.execute(made["2024-01-01"])
