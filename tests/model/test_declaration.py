"""What a declaration takes, and what it means where something is left out."""

from __future__ import annotations

import re

import pytest

from rheo_assets import Application, NOOPCompute, S3Dataset, SignalIntegrityProtocol
from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import SUCCESS
from rheo_assets.model.declaration import data_node

pytestmark = pytest.mark.fast

OURS = SignalIntegrityProtocol("FILE_CHECK", {"file": "DONE"})


@pytest.mark.parametrize("name", ["protocol", "execution_hook", "pending_node_hook"])
def test_none_is_the_default_of_what_rheoceros_takes_none_for(name):
    app = Application("app")
    n = app.create_data("n", compute_targets=[NOOPCompute], **{name: None})
    assert n.protocol == SUCCESS
    assert name not in n.metadata


def test_a_patch_with_none_puts_the_default_back():
    app = Application("app")
    app.create_data("n", compute_targets=[NOOPCompute], protocol=OURS)
    assert app.patch_data("n", description="counts").protocol == OURS
    assert app.patch_data("n", protocol=None).protocol == SUCCESS


@pytest.mark.parametrize("name", ["execution_hook", "pending_node_hook"])
def test_a_hook_is_refused_until_it_is_served(name):
    with pytest.raises(DeclarationError, match=f"has no argument '{name}'. Hooks come with a later release"):
        Application("app").create_data("n", compute_targets=[NOOPCompute], **{name: object()})


COLUMNS = {"id": "VARCHAR(8)", "n": "Integer", "amount": "decimal(10, 2)", "at": "timestamp(3)"}
SPELLED = (("id", "string"), ("n", "int"), ("amount", "decimal(10,2)"), ("at", "timestamp"))


def test_columns_are_declared_in_the_words_of_athena_or_of_glue():
    assert S3Dataset("1", "lake", "f", columns=COLUMNS, dataset_format="csv").columns == SPELLED
    nested = {"a": "array(row(x integer, y varchar))", "m": "map<string,array<double>>"}
    dataset = S3Dataset("1", "lake", "f", columns=nested, dataset_format="json")
    assert dataset.columns == (("a", "array<struct<x:int,y:string>>"), ("m", "map<string,array<double>>"))
    assert data_node("shop", "bucket", "made", compute_targets=NOOPCompute, columns=COLUMNS).columns == SPELLED
    assert data_node("shop", "bucket", "made", compute_targets=NOOPCompute).columns == ()


@pytest.mark.parametrize(
    ("columns", "data_format", "words"),
    [
        ({"id": "strng"}, "csv", "'id' is declared 'strng': 'strng' is not a type"),
        ({"id": "decimal(40,2)"}, "csv", "up to 38 digits"),
        ({"id": "array<int"}, "json", "is missing"),
        ({"id": "int x"}, "csv", "follows a whole type"),
        ({"id": None}, "csv", "is declared None"),
        ({"id": "int", "ID": "int"}, "csv", "'ID' twice"),
        ({"": "int"}, "csv", "'' is not a column name"),
        ({}, "csv", "columns are {}"),
        (["id"], "csv", "columns are ['id']"),
        ({"tags": "array<string>"}, "csv", "which csv cannot hold"),
        ({"raw": "binary"}, "json", "which json cannot hold"),
    ],
)
def test_columns_that_could_never_be_read_are_refused_where_they_are_declared(columns, data_format, words):
    with pytest.raises(DeclarationError, match=re.escape(words)):
        S3Dataset("1", "lake", "f", columns=columns, dataset_format=data_format)
    with pytest.raises(DeclarationError, match=re.escape(words)) as refused:
        data_node("shop", "bucket", "made", compute_targets=NOOPCompute, columns=columns, dataset_format=data_format)
    assert "node 'made'" in str(refused.value)


def test_a_patch_keeps_the_declared_columns_or_replaces_them():
    app = Application("app")
    app.create_data("n", compute_targets=[NOOPCompute], columns=COLUMNS)
    assert app.patch_data("n", description="counts").columns == SPELLED
    assert app.patch_data("n", columns={"id": "int"}).columns == (("id", "int"),)
    assert app.patch_data("n", columns=None).columns == ()
