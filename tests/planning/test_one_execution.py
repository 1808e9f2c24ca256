from datetime import datetime, timedelta

import pytest

from rheo_assets.errors import Contradiction, DeclarationError, InvalidValue, NotConcrete, Undetermined
from rheo_assets.planning.one_execution import infer_execution, injected_tips, unmet

pytestmark = pytest.mark.fast


def day(number, month=3):
    return datetime(2022, month, number)


def test_inputs_are_inferred_from_the_output(app):
    tick, x = app.timer("tick"), app.s3("x", "n", "day")
    n = app.node("n", {"timer": tick, "lo": x[1][:-7].ref, "hi": x[1][:7].ref})
    assert infer_execution(n, n["2022-03-05"]) == (
        (day(5),),
        {"timer": (day(5),), "lo": (1, day(5)), "hi": (1, day(5))},
    )


def test_a_node_without_dimensions_is_its_own_partition(app):
    n = app.node("n")
    assert infer_execution(n, n) == ((), {})


def test_a_reverse_output_link_finds_the_input(app):
    tick = app.timer("tick", "t")
    k = app.node(
        "k",
        [tick],
        out=["n", "day"],
        output_links=[
            ("n", int, 1),
            ("day", lambda t: t - timedelta(days=7), tick("t")),
            (tick("t"), lambda cutoff: cutoff + timedelta(days=7), "day"),
        ],
    )
    assert infer_execution(k, k[1]["2022-03-05"])[1] == {"tick": (day(12),)}


def test_an_output_link_without_its_reverse_is_an_error_until_the_input_is_given(app):
    x = app.s3("x", "n", "ship_day")
    k = app.node("k", [x], out=["n", "day"], output_links=[("day", lambda d: d.strftime("%Y-%m-%d"), x("ship_day"))])
    with pytest.raises(Undetermined, match="ship_day"):
        infer_execution(k, k[1]["2022-03-05"])
    assert infer_execution(k, k[1]["2022-03-05"], [x[1]["2022-03-05"]])[1] == {"x": (1, day(5))}


def test_the_bare_node_will_do_when_the_inputs_determine_the_output(app):
    x, y = app.s3("x", "region", "day"), app.s3("y", "day")
    n = app.node("n", [x["*"][:-3], y.ref])
    assert infer_execution(n, n, [x["NA"]["2022-03-05"]]) == (
        ("NA", day(5)),
        {"x": ("NA", day(5)), "y": (day(5),)},
    )
    with pytest.raises(NotConcrete):
        infer_execution(n, n)
    with pytest.raises(Undetermined, match="'region'"):
        infer_execution(n, n, [y["2022-03-05"]])


def test_one_given_input_fills_every_alias_of_its_node_that_it_satisfies(app):
    x = app.s3("x", "region", "day")
    n = app.node("n", {"one": x["NA"][:-3], "two": x["NA"]["*"], "other": x["EU"]["*"]}, out=["day"])
    output, tips = infer_execution(n, n, [x["NA"]["2022-03-05"]])
    assert output == (day(5),)
    assert tips == {"one": ("NA", day(5)), "two": ("NA", day(5)), "other": ("EU", day(5))}


def test_an_alias_that_the_links_refuse_is_inferred_instead(app):
    x = app.s3("x", "day")
    n = app.node("n", {"today": x["*"], "yesterday": x["*"].ref}, links=[])
    today, yesterday = n.inputs["today"], n.inputs["yesterday"]
    m = app.node(
        "m",
        {"today": today, "yesterday": yesterday},
        links=[(yesterday("day"), lambda d: d - timedelta(days=1), today("day"))],
    )
    assert infer_execution(m, m, [x["2022-03-05"]]) == (
        (day(5),),
        {"today": (day(5),), "yesterday": (day(4),)},
    )
    assert infer_execution(m, m["2022-03-05"], x["2022-03-04"])[1] == {"today": (day(5),), "yesterday": (day(4),)}


def test_inputs_can_be_given_by_alias(app):
    x, z = app.s3("x", "day"), app.s3("z", "other")
    n = app.node("n", {"x": x, "z": z})
    assert infer_execution(n, n["2022-03-05"], {"z": z["2021-01-01"]}) == (
        (day(5),),
        {"x": (day(5),), "z": (datetime(2021, 1, 1),)},
    )
    with pytest.raises(DeclarationError, match="no input 'q'"):
        infer_execution(n, n["2022-03-05"], {"q": z["2021-01-01"]})
    with pytest.raises(Contradiction, match="is 'z', not 'x'"):
        infer_execution(n, n["2022-03-05"], {"z": x["2021-01-01"]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x, y, z: [z["2022-03-05"]], "'z' is not an input of 'n'"),
        (lambda x, y, z: [x["NA"]["*"]], "leaves 'day' open"),
        (lambda x, y, z: [x["NA"][:-3]], "leaves 'day' open"),
        (lambda x, y, z: [x["NA"]["2022-03-04"]], "does not fit"),
        (lambda x, y, z: [x["NA"]["2022-03-05"], y["2022-03-04"]], "does not fit"),
        (lambda x, y, z: [x["NA"]["2022-03-05"], x["NA"]["2022-03-04"]], "already"),
        (lambda x, y, z: [x["EU"]["2022-03-05"]], "reads it as x=x\\[NA\\]"),
    ],
)
def test_given_inputs_that_do_not_fit_are_value_errors(app, given, message):
    x, y, z = app.s3("x", "region", "day"), app.s3("y", "day"), app.s3("z", "day")
    n = app.node("n", [x["NA"]["*"], y])
    with pytest.raises(ValueError, match=message):
        infer_execution(n, n["NA"]["2022-03-05"], given(x, y, z))


def test_given_inputs_that_make_another_output_are_an_error(app):
    x = app.s3("x", "region", "day")
    n = app.node("n", [x])
    with pytest.raises(Contradiction, match=r"n\[EU\]\[2022-03-05\].*n\[NA\]"):
        infer_execution(n, n["NA"]["*"], [x["EU"]["2022-03-05"]])


def test_an_output_that_maps_before_the_min_of_an_input_is_an_error(app):
    x, v = app.s3("x", ("day", {"min": "2022-01-01"})), app.s3("v", "day")
    n = app.node("n", [x, v])
    assert infer_execution(n, n["2022-01-01"])[0] == (day(1, 1),)
    with pytest.raises(InvalidValue):
        infer_execution(n, n["2021-12-31"])
    m = app.node("m", [v, x], links=[(x("day"), lambda d: d - timedelta(days=5), v("day"))])
    with pytest.raises(Contradiction, match="2021-12-29"):
        infer_execution(m, m["2022-01-03"])
    assert infer_execution(m, m["2022-01-06"])[1]["x"] == (day(1, 1),)


def test_an_unchecked_range_waits_for_nothing(app):
    x = app.s3("x", "day")
    g = app.node("g", [x[:-3]])
    _, tips = infer_execution(g, g["2022-03-05"])
    assert unmet(g, tips, app.is_ready).are_met


def test_the_injected_tip_counts_as_ready_for_a_checked_range(app):
    x = app.s3("x", "day")
    j = app.node("j", [x[:-3].range_check()])
    _, tips = infer_execution(j, j["2022-03-05"])
    injected = injected_tips(j, tips)
    conditions = unmet(j, tips, app.is_ready, injected)
    assert conditions.waiting_for(j) == ["x[2022-03-04]", "x[2022-03-03]"]
    assert not conditions.are_met
    app.land(x, ("2022-03-04",), ("2022-03-03",))
    assert unmet(j, tips, app.is_ready, injected).are_met
    assert unmet(j, tips, app.is_ready).waiting_for(j) == ["x[2022-03-05]"]


def test_the_tip_of_a_checked_ref_is_not_injected(app):
    tick, x = app.timer("tick"), app.s3("x", "day")
    n = app.node("n", [tick, x["*"].ref.range_check()])
    _, tips = infer_execution(n, n["2022-03-05"])
    assert unmet(n, tips, app.is_ready, injected_tips(n, tips)).waiting_for(n) == ["x[2022-03-05]"]


def test_nearest_chooses_the_ready_partition_closest_to_the_tip_and_looks_at_storage_only(app):
    x, y = app.s3("x", "region", "day"), app.s3("y", "day")
    n = app.node("n", {"a": x, "b": y[:-7].nearest()})
    _, tips = infer_execution(n, n["NA"]["2022-03-08"])
    conditions = unmet(n, tips, app.is_ready, {("y", (day(8),))})
    assert conditions.waiting_for(n) == ["any of y[_:-7].nearest() at y[2022-03-08]"]
    assert list(conditions.starved) == ["b"]
    app.land(y, ("2022-03-03",), ("2022-03-06",))
    assert unmet(n, tips, app.is_ready).nearest == {"b": (day(6),)}
    assert unmet(n, tips, app.is_ready).are_met


def test_timers_are_always_ready(app):
    tick = app.timer("tick")
    n = app.node("n", {"a": tick["*"], "b": tick[:-3].range_check(), "c": tick[:-3].nearest()})
    _, tips = infer_execution(n, n["2022-03-08"])
    assert unmet(n, tips, app.is_ready).are_met
    assert unmet(n, tips, app.is_ready).nearest == {"c": (day(8),)}
