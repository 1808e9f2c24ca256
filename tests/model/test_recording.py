"""A recorded declaration says everything, and its nodes come back as the source would declare them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import DeclarationError, StateError, UnusableCallable
from rheo_assets.model.compute.code import scala_script
from rheo_assets.model.compute.permissions import Permission
from rheo_assets.model.compute.targets import Inlined, NoOp, NOOPCompute, StoredCallable
from rheo_assets.model.compute.vocabulary import GlueVersion, GlueWorkerType
from rheo_assets.model.compute.wrappers import BatchCompute, InlinedCompute, PrestoSQL
from rheo_assets.model.datasets import DataFormat, S3Dataset, SignalIntegrityProtocol
from rheo_assets.model.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.links import EQUALS, LOWER, UPPER
from rheo_assets.model.recording import RecordedFunction, decode, dump_topology, encode, fingerprint, load_topology
from rheo_assets.model.signals import Signal
from rheo_assets.model.topology import Topology
from rheo_assets.runner.blobs import blob_key, dump_callable, load_callable
from tests.strategies import examples

pytestmark = pytest.mark.fast

REGION_DAY = {"region": {"type": "STRING", "day": {"type": "DATETIME"}}}
DAY = {"day": {"type": "DATETIME"}}


class Blobs:
    """Keeps blobs by content hash and counts how often each is opened."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.opened: list[str] = []

    def store(self, node_id: str, function: Callable[..., Any]) -> str:
        blob = dump_callable(function, node_id)
        self.kept[blob_key(blob)] = blob
        return blob_key(blob)

    def load(self, digest: str) -> Callable[..., Any]:
        self.opened.append(digest)
        if digest not in self.kept:
            raise FileNotFoundError(digest)
        return load_callable(self.kept[digest])


def external(name: str, spec: Any = None, dimension_filter: Any = None, **more: Any) -> Signal:
    protocol, metadata = more.pop("protocol", None), more.pop("metadata", None)
    holes = more.pop("segments", ("{}",) * len(DimensionSpec.of(spec)))
    dataset = S3Dataset("111222333444", "lake", f"raw/{name}", *holes, **more)
    return external_node("shop", name, dataset, spec, dimension_filter, protocol, metadata)


def made(name: str, inputs: Any = None, targets: Any = NOOPCompute, **more: Any) -> Signal:
    return data_node("shop", "rheo-shop", name, inputs, compute_targets=targets, **more)


def topology(*nodes: Signal) -> Topology:
    return Topology("shop", {node.id: node for node in nodes})


def through_json(declared: Topology, blobs: Blobs) -> tuple[dict[str, Any], Topology]:
    fields = decode(encode(dump_topology(declared, blobs.store)), "s3://rheo-shop/declaration.json")
    return fields, load_topology(fields, blobs.load)


def loaded(*nodes: Signal) -> Topology:
    """Loads the nodes' record after checking that it says the same when it is recorded again."""
    blobs = Blobs()
    fields, again = through_json(topology(*nodes), blobs)
    stored = dict(blobs.kept)
    assert dump_topology(again, blobs.store) == fields
    assert blobs.kept == stored
    for node in nodes:
        assert (again[node.id].spec.names, again[node.id].filter) == (node.spec.names, node.filter)
    return again


def solutions(node: Any, tips: dict[str, tuple[Any, ...]]) -> tuple[Any, Any]:
    solution = node.linkage.solve(tips)
    return dict(solution.tips), solution.output


# every kind of node -------------------------------------------------------------------------------------------


def test_an_external_dataset_comes_back_with_its_layout_filter_and_reader_options():
    orders = external(
        "orders",
        REGION_DAY,
        {"NA": {"*": {}}, "EU": {"_:-30": {}}},
        dataset_format=DataFormat.CSV,
        delimiter="|",
        header=True,
        segments=("region={}", "{}"),
        protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": ["_SUCCESS", "_DONE"]}),
        metadata={"description": "orders by region"},
    )
    again = loaded(orders)["orders"]
    for attribute in ("layout", "format", "options", "protocol", "metadata", "spec", "filter"):
        assert getattr(again, attribute) == getattr(orders, attribute)


def test_a_dataset_without_protocol_or_dimensions_stays_without():
    again = loaded(external("lookup"))["lookup"]
    assert again.protocol is None
    assert len(again.spec) == 0


def test_a_timer_comes_back_with_its_schedule_format_and_shift():
    timer = timer_node("shop", "nightly", "cron(0 3 * * ? *)", "night", "%Y%m%d", "DAY", -1)
    again = loaded(timer)["nightly"]
    assert (again.expression, again.shift, again.spec) == ("cron(0 3 * * ? *)", -1, timer.spec)
    assert again.schedule == timer.schedule


def test_a_projection_fans_out_to_the_same_partitions():
    timer = timer_node("shop", "t", "rate(1 day)", "day")
    fan = projection_node("shop", "fan", timer, REGION_DAY, {"NA": {"*": {}}, "EU": {"*": {}}})
    out = made("out", [fan["*"]["*"]])
    tip = (datetime(2021, 9, 20),)
    again = loaded(timer, fan, out)
    assert list(again["fan"].fan_out(tip)) == list(fan.fan_out(tip)) == [("NA", *tip), ("EU", *tip)]
    assert again["out"].inputs["fan"].node is again["fan"]


def test_a_data_node_comes_back_with_everything_that_was_said_of_it():
    ext = external("ext", REGION_DAY)
    node = made(
        "out",
        {"late": ext["NA"][:-3].range_check(True), "near": ext["EU"][-1:-7].nearest(), "next": ext["NA"][:2].ref},
        output_dimension_spec=DAY,
        pending_node_expiration_ttl_in_secs=3600,
        protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": "_DONE"}),
        dataset_format=DataFormat.CSV,
        delimiter=";",
        header=False,
        description="late orders",
        owners=["team:orders"],
        tags={"tier": 1},
    )
    again = loaded(ext, node)["out"]
    assert [str(view) for view in again.inputs.values()] == [str(view) for view in node.inputs.values()]
    for attribute in ("layout", "format", "options", "protocol", "ttl", "metadata"):
        assert getattr(again, attribute) == getattr(node, attribute)


def test_nodes_keep_their_order_also_when_one_reads_a_later_one():
    ext = external("ext", DAY)
    late = made("late", [ext])
    early = made("early", [late])
    again = loaded(early, late, ext)
    assert list(again.nodes) == ["early", "late", "ext"]
    assert again["early"].inputs["late"].node is again["late"]


# cases of the signal model ------------------------------------------------------------------------------------


def test_b1_a_ref_follows_the_timer_through_its_link():
    t = timer_node("shop", "t", "rate(1 day)", "day")
    z = external("z", {"other": {"type": "DATETIME"}})
    k = made("k", [t, z[:-2].ref], input_dim_links=[(z("other"), EQUALS, t("day"))])
    tips = {"t": (datetime(2021, 9, 20),)}
    again = loaded(t, z, k)["k"]
    assert solutions(again, tips) == solutions(k, tips)
    assert again.inputs["z"].partitions((datetime(2021, 9, 20),)) == (
        (datetime(2021, 9, 20),),
        (datetime(2021, 9, 19),),
    )


def test_b9_a_ref_is_inferred_by_a_lambda_over_two_dimensions():
    e1 = external("e1", {"day": {"type": "DATETIME", "format": "%Y%m%d", "hour": {"type": "LONG"}}})
    e2 = external("e2", {"timestamp": {"type": "DATETIME", "granularity": "HOUR"}})
    link = (e2("timestamp"), lambda day, hour: day + timedelta(hours=int(str(hour)[-2:])), e1("day", "hour"))
    n = made("n", [e1, e2.ref], input_dim_links=[link])
    again = loaded(e1, e2, n)["n"]
    tips = {"e1": (datetime(2021, 11, 22), 2021112223)}
    assert solutions(again, tips) == solutions(n, tips)
    assert again.linkage.solve(tips).tips["e2"] == (datetime(2021, 11, 22, 23),)


def test_d12_case_folding_formats_and_digits_come_back():
    deeper = {"day": {"type": "DATETIME", "format": "%Y%m%d", "hour": {"type": "DATETIME", "format": "%Y%m%d%H"}}}
    ext = external("ext", {"org": {"type": "STRING", "format": str.lower, "insensitive": True, **deeper}}, {"Se": {}})
    spec = {"org": {"type": "STRING", "day": {"type": "DATETIME", "hour": {"type": "LONG", "digits": 2}}}}
    out = made(
        "out",
        [ext],
        output_dimension_spec=spec,
        output_dim_links=[("hour", lambda hour: hour.hour, ext("hour"))],
    )
    again = loaded(ext, out)
    assert again["ext"].spec == ext.spec
    tip = again["ext"].spec.read(("SE", "20210308", "2021030803"))
    output = again["out"].linkage.solve({"ext": tip}).output
    assert again["out"].spec.render(output) == ("se", "2021-03-08", "03")
    with pytest.raises(ValueError, match="no org 'Se'"):
        again["out"]["Se"]


def test_h10_an_hourly_and_a_daily_signal_join_at_the_coarser_one():
    daily = timer_node("shop", "daily", "rate(1 day)", "time")
    hourly = external("hourly", {"time": {"type": "DATETIME", "format": "%Y%m%d%H"}})
    node = made("node", [daily, hourly])
    tips = {"daily": (datetime(2021, 9, 20),), "hourly": (datetime(2021, 9, 20, 5),)}
    assert solutions(loaded(daily, hourly, node)["node"], tips) == solutions(node, tips)


def test_links_on_one_alias_hold_for_that_alias_only():
    x = external("x", REGION_DAY)
    t = timer_node("shop", "t", "rate(1 day)", "day")
    inputs = {"t": t, "a": x["NA"]["*"].ref, "b": x["EU"]["*"].ref}
    node = made(
        "node",
        inputs,
        input_dim_links=[(inputs["b"]("day"), lambda day: day - timedelta(days=5), t("day"))],
        output_dim_links=[("day", EQUALS, t("day")), ("region", EQUALS, "NA")],
        output_dimension_spec=REGION_DAY,
    )
    tips = {"t": (datetime(2021, 9, 20),)}
    again = loaded(x, t, node)["node"]
    assert solutions(again, tips) == solutions(node, tips)
    assert again.linkage.solve(tips).tips["b"] == ("EU", datetime(2021, 9, 15))


def test_a_link_on_a_node_holds_for_every_alias_after_loading():
    x = external("x", {"when": {"type": "DATETIME"}})
    t = timer_node("shop", "t", "rate(1 day)", "day")
    node = made("node", {"t": t, "a": x[:-2].ref, "b": x[:-7].ref}, input_dim_links=[(x("when"), EQUALS, t("day"))])
    tip = (datetime(2021, 9, 20),)
    assert loaded(x, t, node)["node"].linkage.solve({"t": tip}).tips == {"t": tip, "a": tip, "b": tip}


def test_reverse_links_and_every_form_of_output_link_solve_the_same():
    x = external("x", {"org": {"type": "STRING", "ship_day": {"type": "DATETIME"}}})
    node = made(
        "node",
        [x],
        output_dimension_spec={
            "ORG": {"type": "STRING", "month": {"type": "STRING", "d": {"type": "LONG", "since": {"type": "DATETIME"}}}}
        },
        output_dim_links=[
            ("ORG", UPPER, x("org")),
            (x("org"), LOWER, "ORG"),
            ("month", lambda day: day.strftime("%Y-%m"), x("ship_day")),
            ("d", lambda day: day.day, x("ship_day")),
            (x("ship_day"), lambda month, d: datetime.fromisoformat(f"{month}-{d:02}"), ("month", "d")),
            ("since", EQUALS, date(2020, 1, 1)),
        ],
        auto_output_dim_linking_enabled=False,
    )
    again = loaded(x, node)["node"]
    output = ("SE", "2021-03", 8, datetime(2020, 1, 1))
    assert again.linkage.resolve_output(output) == node.linkage.resolve_output(output)
    assert again.linkage.resolve_output(output) == {"x": ("se", datetime(2021, 3, 8))}


def test_switched_off_linking_stays_off():
    a, b = external("a", DAY), external("b", DAY)
    node = made("node", [a, b], auto_input_dim_linking_enabled=False)
    again = loaded(a, b, node)["node"]
    apart = {"a": (datetime(2021, 1, 1),), "b": (datetime(2022, 2, 2),)}
    assert solutions(again, apart) == solutions(node, apart)


@pytest.mark.parametrize("literal", ["NA", 7, date(2021, 3, 8), datetime(2021, 3, 8, 5), None])
def test_a_literal_given_to_a_function_keeps_its_type(literal: object):
    node = made(
        "node",
        None,
        output_dimension_spec={"kind": {"type": "STRING"}},
        output_dim_links=[("kind", lambda value: type(value).__name__, literal)],
    )
    again = loaded(node)["node"]
    assert again.linkage.constants == node.linkage.constants == {0: type(literal).__name__}


def test_a_dimension_may_be_named_like_an_attribute_of_the_one_above_it():
    nested = {"day": {"type": "DATETIME", "format": {"type": "STRING", "min": {"type": "LONG"}}}}
    assert loaded(external("x", nested))["x"].spec.names == ("day", "format", "min")


def test_the_earliest_date_comes_back():
    spec = {"day": {"type": "DATETIME", "min": "2021-01-01"}}
    x = external("x", spec)
    assert loaded(x)["x"].spec == x.spec


def test_a_format_that_changes_its_own_results_is_not_applied_twice():
    x = external("x", {"tag": {"type": "STRING", "format": lambda text: text + "!"}}, {"a": {}})
    assert loaded(x)["x"].filter.literals(x.spec, "tag") == ("a!",)


# functions ----------------------------------------------------------------------------------------------------


def test_well_known_functions_are_recorded_by_name_and_need_no_blob():
    x = external("x", {"org": {"type": "STRING", "format": str.upper}})
    node = made("n", [x], output_dimension_spec={"o": {"type": "STRING"}}, output_dim_links=[("o", LOWER, x("org"))])
    blobs = Blobs()
    fields, again = through_json(topology(x, node), blobs)
    assert blobs.kept == {}
    assert fields["nodes"][0]["dimensions"][0]["format"] == {"callable": "str.upper"}
    assert fields["nodes"][1]["output_dim_links"][0]["function"] == {"callable": "LOWER"}
    assert again["x"].spec.dimensions[0].transform is str.upper


def test_links_are_opened_at_their_first_call_and_once():
    x, y = external("x", DAY), external("y", DAY)
    node = made("n", [x, y], input_dim_links=[(y("day"), lambda day: day - timedelta(days=5), x("day"))])
    blobs = Blobs()
    _, again = through_json(topology(x, y, node), blobs)
    assert blobs.opened == []
    for day in (15, 16):
        again["n"].linkage.solve({"x": (datetime(2021, 1, day),)})
    assert blobs.opened == list(blobs.kept)


def test_inlined_callables_stay_closed():
    def report(inputs: Any, output: Any, params: Any) -> None:
        raise AssertionError

    blobs = Blobs()
    _, again = through_json(topology(made("n", None, [InlinedCompute(report, retry_count=2, timeout=5)])), blobs)
    (target,) = again["n"].targets
    assert target == Inlined(StoredCallable(next(iter(blobs.kept)), "report"), 5, retry_count=2, engine="lambda")
    assert target.title == "callable 'report'"
    assert blobs.opened == []


def test_a_function_of_another_python_is_refused_with_the_node_and_the_link():
    def open_blob(digest: str) -> Callable[..., Any]:
        raise UnusableCallable("callable 'm.f'", "the blob was recorded by Python 3.9, this is 3.11", "run it with 3.9")

    function = RecordedFunction("abc", "f", open_blob, "node 'n': link y(day) <- f <- x(day)")
    with pytest.raises(
        UnusableCallable, match=r"node 'n': link y\(day\) <- f <- x\(day\): callable 'm\.f'.*Python 3\.9"
    ):
        function(datetime(2021, 1, 1))


@pytest.mark.parametrize("regions", [{"NA": {}}, {"NA": {}, "*": {}}])
@pytest.mark.parametrize(
    ("failure", "refused", "message"),
    [
        (
            UnusableCallable("callable 'm.f'", "recorded by Python 3.9, this is 3.11", "run it with 3.9"),
            UnusableCallable,
            r"application 'shop': node 'n': callable 'm\.f': recorded by Python 3\.9",
        ),
        (FileNotFoundError("gone"), StateError, "node 'n' cannot be read: the blob of one of its functions.*gone"),
    ],
)
def test_a_function_that_loading_needs_and_cannot_open_is_refused_with_the_node_and_the_cause(
    regions: dict[str, Any], failure: Exception, refused: type[Exception], message: str
):
    x = external("x", REGION_DAY, regions)
    spec = {"area": {"type": "STRING", "day": {"type": "DATETIME"}}}
    links = [("area", lambda region: region.lower(), x("region"))]
    fields = dump_topology(
        topology(x, made("n", [x], output_dimension_spec=spec, output_dim_links=links)), Blobs().store
    )

    def open_blob(digest: str) -> Callable[..., Any]:
        raise failure

    with pytest.raises(refused, match=message):
        load_topology(fields, open_blob)


def test_a_link_names_itself_when_its_blob_is_gone():
    x, y = external("x", DAY), external("y", DAY)
    node = made("n", [x, y], input_dim_links=[(y("day"), lambda day: day, x("day"))])
    blobs = Blobs()
    _, again = through_json(topology(x, y, node), blobs)
    blobs.kept.clear()
    (_, function, _), *_ = again["n"].declaration["input_dim_links"]
    with pytest.raises(StateError, match=r"node 'n': link y\(day\) <- <lambda> <- x\(day\).*is missing"):
        function(datetime(2021, 1, 1))


# targets and plain values -------------------------------------------------------------------------------------


def test_engines_libraries_requirements_and_permissions_come_back():
    reads_models = Permission(["arn:aws:s3:::models/*"], ["s3:GetObject"])
    scala = scala_script("orders.limit(1)", external_library_paths=["s3://jars/features.jar"])
    targets = [
        BatchCompute(scala, extra_permissions=[reads_models], engine="emr", RuntimeConfig="emr-7.5.0"),
        InlinedCompute(print, [reads_models], requirements=["requests==2.32.3"], engine="process"),
    ]
    declared = made("n", None, targets)
    batch, inlined = loaded(declared)["n"].targets
    assert batch == declared.targets[0]
    assert (batch.engine, batch.libraries) == ("emr", ("s3://jars/features.jar",))
    assert (inlined.engine, inlined.requirements, inlined.permissions) == (
        "process",
        ("requests==2.32.3",),
        (reads_models,),
    )


def test_hints_and_arguments_become_text_numbers_and_lists():
    code = BatchCompute(
        "output = x",
        retry_count=3,
        GlueVersion=GlueVersion.VERSION_4_0,
        WorkerType=GlueWorkerType.G_1X,
        Timeout=30,
        days=(1, 2),
        since=date(2021, 1, 1),
        where=PurePosixPath("a/b"),
        regions={"NA", "EU"},
    )
    again = loaded(made("n", None, [code, PrestoSQL("select 1"), NOOPCompute, NoOp(retry_count=1)]))["n"]
    first, second, third, fourth = again.targets
    assert first.hints == {"GlueVersion": "4.0", "WorkerType": "G.1X", "Timeout": 30}
    assert first.args == {"days": [1, 2], "since": "2021-01-01", "where": "a/b", "regions": ["EU", "NA"]}
    assert (first.lang, first.code, first.retry_count, first.timeout) == (code.lang, code.code, 3, 1800)
    assert (second, third, fourth) == (PrestoSQL("select 1", engine="athena"), NOOPCompute, NoOp(retry_count=1))


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes", {1: "a"}, [{"deep": lambda: None}], "\ud800"])
def test_a_value_that_json_cannot_hold_is_refused_with_the_node_and_the_key(value: object):
    with pytest.raises(DeclarationError, match=r"node 'n': tags.*cannot be recorded"):
        dump_topology(topology(made("n", tags=value)), Blobs().store)
    with pytest.raises(DeclarationError, match=r"node 'n': argument limit.*cannot be recorded"):
        dump_topology(topology(made("n", None, [BatchCompute("x", limit=value)])), Blobs().store)


def test_a_literal_that_json_cannot_hold_is_refused():
    spec = {"o": {"type": "STRING"}}
    node = made("n", None, output_dimension_spec=spec, output_dim_links=[("o", lambda words: words[0], ["a"])])
    with pytest.raises(DeclarationError, match=r"node 'n': output_dim_links has the literal \['a'\]"):
        dump_topology(topology(node), Blobs().store)


def test_an_input_outside_the_application_is_refused():
    with pytest.raises(DeclarationError, match="node 'n': reads 'x', which application 'shop' does not have"):
        dump_topology(topology(made("n", [external("x", DAY)])), Blobs().store)


# the document -------------------------------------------------------------------------------------------------


def recorded() -> dict[str, Any]:
    ext = external("ext", REGION_DAY, {"NA": {}, "EU": {}}, metadata={"description": "Zürich"})
    return dump_topology(topology(ext, made("n", [ext["NA"]["*"]])), Blobs().store)


def test_the_document_is_readable_and_says_who_wrote_it():
    text = encode(recorded()).decode()
    assert "Zürich" in text
    assert {"version": 1, "application": "shop"}.items() <= json.loads(text).items()
    assert {"python", "library", "nodes"} <= json.loads(text).keys()


def test_another_version_is_refused_naming_both():
    fields = {**recorded(), "version": 2, "library": "0.9"}
    with pytest.raises(StateError, match=r"version 2 \(written by rheo-assets 0\.9\).*reads version 1"):
        load_topology(fields, Blobs().load)
    with pytest.raises(StateError, match=r"s3://b/declaration\.json has version 2"):
        decode(encode(fields), "s3://b/declaration.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", encode(recorded())[:-40], b"[" * 100_000])
def test_a_damaged_document_is_refused_with_its_uri_and_the_remedy(content: bytes):
    with pytest.raises(StateError, match=r"s3://b/declaration\.json .*Activate the application again"):
        decode(content, "s3://b/declaration.json")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "wormhole"}, "kind 'wormhole' is not known"),
        ({"dimensions": None}, "TypeError"),
        ({"location": 5}, "AttributeError"),
        ({"filter": [["NA"]]}, "ValueError"),
        ({"filter": [["NA", 5]]}, "not a value of dimension 'day'"),
        ({"segments": ["{}"]}, "DeclarationError"),
        ({"protocol": {"type": "HOPE", "args": {}}}, "HOPE"),
    ],
)
def test_a_node_that_was_changed_by_hand_is_refused_by_name(change: dict[str, Any], problem: str):
    fields = recorded()
    fields["nodes"][0].update(change)
    with pytest.raises(StateError, match=rf"application 'shop': the record of node 'ext' .*{problem}.*Activate"):
        load_topology(fields, Blobs().load)


def test_a_missing_or_circular_input_is_refused_by_name():
    fields = recorded()
    with pytest.raises(StateError, match="node 'n' cannot be read: it reads 'ext', which is not recorded"):
        load_topology({**fields, "nodes": fields["nodes"][1:]}, Blobs().load)
    fields["nodes"][1]["inputs"][0]["node"] = "n"
    with pytest.raises(StateError, match="node 'n' cannot be read: it reads itself"):
        load_topology(fields, Blobs().load)


def test_a_document_without_nodes_is_refused():
    with pytest.raises(StateError, match="application 'shop' cannot be read"):
        load_topology({"version": 1, "application": "shop"}, Blobs().load)


def test_the_fingerprint_follows_the_declaration_and_nothing_else():
    fields = recorded()
    assert fingerprint(fields) == fingerprint(decode(encode({**fields, "python": "3.12", "library": "9"}), "x"))
    changed = json.loads(encode(fields))
    changed["nodes"][1]["metadata"]["description"] = "new"
    assert fingerprint(changed) != fingerprint(fields)
    assert fingerprint({**fields, "nodes": fields["nodes"][::-1]}) != fingerprint(fields)


# laws ---------------------------------------------------------------------------------------------------------

moments = st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1))
windows = st.builds(slice, st.none() | st.integers(-9, 9), st.integers(-9, 9).filter(bool) | st.none())
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\%"), min_size=1)
texts = names.filter(lambda text: text not in {".", ".."} and not text.startswith("_:"))
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(texts, deeper, max_size=3),
    max_leaves=8,
)


@st.composite
def levels(draw: st.DrawFn) -> tuple[dict[str, Any], list[st.SearchStrategy[Any]]]:
    """Draws a dimension spec, and what a view may say for each of its dimensions."""
    tree: dict[str, Any] = {}
    spellings: list[st.SearchStrategy[Any]] = []
    for index in range(draw(st.integers(1, 4)), 0, -1):
        kind = draw(st.sampled_from(["STRING", "LONG", "DATETIME"]))
        level: dict[str, Any] = {"type": kind, **tree}
        if kind == "STRING":
            level.update(draw(st.sampled_from([{}, {"format": str.upper}, {"insensitive": True}])))
            literals: st.SearchStrategy[Any] = texts
        elif kind == "LONG":
            level.update(draw(st.sampled_from([{}, {"digits": 3}])))
            literals = st.integers(-(2**62), 2**62) | windows
        else:
            granularities = ["YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"]
            level.update(draw(st.sampled_from([{"format": "%d.%m.%Y"}, *({"granularity": g} for g in granularities)])))
            literals = moments | windows
        tree = {f"d{index}": level}
        spellings.insert(0, literals | st.just("*"))
    return tree, spellings


@examples(150)
@given(
    st.data(),
    levels(),
    st.fixed_dictionaries({"metadata": st.dictionaries(st.sampled_from("abc"), plain_values)}),
    st.booleans(),
)
def test_what_is_recorded_loads_and_records_the_same(
    data: st.DataObject, shape: Any, metadata: dict[str, Any], checked: bool
):
    tree, spellings = shape
    ext = external("ext", tree, metadata=metadata)
    view = ext._view()
    for spelling in spellings[: data.draw(st.integers(0, len(spellings)))]:
        view = view[data.draw(spelling)]
    node = made("n", {"plain": view.range_check(checked), "other": ext.ref})
    fan = projection_node("shop", "fan", ext if view.is_range else view, tree, None)
    again = loaded(ext, node, fan)
    assert [(str(v), v.narrowed) for v in again["n"].inputs.values()] == [
        (str(v), v.narrowed) for v in node.inputs.values()
    ]
    assert again["ext"].spec == ext.spec


def test_declared_columns_come_back_in_their_order_and_are_part_of_the_declared_state():
    columns = {"n": "bigint", "id": "string", "amount": "decimal(10,2)"}
    orders = external("orders", columns=columns, dataset_format=DataFormat.CSV)
    copy = made("copy", [orders], columns=columns)
    again = loaded(orders, copy)
    assert again["orders"].columns == again["copy"].columns == orders.columns == tuple(columns.items())
    without = external("orders", dataset_format=DataFormat.CSV)
    other = external("orders", columns={**columns, "n": "int"}, dataset_format=DataFormat.CSV)
    blobs = Blobs()
    prints = {fingerprint(dump_topology(topology(one), blobs.store)) for one in (orders, without, other)}
    assert len(prints) == 3
    (record,) = dump_topology(topology(without), blobs.store)["nodes"]
    assert "columns" not in record
