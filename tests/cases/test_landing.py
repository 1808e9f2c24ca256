"""`app.land`: a partition of external data, written on this machine for tests and trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rheo_assets import Application, DataFormat, NOOPCompute, PrestoSQL, S3Dataset
from rheo_assets.model.nodes import ExternalData
from tests.cases.topologies import DAY, SUCCESS, cycle, node, ran, spec

ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": "b, c"}]


def dataset(app: Application, form: Any = DataFormat.PARQUET, protocol: Any = SUCCESS, **options: Any) -> ExternalData:
    described = S3Dataset("1", "outside", "x", "day={}", dataset_format=form, **options)
    return app.marshal_external_data(described, "x", spec(day=DAY), None, protocol)


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame(ROWS)])
def test_rows_are_landed_in_the_format_of_the_dataset_and_start_its_readers(
    app: Application, form: str, rows: Any
) -> None:
    x = dataset(app, form)
    made = node(app, "made", [x], compute_targets=[PrestoSQL("select max(name) as name, count(*) as n from x")])
    app.activate()
    folder = app.land(x["2024-01-03"], rows)
    assert folder.endswith("/x/day=2024-01-03")
    assert (Path(folder) / "_SUCCESS").exists()
    assert app.load_data(x["2024-01-03"]).to_dict("records") == ROWS
    cycle(app)
    assert app.load_data(made["2024-01-03"]).to_dict("records") == [{"name": "b, c", "n": 2}]


def test_what_is_landed_again_replaces_what_was_there_and_is_a_new_event(app: Application) -> None:
    x = dataset(app)
    made = node(app, "made", [x])
    app.activate()
    for rows in (ROWS, ROWS[:1]):
        app.land(x["2024-01-03"], rows)
        cycle(app)
    assert app.load_data(x["2024-01-03"]).to_dict("records") == ROWS[:1]
    assert ran(app, made) == ["2024-01-03"] * 2


def test_files_are_copied_and_without_a_protocol_the_last_one_announces_them(app: Application, tmp_path: Path) -> None:
    x = dataset(app, "json", protocol=None)
    made = node(app, "made", [x])
    app.activate()
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"id": 1}\n')
    app.land(x["2024-01-03"], tmp_path)
    app.land(x["2024-01-04"], [tmp_path / "a.json", str(tmp_path / "b.json")])
    cycle(app)
    assert set(ran(app, made)) == {"2024-01-03", "2024-01-04"}
    assert len(app.load_data(x["2024-01-04"])) == 2


def test_what_cannot_be_landed_is_refused_and_leaves_the_partition_as_it_was(app: Application) -> None:
    x = dataset(app)
    made = app.create_data("made", [x], compute_targets=[NOOPCompute])
    app.land(x["2024-01-03"], ROWS)
    with pytest.raises(ValueError, match=r"land\(x\[2024-01-03\]\): the data is a int"):
        app.land(x["2024-01-03"], 7)
    with pytest.raises(ValueError, match="there is no file 'nowhere'"):
        app.land(x["2024-01-03"], "nowhere")
    with pytest.raises(ValueError, match="'made' is a data node"):
        app.land(made["2024-01-03"], ROWS)
    with pytest.raises(ValueError, match="land needs one concrete partition"):
        app.land(x["*"], ROWS)
    assert app.load_data(x["2024-01-03"]).to_dict("records") == ROWS


def test_paths_are_told_without_computing_anything_under_both_names(app: Application) -> None:
    x = dataset(app)
    assert app.paths(x[:-2], ["2024-01-03"]) == app.materialize(x[:-2], ["2024-01-03"])
    assert [path[-10:] for path in app.paths(x[:-2], ["2024-01-03"])] == ["2024-01-03", "2024-01-02"]
