"""The nodes of an application: frozen, and validated when declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.targets import Target
from rheo_assets.model.datasets import DataFormat, Layout, SignalIntegrityProtocol
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType, Partition, Value
from rheo_assets.model.filters import Branch, Exactly
from rheo_assets.model.links import Linkage
from rheo_assets.model.signals import Signal, View, as_view

if TYPE_CHECKING:
    from rheo_assets.model.schedules import Schedule

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,126}\Z")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset({"inputs", "output", "dimensions", "args", "spark", "runtime_platform"})


def check_id(kind: str, name: object) -> str:
    """Returns a node id or application name.

    Raises:
        DeclarationError: The name cannot be used in keys and paths.
    """
    if not isinstance(name, str) or not _ID.match(name):
        raise DeclarationError(
            f"{kind} {name!r}", "is not a valid name", "Use letters, digits, '_' and '-'; start with a letter"
        )
    return name


@dataclass(frozen=True, eq=False, repr=False)
class ExternalData(Signal):
    """A dataset that someone else writes.

    Attributes:
        layout: The folders of its partitions.
        format: The format of the files.
        options: Reader options.
        protocol: What announces a partition; None if any object does.
        metadata: The user's description of it.
        columns: The declared columns, with names and types as Hive writes them; empty if the files define them.
    """

    layout: Layout
    format: DataFormat
    options: Mapping[str, Any]
    protocol: SignalIntegrityProtocol | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()

    noun = "external data"
    exists_beside_filter = True


@dataclass(frozen=True, eq=False, repr=False)
class Timer(Signal):
    """A schedule whose ticks are events; the value is the scheduled time in UTC.

    Attributes:
        expression: `rate(...)` or `cron(...)`.
        schedule: The parsed expression.
        shift: The number of steps from the scheduled time to the value.
        metadata: The user's description of it.
    """

    expression: str
    schedule: Schedule
    shift: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    noun = "a timer"
    holds_data = False

    def tick(self, moment: Value) -> Partition:
        """Returns the partition of a scheduled time, with the shift applied."""
        (dimension,) = self.spec
        return (dimension.shift(dimension.read(moment), self.shift),)


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Signal):
    """Fans one event out over known values: emits one event for each branch of its filter.

    Attributes:
        source: The view whose events it fans out.
        metadata: The user's description of it.
    """

    source: View
    metadata: Mapping[str, Any] = field(default_factory=dict)

    noun = "a projection"
    holds_data = False

    def fan_out(self, tip: Partition) -> Iterator[Partition]:
        """Yields the partitions for an event of the source; `'*'` is taken from the source."""
        spec = self.source.node.spec
        for branch in self.filter.branches:
            values = []
            for dimension, constraint in zip(self.spec, branch, strict=True):
                if isinstance(constraint, Exactly):
                    values.append(constraint.value)
                else:
                    index = spec.index(dimension.name)
                    values.append(dimension.convert(tip[index], spec.dimensions[index]))
            yield tuple(values)


@dataclass(frozen=True, eq=False, repr=False)
class DataNode(Signal):
    """A dataset that this application builds from its inputs.

    Attributes:
        inputs: Views by alias, in declared order.
        linkage: How their tips and the output determine each other.
        targets: The compute targets, in order.
        layout: The folders of its partitions.
        format: The format of its output.
        options: Writer options.
        protocol: The completion file.
        ttl: Seconds after which a waiting trigger group is dropped; None for never.
        metadata: The user's description of it: `description`, `owners`, `tags`, `group`, …
        declaration: The arguments that it was declared with, for `patch_data`.
        columns: The declared columns of its output, in the form of `ExternalData.columns`.
    """

    inputs: Mapping[str, View]
    linkage: Linkage
    targets: tuple[Target, ...]
    layout: Layout
    format: DataFormat
    options: Mapping[str, Any]
    protocol: SignalIntegrityProtocol
    ttl: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    declaration: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()

    noun = "a data node"

    @property
    def parents(self) -> tuple[Signal, ...]:
        """The distinct nodes it reads."""
        return tuple({view.node.id: view.node for view in self.inputs.values()}.values())


def _input(signal: object, where: str) -> View:
    try:
        return as_view(signal)
    except DeclarationError as error:
        raise DeclarationError(f"{where}: input {error.subject}", error.problem, error.remedy) from None


def read_inputs(where: str, declared: object) -> dict[str, View]:
    """Returns views by alias from a list or dict of inputs.

    Raises:
        DeclarationError: A node is listed twice, an alias is not an identifier, or no input can start a run.
    """
    views: dict[str, View] = {}
    if declared is None:
        return views
    if isinstance(declared, Mapping):
        pairs = [(alias, _input(signal, where)) for alias, signal in declared.items()]
    elif isinstance(declared, Sequence) and not isinstance(declared, str):
        listed = [_input(signal, where) for signal in declared]
        pairs = [(view.node.id.replace("-", "_"), view) for view in listed]
    else:
        view = _input(declared, where)
        pairs = [(view.node.id.replace("-", "_"), view)]
    for alias, view in pairs:
        if not isinstance(alias, str) or not _ALIAS.match(alias) or alias in _RESERVED or iskeyword(alias):
            raise DeclarationError(
                where,
                f"alias {alias!r} is not a valid variable name",
                f"Use an identifier that is not a Python keyword and not one of {sorted(_RESERVED)}",
            )
        if alias in views:
            raise DeclarationError(
                where, f"'{view.node.id}' is listed twice", "Name the inputs: inputs={'x': node[...], 'y': node[...]}"
            )
        views[alias] = view
    if views and not any(view.needs_event for view in views.values()):
        raise DeclarationError(
            where,
            "every input is a ref or nearest, so no event can start it",
            "Leave one input plain, or add a timer",
        )
    return views


def input_links_of(where: str, links: object) -> tuple[Sequence[Any], ...]:
    """Returns links as a tuple of triples."""
    if links is None:
        return ()
    if not isinstance(links, list | tuple):
        raise DeclarationError(where, f"links are {links!r}", 'Write [(x("day"), EQUALS, y("day"))]')
    return tuple(links)


def check_projection(where: str, source: View, spec: DimensionSpec, branches: Sequence[Branch]) -> None:
    """Checks that a projection reads single events, and that every `'*'` can be taken from them."""
    if source.is_range or source.checks_range or not source.needs_event:
        raise DeclarationError(
            where,
            f"its input is {source}, but a projection only follows each event of its input",
            f"Project '{source.node.id}' itself, and set ranges and flags where you read the projection",
        )
    for branch in branches:
        for dimension, constraint in zip(spec, branch, strict=True):
            if not isinstance(constraint, Exactly) and dimension.name not in source.node.spec:
                raise DeclarationError(
                    where,
                    f"dimension '{dimension.name}' is '*' but '{source.node.id}' has only "
                    f"{list(source.node.spec.names)}",
                    "Give its values in output_dimension_filter",
                )
            if not isinstance(constraint, Exactly):
                _check_kinds(where, source.node.spec[dimension.name], dimension)


def _check_kinds(where: str, source: Dimension, target: Dimension) -> None:
    """Checks that a dimension can take the values of another one; for text, only the values themselves show it."""
    kinds = {source.type, target.type}
    if len(kinds) > 1 and DimensionType.DATETIME in kinds and source.type is not DimensionType.STRING:
        raise DeclarationError(
            where,
            f"dimension '{target.name}' is '*' and a {target.type}, and its input's is a {source.type}",
            f"Declare it as a {source.type}, or give its values in output_dimension_filter",
        )
