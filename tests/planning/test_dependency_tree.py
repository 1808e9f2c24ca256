from datetime import datetime, timedelta

import pytest

from rheo_assets.errors import Contradiction, MissingInput
from rheo_assets.planning.dependency_tree import plan_readers, plan_tree
from rheo_assets.planning.input_sets import recorded_tips

pytestmark = pytest.mark.fast


@pytest.fixture
def records():
    """Recorded executions: (source, partition) -> those that read it, with their tips."""
    return {}


@pytest.fixture
def plan(app, records):
    def planned(node, *values, recursive=False, tips=None):
        def readers(node_id, partition):
            return records.get((node_id, partition), {})

        exists = app.exists if recursive else None
        return plan_tree(app.topology, node, node.spec.read(values), readers, exists=exists, tips=tips)

    return planned


@pytest.fixture
def read(records):
    """Records that an execution read partitions of a node."""

    def recorded(reader, output, source, *partitions, inputs=None):
        for partition in partitions:
            key = (source.id, source.spec.read(partition))
            tips = recorded_tips(reader, inputs) if inputs else {}
            records.setdefault(key, {})[reader.id, reader.spec.read(output)] = tips

    return recorded


def test_downstream_partitions_whose_tip_it_is_run_whether_or_not_they_ever_ran(app, plan, shown):
    x, y = app.s3("x", "n", "day"), app.s3("y", "n", "day")
    a = app.node("a", [x])
    app.node("b", [y, a])
    app.node("c", [a[1]["*"]])
    app.node("d", [a[2]["*"]])
    assert shown(app, plan(a, 1, "2022-03-04")) == ["a[1][2022-03-04]", "b[1][2022-03-04]", "c[1][2022-03-04]"]


def test_recorded_readers_of_a_range_run_again_and_are_followed(app, plan, read, shown):
    x = app.s3("x", "day")
    a = app.node("a", [x])
    b = app.node("b", [a[:-3]])
    c = app.node("c", [b])
    read(b, ("2022-03-06",), a, ("2022-03-06",), ("2022-03-05",), ("2022-03-04",))
    assert shown(app, plan(a, "2022-03-04")) == [
        "a[2022-03-04]",
        "b[2022-03-04]",
        "b[2022-03-06]",
        "c[2022-03-04]",
        "c[2022-03-06]",
    ]
    assert c.id == "c"


def test_each_runs_once_and_after_all_of_its_parents(app, plan, shown):
    x = app.s3("x", "day")
    a = app.node("a", [x])
    late = app.node("z_first", [a])
    app.node("join", {"direct": a, "through": late})
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]", "z_first[2022-03-04]", "join[2022-03-04]"]


def test_recursive_needs_the_other_parent_of_a_child(app, plan, shown):
    ext1, ext2 = app.s3("ext1", "n", "day"), app.s3("ext2", "n", "day")
    a = app.node("a", [ext1])
    app.node("b", [ext2, a])
    app.land(ext1, (1, "2022-03-04"))
    with pytest.raises(MissingInput, match=r"ext2\[1\]\[2022-03-04\]"):
        plan(a, 1, "2022-03-04", recursive=True)
    app.land(ext2, (1, "2022-03-04"))
    assert shown(app, plan(a, 1, "2022-03-04", recursive=True)) == ["a[1][2022-03-04]", "b[1][2022-03-04]"]


def test_recursive_adds_missing_inputs_but_not_of_nodes_in_the_tree(app, plan, shown):
    ext1, ext2 = app.s3("ext1", "n", "day"), app.s3("ext2", "n", "day")
    a = app.node("a", [ext1])
    b = app.node("b", [ext2, a])
    other = app.node("other", [ext2])
    app.node("c", [b, a[1][:-7].ref.range_check(), other[1][:-2].ref])
    for ext in (ext1, ext2):
        app.land(ext, *[(1, f"2022-03-{day}") for day in range(10, 21)])
    assert shown(app, plan(a, 1, "2022-03-20", recursive=True)) == [
        "a[1][2022-03-20]",
        "b[1][2022-03-20]",
        "other[1][2022-03-19]",
        "other[1][2022-03-20]",
        "c[1][2022-03-20]",
    ]


def test_a_child_that_other_inputs_determine_is_known_from_the_records_only(app, plan, read, shown):
    x, z = app.s3("x", "day"), app.s3("z", "n")
    a = app.node("a", [x])
    app.node("b", [a, z], out=["day", "n"])
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]"]
    read(app.nodes["b"], ("2022-03-04", 7), a, ("2022-03-04",))
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]", "b[2022-03-04][7]"]


def test_the_tree_goes_through_projections(app, plan, shown):
    x = app.s3("x", "day")
    a = app.node("a", [x])
    each = app.project("each", a, ["region", "day"], {"NA": {"*": {}}, "EU": {"*": {}}})
    app.node("b", [each])
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]", "b[EU][2022-03-04]", "b[NA][2022-03-04]"]


def test_a_child_behind_a_projection_comes_after_its_source_in_whatever_order_they_were_declared(app, plan, shown):
    x = app.s3("x", "day")
    a = app.node("a", [x])
    each = app.project("each", a, ["region", "day"], {"NA": {"*": {}}})
    app.node("b", [each])
    app.nodes = {name: app.nodes[name] for name in ("b", "each", "a", "x")}
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]", "b[NA][2022-03-04]"]


def test_a_finer_ref_runs_only_the_child_that_is_anchored_on_it(app, plan, read, shown):
    tick, x = app.timer("tick", ("day", {"granularity": "MONTH"})), app.s3("x", "day")
    daily = app.node("daily", [x])
    monthly = app.node("monthly", [tick, daily[:31].ref])
    assert shown(app, plan(daily, "2022-03-01")) == ["daily[2022-03-01]", "monthly[2022-03-01]"]
    assert shown(app, plan(daily, "2022-03-15")) == ["daily[2022-03-15]"]
    read(monthly, ("2022-03-01",), daily, ("2022-03-15",))
    assert shown(app, plan(daily, "2022-03-15")) == ["daily[2022-03-15]", "monthly[2022-03-01]"]


def test_the_tip_of_a_finer_plain_input_is_kept_in_the_plan(app, plan, shown):
    x = app.s3("x", ("day", {"granularity": "HOUR"}))
    hourly = app.node("hourly", [x])
    app.node("daily", [app.timer("tick"), hourly])
    found = plan(hourly, "2022-03-04 05")
    assert shown(app, found) == ["hourly[2022-03-04 05]", "daily[2022-03-04]"]
    assert found.inputs == {
        ("daily", (datetime(2022, 3, 4),)): {"tick": (datetime(2022, 3, 4),), "hourly": (datetime(2022, 3, 4, 5),)}
    }


def test_a_recorded_reader_runs_again_with_the_tips_that_its_output_does_not_tell(app, plan, read, shown):
    a, y = app.node("a", [app.s3("x", "day")]), app.s3("y", "n", "day")
    b = app.node("b", {"a": a, "y": y[7][-1:-2]}, out=["day"], auto_inputs=False)
    read_by_y = [("7", "2022-03-01"), ("7", "2022-02-28")]
    read(b, ("2022-03-04",), a, ("2022-03-04",), inputs={"a": [("2022-03-04",)], "y": read_by_y})
    found = plan(a, "2022-03-04")
    assert shown(app, found) == ["a[2022-03-04]", "b[2022-03-04]"]
    assert found.inputs == {
        ("b", b.spec.read(["2022-03-04"])): {"a": a.spec.read(["2022-03-04"]), "y": y.spec.read((7, "2022-03-02"))}
    }


def test_a_recorded_reader_keeps_its_finer_tip(app, plan, read):
    a, x = app.node("a", [app.s3("w", "day")]), app.s3("x", ("day", {"granularity": "HOUR"}))
    daily = app.node("daily", [a[:-3], x])
    read(daily, ("2022-03-04",), a, ("2022-03-03",), inputs={"a": [("2022-03-04",)], "x": [("2022-03-04 05",)]})
    found = plan(a, "2022-03-03")
    assert found.inputs == {
        ("daily", (datetime(2022, 3, 4),)): {"a": (datetime(2022, 3, 4),), "x": (datetime(2022, 3, 4, 5),)}
    }


def test_a_recorded_reader_of_which_nothing_tells_an_input_is_left_out(app, plan, read, shown):
    a, b = app.node("a", [app.s3("x", "day")]), app.s3("y", "day")
    free = app.node("free", {"a": a, "b": b}, out=["day"], auto_inputs=False)
    read(free, ("2022-03-04",), a, ("2022-03-04",), inputs={"a": [("2022-03-04",)]})
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]"]


def test_links_that_compute_are_followed_forwards(app, plan, shown):
    x, v = app.s3("x", "day"), app.s3("v", "day")
    a = app.node("a", [x])
    app.node("b", [a, v.ref], links=[(v("day"), lambda day: day - timedelta(days=5), a("day"))])
    assert shown(app, plan(a, "2022-03-04")) == ["a[2022-03-04]", "b[2022-03-04]"]


def test_records_of_another_declaration_are_left_out(app, plan, read, shown):
    x = app.s3("x", "region", "day")
    a = app.node("a", [x])
    b = app.node("b", [a["NA"]["*"]])
    read(b, ("EU", "2022-03-04"), a, ("EU", "2022-03-04"))
    read(x, ("EU", "2022-03-04"), a, ("EU", "2022-03-04"))
    assert shown(app, plan(a, "EU", "2022-03-04")) == ["a[EU][2022-03-04]"]


def test_a_partition_that_the_node_cannot_have_is_an_error(app, plan):
    a = app.node("a", [app.s3("x", "region", "day", only={"NA": {}})])
    with pytest.raises(Contradiction, match=r"a\[EU\]"):
        plan(a, "EU", "2022-03-04")


def test_the_record_of_a_timers_shifted_range_tells_its_tip(app):
    t, p = app.timer("t"), app.project("p", app.timer("s"), ["region", "day"], {"NA": {"*": {}}})
    n = app.node("n", {"t": t[-1:-2], "p": p["NA"][-2:]})
    recorded = {"t": [("2022-03-03",), ("2022-03-02",)], "p": [("NA", "2022-03-02")]}
    tip = datetime(2022, 3, 4)
    assert recorded_tips(n, recorded) == {"t": (tip,), "p": ("NA", tip)}


def test_a_tree_may_start_at_external_data_which_is_not_executed_itself(app, records, read, shown):
    x, y = app.s3("x", "day"), app.s3("y", "day")
    a = app.node("a", [x])
    week = app.node("week", {"a": a.covering()}, out=[("week", {"granularity": "WEEK"})])
    ranged = app.node("ranged", [x[:-3], y.ref])
    read(ranged, ("2022-03-06",), x, ("2022-03-06",), ("2022-03-05",), ("2022-03-04",))

    def readers(node_id, partition):
        return records.get((node_id, partition), {})

    plan = plan_readers(app.topology, x, x.spec.read(["2022-03-04"]), readers)
    assert shown(app, plan) == ["a[2022-03-04]", "week[2022-02-28]", "ranged[2022-03-04]", "ranged[2022-03-06]"]
    assert (plan.target.node, week.id) == ("x", "week")
    nobody = plan_readers(app.topology, app.s3("z", "day"), x.spec.read(["2022-03-04"]), readers)
    assert len(nobody) == 0
