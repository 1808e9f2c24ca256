"""Random small applications and values for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from rheo_assets.errors import DeclarationError, RheoError
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType, Partition, Value
from rheo_assets.model.links import EQUALS
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.signals import Signal, View
from rheo_assets.model.topology import Topology

APP = "app"
GRANULARITIES = ("DAY", "DAY", "DAY", "HOUR", "MONTH", "WEEK")
FIRST = datetime(2021, 2, 26)


def one_more(value: Value) -> Value:
    return value + 1 if isinstance(value, int) else value + timedelta(days=1)


def choosy(value: Value) -> Value:
    if (value if isinstance(value, int) else value.day) % 3 == 0:
        raise LookupError("not this one")
    return value


def _level(random: Random, name: str) -> dict[str, Any]:
    if name == "region":
        return {"type": "STRING", **random.choice([{}, {}, {}, {"insensitive": True}, {"format": str.upper}])}
    if name == "n":
        return {"type": "LONG", **random.choice([{}, {"digits": 2}])}
    return {"type": "DATETIME", "granularity": random.choice(GRANULARITIES)}


def _spec(random: Random) -> dict[str, Any]:
    names = random.choice([("day",), ("n",), ("region", "day"), ("region", "n"), ("day", "n"), ("region",), ()])
    tree: dict[str, Any] = {}
    for name in reversed(names):
        tree = {name: {**_level(random, name), **tree}}
    return tree


def random_value(random: Random, dimension: Dimension) -> Value:
    if dimension.type is DimensionType.STRING:
        return dimension.read(random.choice(["NA", "NA", "EU", "na"]))
    if dimension.type is DimensionType.LONG:
        return random.choice([1, 2, 3])
    return dimension.read(FIRST + timedelta(days=random.randrange(5), hours=random.choice([0, 0, 7])))


def random_partition(random: Random, signal: Signal) -> Partition:
    return tuple(random_value(random, dimension) for dimension in signal.spec)


def _view(random: Random, signal: Signal) -> View:
    view = View(signal)
    for dimension in signal.spec:
        kind = random.random()
        if kind < 0.2:
            view = view[random_value(random, dimension)]
        elif kind < 0.5 and dimension.has_order:
            view = view[random.choice([slice(None, -2), slice(None, -3), slice(None, 2), slice(-1, -2)])]
        else:
            view = view["*"]
    flag = random.random()
    if flag < 0.2:
        view = view.ref
    if 0.15 < flag < 0.4:
        view = view.range_check(True)
    elif flag > 0.85:
        view = view.nearest()
    return view.covering(random.choice([None, "MONTH", "WEEK"])) if 0.4 < flag < 0.5 else view


def _links(random: Random, views: dict[str, View]) -> list[tuple[Any, Any, Any]]:
    aliases = list(views)
    if len(aliases) < 2 or random.random() < 0.5:
        return []
    one, other = random.sample(aliases, 2)
    pairs = [
        (d.name, e.name)
        for d in views[one].node.spec
        for e in views[other].node.spec
        if d.type is e.type and d.type is not DimensionType.STRING
    ]
    if not pairs:
        return []
    target, source = random.choice(pairs)
    return [(views[one](target), random.choice([EQUALS, one_more, choosy]), views[other](source))]


def _node(random: Random, name: str, signals: list[Signal]) -> DataNode:
    count = random.choice([1, 2, 2, 2, 3])
    views = {f"i{k}": _view(random, random.choice(signals)) for k in range(count)}
    output = None
    if any(view.is_covering for view in views.values()) and random.random() < 0.8:
        output = {"period": {"type": "DATETIME", "granularity": random.choice(["MONTH", "WEEK", "DAY"])}}
    return data_node(
        APP,
        "bucket",
        name,
        views,
        input_dim_links=_links(random, views),
        output_dimension_spec=output,
        compute_targets=NOOPCompute,
        auto_input_dim_linking_enabled=random.random() < 0.85,
        pending_node_expiration_ttl_in_secs=random.choice([None, None, 40]),
    )


def random_topology(random: Random) -> Topology:
    """Returns 1 to 3 sources, perhaps a timer and a projection, and 1 to 3 nodes."""
    signals: list[Signal] = []
    for number in range(random.choice([1, 2, 2, 3])):
        spec = DimensionSpec.of(_spec(random) or None)
        dataset = S3Dataset("1", "outside", f"x{number}", *["{}"] * len(spec))
        signals.append(external_node(APP, f"x{number}", dataset, spec, None, SUCCESS))
    if random.random() < 0.3:
        signals.append(timer_node(APP, "t", "rate(1 day)", "day"))
    if random.random() < 0.3 and any("day" in signal.spec for signal in signals):
        source = random.choice([signal for signal in signals if "day" in signal.spec])
        tree = {"region": {"type": "STRING", "day": {"type": "DATETIME", "granularity": "DAY"}}}
        signals.append(projection_node(APP, "p", View(source), tree, {"NA": {"*": {}}, "EU": {"*": {}}}))
    wanted = random.choice([1, 2, 2, 3])
    made = 0
    for _ in range(20):
        try:
            signals.append(_node(random, f"n{made}", signals))
        except (DeclarationError, RheoError):
            continue
        made += 1
        if made == wanted:
            break
    return Topology(APP, {signal.id: signal for signal in signals})
