"""Cases E: `execute`, alone and with what it needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rheo_assets import Application, DimensionType, InlinedCompute, NOOPCompute, PrestoSQL
from tests.cases.topologies import DAY, LONG, S3, cycle, event, file, node, pending, ran, read

FREE_DAY = {"day": {"type": DimensionType.DATETIME}}


def fail(inputs, output, params):
    raise ValueError("the upstream file is empty")


def nothing(inputs, output, params):
    return None


def region_is_a_number(app: Application, name: str):
    return S3(app, name, region=LONG, day=DAY)


def chain(app: Application, read_days: int | None = None):
    """Declares ext -> a -> b; b reads the last days of a."""
    ext = region_is_a_number(app, "ext")
    a = node(app, "a", [ext])
    b = node(app, "b", [a["*"][:-read_days] if read_days else a])
    return ext, a, b


def test_a_node_without_inputs_is_executed_by_its_name_alone(app: Application) -> None:
    """E1."""
    n = node(app, "n", [])
    assert app.poll(n) == (None, None)
    path = app.execute(n)
    assert path.endswith("internal_data/n")
    found, records = app.poll(n)
    assert found == path
    assert [record.status for record in records] == ["COMPLETED"]


def test_executing_a_dangling_node_runs_its_consumer_by_itself(app: Application) -> None:
    """E2."""
    d2 = node(app, "d2", [], output_dimension_spec=FREE_DAY)
    d3 = node(app, "d3", [d2])
    assert app.execute(d2["2020-12-28"]).endswith("d2/2020-12-28")
    app.settle(60)
    assert ran(app, d3) == ["2020-12-28"]


def test_a_failure_is_raised_recorded_and_not_passed_on(app: Application) -> None:
    """E3."""
    n = node(app, "n", [], output_dimension_spec=FREE_DAY, compute_targets=[InlinedCompute(fail)])
    below = node(app, "below", [n])
    with pytest.raises(RuntimeError, match="the upstream file is empty"):
        app.execute(n["2020-12-28"])
    path, records = app.poll(n["2020-12-28"])
    assert path is None
    assert [record.status for record in records] == ["FAILED"]
    app.settle(60)
    assert app.history(below) == []
    assert app.pending(below) == []


def test_all_targets_start_even_if_an_earlier_one_fails(app: Application) -> None:
    """E4."""
    x = S3(app, "x", "day")
    e = node(app, "e", [x], compute_targets=[InlinedCompute(fail), NOOPCompute])
    f = node(app, "f", [e])
    app.activate()
    event(app, x["2021-03-01"])
    (execution,) = app.history(e)
    assert [record.status for record in execution.records] == ["FAILED", "COMPLETED"]
    assert app.poll(e["2021-03-01"]) == (None, [execution.records[0]])
    assert app.history(f) == []


def test_execute_does_not_verify_external_data_but_checked_ranges(app: Application) -> None:
    """E5."""
    x = S3(app, "x", "day")
    g = node(app, "g", [x[:-3]])
    j = node(app, "j", [x[:-3].range_check(True)])
    app.execute(g["2022-01-01"])
    assert read(app, g, "x") == ["2022-01-01", "2021-12-31", "2021-12-30"]
    with pytest.raises(RuntimeError, match=r"x\[2021-12-31\]"):
        app.execute(j["2022-01-01"])
    assert app.history(j) == []
    file(app, x["2021-12-31"])
    file(app, x["2021-12-30"])
    app.execute(j["2022-01-01"])
    assert ran(app, j) == ["2022-01-01"]


def test_the_tip_of_an_own_range_that_is_checked_has_to_be_ready_like_the_rest(app: Application) -> None:
    own = node(app, "own", [S3(app, "x", "day")])
    j = node(app, "j", [own[:-3].range_check(True)])
    for day in ("2021-12-30", "2021-12-31"):
        app.execute(own[day], update_dependency_tree=False)
    with pytest.raises(RuntimeError, match=r"j\[2022-01-01\] could not be started: not ready: own\[2022-01-01\]"):
        app.execute(j["2022-01-01"])
    app.execute(own["2022-01-01"])
    app.settle(60)
    assert ran(app, j) == ["2022-01-01"]


def test_a_table_over_a_checked_range_fails_if_the_injected_tip_is_absent(app: Application) -> None:
    x = S3(app, "x", "day")
    j = node(app, "j", [x[:-2].range_check(True)], compute_targets=[PrestoSQL("select 1 as n")])
    file(app, x["2021-12-31"])
    with pytest.raises(RuntimeError, match=r"input 'x' of 'j' is range-checked, and x\[2022-01-01\] is missing. Write"):
        app.execute(j["2022-01-01"])


def test_a_recursive_execution_refuses_missing_external_data_before_it_runs_anything(app: Application) -> None:
    """E6."""
    ext, _, b = chain(app)
    with pytest.raises(ValueError, match=r"ext\[1\]\[2022-03-04\]"):
        app.execute(b[1]["2022-03-04"], recursive=True)
    assert app.history() == []
    file(app, ext[1]["2022-03-04"])
    app.execute(b[1]["2022-03-04"], recursive=True)
    assert [(e.node, e.partition, e.status) for e in app.history()] == [
        ("a", ("1", "2022-03-04"), "COMPLETED"),
        ("b", ("1", "2022-03-04"), "COMPLETED"),
    ]
    assert app.get_active_routes() == []


def test_a_recursive_execution_builds_what_is_missing_once_and_what_exists_never_again(app: Application) -> None:
    """signals.md §6, recursive: what E7 is to E8."""
    ext, a, b = chain(app, 3)
    for day in ("2022-03-02", "2022-03-03", "2022-03-04"):
        file(app, ext[1][day])  # before the first activation: known, and no events
    app.execute(a[1]["2022-03-03"])
    app.execute(b[1]["2022-03-04"], recursive=True)
    app.settle(60)
    assert sorted(ran(app, a)[:3]) == ["1/2022-03-02", "1/2022-03-03", "1/2022-03-04"]
    assert ran(app, b).count("1/2022-03-04") == 1
    assert app.pending() == []


def test_a_recursive_execution_without_waiting_still_waits_for_the_gaps(app: Application, tmp_path) -> None:
    """E8."""
    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=n)) for n in range(3)]
    ext, a, b = chain(app, 3)
    for day in days:
        file(app, ext[1][day])
    path = app.execute(b[1][days[0]], recursive=True, wait=False)
    assert {f"1/{days[1]}", f"1/{days[2]}"} <= set(ran(app, a))
    assert app.poll(b[1][days[0]])[0] == path
    assert ran(app, b).count(f"1/{days[0]}") == 1


def test_recursive_accepts_a_missing_reference_and_refuses_a_missing_nearest(app: Application) -> None:
    """signals.md §6: a missing external `ref` is ignored; external `nearest` with nothing in range is a ValueError."""
    x, extra = S3(app, "x", "day"), S3(app, "extra", "day")
    n = node(app, "n", [x, extra[:-3].ref])
    m = node(app, "m", [x, extra[:-3].nearest()])
    file(app, x["2022-01-03"])
    app.execute(n["2022-01-03"], recursive=True)
    with pytest.raises(ValueError, match="extra"):
        app.execute(m["2022-01-03"], recursive=True)
    assert ran(app, n) == ["2022-01-03"]
    assert app.history(m) == []


def test_recursive_executes_only_the_tip_of_an_own_nearest(app: Application) -> None:
    """signals.md §6: `nearest` with nothing in range executes only the tip of an own node."""
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    a = node(app, "a", [y])
    n = node(app, "n", [x, a[:-3].nearest()])
    file(app, x["2022-01-03"])
    file(app, y["2022-01-03"])
    app.execute(n["2022-01-03"], recursive=True)
    assert ran(app, a) == ["2022-01-03"]
    assert read(app, n, "a") == ["2022-01-03"]


def test_given_inputs_determine_the_output_of_a_bare_node(app: Application) -> None:
    """signals.md §6: inputs."""
    x, z = S3(app, "x", "day"), S3(app, "z", "other")
    n = node(app, "n", {"x": x[:-2], "z": z})
    with pytest.raises(ValueError, match="other"):
        app.execute(n["2022-01-03"])
    app.execute(n, inputs=[x["2022-01-03"], z["2019-05-05"]])
    assert ran(app, n) == ["2022-01-03"]
    assert read(app, n, "x") == ["2022-01-03", "2022-01-02"]
    assert read(app, n, "z") == ["2019-05-05"]
    app.execute(n["2022-01-04"], inputs={"z": z["2019-05-06"]})
    assert read(app, n, "z") == ["2019-05-06"]


@pytest.mark.parametrize(
    "inputs",
    [
        lambda x, y: [x["2022-01-04"]],
        lambda x, y: [y["2022-01-03"]],
        lambda x, y: [x["*"]],
        lambda x, y: {"other": x["2022-01-03"]},
        lambda x, y: [x["2022-01-03"], x["2022-01-04"]],
    ],
    ids=["disagrees with the output", "not an input", "open", "unknown alias", "disagree with each other"],
)
def test_wrong_inputs_are_refused(app: Application, inputs: Callable) -> None:
    """signals.md §6: given inputs must be concrete, belong to the node, and agree."""
    x, y = S3(app, "x", "day"), S3(app, "y", "day")
    n = node(app, "n", [x])
    node(app, "m", [y])
    with pytest.raises(ValueError):
        app.execute(n["2022-01-03"], inputs=inputs(x, y))
    with pytest.raises(ValueError):
        app.validate(n["2022-01-03"], inputs=inputs(x, y))
    assert app.history() == []


def test_one_given_input_fills_every_alias_that_it_satisfies(app: Application) -> None:
    """signals.md §6: inputs; ranges anchor on it."""
    x = S3(app, "x", "region", "day")
    n = node(app, "n", {"last": x["NA"][:-2], "tip": x["NA"]["*"]})
    app.execute(n, inputs=[x["NA"]["2022-01-03"]])
    assert read(app, n, "last") == ["NA/2022-01-03", "NA/2022-01-02"]
    assert read(app, n, "tip") == ["NA/2022-01-03"]


def test_the_inputs_of_an_execution_are_no_events_for_other_nodes(app: Application) -> None:
    """signals.md §6: `execute` offers its inputs to the target only."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    other = node(app, "other", [x])
    app.execute(n["2022-01-03"])
    app.settle(60)
    assert ran(app, n) == ["2022-01-03"]
    assert app.history(other) == []
    assert pending(app, other) == 0


def test_an_existing_partition_is_executed_again(app: Application) -> None:
    """signals.md §6: also if it exists already."""
    n = node(app, "n", [], output_dimension_spec=FREE_DAY)
    app.execute(n["2022-01-03"])
    app.execute(n["2022-01-03"])
    assert ran(app, n) == ["2022-01-03", "2022-01-03"]


def test_validate_makes_the_checks_without_any_effect(app: Application) -> None:
    """signals.md §6: validate."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x[:-2].range_check(True)])
    app.validate(n["2022-01-03"])
    with pytest.raises(RuntimeError, match=r"x\[2022-01-02\]"):
        app.validate(n["2022-01-03"], readiness=True)
    with pytest.raises(ValueError, match="day"):
        app.validate(n["*"])
    file(app, x["2022-01-02"])
    app.validate(n["2022-01-03"], readiness=True)
    assert app.history() == []
    assert app.poll(n["2022-01-03"]) == (None, None)


def test_an_unpartitioned_input_is_read_by_a_partitioned_node(app: Application) -> None:
    x, rates = S3(app, "x", "day"), S3(app, "rates")
    n = node(app, "n", [x, rates])
    app.execute(n["2022-01-03"])
    assert app.history(n)[-1].inputs == {"x": [("2022-01-03",)], "rates": [()]}


def test_a_missing_partition_is_named_in_the_history(app: Application) -> None:
    """signals.md §3: callables get paths whether or not they exist; `history().missing` names the absent ones."""
    x = S3(app, "x", "day")
    n = node(app, "n", [x[:-3]], compute_targets=[InlinedCompute(nothing)])
    file(app, x["2022-01-03"])
    app.execute(n["2022-01-03"])
    assert app.history(n)[-1].missing == {"x": [("2022-01-02",), ("2022-01-01",)]}


def test_a_plan_absorbs_the_pushes_that_would_start_its_partitions(app: Application) -> None:
    """signals.md §6: a partition that a running plan holds is started by that plan alone."""
    ext, _, b = chain(app)
    below = node(app, "below", [b])
    file(app, ext[1]["2022-03-04"])
    app.execute(b[1]["2022-03-04"], recursive=True)
    app.poll(below[1]["2022-03-04"])
    made = [(e.node, e.partition[1]) for e in app.history()]
    assert made == [("a", "2022-03-04"), ("b", "2022-03-04"), ("below", "2022-03-04")]


def test_a_file_that_arrives_is_an_event_also_after_an_execution_of_its_partition(app: Application) -> None:
    x = S3(app, "x", "day")
    n = node(app, "n", [x])
    app.activate()
    app.execute(n["2022-01-03"])
    file(app, x["2022-01-03"])
    cycle(app)
    assert ran(app, n) == ["2022-01-03", "2022-01-03"]


def test_files_that_an_execution_has_read_before_they_were_noticed_start_nothing_more(app: Application) -> None:
    x = S3(app, "x", "day")
    a = node(app, "a", [x])
    b = node(app, "b", [a[:-2]])
    app.activate()
    days = ["2022-01-02", "2022-01-03"]
    for day in days:
        file(app, x[day])
    app.execute(b[days[-1]], recursive=True)
    app.settle(60)
    assert sorted(ran(app, a)) == days
    assert sorted(ran(app, b)) == days
    assert [e.status for e in app.history()] == ["COMPLETED"] * 4
    file(app, x[days[-1]])  # written again
    app.settle(60)
    assert sorted(ran(app, a)) == [*days, days[-1]]
    assert sorted(ran(app, b)) == [*days, days[-1]]


def test_an_event_that_is_injected_runs_whatever_has_been_read(app: Application) -> None:
    x = S3(app, "x", "day")
    a = node(app, "a", [x])
    app.activate()
    file(app, x["2022-01-03"])
    app.execute(a["2022-01-03"])
    app.process(x["2022-01-03"])
    assert ran(app, a) == ["2022-01-03"] * 2


def test_a_reader_that_has_not_read_the_files_runs_when_they_are_noticed(app: Application) -> None:
    x = S3(app, "x", "day")
    a, other = node(app, "a", [x]), node(app, "other", [x])
    app.activate()
    file(app, x["2022-01-03"])
    app.execute(a["2022-01-03"])
    app.settle(60)
    assert ran(app, a) == ran(app, other) == ["2022-01-03"]
