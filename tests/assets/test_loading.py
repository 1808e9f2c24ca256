"""`load_data`: one partition, or the union of a range."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rheo_assets import Application, DataFormat, S3Dataset
from rheo_assets.nodes import ExternalData
from tests.cases.topologies import SUCCESS, spec


@pytest.fixture
def orders(app: Application) -> ExternalData:
    """Days 1, 2 and 4 of NA, and a later one of EU; one row a day."""
    found = app.marshal_external_data(
        S3Dataset("1", "outside", "orders", "{}", "{}", dataset_format=DataFormat.JSON),
        "orders",
        spec("region", "day"),
        None,
        SUCCESS,
    )
    for region, day in [("NA", 1), ("NA", 2), ("NA", 4), ("EU", 9)]:
        (path,) = app.materialize(found[region][f"2024-03-{day:02}"])
        Path(path).mkdir(parents=True)
        (Path(path) / "part-0.json").write_text(json.dumps({"region": region, "day": day}))
        (Path(path) / "_SUCCESS").touch()
    return found


def days(app: Application, view: object, *tip: str) -> list[int]:
    return list(app.load_data(view, list(tip) or None)["day"])


def test_a_range_is_the_union_of_what_exists_counted_from_the_newest_that_fits(
    app: Application, orders: ExternalData, caplog: pytest.LogCaptureFixture
) -> None:
    assert days(app, app["orders"]["NA"][:-3]) == [4, 2]
    assert "leaves out what is absent: orders[NA][2024-03-03]" in caplog.text
    assert days(app, orders["NA"][:-7]) == [4, 2, 1]
    assert days(app, orders["NA"][:]) == [4]
    assert days(app, orders["EU"][:-7]) == [9]


def test_a_range_counts_from_the_tip_that_is_given(app: Application, orders: ExternalData) -> None:
    assert days(app, orders["NA"][:-7], "NA", "2024-03-02") == [2, 1]
    assert days(app, orders["NA"][:2], "NA", "2024-03-01") == [1, 2]
    with pytest.raises(ValueError, match="EU"):
        days(app, orders["NA"][:-7], "EU", "2024-03-09")


def test_one_partition_open_dimensions_and_nothing_there(app: Application, orders: ExternalData) -> None:
    assert days(app, orders["NA"]["2024-03-02"]) == [2]
    with pytest.raises(FileNotFoundError, match=r"orders\[NA\]\[2024-03-03\] has no data"):
        app.load_data(orders["NA"]["2024-03-03"])
    with pytest.raises(FileNotFoundError, match="nothing that fits it is complete"):
        app.load_data(orders["JP"][:-7])
    with pytest.raises(ValueError, match="'region'"):
        app.load_data(orders["*"][:-7])
    with pytest.raises(ValueError, match="'day'"):
        app.load_data(orders["NA"])


def test_a_preview_that_goes_to_a_file_cuts_neither_its_title_nor_a_column(
    app: Application, orders: ExternalData, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = app.materialize(orders["NA"]["2024-03-04"])
    wide = {f"a_rather_long_name_{n}": f"a_rather_long_value_{n}" for n in range(10)}
    (Path(path) / "part-0.json").write_text(json.dumps(wide))
    app.preview_data(orders["NA"]["2024-03-04"])
    shown = capsys.readouterr().out
    assert "orders[NA][2024-03-04] (1 rows)" in shown
    assert all(name in shown and value in shown for name, value in wide.items())
