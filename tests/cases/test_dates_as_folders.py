"""A DATETIME whose format spans several path segments, as `2021/09/20`: what works with one does with three."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, DataFormat, PrestoSQL, S3Dataset
from rheo_assets.model.nodes import DataNode, ExternalData
from tests.bridge.execution.test_manual_runs import from_the_ui
from tests.cases.topologies import STRING, SUCCESS, cycle, file, node, ran, read, spec

DAYS = {"type": "DATETIME", "format": "%Y/%m/%d"}
MONTHS = {"type": "DATETIME", "format": "year=%Y/month=%m"}
HOURS = {"type": "DATETIME", "format": "%Y/%m/%d/%H"}


def dataset(app: Application, *segments: str, only: Any = None, **levels: dict[str, Any]) -> ExternalData:
    described = S3Dataset("111222333444", "outside", "x", *segments, dataset_format=DataFormat.JSON)
    return app.marshal_external_data(described, "x", spec(**levels), only, SUCCESS)


def land(app: Application, path: str, **row: Any) -> None:
    folder = Path(app.platform.storage.location("s3://outside/x"), path)
    folder.mkdir(parents=True)
    (folder / "part.json").write_text(json.dumps(row))
    (folder / "_SUCCESS").touch()


@pytest.mark.parametrize(
    ("segments", "level", "path", "value"),
    [
        (["{}"], DAYS, "2021/09/20", "2021-09-20"),
        (["{}"], MONTHS, "year=2021/month=09", "2021-09-01"),
        (["{}"], HOURS, "2021/09/20/05", "2021-09-20T05"),
        (["day={}"], DAYS, "day=2021/09/20", "2021-09-20"),
        (["logs/{}/all"], DAYS, "logs/2021/09/20/all", "2021-09-20"),
    ],
)
def test_what_arrives_in_folders_of_dates_runs_the_node_that_writes_such_folders(
    app: Application, segments: list[str], level: dict[str, Any], path: str, value: str
) -> None:
    source = dataset(app, *segments, when=level)
    made = node(app, "made", [source])
    next_one = node(app, "next_one", [made])
    app.activate()
    land(app, path)
    cycle(app)
    text = source.spec["when"].render(datetime.fromisoformat(value))
    assert [ran(app, made), ran(app, next_one), read(app, made, "x")] == [[text]] * 3
    written, (records) = app.poll(made[value])
    assert written is not None
    assert written.endswith(f"internal_data/made/{text}")
    assert Path(written, "_SUCCESS").is_file()
    assert len(records) == 1
    assert app.materialize(source[value])[0].endswith(f"/outside/x/{path}")
    assert app.execute(made[text]) == written


def test_a_range_over_folders_of_dates_is_read_whole(app: Application) -> None:
    source = dataset(app, "{}", "{}", region=STRING, day=DAYS)
    query = PrestoSQL("select count(*) as n, max(day) as day from x")
    made = node(app, "made", [source["*"][:-3].range_check(True)], compute_targets=[query], dataset_format="json")
    app.activate()
    for day in (28, 27, 26):
        land(app, f"NA/2021/02/{day}", day=day)
    cycle(app)
    assert ran(app, made) == ["NA/2021/02/28"]
    assert read(app, made, "x") == ["NA/2021/02/28", "NA/2021/02/27", "NA/2021/02/26"]
    assert app.load_data(made["NA"]["2021-02-28"]).to_dict("records") == [{"n": 3, "day": 28}]
    assert list(app.load_data(source["NA"][:-7])["day"]) == [28, 27, 26]


def test_open_folders_of_dates_are_as_many_stars(app: Application) -> None:
    source = dataset(app, "{}", "{}", region=STRING, day=DAYS)
    assert app.materialize(source["NA"]["*"])[0].endswith("/x/NA/*/*/*")
    assert app.materialize(source["NA"][:-7])[0].endswith("/x/NA/_:-7")
    tips = app.materialize(source["NA"][:-2], ["NA", "2021-03-01"])
    assert [path.partition("/x/")[2] for path in tips] == ["NA/2021/03/01", "NA/2021/02/28"]


def test_folders_that_are_no_dates_are_not_routed_and_told(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    source = dataset(app, "{}", only={"2021-09-20": {}, "2021-09-21": {}}, day=DAYS)
    made = node(app, "made", [source])
    app.activate()
    for path in ("2021/9/20", "2021/13/01", "%2e%2e/%2e%2e/01", "2021-09-20/x/y", "2021/09/22", "2021/09/20"):
        land(app, path)
    cycle(app)
    assert ran(app, made) == ["2021/09/20"]
    for told in ("'2021/9/20'", "'2021/13/01'", "'%2e%2e/%2e%2e/01'", "'2021-09-20/x/y'"):
        assert told in caplog.text


@pytest.mark.parametrize("level", [DAYS, HOURS])
def test_dagster_s_keys_of_folders_of_dates_run_from_the_ui(
    root: Path, app: Application, level: dict[str, Any]
) -> None:
    source = dataset(app, "{}", "{}", region=STRING, when=level)
    made = node(app, "made", [source])
    app.activate()
    file(app, source["NA"]["2024-03-01"])
    cycle(app)
    key = "NA|2024-03-01" if level is DAYS else "NA~2024%2F03%2F01%2F00"
    assert from_the_ui(root, app, made, [key])
    once, again = ran(app, made)
    assert once == again == ("NA/2024/03/01" if level is DAYS else "NA/2024/03/01/00")


@pytest.mark.parametrize(
    "leaving", ["..", "../2021/09/20", "2021/../20", "/2021/09/20", "%2e%2e/09/20", "2021/09/20/.."]
)
def test_no_value_of_folders_of_dates_leaves_the_root(app: Application, leaving: str) -> None:
    source = dataset(app, "{}", day=DAYS)
    made = node(app, "made", [source])
    tries: list[Callable[[DataNode | ExternalData], Any]] = [
        lambda x: x[leaving],
        lambda x: app.materialize(x["*"], [leaving]),
        lambda x: app.execute(x[leaving]),
    ]
    for attempt in tries:
        for signal in (source, made):
            with pytest.raises(ValueError, match="'day' cannot hold"):
                attempt(signal)
