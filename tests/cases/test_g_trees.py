"""Cases G: `execute(update_dependency_tree=True)`: a partition and what is made of it."""

from __future__ import annotations

import pytest

from rheo_assets import Application, InlinedCompute
from tests.cases.topologies import DAY, LONG, S3, event, file, node, pending, ran, spec


def numbered(app: Application, name: str):
    return S3(app, name, region=LONG, day=DAY)


def day(number: int) -> str:
    return f"2022-03-{number:02}"


def made(app: Application) -> list[str]:
    return [f"{e.node}/{'/'.join(e.partition)}" for e in app.history()]


def test_recursive_pulls_in_the_other_parent_of_a_child(app: Application) -> None:
    """G2."""
    ext1, ext2 = numbered(app, "ext1"), numbered(app, "ext2")
    a = node(app, "a", [ext1])
    node(app, "b", [ext2, a])
    file(app, ext1[1][day(4)])
    with pytest.raises(ValueError, match=r"ext2\[1\]\[2022-03-04\]"):
        app.execute(a[1][day(4)], recursive=True, update_dependency_tree=True)
    assert app.history() == []
    file(app, ext2[1][day(4)])
    app.execute(a[1][day(4)], recursive=True, update_dependency_tree=True)
    assert made(app) == ["a/1/2022-03-04", "b/1/2022-03-04"]


def test_nodes_of_the_tree_are_not_executed_recursively(app: Application) -> None:
    """G3."""
    ext1, ext2 = numbered(app, "ext1"), numbered(app, "ext2")
    a = node(app, "a", [ext1])
    b = node(app, "b", [ext2, a])
    c = node(app, "c", [b, a[1][:-7].ref.range_check(True)])
    for number in range(14, 21):
        file(app, ext1[1][day(number)])
    file(app, ext2[1][day(20)])
    app.execute(a[1][day(20)], recursive=True, update_dependency_tree=True)
    assert made(app) == ["a/1/2022-03-20", "b/1/2022-03-20"]
    assert pending(app, c) == 1
    for number in range(14, 20):
        app.execute(a[1][day(number)])
    app.settle(60)
    assert ran(app, c) == ["1/2022-03-20"]
    assert (len(app.history(a)), len(app.history(b)), len(app.history(c))) == (7, 1, 1)


def test_each_node_of_a_diamond_runs_once_after_its_parents(app: Application) -> None:
    """signals.md §6: each runs once, after its parents in the plan."""
    x = S3(app, "x", "day")
    top = node(app, "top", [x])
    left, right = node(app, "left", [top]), node(app, "right", [top])
    bottom = node(app, "bottom", [left, right])
    app.execute(top[day(4)], update_dependency_tree=True)
    assert sorted(made(app)) == [f"{n}/2022-03-04" for n in ("bottom", "left", "right", "top")]
    assert made(app)[0] == "top/2022-03-04"
    assert made(app)[-1] == "bottom/2022-03-04"
    app.settle(60)
    assert len(app.history()) == 4
    assert app.pending() == []
    app.execute(left[day(4)], update_dependency_tree=True)
    app.settle(60)
    assert [len(app.history(n)) for n in (top, left, right, bottom)] == [1, 2, 1, 2]


def test_recorded_executions_that_read_the_partition_through_a_range_run_again(app: Application) -> None:
    """signals.md §6: and the recorded executions that read it through a range."""
    x = S3(app, "x", "day")
    a = node(app, "a", [x])
    weekly = node(app, "weekly", [a[:-3]])
    app.activate()
    for number in (4, 5, 6, 9):
        event(app, x[day(number)])
    assert ran(app, weekly) == [day(4), day(5), day(6), day(9)]
    app.execute(a[day(4)], update_dependency_tree=True)
    app.settle(60)
    assert ran(app, a) == [day(4), day(5), day(6), day(9), day(4)]
    assert sorted(ran(app, weekly)[4:]) == [day(4), day(5), day(6)]


def test_a_recorded_execution_that_is_not_ready_waits_as_a_group(app: Application) -> None:
    """signals.md §6: a planned execution waits (pending) if its other inputs are not ready."""
    x, gate = S3(app, "x", "day"), S3(app, "gate", "day")
    a = node(app, "a", [x])
    c = node(app, "c", [a, gate[:-2].ref.range_check(True)])
    file(app, gate[day(4)])
    earlier = file(app, gate[day(3)])
    app.activate()
    event(app, x[day(4)])
    assert ran(app, c) == [day(4)]
    completion = earlier / "_SUCCESS"
    completion.unlink()
    app.execute(a[day(4)], update_dependency_tree=True)
    assert ran(app, c) == [day(4)]
    assert pending(app, c) == 1
    completion.touch()
    app.tick()
    app.settle(60)
    assert ran(app, c) == [day(4), day(4)]
    assert pending(app, c) == 0


def test_a_tree_stops_below_a_failure_and_says_what_failed(app: Application) -> None:
    def fail(inputs, output, params):
        raise ValueError("cannot join")

    a = node(app, "a", [], output_dimension_spec=spec("day"))
    b = node(app, "b", [a], compute_targets=[InlinedCompute(fail)])
    c = node(app, "c", [b])
    with pytest.raises(RuntimeError, match=r"b\[2022-03-04\].*cannot join"):
        app.execute(a[day(4)], update_dependency_tree=True)
    app.settle(60)
    assert [len(app.history(n)) for n in (a, b, c)] == [1, 1, 0]


def test_a_tree_without_waiting_goes_on_after_the_call(app: Application) -> None:
    a = node(app, "a", [], output_dimension_spec=spec("day"))
    b = node(app, "b", [a])
    c = node(app, "c", [b])
    path = app.execute(a[day(4)], update_dependency_tree=True, wait=False)
    assert app.poll(c[day(4)])[0] is not None
    assert app.poll(a[day(4)])[0] == path
    app.settle(60)
    assert [len(app.history(n)) for n in (a, b, c)] == [1, 1, 1]


def test_a_given_input_holds_for_the_root_of_a_tree(app: Application) -> None:
    x, z = S3(app, "x", "day"), S3(app, "z", "other")
    a = node(app, "a", [x, z])
    b = node(app, "b", [a])
    app.execute(a[day(4)], inputs=[z["2019-05-05"]], update_dependency_tree=True)
    assert app.history(a)[-1].inputs["z"] == [("2019-05-05",)]
    assert ran(app, b) == [day(4)]


def test_a_recorded_execution_runs_again_with_the_inputs_that_its_output_does_not_tell(app: Application) -> None:
    x, z = S3(app, "x", "day"), S3(app, "z", "other")
    a = node(app, "a", [x])
    b = node(app, "b", [a, z[:-2]])
    app.activate()
    event(app, x[day(4)])
    event(app, z["2019-05-05"])
    app.execute(a[day(4)], update_dependency_tree=True)
    assert ran(app, b) == [day(4), day(4)]
    assert [e.inputs["z"][0] for e in app.history(b)] == [("2019-05-05",)] * 2
