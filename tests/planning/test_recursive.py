import pytest

from rheo_assets.errors import Contradiction, MissingInput, Undetermined
from rheo_assets.planning.recursive import plan_recursive

pytestmark = pytest.mark.fast


@pytest.fixture
def plan(app):
    def planned(node, *values, tips=None):
        return plan_recursive(app.topology, node, [node.spec.read(v) for v in values], app.exists, tips)

    return planned


def test_a_missing_external_partition_is_an_error_before_anything_is_planned(app, plan, shown):
    ext = app.s3("ext", "n", "day")
    a = app.node("a", [ext])
    b = app.node("b", [a])
    with pytest.raises(MissingInput, match=r"b\[1\]\[2022-03-04\].*ext\[1\]\[2022-03-04\]"):
        plan(b, (1, "2022-03-04"))
    app.land(ext, (1, "2022-03-04"))
    assert shown(app, plan(b, (1, "2022-03-04"))) == ["a[1][2022-03-04]", "b[1][2022-03-04]"]


def test_all_missing_external_partitions_are_listed(app, plan):
    one, two = app.s3("one", "day"), app.s3("two", "day")
    node = app.node("node", [one, two["*"].range_check()])
    with pytest.raises(MissingInput) as caught:
        plan(node, ("2022-03-04",), ("2022-03-05",))
    assert caught.value.missing == (
        "one[2022-03-04]",
        "one[2022-03-05]",
        "two[2022-03-04]",
        "two[2022-03-05]",
    )


def test_every_missing_partition_of_an_own_range_is_executed_once_and_parents_first(app, plan, days, shown):
    ext = app.s3("ext", "day")
    a = app.node("a", [ext])
    b = app.node("b", [a[:-3]])
    c = app.node("c", {"near": b[:-2], "far": a[:-4]})
    app.land(ext, *[(day,) for day in days(1, 5)])
    assert shown(app, plan(c, ("2022-03-05",))) == [
        *[f"a[{day}]" for day in days(2, 5)],
        *[f"b[{day}]" for day in days(4, 5)],
        "c[2022-03-05]",
    ]


def test_existing_partitions_are_never_executed_again_nor_their_parents(app, plan, days, shown):
    ext = app.s3("ext", "day")
    a = app.node("a", [ext])
    b = app.node("b", [a[:-3]])
    app.land(a, ("2022-03-05",), ("2022-03-03",))
    app.land(ext, ("2022-03-04",))
    assert shown(app, plan(b, ("2022-03-05",))) == ["a[2022-03-04]", "b[2022-03-05]"]


def test_the_target_is_executed_although_it_exists(app, plan, shown):
    ext = app.s3("ext", "day")
    a = app.node("a", [ext])
    app.land(ext, ("2022-03-05",))
    app.land(a, ("2022-03-05",))
    assert shown(app, plan(a, ("2022-03-05",))) == ["a[2022-03-05]"]


def test_an_unchecked_external_range_needs_its_tip_only(app, plan, shown):
    ext = app.s3("ext", "day")
    a = app.node("a", [ext[:-7]])
    app.land(ext, ("2022-03-05",))
    assert shown(app, plan(a, ("2022-03-05",))) == ["a[2022-03-05]"]


def test_a_checked_external_range_needs_every_partition(app, plan):
    ext = app.s3("ext", "day")
    a = app.node("a", [ext[:-3].range_check()])
    app.land(ext, ("2022-03-05",), ("2022-03-03",))
    with pytest.raises(MissingInput) as caught:
        plan(a, ("2022-03-05",))
    assert caught.value.missing == ("ext[2022-03-04]",)


def test_a_missing_external_ref_is_ignored_unless_its_range_is_checked(app, plan, shown):
    tick, ext = app.timer("tick"), app.s3("ext", "day")
    a = app.node("a", [tick, ext[:-2].ref])
    b = app.node("b", [tick, ext[:-2].ref.range_check()])
    assert shown(app, plan(a, ("2022-03-05",))) == ["a[2022-03-05]"]
    with pytest.raises(MissingInput):
        plan(b, ("2022-03-05",))


def test_nearest_with_nothing_in_range_executes_only_the_tip_of_an_own_node(app, plan, shown):
    tick, ext = app.timer("tick"), app.s3("ext", "day")
    a = app.node("a", [ext])
    b = app.node("b", [tick, a[:-4].nearest()])
    app.land(ext, ("2022-03-05",))
    assert shown(app, plan(b, ("2022-03-05",))) == ["a[2022-03-05]", "b[2022-03-05]"]
    app.land(a, ("2022-03-02",))
    assert shown(app, plan(b, ("2022-03-05",))) == ["b[2022-03-05]"]
    assert shown(app, plan(b, ("2022-03-05",), ("2022-03-02",))) == ["b[2022-03-02]", "b[2022-03-05]"]


def test_nearest_external_data_with_nothing_in_range_is_an_error(app, plan, shown):
    tick, ext = app.timer("tick"), app.s3("ext", "day")
    b = app.node("b", [tick, ext[:-4].nearest()])
    with pytest.raises(MissingInput, match=r"ext\[2022-03-05\]"):
        plan(b, ("2022-03-05",))
    app.land(ext, ("2022-03-02",))
    assert shown(app, plan(b, ("2022-03-05",))) == ["b[2022-03-05]"]


def test_a_shifted_nearest_executes_the_partition_of_its_range_that_is_closest(app, plan, shown):
    tick, ext = app.timer("tick"), app.s3("ext", "day")
    a = app.node("a", [ext["*"].ref, tick])
    b = app.node("b", [tick, a[-1:-3].nearest()])
    app.land(a, ("2022-03-05",))
    assert shown(app, plan(b, ("2022-03-05",))) == ["a[2022-03-04]", "b[2022-03-05]"]


def test_timers_and_projections_are_always_there(app, plan, shown):
    tick = app.timer("tick")
    each = app.project("each", tick, ["region", "day"], {"NA": {"*": {}}, "EU": {"*": {}}})
    a = app.node("a", [each["*"][:-3].range_check()])
    assert shown(app, plan(a, ("NA", "2022-03-05"))) == ["a[NA][2022-03-05]"]


def test_a_function_link_is_followed_back_through_its_reverse(app, plan, shown):
    from datetime import timedelta

    tick = app.timer("tick", "t")
    k = app.node(
        "k",
        [tick],
        out=["n", "day"],
        output_links=[
            ("n", lambda v: v, 1),
            ("day", lambda t: t - timedelta(days=7), tick("t")),
            (tick("t"), lambda day: day + timedelta(days=7), "day"),
        ],
    )
    m = app.node("m", [k[1][:-2]])
    assert shown(app, plan(m, (1, "2022-03-05"))) == ["k[1][2022-03-04]", "k[1][2022-03-05]", "m[1][2022-03-05]"]


def test_a_link_that_cannot_be_followed_back_names_the_partition(app, plan):
    ext = app.s3("ext", "n", "ship_day")
    k = app.node(
        "k", [ext], out=["n", "day"], output_links=[("day", lambda day: day.strftime("%Y-%m-%d"), ext("ship_day"))]
    )
    m = app.node("m", [k])
    with pytest.raises(Undetermined, match=r"k\[1\]\[2022-03-05\].*ship_day"):
        plan(m, (1, "2022-03-05"))


def test_a_partition_before_the_min_of_a_parent_is_an_error_that_names_it(app, plan):
    from datetime import timedelta

    x, v = app.s3("x", ("day", {"min": "2022-03-01"})), app.s3("v", "day")
    m = app.node("m", [v, x], links=[(x("day"), lambda day: day - timedelta(days=5), v("day"))])
    n = app.node("n", [m])
    with pytest.raises(Contradiction, match=r"m\[2022-03-03\].*2022-02-26.*min 2022-03-01"):
        plan(n, ("2022-03-03",))


def test_a_range_leaves_out_what_lies_before_the_min(app, plan, shown):
    ext = app.s3("ext", ("day", {"min": "2022-03-01"}))
    a = app.node("a", [ext])
    b = app.node("b", [a[:-7].range_check()])
    app.land(ext, ("2022-03-01",), ("2022-03-02",))
    assert shown(app, plan(b, ("2022-03-02",))) == ["a[2022-03-01]", "a[2022-03-02]", "b[2022-03-02]"]


def test_a_target_that_its_node_cannot_have_is_an_error(app, plan):
    ext = app.s3("ext", "region", "day", only={"NA": {}, "EU": {}})
    a = app.node("a", [ext])
    with pytest.raises(Contradiction, match=r"a\[XX\]\[2022-03-02\]"):
        plan(a, ("XX", "2022-03-02"))


def test_a_coarser_target_reads_its_finer_range(app, plan, days, shown):
    tick = app.timer("tick", ("day", {"granularity": "MONTH"}))
    ext = app.s3("ext", "day")
    daily = app.node("daily", [ext])
    monthly = app.node("monthly", [tick, daily[:3].ref])
    app.land(ext, *[(day,) for day in days(1, 3)])
    assert shown(app, plan(monthly, ("2022-03-01",))) == [
        *[f"daily[{day}]" for day in days(1, 3)],
        "monthly[2022-03-01]",
    ]


def test_a_backfill_of_several_partitions_is_one_plan(app, plan, days, shown):
    ext = app.s3("ext", "region", "day")
    a = app.node("a", [ext])
    b = app.node("b", {"na": a["NA"][:-2], "eu": a["EU"]}, out=["day"])
    app.land(ext, *[(region, day) for region in ("NA", "EU") for day in days(1, 3)])
    assert shown(app, plan(b, ("2022-03-02",), ("2022-03-03",))) == [
        "a[NA][2022-03-01]",
        "a[EU][2022-03-02]",
        "a[NA][2022-03-02]",
        "a[EU][2022-03-03]",
        "a[NA][2022-03-03]",
        "b[2022-03-02]",
        "b[2022-03-03]",
    ]


def test_given_tips_of_the_target_are_used_and_kept(app, plan, shown):
    x, z = app.s3("x", "day"), app.s3("z", "other")
    own = app.node("own", [z])
    node = app.node("node", [x, own])
    app.land(x, ("2022-03-02",))
    app.land(z, ("2021-01-01",))
    tips = {"x": x.spec.read(("2022-03-02",)), "own": own.spec.read(("2021-01-01",))}
    found = plan(node, ("2022-03-02",), tips=tips)
    assert shown(app, found) == ["own[2021-01-01]", "node[2022-03-02]"]
    assert found.inputs == {("node", node.spec.read(("2022-03-02",))): tips}


def test_a_plan_explains_itself(app, plan, days):
    ext = app.s3("ext", "region", "day")
    a = app.node("a", [ext])
    b = app.node("b", [a["*"][:-3]])
    app.land(ext, *[("NA", day) for day in days(1, 3)])
    found = plan(b, ("NA", "2022-03-03"))
    assert found.explain().splitlines() == [
        "4 executions in 2 stages, one after the other:",
        "  1. a: 3 partitions",
        "       [NA][2022-03-01] … [NA][2022-03-03] (3)",
        "  2. b: 1 partition  <- requested",
        "       [NA][2022-03-03]",
    ]
    assert found.to_fields()["stages"][0] == {
        "node": "a",
        "partitions": [[["NA", "2022-03-01"], ["NA", "2022-03-03"]]],
        "count": 3,
    }
    assert ("a", a.spec.read(("NA", "2022-03-02"))) in found
    assert ("a", a.spec.read(("NA", "2022-03-04"))) not in found
