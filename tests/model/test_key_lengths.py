"""Keys of partitions that S3 would refuse: found when they are declared, or named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets.errors import DeclarationError, InvalidUri
from rheo_assets.model.datasets import SUCCESS
from rheo_assets.model.uris import bucket_and_key

LONG = "v" * 200
FIVE = tuple(f"d{number}" for number in range(5))


def spec(*names: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in reversed(names):
        tree = {name: {"type": flow.DimensionType.STRING, **tree}}
    return tree


def among(*values: str) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for value in reversed(values):
        tree = {value: tree}
    return tree


def test_an_output_whose_keys_become_too_long_is_refused(
    new_app: Callable[[], flow.Application],
) -> None:
    values = [LONG] * 4 + ["w" * 90]
    app = new_app()
    short = flow.S3Dataset("111222333444", "lake", "orders", *["{}"] * 5)
    external = app.marshal_external_data(
        short, id="orders", dimension_spec=spec(*FIVE), dimension_filter=among(*values), protocol=SUCCESS
    )
    with pytest.raises(
        DeclarationError, match=r"'totals'.*its partition internal_data/totals/vvv.* bytes.*allows 1024"
    ):
        app.create_data("totals", [external], compute_targets=[flow.NOOPCompute])


def test_external_data_may_have_the_longest_keys_that_s3_has(new_app: Callable[[], flow.Application]) -> None:
    def declare(name: str, last: int) -> Any:
        values = among(*[LONG] * 4, "w" * last)
        dataset = flow.S3Dataset("111222333444", "lake", "o", *["{}"] * 5)
        return new_app().marshal_external_data(
            dataset, id=name, dimension_spec=spec(*FIVE), dimension_filter=values, protocol=SUCCESS
        )

    longest = 1024 - len("/_SUCCESS") - len("o/" + "/".join([LONG] * 4) + "/")
    assert declare("orders", longest)
    with pytest.raises(DeclarationError, match=r"external data 'more'.*Shorten the folder, the names or the values"):
        declare("more", longest + 1)


def test_a_key_that_is_too_long_is_no_uri() -> None:
    key = "/".join(["k" * 255] * 4)
    assert bucket_and_key(f"s3://lake/{key}") == ("lake", key)
    with pytest.raises(InvalidUri, match="its key has 1025 bytes; S3 allows 1024"):
        bucket_and_key(f"s3://lake/{key}/k")
