"""Partitions at the ends of the calendar, up to which Dagster would count day by day."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from rheo_assets import Application, PrestoSQL, S3Dataset
from rheo_assets.bridge.eventlog.instance import open_instance
from tests.cases.topologies import SUCCESS, node, spec


@pytest.mark.parametrize("day", ["0001-01-02", "0999-12-31", "1000-01-01", "2990-01-01", "9999-12-31"])
def test_a_partition_at_the_end_of_the_calendar_runs_and_is_recorded_as_any_other(
    app: Application, root: Path, day: str
) -> None:
    data = S3Dataset("1", "outside", "orders", "{}", "{}", dataset_format="json")
    orders = app.marshal_external_data(data, "orders", spec("region", "day"), None, SUCCESS)
    daily = node(app, "daily", [orders], compute_targets=[PrestoSQL("select * from orders")])
    pair = node(app, "pair", {"daily": daily["*"][:-2]}, compute_targets=[PrestoSQL("select * from daily")])
    app.activate()
    (path,) = app.materialize(orders["NA"][day])
    Path(path).mkdir(parents=True)
    (Path(path) / "a.json").write_text('{"x": 1}\n')
    (Path(path) / "_SUCCESS").touch()
    app.settle()
    assert [one.status for one in app.history(daily)] == ["COMPLETED"]
    assert [one.status for one in app.history(pair)] == ["COMPLETED"]
    assert app.load_data(pair["NA"][day]).to_dict("records") == [{"x": 1}]
    with open_instance(root) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey(["app", "daily"])) == {f"{day}|NA"}
