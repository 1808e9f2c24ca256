"""The planner against itself and against the rules written down as plain recursion, on random applications."""

import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rheo_assets.errors import Contradiction, DeclarationError, MissingInput, Undetermined, UnknownPartition
from rheo_assets.planning.dependency_tree import plan_tree
from rheo_assets.planning.input_sets import tips_of, tips_one_by_one
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.planning.recursive import plan_recursive
from tests.strategies import examples

pytestmark = pytest.mark.fast

DAYS = [datetime(2022, 3, 1) + timedelta(days=n) for n in range(12)]
WEEKS = [datetime(2022, 2, 21), datetime(2022, 2, 28), datetime(2022, 3, 7)]
REGIONS = ["EU", "NA"]
FLAGS = st.sampled_from(["plain", "plain", "ref", "ref checked", "checked", "nearest"])
RANGES = st.sampled_from(["*", "*", slice(None, -3), slice(None, 2), slice(-1, -2), slice(None, -5)])
DECLARED = [None, {"NA": {}, "EU": {}}, {"NA": {"_:-4": {}}, "EU": {"_:-2": {}}}]


def flagged(view, flag):
    if "ref" in flag:
        view = view.ref
    if "checked" in flag:
        view = view.range_check()
    return view.nearest() if flag == "nearest" else view


def declare(draw, app, name):
    wide = [n for n in app.nodes.values() if set(n.spec.names) == {"region", "day"}]
    wide += [n for n in wide if n.id in app.topology.data_nodes] * 3  # deep applications are the interesting ones
    narrow = [n for n in app.nodes.values() if n.spec.names == ("day",)]

    def view(node, region="*"):
        found, chosen = node._view(), draw(RANGES)
        for dimension in node.spec.names:
            found = found[region if dimension == "region" else chosen]
        return found

    if draw(st.integers(0, 3)) == 0:
        days = flagged(draw(st.sampled_from(wide))["*"]["*"].covering(), draw(st.sampled_from(["plain", "checked"])))
        more = {"other": flagged(view(draw(st.sampled_from(wide))).ref, "plain")} if draw(st.booleans()) else {}
        app.node(name, {"days": days, **more}, out=["region", ("week", {"granularity": "WEEK"})])
        return
    is_daily = draw(st.integers(0, 2)) == 0
    first, second = draw(st.sampled_from(wide)), draw(st.sampled_from([*wide, *narrow]))
    inputs = {"first": flagged(view(first, "EU" if is_daily else "*"), draw(st.sampled_from(["plain", "checked"])))}
    links = []
    if draw(st.booleans()):
        inputs["second"] = flagged(view(second), draw(FLAGS))
        if draw(st.integers(0, 3)) == 0:
            days = timedelta(days=draw(st.integers(0, 2)))
            links = [(inputs["second"]("day"), lambda day: day - days, inputs["first"]("day"))]
    if draw(st.booleans()):
        inputs["pinned"] = flagged(view(draw(st.sampled_from(wide)), "NA"), draw(FLAGS))
    if draw(st.booleans()):
        inputs["table"] = app.nodes["looked_up"]["*"].ref
    out = ["day"] if is_daily else draw(st.sampled_from([None, ["day", "region"]]))
    app.node(name, inputs, out=out, links=links)


@st.composite
def applications(draw, make):
    app = make()
    minimum = {"min": DAYS[0]} if draw(st.booleans()) else {}
    app.s3("both", "region", ("day", minimum), only=draw(st.sampled_from(DECLARED)))
    app.s3("daily", "day")
    app.s3("looked_up", "region")
    tick = app.timer("tick")
    app.project("fanned", tick, ["region", "day"], {"NA": {"*": {}}, "EU": {"*": {}}})
    for number in range(draw(st.integers(2, 5))):
        with contextlib.suppress(DeclarationError, UnknownPartition):  # values that contradict each other
            declare(draw, app, f"n{number}")
    assume(app.topology.data_nodes)
    return app, draw(stored(app))


@st.composite
def stored(draw, app):
    chosen = set()
    for node in app.nodes.values():
        if node.id == "tick" or not node.holds_data:
            continue
        if node.id in {"both", "daily", "looked_up"}:
            every = [p for p in everything(node) if node.filter.admits(node.spec, p)]
            chosen |= {(node.id, p) for p in every}
            for p in draw(st.sets(st.sampled_from(every), max_size=1)):
                chosen.discard((node.id, p))
        else:
            chosen |= {(node.id, p) for p in draw(st.sets(st.sampled_from(everything(node)), max_size=6))}
    return chosen


def everything(node):
    columns = {"region": REGIONS, "day": [*[DAYS[0] - timedelta(days=n) for n in (3, 2, 1)], *DAYS], "week": WEEKS}
    partitions = [()]
    for dimension in node.spec:
        partitions = [(*p, value) for p in partitions for value in columns[dimension.name]]
    return partitions


class Model:
    """The rules of `recursive=True`, one partition at a time."""

    def __init__(self, app):
        self.app, self.planned, self.missing = app, {}, set()

    def has(self, node, partition):
        return (node.id, partition) in self.app.stored

    def execute(self, node, partition):
        if (node.id, partition) in self.planned:
            return
        self.planned[node.id, partition] = set()
        tips = node.linkage.resolve_output(partition)
        for alias, view in node.inputs.items():
            if view.node.holds_data:
                self.supply(view, tips[alias], self.planned[node.id, partition])

    def supply(self, view, tip, reads):
        source = view.node
        read = [p for p in view.partitions(tip) if source.spec.can_exist(p)]  # nothing else can be built
        reads |= {(source.id, p) for p in read}
        is_own = source.id in self.app.topology.data_nodes
        if view.is_nearest:
            if not any(self.has(source, p) for p in read):
                self.execute(source, read[0]) if is_own else self.missing.add(source.describe(tip))
        elif is_own:
            for p in read:
                if not self.has(source, p):
                    self.execute(source, p)
        else:
            needed = [tip] if view.needs_event and not view.is_covering else []
            needed += read if view.checks_range else []
            self.missing |= {source.describe(p) for p in needed if not self.has(source, p)}


def outcome(app, node, targets):
    """Returns the plan or the kind of error, with what it names."""
    try:
        return plan_recursive(app.topology, node, targets, app.exists)
    except MissingInput as error:
        return {text.split(" (")[0] for text in error.missing}
    except ValueError as error:
        return type(error)


def drawn_case(data, new_app):
    app, app_stored = data.draw(applications(new_app))
    app.stored = app_stored
    node = list(app.topology.data_nodes.values())[-1]
    days = data.draw(st.sets(st.sampled_from(DAYS[3:]), min_size=1, max_size=2))
    values = {"region": REGIONS, "day": days, "week": WEEKS[1:]}
    targets = [()]
    for dimension in node.spec:
        targets = [(*p, v) for p in targets for v in values[dimension.name]]
    allowed = [p for p in targets if node.filter.admits(node.spec, p)]
    return app, node, allowed


@given(st.data())
@examples(100)
def test_a_plan_is_what_plain_recursion_finds(new_app, data):
    app, node, targets = drawn_case(data, new_app)
    if not targets:
        return
    model = Model(app)
    try:
        for target in targets:
            model.execute(node, target)
    except (ValueError, IndexError):
        assert isinstance(outcome(app, node, targets), type)
        return
    found = outcome(app, node, targets)
    if model.missing:
        assert found == model.missing
        return
    order = list(found)
    assert len(order) == len(found) == len(set(order))
    assert set(order) == set(model.planned)
    position = {execution: number for number, execution in enumerate(order)}
    for execution, reads in model.planned.items():
        assert all(position[read] < position[execution] for read in reads if read in position)


def tips_or_error(solve, node, outputs):
    try:
        return solve(node, outputs)
    except ValueError as error:
        return type(error)


@given(st.data())
@examples(60)
def test_a_row_of_outputs_has_the_tips_that_single_outputs_have(new_app, data):
    app, _ = data.draw(applications(new_app))
    for node in app.topology.data_nodes.values():
        outputs = PartitionSet.of(node.spec, data.draw(st.sets(st.sampled_from(everything(node)), min_size=1)))
        assert tips_or_error(tips_of, node, outputs) == tips_or_error(tips_one_by_one, node, outputs)


def some_tips(node, output):
    """Returns the tips of one execution of an output: what the output does not tell was what there is first."""
    tips = {}
    while True:
        try:
            return node.linkage.resolve_output(output, tips)
        except Undetermined:
            solution = node.linkage.solve(tips, output)
            alias = next(alias for alias, tip in solution.tips.items() if tip is None)
            tips[alias] = next(p for p in everything(node.inputs[alias].node) if fits(node, output, tips, alias, p))


def fits(node, output, tips, alias, tip):
    with contextlib.suppress(Contradiction):
        node.linkage.solve({**tips, alias: tip}, output)
        return True
    return False


def touched(node, tips):
    """Returns what an execution reads, and the tips whose events would start it."""
    found = set()
    for alias, tip in tips.items():
        view = node.inputs[alias]
        found |= {(view.node.id, p) for p in view.partitions(tip) if view.node.spec.can_exist(p)}
        found |= {(view.node.id, tip)} if view.needs_event else set()
    return found


def history_of(app):
    """Returns one execution of every output that there can be: its tips, and what it touches."""
    tips, history = {}, {}
    for node in app.topology.data_nodes.values():
        for output in everything(node):
            if node.filter.admits(node.spec, output):
                with contextlib.suppress(Contradiction, StopIteration):
                    tips[node.id, output] = some_tips(node, output)
                    history[node.id, output] = touched(node, tips[node.id, output])
    return tips, history


@given(st.data())
@examples(60)
def test_a_tree_is_everything_that_a_full_history_says_was_made_of_it(new_app, data):
    app, _ = data.draw(applications(new_app))
    tips, history = history_of(app)
    assume(history)
    target = data.draw(st.sampled_from(sorted(history)))
    tree, size = {target}, 0
    while len(tree) > size:
        size = len(tree)
        tree |= {execution for execution, reads in history.items() if reads & tree}

    def readers(node_id, partition):
        return {execution: tips[execution] for execution, reads in history.items() if (node_id, partition) in reads}

    plan = plan_tree(app.topology, app.nodes[target[0]], target[1], readers, tips=tips[target])
    order = list(plan)
    assert set(order) == tree
    assert len(order) == len(tree)
    for execution in order:
        node = app.nodes[execution[0]]
        assert node.linkage.resolve_output(execution[1], plan.inputs.get(execution)) == tips[execution]
    position = {execution: number for number, execution in enumerate(order)}
    assert all(position[read] < position[each] for each in order for read in history[each] if read in position)


@given(st.data())
@examples(60)
def test_the_declared_outputs_are_those_that_contradict_no_link(new_app, data):
    app, _ = data.draw(applications(new_app))
    for node in app.topology.data_nodes.values():
        for output in everything(node):
            if DAYS[3] in output:  # so that no link leads before a `min`
                admitted, possible = node.filter.admits(node.spec, output), is_possible(node, output)
                # What a function makes of a value that nobody declared is known when it is there, not before.
                assert admitted >= possible if is_shifted(node) else admitted == possible, node.describe(output)


def is_shifted(node):
    return bool(node.declaration["input_dim_links"])


def is_possible(node, output):
    with contextlib.suppress(Contradiction):
        node.linkage.solve({}, output)
        return True
    return False
