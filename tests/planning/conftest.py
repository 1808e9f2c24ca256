"""Small applications, as tests write them down."""

import pytest

from rheo_assets.datasets import SUCCESS, DataFormat, Layout
from rheo_assets.dimensions import DimensionSpec
from rheo_assets.filters import Filter
from rheo_assets.links import Linkage
from rheo_assets.nodes import DataNode, ExternalData, Projection, Timer, read_inputs
from rheo_assets.planning.partition_sets import PartitionSet
from rheo_assets.topology import Topology

KINDS = {"region": "STRING", "org": "STRING", "n": "LONG", "hour": "LONG"}


def spec_of(*dimensions):
    """`"day"` is a daily DATETIME; `("month", {"granularity": "MONTH"})` says more."""
    tree = {}
    for dimension in reversed(dimensions):
        name, more = dimension if isinstance(dimension, tuple) else (dimension, {})
        tree = {name: {"type": KINDS.get(name, "DATETIME"), **more, **tree}}
    return DimensionSpec.of(tree or None)


class App:
    """Declares nodes and plans on them; `stored` says what is complete."""

    def __init__(self):
        self.nodes = {}
        self.stored = set()

    def _add(self, node):
        self.nodes[node.id] = node
        return node

    def s3(self, name, *dimensions, only=None):
        spec = spec_of(*dimensions)
        layout = Layout(f"s3://b/{name}", ("{}",) * len(spec))
        allowed = Filter.of(spec, only, name)
        return self._add(ExternalData(name, "app", spec, allowed, layout, DataFormat.JSON, {}, SUCCESS))

    def timer(self, name, dimension="day"):
        spec = spec_of(dimension)
        return self._add(Timer(name, "app", spec, Filter.open(spec), "rate(1 day)", None))

    def project(self, name, source, dimensions, branches):
        spec = spec_of(*dimensions)
        return self._add(Projection(name, "app", spec, Filter.of(spec, branches, name), source._view()))

    def node(self, name, inputs=(), out=None, links=(), output_links=()):
        views = read_inputs(name, inputs)
        spec = spec_of(*out) if out is not None else next(iter(views.values())).node.spec if views else spec_of()
        linkage = Linkage(name, views, spec, links, output_links)
        if views:
            linkage.check_determined()
        layout = Layout(f"s3://b/{name}", ("{}",) * len(spec))
        allowed = linkage.output_filter()
        return self._add(
            DataNode(name, "app", spec, allowed, views, linkage, (), layout, DataFormat.PARQUET, {}, SUCCESS)
        )

    @property
    def topology(self):
        return Topology("app", self.nodes)

    def land(self, node, *partitions):
        self.stored |= {(node.id, node.spec.read(partition)) for partition in partitions}

    def is_ready(self, node_id, partition):
        return (node_id, partition) in self.stored

    def exists(self, node_id, partitions):
        return PartitionSet.of(partitions.spec, [p for p in partitions if (node_id, p) in self.stored])


@pytest.fixture
def app():
    return App()


@pytest.fixture(scope="session")
def new_app():
    return App


@pytest.fixture
def spec():
    return spec_of


@pytest.fixture
def days():
    """`days(1, 3)` is the first to the third of March 2022, as text."""
    return lambda first, last=None: [f"2022-03-{day:02d}" for day in range(first, (last or first) + 1)]


@pytest.fixture
def shown():
    """The plan's executions as text, in order."""

    def texts(app, plan):
        return [app.nodes[node].describe(partition) for node, partition in plan]

    return texts
