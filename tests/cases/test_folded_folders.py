"""Folders that are spelled in another way than the value that they are read as: what arrived is what is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import Application, DataFormat, PrestoSQL, S3Dataset
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.model.nodes import DataNode, ExternalData
from tests.bridge.execution.test_manual_runs import from_the_ui
from tests.cases.topologies import DAY, STRING, SUCCESS, cycle, event, node, pending, ran, read, spec

LOWER = {**STRING, "format": str.lower, "insensitive": True}
COUNT = PrestoSQL("select count(*) as n, max(said) as said from x")


def dataset(app: Application, org: dict[str, Any], only: Any = None) -> ExternalData:
    described = S3Dataset("1", "outside", "x", "org={}", "{}", dataset_format=DataFormat.JSON)
    return app.marshal_external_data(described, "x", spec(org=org, day=DAY), only, SUCCESS)


def counted(app: Application, view: Any) -> DataNode:
    return node(app, "made", [view], compute_targets=[COUNT], dataset_format="json")


def land(root: Path, path: str) -> Path:
    folder = root / "s3/outside/x" / path
    folder.mkdir(parents=True)
    (folder / "part.json").write_text(json.dumps({"said": path}))
    (folder / "_SUCCESS").touch()
    return folder


def rows(app: Application, view: Any) -> dict[str, Any]:
    (row,) = app.load_data(view).to_dict("records")
    return row


@pytest.mark.parametrize("org", [LOWER, {**STRING, "format": str.lower}, {**STRING, "insensitive": True}])
def test_the_folder_that_arrived_is_the_one_that_is_read(root: Path, app: Application, org: dict[str, Any]) -> None:
    """D12."""
    source = dataset(app, org, only={"Se": {"*": {}}})
    made = counted(app, source)
    app.activate()
    folder = land(root, "org=SE/2021-03-08")
    cycle(app)
    (output,) = ran(app, made)
    assert output.casefold() == "se/2021-03-08"
    assert rows(app, made[output.split("/")[0]]["2021-03-08"]) == {"n": 1, "said": "org=SE/2021-03-08"}
    assert app.materialize(source["se"]["2021-03-08"]) == [str(folder)]
    assert list(app.load_data(source["sE"]["2021-03-08"])["said"]) == ["org=SE/2021-03-08"]


def test_a_checked_range_is_ready_however_its_folders_are_spelled(root: Path, app: Application) -> None:
    source = dataset(app, LOWER)
    made = counted(app, source["*"][:-3].range_check(True))
    app.activate()
    land(root, "org=SE/2021-03-08")
    cycle(app)
    assert pending(app, made) == 1
    land(root, "org=Se/2021-03-07")
    land(root, "org=se/2021-03-06")
    cycle(app)
    assert "se/2021-03-08" in ran(app, made)
    assert rows(app, made["se"]["2021-03-08"]) == {"n": 3, "said": "org=se/2021-03-06"}
    assert read(app, made, "x") == ["se/2021-03-08", "se/2021-03-07", "se/2021-03-06"]


def test_external_data_that_is_spelled_otherwise_is_not_missing(root: Path, app: Application) -> None:
    source = dataset(app, LOWER)
    made = counted(app, source)
    with pytest.raises(ValueError, match=r"missing: x\[se\]\[2021-03-08\]"):
        app.execute(made["se"]["2021-03-08"], recursive=True)
    land(root, "org=SE/2021-03-08")
    path = app.execute(made["se"]["2021-03-08"], recursive=True)
    assert path.endswith("made/se/2021-03-08")
    assert app.history(made)[0].missing == {}


def test_of_two_folders_of_one_partition_one_is_read_and_the_other_is_told(
    root: Path, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    source = dataset(app, LOWER)
    made = counted(app, source)
    app.activate()
    land(root, "org=se/2021-03-08")
    land(root, "org=SE/2021-03-08")
    cycle(app)
    assert ran(app, made) == ["se/2021-03-08"]
    assert rows(app, made["se"]["2021-03-08"])["said"] == "org=se/2021-03-08"
    told = (
        "x/org=SE/2021-03-08/_SUCCESS of 'x' is not routed: s3://outside/x/org=se/2021-03-08 holds the same partition"
    )
    assert told in caplog.text


def test_a_folder_that_is_gone_is_missed_however_it_was_spelled(root: Path, app: Application) -> None:
    source = dataset(app, LOWER)
    made = counted(app, source["*"][:-2].range_check(True))
    app.activate()
    land(root, "org=SE/2021-03-08")
    cycle(app)
    (root / "s3/outside/x/org=SE/2021-03-08/_SUCCESS").unlink()
    cycle(app)
    land(root, "org=SE/2021-03-07")
    cycle(app)
    assert ran(app, made) == []


INSENSITIVE = {**STRING, "insensitive": True}


def test_a_value_in_another_case_is_the_same_partition_in_every_verb(root: Path, app: Application) -> None:
    source = dataset(app, INSENSITIVE)
    made = counted(app, source)
    after = node(app, "after", [made["*"][:-2]])
    app.activate()
    for path in ("org=SE/2021-03-08", "org=Se/2021-03-07"):
        folder = land(root, path)
        cycle(app)
    assert ran(app, made) == ["se/2021-03-08", "se/2021-03-07"]
    assert rows(app, made["sE"]["2021-03-07"]) == {"n": 1, "said": "org=Se/2021-03-07"}
    assert app.materialize(source["SE"]["2021-03-07"]) == [str(folder)]
    for org in ("SE", "se"):
        assert str(app.poll(made[org]["2021-03-08"])[0]).endswith("made/se/2021-03-08")
        assert app.why(made[org]["2021-03-08"]).status == "COMPLETED"
        assert app.materialize(made["*"]["*"], [org, "2021-03-08"])[0].endswith("made/se/2021-03-08")

    before = len(app.history(made))
    app.execute(after["SE"]["2021-03-08"], recursive=True)
    assert (len(app.history(made)), read(app, after, "made")) == (before, ["se/2021-03-08", "se/2021-03-07"])
    event(app, source["SE"]["2021-03-08"], event_id="known")
    event(app, source["se"]["2021-03-08"], event_id="known")
    assert len(app.history(made)) == before + 1
    app.execute(made["Se"]["2021-03-08"], inputs=[source["sE"]["2021-03-08"]], update_dependency_tree=True)
    assert {partition.split("/")[0] for partition in (*ran(app, made), *ran(app, after))} == {"se"}


def test_a_key_in_another_case_is_refused_with_the_right_one(
    root: Path, app: Application, capfd: pytest.CaptureFixture[str]
) -> None:
    made = counted(app, dataset(app, INSENSITIVE))
    app.activate()
    land(root, "org=SE/2024-03-08")
    cycle(app)
    with open_instance(root) as instance:
        instance.add_dynamic_partitions("app/made/org", ["SE"])  # as somebody adds it in the UI
    assert not from_the_ui(root, app, made, ["2024-03-08|SE"])
    told = "made: '2024-03-08|SE' means made[se][2024-03-08], whose partition key is '2024-03-08|se'"
    assert told in capfd.readouterr().err
    assert from_the_ui(root, app, made, ["2024-03-08|se"])
    assert ran(app, made) == ["se/2024-03-08"] * 2


def test_a_declared_value_spells_its_partitions_also_those_made_from_it(
    root: Path, app: Application, new_app: Callable[[str], Application]
) -> None:
    source = dataset(app, INSENSITIVE, only={"Se": {"*": {}}, "AMZL": {"*": {}}})
    made = counted(app, source)
    other = node(app, "other", [made], output_dimension_spec=spec(org=INSENSITIVE, day=DAY))
    app.activate()
    land(root, "org=SE/2021-03-08")
    cycle(app)
    assert ran(app, made) == ran(app, other) == read(app, made, "x") == ["Se/2021-03-08"]
    recorded = new_app(app.name)
    assert str(recorded.poll(recorded["made"]["SE"]["2021-03-08"])[0]).endswith("made/Se/2021-03-08")
    assert str(recorded["other"]["amzl"]) == "other[AMZL]"


def test_a_star_in_the_path_swallows_a_suffix_of_the_folder(root: Path, app: Application) -> None:
    described = S3Dataset("1", "outside", "x", "{}*", dataset_format=DataFormat.JSON)
    source = app.marshal_external_data(described, "x", spec(day=DAY), None, SUCCESS)
    made = counted(app, source[:-2].range_check(True))
    app.activate()
    for path in ("2021-03-07", "2021-03-08_v2"):
        land(root, path)
    cycle(app)
    assert ran(app, made) == ["2021-03-08"]
    assert rows(app, made["2021-03-08"]) == {"n": 2, "said": "2021-03-08_v2"}
    assert app.materialize(source["2021-03-08"])[0].endswith("/x/2021-03-08_v2")


def test_a_star_right_after_a_text_is_refused_as_nothing_says_where_the_text_ends(app: Application) -> None:
    with pytest.raises(ValueError, match=r"the end of a value of 'org' in '{}\*'.*as in '{}_\*'"):
        app.marshal_external_data(S3Dataset("1", "outside", "x", "{}*"), "x", spec(org=STRING))
    app.marshal_external_data(S3Dataset("1", "outside", "x", "{}_*"), "x", spec(org=STRING))
