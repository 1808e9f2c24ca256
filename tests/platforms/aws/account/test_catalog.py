"""The Glue Data Catalog as a catalog of nodes."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from rheo_assets import DataFormat
from rheo_assets.errors import CapabilityMissing, DeclarationError
from rheo_assets.model.glue.tables import GlueTable, dataset_of
from rheo_assets.platforms.aws.catalog import GlueCatalog
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.local.catalog import LocalCatalog


@pytest.fixture
def catalog(clients: Clients, tmp_path) -> GlueCatalog:
    """A catalog with two tables, as the local one writes them."""
    glue = clients.client("glue")
    glue.create_database(DatabaseInput={"Name": "shop"})
    local = LocalCatalog(tmp_path)
    orders = GlueTable("s3://lake/orders", [("id", "bigint")], [("region", "string"), ("day", "date")])
    items = GlueTable("s3://lake/items", dataset_format="csv", header=True, delimiter="|")
    for name, described in (("orders", orders), ("items", items)):
        table = dict(local.register("shop", name, described))
        del table["DatabaseName"]
        glue.create_table(DatabaseName="shop", TableInput=table)
    return GlueCatalog(clients)


def test_a_table_tells_dimensions_format_and_folders(catalog: GlueCatalog) -> None:
    dataset, spec = dataset_of(catalog.table("Shop", "ORDERS"))
    assert spec.names == ("region", "day")
    assert dataset.format is DataFormat.PARQUET
    assert dataset.layout.folder(("NA", "2024-01-01")) == "s3://lake/orders/region=NA/day=2024-01-01"
    assert dataset.account_id == "123456789012"


def test_a_csv_table_tells_its_delimiter_and_header(catalog: GlueCatalog) -> None:
    dataset, spec = dataset_of(catalog.table("shop", "items"))
    assert (dataset.format, dataset.options, len(spec)) == (DataFormat.CSV, {"delimiter": "|", "header": True}, 0)


def test_an_unknown_table_names_near_misses(catalog: GlueCatalog) -> None:
    with pytest.raises(LookupError, match=r"no table 'order' in database 'shop' \(it has items, orders\)") as caught:
        catalog.table("shop", "order")
    assert "Did you mean 'orders'?" in str(caught.value)


def test_an_unknown_database_names_near_misses(catalog: GlueCatalog) -> None:
    with pytest.raises(LookupError, match=r"no database 'shpo' \(it has shop\)\. Did you mean 'shop'\?"):
        catalog.table("shpo", "orders")


def test_a_refusal_names_the_table_and_the_permission(clients: Clients) -> None:
    with Stubber(clients.client("glue")) as stub:
        stub.add_client_error("get_table", "AccessDeniedException")
        with pytest.raises(CapabilityMissing, match=r"table 'shop\.orders'.*glue:GetTable"):
            GlueCatalog(clients).table("shop", "orders")


def test_what_is_no_name_is_refused(catalog: GlueCatalog) -> None:
    with pytest.raises(DeclarationError, match=r"table 'shop\.' is|table 'shop\.': is no name"):
        catalog.table("shop", "")


def test_without_credentials_the_message_names_the_table(no_credentials: None) -> None:
    with pytest.raises(CapabilityMissing, match=r"table 'shop\.orders' asks for AWS.*RHEO_PLATFORM=local"):
        GlueCatalog(Clients("eu-west-1")).table("shop", "orders")
