"""`load_data`: one partition, or the union of a range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from rheo_assets import Application, DataFormat, PrestoSQL, S3Dataset
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.errors import UnreadableData
from rheo_assets.model.nodes import ExternalData
from tests.cases.topologies import SUCCESS, node, spec


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
    assert "skips missing partitions: orders[NA][2024-03-03]" in caplog.text
    assert days(app, orders["NA"][:-7]) == [4, 2, 1]
    assert days(app, orders["NA"][:]) == [4]
    assert days(app, orders["EU"][:-7]) == [9]


def test_a_range_counts_from_the_tip_that_is_given(app: Application, orders: ExternalData) -> None:
    assert days(app, orders["NA"][:-7], "NA", "2024-03-02") == [2, 1]
    assert days(app, orders["NA"][:2], "NA", "2024-03-01") == [1, 2]
    with pytest.raises(ValueError, match="EU"):
        days(app, orders["NA"][:-7], "EU", "2024-03-09")


def test_a_nearest_view_is_the_ready_partition_closest_to_the_tip_alone(
    app: Application, orders: ExternalData, capsys: pytest.CaptureFixture[str]
) -> None:
    near = orders["NA"][:-3].nearest()
    assert days(app, near, "NA", "2024-03-05") == [4]
    assert days(app, near, "NA", "2024-03-03") == [2]
    assert days(app, orders["NA"][-1:-3].nearest()) == [2]
    assert days(app, near.ref) == [4]
    app.preview_data(near)
    assert "orders[NA][_:-3].nearest() (1 rows)" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match=r"none of orders\[NA\]\[2024-03-09\], .*\[2024-03-07\] is ready"):
        days(app, near, "NA", "2024-03-09")


def test_the_paths_of_a_nearest_view_are_that_of_the_ready_partition(app: Application, orders: ExternalData) -> None:
    def last(view: object, *tip: str) -> list[str]:
        return [path.rpartition("/")[2] for path in app.materialize(view, list(tip) or None)]

    near = orders["NA"][:-3].nearest()
    assert last(near, "NA", "2024-03-03") == ["2024-03-02"]
    assert last(near) == ["_:-3"]
    assert last(orders["NA"]["2024-03-02"].nearest()) == ["2024-03-02"]
    for waiting in (orders["NA"][:-3].ref, orders["NA"][:-3].range_check(True)):
        assert last(waiting, "NA", "2024-03-04") == ["2024-03-04", "2024-03-03", "2024-03-02"]
    with pytest.raises(FileNotFoundError, match="is ready"):
        last(near, "NA", "2024-03-09")


def test_a_range_checked_view_is_all_of_its_range_or_nothing(app: Application, orders: ExternalData) -> None:
    assert days(app, orders["NA"][:-2].range_check(True), "NA", "2024-03-02") == [2, 1]
    with pytest.raises(FileNotFoundError, match=r"orders\[NA\]\[2024-03-03\] is not ready.*remove range_check"):
        days(app, orders["NA"][:-3].range_check(True))


def test_a_half_written_partition_is_read_as_the_tip_only(app: Application, orders: ExternalData) -> None:
    (path,) = app.materialize(orders["NA"]["2024-03-02"])
    (Path(path) / "_SUCCESS").unlink()
    assert days(app, orders["NA"][:-4]) == [4, 1]
    assert days(app, orders["NA"][:-2], "NA", "2024-03-02") == [2, 1]
    assert days(app, orders["NA"]["2024-03-02"]) == [2]


def test_one_partition_open_dimensions_and_nothing_there(app: Application, orders: ExternalData) -> None:
    assert days(app, orders["NA"]["2024-03-02"]) == [2]
    with pytest.raises(FileNotFoundError, match=r"orders\[NA\]\[2024-03-03\] has no data"):
        app.load_data(orders["NA"]["2024-03-03"])
    with pytest.raises(FileNotFoundError, match="no matching partition is complete"):
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


FORMATS = [DataFormat.JSON, DataFormat.CSV, DataFormat.PARQUET]


def landed(app: Application, data_format: DataFormat) -> tuple[ExternalData, Path]:
    """A partition without files in a folder `region=NA`, and that folder."""
    dataset = S3Dataset("1", "outside", "shops", "region={}", dataset_format=data_format)
    found = app.marshal_external_data(dataset, "shops", spec("region"), None, SUCCESS)
    (path,) = app.materialize(found["NA"])
    Path(path).mkdir(parents=True)
    return found, Path(path)


def write(path: Path, row: str, data_format: DataFormat) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = ", header" if data_format is DataFormat.CSV else ""
    duckdb.sql(f"copy (select {row}) to '{path}' (format {data_format}{header})")


@pytest.mark.parametrize("data_format", FORMATS)
def test_the_columns_are_those_of_the_files_not_those_of_folder_names(
    app: Application, data_format: DataFormat
) -> None:
    shops, folder = landed(app, data_format)
    write(folder / "a", "'of the file' as region, 1 as n", data_format)
    assert app.load_data(shops["NA"]).to_dict("records") == [{"region": "of the file", "n": 1}]
    write(folder / "a", "1 as n", data_format)
    assert list(app.load_data(shops["NA"]).columns) == ["n"]


@pytest.mark.parametrize("data_format", FORMATS)
def test_folders_below_a_partition_are_columns_as_they_are_to_presto_sql(
    app: Application, data_format: DataFormat
) -> None:
    shops, folder = landed(app, data_format)
    for n, name in enumerate(["city=A%20B/kind=x/N=7", "city=C/kind=__HIVE_DEFAULT_PARTITION__/N=8"]):
        write(folder / name / "a", f"{n} as n", data_format)
    (folder / "_SUCCESS").touch()
    report = app.create_data("report", [shops], compute_targets=[PrestoSQL("select * from shops")])
    app.execute(report["NA"])
    expected = [{"n": 0, "city": "A B", "kind": "x"}, {"n": 1, "city": "C", "kind": None}]
    for signal in (shops, report):
        frame = app.load_data(signal["NA"])
        assert frame.where(frame.notna(), None).sort_values("n").to_dict("records") == expected
    write(folder / "city=A" / "a", "3 as n", data_format)
    with pytest.raises(
        UnreadableData, match=r"the `name=value` folders differ: \['city'\] of .*, \['city', 'kind', 'N'\] of "
    ):
        app.load_data(shops["NA"])


@pytest.mark.parametrize("data_format", FORMATS)
def test_files_in_sub_folders_are_read_and_hidden_ones_are_not(
    app: Application, data_format: DataFormat, tmp_path: Path
) -> None:
    shops, folder = landed(app, data_format)
    for n, name in enumerate(["a", "sub/z", "sub/deeper/y", "_temporary/x", ".hidden/w", "sub/_v", "sub/.u", "a.crc"]):
        write(folder / name, f"{n} as n", data_format)
    (folder / "out").symlink_to(tmp_path, target_is_directory=True)
    assert sorted(app.load_data(shops["NA"])["n"]) == [0, 1, 2]


def test_an_empty_file_adds_no_column(app: Application) -> None:
    shops, folder = landed(app, DataFormat.CSV)
    (folder / "empty").touch()
    assert app.load_data(shops["NA"]).empty
    write(folder / "a", "1 as n", DataFormat.CSV)
    assert app.load_data(shops["NA"]).to_dict("records") == [{"n": 1}]


VALUES = """'007' as code, '1.50' as price, '2024-03-01' as day, '2024-03-01 10:00:00' as at, 'true' as ok,
       'é,"q"' as text, cast(null as varchar) as nothing, '99999999999' as big"""


@pytest.mark.parametrize("header", [True, False])
def test_a_csv_has_the_columns_and_types_that_a_query_reads(app: Application, header: bool) -> None:
    dataset = S3Dataset("1", "outside", "codes", "{}", dataset_format=DataFormat.CSV, header=header, delimiter="|")
    codes = app.marshal_external_data(dataset, "codes", spec("day"), None, SUCCESS)
    made = node(app, "made", [codes], compute_targets=[PrestoSQL("select * from codes")])
    (path,) = app.materialize(codes["2024-03-01"])
    Path(path).mkdir(parents=True)
    duckdb.sql(f"copy (select {VALUES}) to '{path}/part-0.csv' (format csv, header {header}, delimiter '|')")
    app.execute(made["2024-03-01"])
    loaded, read = app.load_data(codes["2024-03-01"]), app.load_data(made["2024-03-01"])
    assert list(loaded.columns)[:2] == (["code", "price"] if header else ["_c0", "_c1"])
    assert loaded.iloc[0, 0] == 7
    pd.testing.assert_frame_equal(loaded, read)


def test_what_dagster_shows_of_a_csv_without_a_header_is_what_load_data_gives(app: Application, root: Path) -> None:
    output = {"output_dimension_spec": spec("day"), "dataset_format": "csv"}
    made = node(app, "made", [], compute_targets=[PrestoSQL("select 'x' as said, 2 as n")], **output)
    app.execute(made["2024-03-01"])
    assert app.load_data(made["2024-03-01"]).to_dict("records") == [{"_c0": "x", "_c1": 2}]
    with open_instance(root) as instance:
        (shown,) = instance.fetch_materializations(dg.AssetKey(["app", "made"]), limit=1).records
    assert shown.asset_materialization is not None
    metadata = shown.asset_materialization.metadata
    assert str(metadata["preview"].value).splitlines()[0] == "| _c0 | _c1 |"
    schema: Any = metadata["dagster/column_schema"].value
    assert [column.name for column in schema.columns] == ["_c0", "_c1"]


def test_csv_files_of_other_columns_are_one_table_by_name(app: Application) -> None:
    shops, folder = landed(app, DataFormat.CSV)
    for name, text in (("a", "n,m\n1,x\n"), ("b", "m,n\ny,2\n"), ("c", "n\n3.5\n")):
        (folder / name).write_text(text)
    frame = app.load_data(shops["NA"])
    assert list(frame["n"]) == [1, 2, 3.5]
    assert list(frame["m"].fillna("-")) == ["x", "y", "-"]


DAMAGED = [
    (DataFormat.CSV, b'n,m\n1,2\n"3,4\n5,6,7,8\n\xff\xfe,3\n', "not csv in UTF-8"),
    (DataFormat.CSV, b"n,m\n1,2\n3\n", "Expected Number of Columns: 2 Found: 1"),
    (DataFormat.JSON, b'{"n":1}\n{"n":', "Malformed JSON"),
    (DataFormat.PARQUET, b"PAR1 and no more", "No magic bytes"),
    (DataFormat.PARQUET, b"PAR1" + b"\xff" * 100 + b"d\0\0\0PAR1", "don't know what type: ?"),
    (DataFormat.ORC, b"ORC and no more", "Invalid ORC"),
]


@pytest.mark.parametrize(("data_format", "content", "what"), DAMAGED)
def test_a_damaged_file_is_told_with_its_partition_and_what_to_do(
    app: Application, data_format: DataFormat, content: bytes, what: str
) -> None:
    shops, folder = landed(app, data_format)
    if data_format is not DataFormat.ORC:
        write(folder / "a", "1 as n", data_format)
    (folder / "bad").write_bytes(content)
    for read in (app.load_data, app.preview_data):
        with pytest.raises(UnreadableData) as told:
            read(shops["NA"])
        text = str(told.value)
        assert text.startswith(f"shops[NA]: {data_format} file s3://outside/shops/region=NA/bad cannot be read: ")
        assert what in text
        assert text.endswith("Write the partition again")
        assert text.isprintable()
        assert len(text) < 400


def test_files_that_make_no_one_table_are_told_together(app: Application) -> None:
    shops, folder = landed(app, DataFormat.PARQUET)
    write(folder / "a", "1 as n", DataFormat.PARQUET)
    write(folder / "b", "{'x': 1} as n", DataFormat.PARQUET)
    with pytest.raises(UnreadableData, match=r"shops\[NA\]: 2 parquet files as one table cannot be read"):
        app.load_data(shops["NA"])


def test_a_column_that_is_not_there_is_refused_with_those_that_are(app: Application, orders: ExternalData) -> None:
    view = orders["NA"]["2024-03-04"]
    with pytest.raises(ValueError, match=r"no column 'regoin' \(there are region, day\)\. Did you mean 'region'\?"):
        app.preview_data(view, columns=["day", "regoin"])
    with pytest.raises(ValueError, match=r"`columns` is the string 'day'\. Give a list: columns=\['day'\]"):
        app.preview_data(view, columns="day")


def test_json_is_loaded_with_the_types_that_a_query_reads(app: Application, orders: ExternalData) -> None:
    (path,) = app.materialize(orders["NA"]["2024-03-01"])
    rows = [{"at": "2021-01-03", "mixed": 1, "nested": {"at": "2021-01-03"}}, {"at": "2021-01-04", "mixed": "x"}]
    (Path(path) / "part-0.json").write_text("\n".join(map(json.dumps, rows)))
    read = node(app, "read", [orders], compute_targets=[PrestoSQL("select at, mixed from orders")])
    app.execute(read["NA"]["2024-03-01"])
    loaded = app.load_data(orders["NA"]["2024-03-01"])
    assert list(loaded["at"]) == list(app.load_data(read["NA"]["2024-03-01"])["at"]) == ["2021-01-03", "2021-01-04"]
    assert list(loaded["mixed"]) == list(app.load_data(read["NA"]["2024-03-01"])["mixed"]) == ["1", "x"]
    assert loaded["nested"][0] == {"at": "2021-01-03"}


def test_a_json_document_over_several_lines_is_loaded_as_it_is(app: Application, orders: ExternalData) -> None:
    (path,) = app.materialize(orders["NA"]["2024-03-01"])
    (Path(path) / "part-0.json").write_text(json.dumps([{"day": 1}, {"day": 2}], indent=1))
    assert list(app.load_data(orders["NA"]["2024-03-01"])["day"]) == [1, 2]


def test_a_folder_whose_name_no_uri_can_hold_is_told_and_not_left_out(app: Application, orders: ExternalData) -> None:
    (path,) = app.materialize(orders["NA"]["2024-03-01"])
    folder = Path(path) / "k=x%2Fy"
    folder.mkdir()
    (folder / "part-0.json").write_text('{"day": 1}')
    with pytest.raises(UnreadableData, match=r"orders\[NA\]\[2024-03-01\]: folder 'k=x%2Fy' cannot be read: .* Rename"):
        app.load_data(orders["NA"]["2024-03-01"])
