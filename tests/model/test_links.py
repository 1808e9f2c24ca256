"""Links: what they infer, what they refuse, and that it does not matter in which order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import Contradiction, DeclarationError, Undetermined
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.filters import ANY, Exactly
from rheo_assets.model.links import EQUALS, LOWER, UPPER
from tests import strategies as some

pytestmark = pytest.mark.fast

STRING, LONG, DAY = {"type": "STRING"}, {"type": "LONG"}, {"type": "DATETIME"}
HOUR = {"type": "DATETIME", "granularity": "HOUR"}
MONTH = {"type": "DATETIME", "granularity": "MONTH"}
WEEK_AGO = timedelta(days=7)


def spec_of(levels):
    tree = {}
    for name, level in reversed(levels.items()):
        tree = {name: {**level, **tree}}
    return DimensionSpec.of(tree)


def ext(name, only=None, **levels):
    read = levels.pop("spec", None) or spec_of(levels)
    return external_node("app", name, S3Dataset("1", "bucket", name, *["{}"] * len(read)), read, only, SUCCESS)


def node(inputs, links=None, out=None, out_links=None, **more):
    spec = None if out is None else spec_of(out)
    return data_node("app", "bucket", "n", inputs, links, spec, out_links, NOOPCompute, **more)


def day(text):
    return datetime.fromisoformat(text)


# laws


@given(st.data())
def test_equals_infers_the_same_from_either_side(data):
    d = data.draw(some.dimensions)
    other = data.draw({"STRING": some.strings, "LONG": some.longs, "DATETIME": some.datetimes}[d.type]("b"))
    value = data.draw(some.values(d))
    x, y = ext("x", spec=DimensionSpec((d,))), ext("y", spec=DimensionSpec((other,)))
    for link in [(x(d.name), EQUALS, y("b")), (y("b"), EQUALS, x(d.name))]:
        tips = node([x, y.ref], [link]).linkage.solve({"x": x.spec.read((value,))}).tips
        assert tips["y"] == (y.spec["b"].convert(value, d),)


@given(st.data())
def test_the_tips_that_a_link_infers_satisfy_it_in_both_directions(data):
    one, other = data.draw(some.datetimes("day")), data.draw(some.datetimes("day"))
    x, y = ext("x", spec=DimensionSpec((one,))), ext("y", spec=DimensionSpec((other,)))
    linkage = node([x, y.ref]).linkage
    tips = linkage.solve({"x": (data.draw(some.values(one)),)}).tips
    assert linkage.solve(tips).tips == tips


@given(some.moments, some.moments)
def test_a_computed_link_admits_a_pair_whichever_comes_first(one, other):
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    linkage = node([x, y], [(y("day"), lambda d: d - WEEK_AGO, x("day"))]).linkage
    pair = {"x": x.spec.read([one]), "y": y.spec.read([other])}
    outcomes = set()
    for order in (list(pair), list(pair)[::-1]):
        try:
            linkage.solve({alias: pair[alias] for alias in order})
        except Contradiction:
            outcomes.add("broken")
        else:
            outcomes.add("joined")
    assert len(outcomes) == 1


# inputs


def test_inputs_are_linked_by_equal_names():
    x, y = ext("x", region=STRING, day=DAY), ext("y", day=DAY)
    linkage = node([x, y.ref]).linkage
    assert linkage.solve({"x": ("NA", day("2021-03-01"))}).tips["y"] == (day("2021-03-01"),)


def test_automatic_links_can_be_switched_off():
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    linkage = node([x, y], auto_input_dim_linking_enabled=False).linkage
    linkage.solve({"x": (day("2021-03-01"),), "y": (day("1999-01-01"),)})


@pytest.mark.parametrize("silent", [lambda y: y.ref, lambda y: y[:-3].nearest()])
def test_inputs_without_events_are_linked_by_name_where_automatic_links_are_off(silent):
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    linkage = node([x, silent(y)], auto_input_dim_linking_enabled=False).linkage
    assert linkage.solve({"x": (day("2021-03-01"),)}).tips["y"] == (day("2021-03-01"),)


def test_two_plain_inputs_are_not_linked_through_a_reference_of_both_names():
    x, y, z = ext("x", day=DAY), ext("y", day=DAY), ext("z", day=DAY)
    linkage = node([x, y, z.ref], auto_input_dim_linking_enabled=False).linkage
    tips = linkage.solve({"x": (day("2021-03-01"),), "y": (day("1999-01-01"),)}).tips
    assert tips["z"] == (day("2021-03-01"),)


def test_an_explicit_link_of_a_reference_stands_alone_where_automatic_links_are_off():
    x, y = ext("x", day=DAY, since=DAY), ext("y", day=DAY)
    linkage = node([x, y.ref], [(y("day"), EQUALS, x("since"))], auto_input_dim_linking_enabled=False).linkage
    assert linkage.solve({"x": (day("2021-03-01"), day("2020-01-01"))}).tips["y"] == (day("2020-01-01"),)


def test_a_reference_is_inferred_from_an_output_dimension_that_an_output_link_determines():
    e1, e2 = ext("e1", at=DAY), ext("e2", ts=DAY)
    linkage = node([e2.ref, e1], out={"ts": DAY}, out_links=[("ts", lambda at: at - WEEK_AGO, e1("at"))]).linkage
    solution = linkage.solve({"e1": (day("2021-03-08"),)})
    assert solution.tips["e2"] == solution.output == (day("2021-03-01"),)
    with pytest.raises(DeclarationError, match="nothing determines dimension 'ts' of input 'e2'"):
        node([e2.ref, e1], out={"at": DAY})


def leaves(_):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda _: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda _: None, "cannot hold None"),
        (lambda _: [1], r"cannot hold \[1\]"),
        (lambda _: "soon", "cannot hold 'soon'"),
        (leaves, "raised SystemExit: 3"),
    ],
)
def test_a_link_whose_function_gives_nothing_of_use_is_named_with_what_it_got(function, told):
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    linkage = node([x, y.ref], [(y("day"), function, x("day"))]).linkage
    with pytest.raises(Contradiction, match=rf"'n': the link y.day <- f\(x.day\).*{told}") as error:
        linkage.solve({"x": (day("2021-03-08"),)})
    assert "datetime.datetime(2021, 3, 8" in str(error.value)


def test_an_explicit_link_replaces_the_automatic_one_of_its_pair_only():
    x, y, z = ext("x", day=DAY), ext("y", day=DAY), ext("z", day=DAY)
    linkage = node([x, y.ref, z.ref], [(y("day"), lambda d: d - WEEK_AGO, x("day"))]).linkage
    tips = linkage.solve({"x": (day("2021-03-08"),)}).tips
    assert tips["y"] == (day("2021-03-01"),)
    assert tips["z"] == (day("2021-03-08"),)


def test_inference_runs_to_a_fixpoint_over_all_links():
    a, b, c, d = (ext(name, **{name: DAY}) for name in "abcd")
    links = [(d("d"), EQUALS, c("c")), (c("c"), lambda v: v - WEEK_AGO, b("b")), (b("b"), EQUALS, a("a"))]
    tips = node([a, b.ref, c.ref, d.ref], links).linkage.solve({"a": (day("2021-03-08"),)}).tips
    assert tips["d"] == (day("2021-03-01"),)


def test_a_link_holds_for_every_alias_of_its_node():
    x, y = ext("x", region=STRING, day=DAY), ext("y", other=DAY)
    inputs = {"na": x["NA"], "eu": x["EU"], "y": y.ref}
    linkage = node(inputs, [(y("other"), EQUALS, x("day"))], out={"day": DAY}).linkage
    assert linkage.solve({"eu": ("EU", day("2021-03-01"))}).tips["y"] == (day("2021-03-01"),)
    with pytest.raises(Contradiction, match="breaks its link"):
        linkage.solve({"na": ("NA", day("2021-03-01")), "eu": ("EU", day("2021-03-02"))})


def test_inputs_that_are_pinned_apart_are_not_linked_on_that_dimension():
    x = ext("x", region=STRING, day=DAY)
    linkage = node({"na": x["NA"], "eu": x["EU"]}, out={"day": DAY}).linkage
    solved = linkage.solve({"na": ("NA", day("2021-03-01"))})
    assert solved.tips["eu"] == ("EU", day("2021-03-01"))
    assert solved.output == (day("2021-03-01"),)


def test_inputs_that_are_pinned_apart_need_an_output_that_says_which():
    x = ext("x", region=STRING, day=DAY)
    told = "'na' pins region to 'NA' and 'eu' pins region to 'EU', but nothing chooses the value of the output"
    with pytest.raises(DeclarationError, match=told) as refused:
        node({"na": x["NA"], "eu": x["EU"]})
    assert refused.value.remedy.startswith("Write output_dimension_spec with ['day'], or output_dim_links=[(")
    chosen = node({"na": x["NA"], "eu": x["EU"]}, out_links=[("region", EQUALS, "EU")]).linkage
    assert chosen.solve({"na": ("NA", day("2021-03-01"))}).output == ("EU", day("2021-03-01"))
    for other in (x["EU"].ref, x["EU"][:-3].nearest(), x["NA"][:-7]):
        linkage = node({"na": x["NA"], "other": other}).linkage
        assert linkage.solve({"na": ("NA", day("2021-03-01"))}).output == ("NA", day("2021-03-01"))


@pytest.mark.parametrize("hour", [0, 5, 23])
def test_days_and_hours_are_compared_as_days(hour):
    x, y = ext("x", day=DAY), ext("y", day=HOUR)
    linkage = node([x, y]).linkage
    moment = datetime(2021, 3, 1, hour)
    assert linkage.solve({"x": (day("2021-03-01"),), "y": (moment,)}).output == (day("2021-03-01"),)
    with pytest.raises(Contradiction):
        linkage.solve({"x": (day("2021-03-02"),), "y": (moment,)})


def test_a_finer_time_is_not_guessed_while_events_are_awaited():
    x, y = ext("x", day=DAY), ext("y", day=HOUR)
    linkage = node([x, y]).linkage
    assert linkage.solve({"x": (day("2021-03-01"),)}, allow_guesses=False).tips["y"] is None
    assert linkage.solve({"x": (day("2021-03-01"),)}).tips["y"] == (day("2021-03-01"),)


def test_a_better_link_goes_before_the_first_moment_of_a_coarser_one():
    x, y, z = ext("x", day=MONTH), ext("y", day=DAY), ext("z", day=HOUR)
    tips = node([x, y, z.ref]).linkage.solve({"x": (day("2021-03-01"),), "y": (day("2021-03-08"),)}).tips
    assert tips["z"] == (day("2021-03-08"),)


def test_a_concrete_ref_is_read_as_it_is_and_constrains_nothing():
    x, y = ext("x", day=DAY), ext("y", day=DAY)
    links = [(y("day"), lambda d: d - WEEK_AGO, x("day"))]
    for declared in (None, links):
        linkage = node({"base": y["2021-01-13"].ref, "now": y.ref, "x": x}, declared).linkage
        solved = linkage.solve({"x": (day("2021-03-08"),)})
        assert solved.tips["base"] == (day("2021-01-13"),)
        assert solved.tips["now"] == (day("2021-03-08") - (WEEK_AGO if declared else timedelta()),)


def test_a_plain_input_with_literals_stays_linked():
    x, y = ext("x", region=STRING, day=DAY), ext("y", region=STRING, day=DAY)
    linkage = node([x["NA"], y]).linkage
    with pytest.raises(Contradiction):
        linkage.solve({"y": ("EU", day("2021-03-01"))})


def test_links_get_python_values():
    seen = []
    x = ext("x", region=STRING, n=LONG, hour=HOUR)
    y = ext("y", text=STRING)
    links = [(y("text"), lambda *values: seen.append(values) or "ok", x("region", "n", "hour"))]
    node([x, y.ref], links).linkage.solve({"x": x.spec.read(["NA", "7", "2021-03-01T05:00+05:00"])})
    assert seen[0] == ("NA", 7, datetime(2021, 3, 1, 0))


def test_a_link_that_raises_is_a_contradiction_that_names_it():
    x, y = ext("x", n=LONG), ext("y", m=LONG)
    linkage = node([x, y.ref], [(y("m"), lambda n: 1 // n, x("n"))]).linkage
    with pytest.raises(Contradiction, match=r"node 'n': the link y\.m <- f\(x\.n\) raised ZeroDivisionError"):
        linkage.solve({"x": (0,)})


def test_upper_and_lower_are_links():
    x, y = ext("x", region=STRING), ext("y", area=STRING)
    assert node([x, y.ref], [(y("area"), UPPER, x("region"))]).linkage.solve({"x": ("na",)}).tips["y"] == ("NA",)
    assert node([x, y.ref], [(y("area"), LOWER, x("region"))]).linkage.solve({"x": ("NA",)}).tips["y"] == ("na",)


@pytest.mark.parametrize(
    "link",
    [
        lambda x, y, z: ("day", EQUALS, x("day")),
        lambda x, y, z: (x("day"), EQUALS),
        lambda x, y, z: (x("day"), "EQUALS", y("other")),
        lambda x, y, z: (z("third"), EQUALS, x("day")),
        lambda x, y, z: (x("day", "region"), EQUALS, y("other")),
        lambda x, y, z: (x("day", "region"), min, y("other")),
        lambda x, y, z: (x("n"), EQUALS, y("other")),
    ],
)
def test_a_link_that_cannot_work_is_refused_at_declaration(link):
    x, y, z = ext("x", region=STRING, day=DAY, n=LONG), ext("y", other=DAY), ext("z", third=DAY)
    with pytest.raises(DeclarationError, match="node 'n'"):
        node([x, y], [link(x, y, z)])


# the output


def test_the_output_takes_the_first_inputs_dimensions():
    x, y = ext("x", region=STRING, day=DAY), ext("y", day=DAY)
    n = node([x, y])
    assert n.spec == x.spec
    assert n.linkage.solve({"x": ("NA", day("2021-03-01"))}).output == ("NA", day("2021-03-01"))


def test_an_output_dimension_can_be_a_literal_or_computed():
    x = ext("x", day=DAY)
    out = {"region": STRING, "year": LONG}
    links = [("region", EQUALS, "NA"), ("year", lambda d: d.year, x("day"))]
    n = node([x], out=out, out_links=links)
    assert n.linkage.solve({"x": (day("2021-03-01"),)}).output == ("NA", 2021)
    assert n.filter.branches == ((Exactly("NA"), ANY),)
    with pytest.raises(ValueError, match="no region 'EU'"):
        n["EU"]


def test_an_output_dimension_that_nothing_determines_is_refused():
    with pytest.raises(DeclarationError, match="nothing determines output dimension 'region'"):
        node([ext("x", day=DAY)], out={"region": STRING, "day": DAY})


def test_without_automatic_links_the_output_must_be_covered():
    x = ext("x", day=DAY)
    with pytest.raises(DeclarationError, match="output dimension 'day' has no link"):
        node([x], auto_output_dim_linking_enabled=False)
    n = node([x], out_links=[("day", EQUALS, x("day"))], auto_output_dim_linking_enabled=False)
    assert n.linkage.solve({"x": (day("2021-03-01"),)}).output == (day("2021-03-01"),)


def test_a_literal_on_an_input_stays_a_constraint_downstream():
    x = ext("x", region=STRING, day=DAY)
    with pytest.raises(ValueError, match=r"'n' has no region 'EU' \(it declares NA\)"):
        node([x["NA"]])["EU"]


def test_the_declared_values_of_inputs_meet_in_the_output():
    x = ext("x", {"NA": {}, "EU": {}}, region=STRING)
    y = ext("y", {"EU": {}, "JP": {}}, region=STRING)
    assert node([x, y]).filter.literals(x.spec, "region") == ("EU",)
    z = ext("z", {"JP": {}}, region=STRING)
    with pytest.raises(DeclarationError, match="can never run"):
        node([x, z])


def test_an_output_that_folds_case_follows_an_input_that_does_not():
    x = ext("x", org=STRING)
    n = node([x], out={"org": {**STRING, "format": str.lower}})
    assert n.linkage.solve({"x": ("SE",)}).output == ("se",)


# looking up in reverse


def test_a_reverse_look_up_goes_through_output_links_equals_and_literals():
    x, y = ext("x", region=STRING, day=DAY), ext("y", other=DAY)
    linkage = node([x["NA"], y.ref], [(y("other"), EQUALS, x("day"))]).linkage
    tips = linkage.resolve_output(("NA", day("2021-03-01")))
    assert tips == {"x": ("NA", day("2021-03-01")), "y": (day("2021-03-01"),)}


def test_a_function_is_not_turned_round_but_a_reverse_link_supplies_it():
    x = ext("x", day=DAY)
    forward = ("cutoff", lambda d: d - WEEK_AGO, x("day"))
    with pytest.raises(Undetermined, match=r"dimension 'day' of input 'x'.*output_dim_links=\[..., \(x\(\"day\"\)"):
        node([x], out={"cutoff": DAY}, out_links=[forward]).linkage.resolve_output((day("2021-03-01"),))
    reverse = (x("day"), lambda d: d + WEEK_AGO, ("cutoff",))
    linkage = node([x], out={"cutoff": DAY}, out_links=[forward, reverse]).linkage
    assert linkage.resolve_output((day("2021-03-01"),)) == {"x": (day("2021-03-08"),)}


def test_an_output_outside_the_links_is_a_contradiction():
    x = ext("x", region=STRING, day=DAY)
    with pytest.raises(Contradiction, match=r"x\.region"):
        node([x["NA"]]).linkage.resolve_output(("EU", day("2021-03-01")))
