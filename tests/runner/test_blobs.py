import functools
import json
import pickle
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import UnusableCallable
from rheo_assets.runner import blobs
from rheo_assets.runner.blobs import PYTHON, blob_key, dump_callable, load_callable
from rheo_assets.runner.canonical import canonical

FACTOR = 3
LOCK = threading.Lock()


def double(number):
    return number * 2


def uses_a_neighbour(number):
    return double(number) * FACTOR


def uses_a_lock(inputs, output, params):
    with LOCK:
        return inputs


class Adder:
    def __init__(self, amount):
        self.amount = amount

    def __call__(self, number):
        return number + self.amount

    def method(self, number):
        return number - self.amount


def with_header(blob: bytes, **changes) -> bytes:
    line, _, content = blob.partition(b"\n")
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n" + content


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (double, 10),
        (uses_a_neighbour, 30),
        (lambda number: number + FACTOR, 8),
        (functools.partial(lambda add, number: number + add, 7), 12),
        (Adder(4), 9),
        (Adder(4).method, 1),
        (abs, 5),
    ],
    ids=["function", "neighbour", "lambda", "partial", "object", "method", "builtin"],
)
def test_a_callable_of_any_kind_comes_back(fn, expected):
    assert load_callable(dump_callable(fn))(5) == expected


def test_a_closure_keeps_its_values():
    amount = 40
    assert load_callable(dump_callable(lambda number: number + amount))(2) == 42


def test_the_first_line_says_who_recorded_it():
    header = json.loads(dump_callable(double).partition(b"\n")[0])
    assert header["version"] == 1
    assert header["python"] == PYTHON == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert header["cloudpickle"].startswith("3.")
    assert header["name"].endswith("test_blobs.double")


def test_the_same_callable_has_the_same_key_twice():
    def local(inputs, output, params):
        return Adder(FACTOR)(double(1))

    assert blob_key(dump_callable(local)) == blob_key(dump_callable(local))
    assert blob_key(dump_callable(local)) != blob_key(dump_callable(double))


def test_code_of_a_script_runs_where_the_script_is_not_there(tmp_path):
    package = tmp_path / "team"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "words.py").write_text("class Word:\n    text = 'hello'\n")
    (package / "shared.py").write_text("from team.words import Word\ndef greet(name):\n    return Word.text + name\n")
    (tmp_path / "nodes.py").write_text("from team import shared\ndef report(i, o, p):\n    return shared.greet(i)\n")
    record = (
        "import sys; from pathlib import Path; from rheo_assets.runner.blobs import dump_callable\n"
        "import nodes\nPath('blob').write_bytes(dump_callable(nodes.report))"
    )
    subprocess.run([sys.executable, "-c", record], cwd=tmp_path, check=True)
    assert load_callable((tmp_path / "blob").read_bytes())("Ada", None, None) == "helloAda"
    assert "team.shared" not in sys.modules


NODES = """
import json

NAMES = ["a", "b"]
WORDS = {"one", "two", "three"}

def helper(words):
    return {word: len(word) for word in words if word not in {"x", "y", "z"}}

def report(inputs, output, params):
    return json.dumps(helper(NAMES) | {"words": sorted(WORDS)})
"""


def test_a_function_of_a_file_has_the_same_key_in_every_process(tmp_path):
    (tmp_path / "nodes.py").write_text(NODES)
    record = "import nodes; from rheo_assets.runner.blobs import *; print(blob_key(dump_callable(nodes.report)))"
    keys = {
        subprocess.run(
            [sys.executable, "-c", record],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed},  # the first process compiles the file, the others read its .pyc
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(keys) == 1


@given(
    st.recursive(
        st.text() | st.binary() | st.integers() | st.floats(allow_nan=False) | st.frozensets(st.text()),
        lambda values: st.lists(values) | st.dictionaries(st.text(), values) | st.tuples(values, values),
    )
)
def test_the_canonical_form_holds_the_same_value_and_is_its_own_canonical_form(value):
    shared = [value, value, {"again": value}]
    form = canonical(pickle.dumps(shared, protocol=5))
    assert pickle.loads(form) == shared
    assert canonical(form) == form


def test_the_canonical_form_of_an_old_protocol_is_that_pickle():
    assert canonical(pickle.dumps(["a", "a"], protocol=2)) == pickle.dumps(["a", "a"], protocol=2)


def test_recording_leaves_cloudpickle_as_it_was():
    from cloudpickle import cloudpickle

    before = cloudpickle.list_registry_pickle_by_value()
    dump_callable(double)
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_threads_that_record_at_once_do_not_disturb_each_other():
    recorded = []

    def record():
        recorded.extend(blob_key(dump_callable(uses_a_neighbour)) for _ in range(5))

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorded) == 20
    assert len(set(recorded)) == 1


def test_a_blob_of_another_python_is_refused_by_name():
    blob = with_header(dump_callable(double), python="3.99")
    with pytest.raises(UnusableCallable) as caught:
        load_callable(blob)
    assert "test_blobs.double'" in str(caught.value)
    assert f"recorded by Python 3.99, this is {PYTHON}" in str(caught.value)
    assert f"activate the application again from Python {PYTHON}" in str(caught.value)


@pytest.mark.parametrize("blob", [b"", b"\n", b"no header", b"[]\nx", b'{"python": "3.11"}\nx', b"\x80\x05K\x01."])
def test_what_is_not_a_blob_is_refused(blob):
    with pytest.raises(UnusableCallable, match="first line is not a header"):
        load_callable(blob)


@pytest.mark.parametrize("damage", [lambda blob: blob[:-1], lambda blob: blob + b"x", lambda blob: blob[:-3] + b"abc"])
def test_a_damaged_blob_is_refused_before_it_is_opened(damage, monkeypatch):
    monkeypatch.setattr("pickle.loads", lambda content: pytest.fail("the damaged blob was opened"))
    with pytest.raises(UnusableCallable, match=r"double': the blob is damaged: activate the application again"):
        load_callable(damage(dump_callable(double)))


def test_a_blob_of_a_later_version_is_refused():
    with pytest.raises(UnusableCallable, match="version 2, this library reads version 1"):
        load_callable(with_header(dump_callable(double), version=2))


def test_a_missing_package_is_named(tmp_path):
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "absentee.py").write_text("def helper():\n    return 1\n")
    record = (
        "import sys; sys.path.insert(0, 'site-packages'); import absentee; from pathlib import Path\n"
        "from rheo_assets.runner.blobs import dump_callable\n"
        "Path('blob').write_bytes(dump_callable(lambda i, o, p: absentee.helper()))"
    )
    subprocess.run([sys.executable, "-c", record], cwd=tmp_path, check=True)
    with pytest.raises(UnusableCallable, match="needs the module 'absentee'"):
        load_callable((tmp_path / "blob").read_bytes())


def test_what_cannot_be_recorded_names_the_node_and_the_object():
    with pytest.raises(UnusableCallable) as caught:
        dump_callable(uses_a_lock, node="report")
    assert "node 'report'" in str(caught.value)
    assert "uses_a_lock'" in str(caught.value)
    assert "it uses 'LOCK', a _thread.lock" in str(caught.value)
    assert "create such objects inside the function" in str(caught.value)


def test_what_a_closure_holds_is_named_too():
    handle = threading.Lock()
    with pytest.raises(UnusableCallable, match=r"it uses 'handle', a _thread\.lock"):
        dump_callable(lambda inputs, output, params: handle)


@pytest.mark.parametrize("thing", [None, 3, "report"])
def test_what_is_not_callable_is_refused(thing):
    with pytest.raises(UnusableCallable, match=r"node 'report': .* is not callable"):
        dump_callable(thing, node="report")


def test_installed_modules_stay_references():
    import dataclasses

    assert len(dump_callable(dataclasses.asdict)) < 400
    assert blobs.__name__.encode() in dump_callable(blobs.blob_key)
    assert len(dump_callable(blobs.blob_key)) < 400
