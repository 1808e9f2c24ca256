"""Topology: the nodes of an application, and which node reads which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from rheo_assets.model.nodes import DataNode, ExternalData, Projection, Timer
from rheo_assets.model.signals import Signal


def _behind_projections(signal: Signal) -> Signal:
    while isinstance(signal, Projection):
        signal = signal.source.node
    return signal


def _read_by(node: Signal) -> tuple[Signal, ...]:
    if isinstance(node, Projection):
        return (node.source.node,)
    return tuple(view.node for view in node.inputs.values()) if isinstance(node, DataNode) else ()


@dataclass(frozen=True)
class Topology:
    """The nodes of one application, in declared order.

    Attributes:
        application: The application's name.
        nodes: Every node by id.
    """

    application: str
    nodes: Mapping[str, Signal]

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.nodes

    def __getitem__(self, node_id: str) -> Signal:
        return self.nodes[node_id]

    def __iter__(self) -> Iterator[Signal]:
        return iter(self.nodes.values())

    @cached_property
    def data_nodes(self) -> Mapping[str, DataNode]:
        """The nodes that this application builds."""
        return {node.id: node for node in self if isinstance(node, DataNode)}

    @cached_property
    def external_data(self) -> Mapping[str, ExternalData]:
        """The datasets that someone else writes."""
        return {node.id: node for node in self if isinstance(node, ExternalData)}

    @cached_property
    def timers(self) -> Mapping[str, Timer]:
        """The timers."""
        return {node.id: node for node in self if isinstance(node, Timer)}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[DataNode, ...]]:
        """The data nodes that read each node."""
        found: dict[str, dict[str, DataNode]] = {}
        for node in self.data_nodes.values():
            for parent in node.parents:
                found.setdefault(parent.id, {})[node.id] = node
        return {source: tuple(nodes.values()) for source, nodes in found.items()}

    @cached_property
    def projections(self) -> Mapping[str, tuple[Projection, ...]]:
        """The projections of each node."""
        found: dict[str, list[Projection]] = {}
        for node in self:
            if isinstance(node, Projection):
                found.setdefault(node.source.node.id, []).append(node)
        return {source: tuple(nodes) for source, nodes in found.items()}

    @property
    def is_joined(self) -> bool:
        """Whether every node reads the nodes of this topology, not an earlier declaration of them."""
        return all(read is self.nodes.get(read.id) for node in self for read in _read_by(node))

    @cached_property
    def upwards(self) -> tuple[DataNode, ...]:
        """The data nodes, parents before children."""
        order: dict[str, DataNode] = {}

        def visit(node: DataNode) -> None:
            stack: list[tuple[DataNode, Iterator[Signal]]] = [(node, iter(node.parents))]
            while stack:
                current, parents = stack[-1]
                made = (_behind_projections(parent) for parent in parents)
                parent = next((p for p in made if isinstance(p, DataNode) and p.id not in order), None)
                if parent is not None:
                    stack.append((parent, iter(parent.parents)))
                else:
                    order.setdefault(current.id, current)
                    stack.pop()

        for node in self.data_nodes.values():
            visit(node)
        return tuple(order.values())

    def ancestors(self, node_id: str) -> set[str]:
        """Returns the ids of all nodes that a node is built from."""
        found: set[str] = set()
        waiting = [node_id]
        while waiting:
            for parent in _read_by(self.nodes[waiting.pop()]):
                if parent.id not in found:
                    found.add(parent.id)
                    waiting.append(parent.id)
        return found

    def descendants(self, node_id: str) -> set[str]:
        """Returns the ids of all nodes that are built from a node."""
        found: set[str] = set()
        waiting = [node_id]
        while waiting:
            source = waiting.pop()
            for child in (*self.consumers.get(source, ()), *self.projections.get(source, ())):
                if child.id not in found:
                    found.add(child.id)
                    waiting.append(child.id)
        return found
