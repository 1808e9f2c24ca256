import base64
import datetime
import errno
import json
import sys

import numpy as np
import pytest

from rheo_assets.runner.blobs import PYTHON, dump_callable
from rheo_assets.runner.inlined import local_path, run_inlined
from rheo_assets.runner.metadata import MAX_ENTRY
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput, TaskResult

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

DAILY = TaskInput(
    alias="daily",
    paths=("s3://lake/daily/EWR/2013-01-02", "s3://lake/daily/EWR/2013-01-01"),
    missing=("s3://lake/daily/EWR/2013-01-01",),
    dimensions={"origin": "EWR", "day": "2013-01-02"},
    partitions=(("EWR", "2013-01-02"), ("EWR", "2013-01-01")),
)
TIMER = TaskInput(alias="timer", dimensions={"time": "2013-01-02"}, value="2013-01-02")


@pytest.fixture
def run(tmp_path):
    """Runs a callable through its blob, as an engine does, and returns the result."""

    def run(fn, root=None, **changes) -> TaskResult:
        blob = tmp_path / "blob"
        blob.write_bytes(dump_callable(fn))
        fields = {
            "node": "report",
            "lang": "INLINED",
            "code": str(blob),
            "inputs": (DAILY, TIMER),
            "output": TaskOutput("s3://lake/report/EWR/2013-01-02"),
            "dimensions": {"origin": "EWR", "day": "2013-01-02"},
            **changes,
        }
        return run_inlined(Task.from_json(Task(**fields).to_json()), root)

    return run


def test_a_callable_sees_its_inputs_tip_first_with_the_missing_ones(run):
    seen = run(
        lambda inputs, output, params: {
            "paths": inputs["daily"].paths,
            "same": inputs["daily"].get_materialized_resource_paths() == inputs["daily"].paths,
            "missing": inputs["daily"].missing,
            "partition": inputs["daily"].partition,
            "dimensions": inputs["daily"].dimensions,
            "values": inputs["daily"].dimension_values_map(),
            "local": inputs["daily"].local_paths,
        }
    ).metadata
    assert seen["paths"]["value"] == list(DAILY.paths)
    assert seen["same"] is True
    assert seen["missing"]["value"] == ["s3://lake/daily/EWR/2013-01-01"]
    assert seen["partition"]["value"] == ["EWR", "2013-01-02"]
    assert seen["dimensions"]["value"] == {"origin": "EWR", "day": "2013-01-02"}
    assert seen["values"]["value"] == {"origin": ["EWR"], "day": ["2013-01-02", "2013-01-01"]}
    assert seen["local"] is None


def test_a_timer_has_a_value_and_no_paths(run):
    timer = run(lambda i, o, p: vars_of(i["timer"]))
    assert timer.metadata == {"value": "2013-01-02", "paths": {"type": "json", "value": []}, "partition": "2013-01-02"}


def vars_of(timer):
    return {"value": timer.value, "paths": timer.paths, "partition": timer.partition[0]}


def test_the_output_has_one_path_and_its_dimensions(run):
    seen = run(lambda i, output, p: {"o": [output.paths, output.partition, output.dimensions, output.alias]}).metadata
    assert seen["o"]["value"] == [
        ["s3://lake/report/EWR/2013-01-02"],
        ["EWR", "2013-01-02"],
        {"origin": "EWR", "day": "2013-01-02"},
        "report",
    ]


def test_on_the_local_platform_paths_have_folders(run, tmp_path):
    seen = run(lambda i, o, p: {"p": [*i["daily"].local_paths, *o.local_paths]}, root=tmp_path).metadata
    lake = tmp_path / "s3" / "lake"
    assert seen["p"]["value"] == [
        str(lake / "daily/EWR/2013-01-02"),
        str(lake / "daily/EWR/2013-01-01"),
        str(lake / "report/EWR/2013-01-02"),
    ]


@pytest.mark.parametrize("uri", ["s3://lake/../../etc", "s3://..", "s3:///x", "file:///etc", "/etc", "s3://lake//x"])
def test_a_uri_cannot_leave_the_root(uri, tmp_path):
    with pytest.raises(ValueError, match="is not a path under the local root"):
        local_path(uri, tmp_path)


def test_params_hold_the_dimensions_the_platform_and_what_the_task_adds(run):
    seen = run(lambda i, o, p: {"params": p}, params={"AWS_ACCOUNT_ID": "123456789012"}, args={"top": 3}).metadata
    assert seen["params"]["value"] == {
        "dimensions": {"origin": "EWR", "day": "2013-01-02"},
        "dimensions_map": {"origin": "EWR", "day": "2013-01-02"},
        "platform": "local",
        "runtime_platform": "local",
        "AWS_REGION": "us-east-1",
        "AWS_ACCOUNT_ID": "123456789012",
        "args": {"top": 3},
    }


def test_an_unknown_alias_names_those_that_exist(run):
    with pytest.raises(TaskFailure, match="no input 'dayly': this node has daily, timer"):
        run(lambda inputs, output, params: inputs["dayly"])


@pytest.mark.parametrize("nothing", [None, ..., {}])
def test_nothing_returned_is_nothing_recorded(run, nothing):
    result = run(lambda i, o, p: nothing)
    assert (result.metadata, result.warnings, result.rows) == ({}, (), None)
    assert result.engine.startswith(f"Python {PYTHON}.")


@pytest.mark.parametrize(("value", "kind"), [(3, "int"), ([1], "list"), ("done", "str"), (False, "bool")])
def test_another_value_is_ignored_with_a_warning_that_names_its_type(run, value, kind):
    result = run(lambda i, o, p: value)
    assert result.metadata == {}
    assert result.warnings == (
        f"node 'report': its callable returned a {kind}, which is ignored; return None or a dict of metadata",
    )


def test_a_chart_and_a_table_become_typed_entries(run):
    table = "| carrier | flights |\n|---|---|\n| UA | 46 |"
    png = PNG
    result = run(
        lambda i, o, p: {
            "chart": {"type": "png", "value": png},
            "table": {"type": "markdown", "value": table},
            "more": {"type": "url", "value": "https://example.org"},
        }
    )
    assert base64.b64decode(result.metadata["chart"]["value"]) == PNG
    assert result.metadata["table"] == {"type": "markdown", "value": table}
    assert result.metadata["more"] == {"type": "url", "value": "https://example.org"}
    assert TaskResult.from_json(result.to_json()) == result


def test_scalars_of_other_libraries_become_json(run):
    values = {
        "int": np.int64(842),
        "float": np.float64(1.5),
        "flag": np.bool_(True),
        "nan": float("nan"),
        "inf": float("-inf"),
        "npnan": np.float64("nan"),
        "day": datetime.date(2013, 1, 2),
        "rows": [{"n": np.int32(1), "x": float("nan")}],
        7: "a key that is no text",
        "looks typed": {"type": "bar", "value": 3},
    }
    result = run(lambda i, o, p: values)
    assert result.metadata == {
        "int": 842,
        "float": 1.5,
        "flag": True,
        "nan": "nan",
        "inf": "-inf",
        "npnan": "nan",
        "day": "2013-01-02",
        "rows": {"type": "json", "value": [{"n": 1, "x": "nan"}]},
        "7": "a key that is no text",
        "looks typed": {"type": "json", "value": {"type": "bar", "value": 3}},
    }
    json.dumps(result.metadata, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"type": "png", "value": b"GIF89a"}, "not a PNG image"),
        ({"type": "png", "value": "no base64!"}, "not base64"),
        ({"type": "png", "value": 3}, "not a int"),
        (b"bytes", "bytes need a type"),
        ("x" * (MAX_ENTRY + 1), "write it into the output instead"),
    ],
    ids=["not png", "not base64", "not bytes", "untyped bytes", "too large"],
)
def test_an_entry_that_cannot_be_recorded_is_left_out_with_a_warning(run, value, why):
    result = run(lambda i, o, p: {"bad": value, "good": 1})
    assert result.metadata == {"good": 1}
    (warning,) = result.warnings
    assert warning.startswith("node 'report': skips the metadata entry 'bad': ")
    assert why in warning


def test_an_exception_shows_the_users_frames_only(run):
    def inner():
        raise ValueError("no flights")

    def outer(inputs, output, params):
        inner()

    with pytest.raises(TaskFailure) as caught:
        run(outer)
    assert caught.value.kind == "user"
    assert caught.value.message == "node 'report': its callable raised ValueError: no flights"
    assert caught.value.detail.splitlines()[0] == "Traceback (most recent call last):"
    assert "in outer" in caught.value.detail.splitlines()[1]
    assert "in inner" in caught.value.detail
    assert "run_inlined" not in caught.value.detail
    assert "ValueError: no flights" in caught.value.detail


@pytest.mark.parametrize("code", [0, 3, None, "bye"])
def test_sys_exit_is_a_failure_even_with_code_0(run, code):
    with pytest.raises(TaskFailure, match=r"node 'report': its callable called sys\.exit") as caught:
        run(lambda i, o, p: sys.exit(code))
    assert caught.value.kind == "user"


def test_an_exception_outside_the_usual_tree_is_a_failure_too(run):
    class Odd(BaseException):
        pass

    def odd(inputs, output, params):
        raise Odd

    with pytest.raises(TaskFailure, match=r"its callable raised .*Odd"):
        run(odd)


@pytest.mark.parametrize("kind", ["generator", "coroutine", "async_generator"])
def test_a_callable_whose_body_never_ran_is_a_failure(run, kind):
    def generator(inputs, output, params):
        yield 1

    async def coroutine(inputs, output, params):
        return 1

    async def async_generator(inputs, output, params):
        yield 1

    with pytest.raises(TaskFailure, match=f"returned a {kind}, so its body never ran"):
        run({"generator": generator, "coroutine": coroutine, "async_generator": async_generator}[kind])


def test_a_wrong_signature_is_named(run):
    with pytest.raises(TaskFailure, match=r"takes 1 positional argument but 3 were given"):
        run(lambda inputs: None)


def test_a_full_disk_is_not_the_users_fault(run):
    def write(inputs, output, params):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TaskFailure, match=r"'report': the disk is full.*free some space") as caught:
        run(write)
    assert caught.value.kind == "platform"


def test_a_blob_that_is_gone_is_the_platforms_fault(run, tmp_path):
    with pytest.raises(TaskFailure, match="node 'report': its recorded callable cannot be read") as caught:
        run(lambda i, o, p: None, code=str(tmp_path / "gone"))
    assert caught.value.kind == "platform"


def test_a_damaged_blob_names_the_node(run, tmp_path):
    (tmp_path / "damaged").write_bytes(dump_callable(print)[:-1])
    with pytest.raises(TaskFailure, match=r"node 'report': callable 'builtins.print': the blob is damaged"):
        run(lambda i, o, p: None, code=str(tmp_path / "damaged"))
