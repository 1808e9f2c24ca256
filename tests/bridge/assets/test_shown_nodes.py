"""What Dagster's UI shows of each kind of node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rheo_assets import Application, LocalPlatform, NOOPCompute, PrestoSQL, S3Dataset
from tests.cases.topologies import DAY, STRING, SUCCESS

SAID: dict[str, Any] = {"description": "What it is.", "owners": ["team:shop"], "tags": {"tier": "one"}, "group": "core"}


def declared(app: Application) -> None:
    """Declares one node of each kind."""
    nightly = app.add_timer("nightly", "rate(1 day)", "day", **SAID)
    regions = {"NA": {"*": {}}, "EU": {"*": {}}}
    app.project("fanned", nightly, {"region": {**STRING, "day": DAY}}, regions, **SAID)
    dataset = S3Dataset("1", "outside", "x", "{}", "{}")
    x = app.marshal_external_data(dataset, "x", {"region": {**STRING, "day": DAY}}, None, SUCCESS, **SAID)
    app.create_data("made", [x], compute_targets=[PrestoSQL("select 1 as one")], **SAID)
    app.create_data("empty", [x], compute_targets=[NOOPCompute], **SAID)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("nightly", {"timer"}),
        ("fanned", {"projection"}),
        ("x", {"s3", "parquet"}),
        ("made", {"presto", "parquet"}),
        ("empty", {"noop"}),
    ],
)
def test_every_node_shows_what_was_said_of_it_its_kinds_and_its_code(
    app: Application, name: str, kinds: set[str]
) -> None:
    declared(app)
    shown = app.definitions().resolve_asset_graph().get(dg.AssetKey(["app", name]))
    assert shown.description == SAID["description"]
    assert shown.owners == SAID["owners"]
    assert shown.tags["tier"] == "one"
    assert shown.group_name == "core"
    assert shown.kinds == kinds
    (reference,) = shown.metadata["dagster/code_references"].code_references
    assert Path(reference.file_path) == Path(__file__)
    assert Path(__file__).read_text().splitlines()[reference.line_number - 1]


def test_another_session_shows_what_was_said_of_timers_and_projections(root: Path, app: Application) -> None:
    declared(app)
    app.activate()
    later = Application("app", platform=LocalPlatform(root)).topology
    for name in ("nightly", "fanned"):
        assert {key: later[name].metadata[key] for key in SAID} == SAID  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "said", [{"owners": "me"}, {"owners": ["me"]}, {"tags": ["x"]}, {"group": 3}, {"description": 3}]
)
def test_what_dagster_refuses_is_told_with_the_node(app: Application, said: dict[str, Any]) -> None:
    app.create_data("made", compute_targets=[NOOPCompute], **said)
    with pytest.raises(ValueError, match=r"'made': Dagster refuses its metadata: .*`owners` a list"):
        app.definitions()


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda a: a.add_timer("t", "rate(1 day)", time_dimension_granularty="DAY"), "'time_dimension_granularity'"),
        (lambda a: a.project("p", a.add_timer("t", "rate(1 day)"), {}, {}, output_dimension_filtr={}), "_filter'"),
        (lambda a: a.marshal_external_data("s3://x", "y", protocl=SUCCESS), "'protocol'"),
    ],
)
def test_an_argument_that_is_misspelt_is_not_taken_for_metadata(app: Application, declare: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean .*{said}"):
        declare(app)
