"""Bad declarations, names, user code, disks and records: each is told by node, key and remedy, and loses nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rheo_assets import (
    EQUALS,
    Application,
    BatchCompute,
    InlinedCompute,
    PrestoSQL,
    S3Dataset,
    SignalIntegrityProtocol,
    Spark,
    scala_script,
)
from rheo_assets.bridge.eventlog.instance import open_instance
from rheo_assets.errors import CapabilityMissing, ExecutionFailed, RheoError
from rheo_assets.model.glue.tables import GlueTable
from rheo_assets.platforms.local.catalog import LocalCatalog
from rheo_assets.platforms.local.storage import LocalStorage
from tests.cases.topologies import DAY, S3, STRING, SUCCESS, cycle, file, node, ran, spec

DAYS = {"region": {**STRING, "day": DAY}}
FIRST, SECOND = "2024-01-01", "2024-01-02"


def orders(app: Application, **dataset: Any) -> Any:
    """Declares json orders by region and day."""
    data = S3Dataset("111222333444", "outside", "orders", "{}", "{}", **{"dataset_format": "json", **dataset})
    return app.marshal_external_data(data, "orders", DAYS, None, SUCCESS)


def landed(app: Application, *said: Any) -> Any:
    """Declares a dataset with one partition placeholder."""
    return app.marshal_external_data(S3Dataset("1", "lake", "o", "{}"), "o", *said)


def whole(app: Application, *said: Any) -> Any:
    """Declares a dataset without partition placeholders."""
    return app.marshal_external_data(S3Dataset("1", "lake", "o"), "o", *said)


def counted(app: Application, **said: Any) -> Any:
    """Declares a node that counts orders."""
    return app.create_data("n", [orders(app)], **{"compute_targets": [COUNT], **said})


def totals(app: Application, *targets: Any) -> tuple[Any, Any]:
    """Declares orders and a node that counts them, or does what is given."""
    source = orders(app)
    return source, node(app, "totals", [source], compute_targets=list(targets) or [COUNT])


COUNT = PrestoSQL("select count(*) as n from orders")
LINE = b'{"x": 1}\n'


# declarations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda a: landed(a, "day"), ["'o'", "'day'", "Write"]),
        (lambda a: landed(a, {"d": {"type": "TEXT"}}), ["'o'", "'d'", "'TEXT'", "STRING"]),
        (lambda a: landed(a, {"d": {**DAY, "min": "soon"}}), ["'o'", "'d'", "'soon'", "ISO"]),
        (lambda a: landed(a, {"d": {"type": "LONG", "digits": "2"}}), ["'o'", "'d'", "'2'", "positive"]),
        (lambda a: landed(a, {"d": {**DAY, "format": "%Y/../%d"}}), ["'o'", "'d'", "'..'", "Write names between '/'"]),
        (lambda a: whole(a, {"d": DAY}), ["'o'", "'d'", "'{}'"]),
        (lambda a: landed(a, {"d": STRING}, ["NA"]), ["'o'", "['NA']", "Write"]),
        (lambda a: whole(a, None, None, "_SUCCESS"), ["'o'", "'_SUCCESS'", "FILE_CHECK"]),
        (lambda a: a.marshal_external_data("s3://lake/o", "o"), ["'o'", "s3://lake/o", "S3Dataset"]),
        (lambda _: S3Dataset("1", "lake", "o", dataset_format="avro"), ["lake/o", "'avro'", "parquet"]),
        (
            lambda _: S3Dataset("1", "lake", "o", dataset_format="csv", delimitr="|"),
            ["lake/o", "'delimitr'", "'delimiter'"],
        ),
        (lambda _: SignalIntegrityProtocol("FILE_CHECK", "_SUCCESS"), ["'_SUCCESS'", '{"file": "_SUCCESS"}']),
        (lambda a: a.add_timer("t", "0 0 * * *"), ["'t'", "'0 0 * * *'", "cron(0 0 * * ? *)"]),
        (lambda a: a.add_timer("t", "rate(1 days)"), ["'t'", "'days'", "rate(1 day)"]),
        (lambda a: a.add_timer("t", None), ["'t'", "None", "rate(5 minutes)"]),
        (lambda a: a.add_timer("t", "rate(1 day)", time_dimension_granularity="DAILY"), ["'t'", "'DAILY'", "DAY"]),
        (lambda a: a.create_data("n", ["orders"], compute_targets=[COUNT]), ["'n'", "'orders'", "a str"]),
        (lambda a: a.create_data("n", {"class": orders(a)}, compute_targets=[COUNT]), ["'n'", "'class'", "identifier"]),
        (lambda a: node(a, "n", [orders(a)["NA"][:0]]), ["orders[NA]", "'day'", "[:-1]"]),
        (lambda a: orders(a)["NA"][:-7].range_check("yes"), ["orders[NA]", "'yes'"]),
        (lambda a: counted(a, compute_targets=5), ["'n'", "5", "list"]),
        (lambda a: counted(a, protocol="_SUCCESS"), ["'n'", "'_SUCCESS'"]),
        (lambda a: counted(a, dataset_format="avro"), ["'n'", "'avro'"]),
        (lambda a: counted(a, output_dimension_spec="day"), ["'n'", "'day'"]),
        (lambda a: landed(a, {None: STRING}), ["'o'", "None", "not a name"]),
        (lambda a: landed(a, {"d": {**STRING, "format": 7}}), ["'o'", "'d'", "7", "str.upper"]),
        (lambda a: landed(a, {"d": {**STRING, "insensitive": "yes"}}), ["'o'", "'d'", "'yes'", "True or False"]),
        (lambda a: landed(a, {"d": {"type": "LONG"}})["9" * 40], ["o: ", "'d'", "9999", "64 bits"]),
        (lambda a: orders(a)["NA"]["soon"], ["orders[NA]", "'day'", "'soon'", "ISO"]),
        (lambda a: landed(a, {"d": DAY})[: -(10**9)], ["'d'", "-1,000,000,000", "1,000,000"]),
        (
            lambda _: S3Dataset("1", "lake", "o", dataset_format="csv", header="yes"),
            ["lake/o", "'yes'", "True or False"],
        ),
        (lambda a: a.add_timer("t", "rate(1 day)", time_dimension_shift=10**30), ["'t'", "time_dimension_shift"]),
        (lambda a: a.add_timer("t", "rate(1 day)", ["day"]), ["'t'", "['day']", "time_dimension_id"]),
        (lambda a: counted(a, auto_input_dim_linking_enabled="no"), ["'n'", "auto_input_dim_linking_enabled", "'no'"]),
        (lambda a: counted(a, pending_node_expiration_ttl_in_secs=float("nan")), ["'n'", "nan", "seconds"]),
        (lambda a: a[["orders"]], ["'app'", "orders"]),
        (lambda a: a.materialize(orders(a)["*"]["*"], 7), ["7", "a list of 2 values"]),
        (lambda _: Application("shop", since=7), ["since is 7", "2024-01-01"]),
        (lambda _: Spark("output = x", Timeout="soon"), ["PYTHON code", "'soon'", "minutes"]),
        (lambda _: Spark("output = x", retry_count=-1), ["PYTHON code", "-1", "from 0"]),
        (lambda _: InlinedCompute(lambda i, o, p: None, timeout=0), ["<lambda>", "0", "seconds"]),
        (lambda _: Application("shop", platform="local"), ["'shop'", "'local'", "LocalPlatform()"]),
        (lambda _: Application("shop", since="soon"), ["'soon'", "2024-01-01"]),
    ],
)
def test_a_wrong_declaration_says_whose_it_is_what_was_found_and_what_to_write(
    app: Application, declare: Callable[[Application], Any], said: list[str]
) -> None:
    with pytest.raises(ValueError) as error:  # the words are checked below
        declare(app)
    missing = [word for word in said if word not in str(error.value)]
    assert not missing, str(error.value)


def test_a_wrong_link_shows_its_ends_in_few_words(app: Application) -> None:
    one, other = S3(app, "one", "region", "day"), S3(app, "other", "region", "day")
    for link in ((one("day"), other("day")), (EQUALS, one("day"), other("day")), (one("day"), "EQUALS", other("day"))):
        with pytest.raises(ValueError, match=r"'n'.*one\(day\)") as error:
            node(app, "n", [one, other], input_dim_links=[link])
        assert len(str(error.value)) < 300
    with pytest.raises(ValueError, match=r"'dya'.*\['region', 'day'\]"):
        node(app, "n", [one, other], input_dim_links=[(one("dya"), EQUALS, other("day"))])


def test_a_link_whose_function_does_not_take_its_values_is_refused_where_it_is_written(app: Application) -> None:
    one, other = S3(app, "one", "region", "day"), S3(app, "other", "region", "day")
    with pytest.raises(
        ValueError, match=r"'n'.*gets 1 value, but does not accept them \(missing a required argument: 'b'"
    ):
        node(app, "n", [one, other], input_dim_links=[(one("day"), lambda a, b: a, other("day"))])
    with pytest.raises(ValueError, match=r"'n'.*gets 2 values"):
        node(app, "n", [one], output_dim_links=[("day", lambda day: day, one("region", "day"))])
    with pytest.raises(ValueError, match=r"'n'.*gets 1 value"):
        node(app, "n", [one], output_dim_links=[(one("day"), lambda: 1, ("day",))])
    with pytest.raises(ValueError, match=r"'n'.*ZeroDivisionError: division by zero for 7"):
        node(app, "n", [one], output_dim_links=[("region", lambda n: n / 0, 7)])
    node(app, "n", [one, other], input_dim_links=[(one("day"), lambda *days: days[0], other("day"))])


def test_what_was_refused_is_not_declared(app: Application) -> None:
    source = S3(app, "source", "region", "day")
    with pytest.raises(ValueError, match="'n'"):
        node(app, "n", [source.ref])
    node(app, "n", [source])


def test_a_library_of_this_machine_that_is_not_there_is_refused_at_activation(app, tmp_path):
    jar = tmp_path / "features.jar"
    totals(app, BatchCompute(scala_script("orders", external_library_paths=[str(jar)])))
    with pytest.raises(CapabilityMissing, match=r"library '.*/features\.jar' of 'totals' does not exist\. Build it"):
        app.activate()
    jar.touch()
    app.activate()


# names --------------------------------------------------------------------------------------------------------

LEAVING = ["..", "../x", "/etc", "a/../b", "%2e%2e", "%252e%252e", "a%2fb", "a\\b", "..\\x", "a\0b", ""]


@pytest.mark.parametrize("name", LEAVING)
def test_no_name_or_value_leaves_the_root(root: Path, app: Application, name: str) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    tries: list[Callable[[], Any]] = [
        lambda: Application(name),
        lambda: node(app, name),
        lambda: app.add_timer(name, "rate(1 day)"),
        lambda: app.project(name, source, spec("day"), {}),
        lambda: S3Dataset("1", name, "folder"),
        lambda: SignalIntegrityProtocol("FILE_CHECK", {"file": name}),
        lambda: SignalIntegrityProtocol("FILE_CHECK", {"file": ["_SUCCESS", name]}),
        lambda: app.execute(made[name][FIRST]),
        lambda: app.process(source[name][FIRST]),
        lambda: app.materialize(source["*"]["*"], [name, FIRST]),
        lambda: app.glue_table(name, "table"),
        lambda: LocalCatalog(root).register("database", name, GlueTable("s3://lake/x")),
    ]
    if name.strip("/") != "etc":  # a key prefix may begin with a slash, and stays below its bucket
        tries.append(lambda: S3Dataset("1", "lake", name))
        tries += [lambda: S3Dataset("1", "lake", "folder", name)] if name else []
    for attempt in tries:
        with pytest.raises(ValueError):  # each has words of its own
            attempt()
    assert S3Dataset("1", "lake", "/etc").layout.root == "s3://lake/etc"


def test_a_link_out_of_the_root_is_not_read_and_stops_nothing(
    app: Application, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    checked = node(app, "checked", {"days": source["*"][:-2].range_check(True)})
    app.activate()
    outside = tmp_path_factory.mktemp("outside")
    (outside / "_SUCCESS").touch()
    folder = file(app, source["NA"][SECOND])
    (folder.parent / FIRST).symlink_to(outside)
    (folder.parent / "2024-01-03").mkdir()
    (folder.parent / "2024-01-03/_SUCCESS").symlink_to(outside / "_SUCCESS")
    odd = folder.parent.parent / "%2e%2e" / FIRST
    odd.mkdir(parents=True)
    (odd / "_SUCCESS").touch()
    cycle(app)
    assert ran(app, made) == [f"NA/{SECOND}"]
    assert ran(app, checked) == []
    assert "symbolic link" in caplog.text
    assert "'%2e%2e'" in caplog.text


# user code ----------------------------------------------------------------------------------------------------


def raises(inputs: Any, output: Any, params: Any) -> None:
    """Fails."""
    raise ValueError(f"no rows for {params['dimensions']['day']}")


def exits(inputs: Any, output: Any, params: Any) -> None:
    """Ends its process politely."""
    sys.exit("enough")


def vanishes(inputs: Any, output: Any, params: Any) -> None:
    """Ends its process at once."""
    os._exit(3)


def hangs(inputs: Any, output: Any, params: Any) -> None:
    """Never returns."""
    while True:
        pass


def test_user_code_that_fails_fails_its_partition_by_name_and_nothing_else(app: Application) -> None:
    source = orders(app)
    bad = {
        raises: "ValueError: no rows for 2024-01-01",
        exits: "sys.exit('enough')",
        vanishes: "exit code 3",
        hangs: "longer than its 1 s",
    }
    nodes = {
        function: node(app, function.__name__, [source], compute_targets=[InlinedCompute(function, timeout=1)])
        for function in bad
    }
    good = node(app, "good", [source], compute_targets=[COUNT])
    app.activate()
    file(app, source["NA"][FIRST], LINE)
    cycle(app)
    assert [execution.status for execution in app.history(good)] == ["COMPLETED"]
    for function, said in bad.items():
        (execution,) = app.history(nodes[function])
        assert execution.status == "FAILED"
        assert said in str(execution.error)
        assert f"'{function.__name__}'" in str(execution.error)
        assert app.poll(nodes[function]["NA"][FIRST])[0] is None


def test_a_callable_that_returns_nothing_and_writes_nothing_succeeds_without_data(app: Application) -> None:
    source, made = totals(app, InlinedCompute(lambda inputs, output, params: None))
    file(app, source["NA"][FIRST], LINE)
    folder = Path(app.execute(made["NA"][FIRST]))
    assert [path.name for path in folder.iterdir()] == ["_SUCCESS"]


def test_a_flood_of_output_is_cut_off_in_the_run_s_log(root: Path, app: Application) -> None:
    def floods(inputs: Any, output: Any, params: Any) -> None:
        for number in range(2500):
            print(number)

    made = node(app, "made", compute_targets=[InlinedCompute(floods)])
    app.execute(made)
    (execution,) = app.history(made)
    with open_instance(root) as instance:
        said = [entry.user_message for entry in instance.all_logs(str(execution.run_id))]
    assert "1999" in said
    assert "2000" not in said
    assert "made logged 500 more lines, which are not shown" in said


# a full disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Fills the disk for objects whose URI has a part; an empty part frees it."""
    real = {"write": LocalStorage.write, "create": LocalStorage.create}

    def fill(part: str) -> None:
        def refusing(name: str) -> Callable[..., Any]:
            def refuse(self: LocalStorage, uri: str, content: bytes, **said: Any) -> Any:
                if part and part in uri:
                    raise self._explained(OSError(errno.ENOSPC, "No space left on device"), uri)
                return real[name](self, uri, content, **said)

            return refuse

        for name in real:
            monkeypatch.setattr(LocalStorage, name, refusing(name))

    return fill


def takes_all_room(inputs: Any, output: Any, params: Any) -> None:
    """Leaves no room for the completion file, as long as there is no file `enough`."""
    with Path(output.local_paths[0], "data").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while not Path(os.environ["RHEO_ROOT"], "enough").exists() or file.tell() < 1:
            file.write(bytes(4096))


def test_a_full_disk_fails_the_execution_and_keeps_everything_else(
    root: Path, small_disk: Callable[[Path], Path], app: Application
) -> None:
    small_disk(root / "s3")
    source, made = totals(app, InlinedCompute(takes_all_room))
    enough = root / "enough"
    enough.touch()
    for day in (FIRST, SECOND):
        file(app, source["NA"][day], LINE)
        app.execute(made["NA"][day])
    folders = [Path(app.materialize(made["NA"][day])[0]) for day in (FIRST, SECOND)]
    before = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    enough.unlink()
    with pytest.raises(RuntimeError, match=rf"totals\[NA\]\[{FIRST}\].*disk.*full.*free some space") as error:
        app.execute(made["NA"][FIRST])
    assert isinstance(error.value, ExecutionFailed)
    del before[0]["_SUCCESS"]
    assert [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders] == before
    assert app.poll(made["NA"][FIRST])[0] is None
    enough.touch()
    assert app.execute(made["NA"][FIRST])


def test_a_full_disk_while_files_arrive_loses_none_of_them(app: Application, full: Callable[[str], None]) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    app.activate()
    file(app, source["NA"][FIRST])
    full("state/arrivals")
    with pytest.raises(OSError, match="full"):
        app.tick()
    full("")
    cycle(app)
    assert ran(app, made) == [f"NA/{FIRST}"]


def test_a_verb_that_gets_nonsense_says_what_it_takes(app: Application) -> None:
    source = S3(app, "source", "region", "day")
    made = node(app, "made", [source])
    app.activate()
    tries: dict[str, Callable[[], Any]] = {
        "Give a datetime": lambda: app.tick(now="noon"),  # type: ignore[arg-type]
        "number of seconds": lambda: app.settle(timeout="soon"),  # type: ignore[arg-type]
        "not a node or a view": lambda: app.execute(made["NA"][FIRST], inputs=7),
        "has no node 'nope'": lambda: app.process(source["NA"][FIRST], target_route_id="nope"),
        "has no data": lambda: app.load_data(made["NA"][FIRST]),
    }
    for said, attempt in tries.items():
        with pytest.raises(RheoError, match=said):
            attempt()
