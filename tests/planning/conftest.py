"""Small applications, as tests write them down."""

import pytest

from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset
from rheo_assets.model.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.topology import Topology
from rheo_assets.planning.partition_sets import PartitionSet

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
        dataset = S3Dataset("1", "bucket", name, *["{}"] * len(dimensions))
        return self._add(external_node("app", name, dataset, spec_of(*dimensions), only, SUCCESS))

    def timer(self, name, dimension="day"):
        dimension, more = dimension if isinstance(dimension, tuple) else (dimension, {})
        return self._add(timer_node("app", name, "rate(1 day)", dimension, **more))

    def project(self, name, source, dimensions, branches):
        return self._add(projection_node("app", name, source, spec_of(*dimensions), branches))

    def node(self, name, inputs=(), out=None, links=(), output_links=(), auto_inputs=True):
        declared = {
            "input_dim_links": links,
            "output_dimension_spec": spec_of(*out) if out is not None else None,
            "output_dim_links": output_links,
            "compute_targets": NOOPCompute,
            "auto_input_dim_linking_enabled": auto_inputs,
        }
        return self._add(data_node("app", "internal", name, inputs, **declared))

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
