"""Signals: sources that can be subscripted, flagged and linked. Views are immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rheo_assets.errors import DeclarationError, NotConcrete, UnknownPartition, subscripted
from rheo_assets.model.dimensions import DatetimeGranularity, DimensionSpec, Partition
from rheo_assets.model.filters import ANY, Branch, Constraint, Exactly, Filter, Window, read_constraint, spelled
from rheo_assets.model.periods import Cover
from rheo_assets.model.ranges import Range
from rheo_assets.model.subscripts import Subscriptable


@dataclass(frozen=True, eq=False, repr=False)
class Signal(Subscriptable):
    """A source with dimensions and a filter; the base of every node.

    Attributes:
        id: The node's name, unique in its application; a Python identifier with `-` allowed.
        application: The name of the application that declares it.
        spec: The ordered dimensions.
        filter: The partitions that it has.
    """

    id: str
    application: str
    spec: DimensionSpec
    filter: Filter

    noun = "a node"
    holds_data = True
    exists_beside_filter = False  # whether partitions outside the filter exist, although they are not routed
    may_stop_early = False

    @property
    def node(self) -> Signal:
        """The node itself: views have the same attribute."""
        return self

    def _view(self) -> View:
        return View(self)

    def describe(self, partition: Partition) -> str:
        """Returns `id[NA][2021-09-20]`."""
        return subscripted(self.id, self.spec.render(partition))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {subscripted(self.id, self.spec.names)} of {self.application}>"


@dataclass(frozen=True, slots=True, repr=False)
class View(Subscriptable):
    """A signal as an input or a call uses it: constraints on its first dimensions, and flags.

    Attributes:
        node: The signal.
        constraints: The subscripts, in spec order.
        is_ref: Whether it takes no events: its tip is inferred.
        checks_range: Whether an execution waits until every partition that it reads is ready.
        is_nearest: Whether only the ready partition closest to the tip is read.
        is_covering: Whether every partition of a period is read.
        period: The period; None until the node or the user determines it.
        narrowed: The signal's filter with these constraints.
        cover: The covered dimension and its period; None if there is none, or its period is not known yet.
        linked_spec: The dimensions as links compare them.
        reads: What is read around a tip.
    """

    node: Signal
    constraints: tuple[Constraint, ...] = ()
    is_ref: bool = False
    checks_range: bool = False
    is_nearest: bool = False
    is_covering: bool = False
    period: DatetimeGranularity | None = field(default=None, compare=False)
    narrowed: Filter = field(default=None, compare=False)  # type: ignore[assignment]
    cover: Cover | None = field(default=None, compare=False)
    linked_spec: DimensionSpec = field(default=None, compare=False)  # type: ignore[assignment]
    reads: Range = field(default=None, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        spec = self.node.spec
        object.__setattr__(self, "constraints", tuple(map(spelled, spec, self.constraints)))
        branch: Branch = self.constraints + (ANY,) * (len(spec) - len(self.constraints))
        narrowed = self.node.filter.narrowed(spec, branch, f"'{self.node.id}'")
        if narrowed is None:
            raise self._unknown()
        object.__setattr__(self, "narrowed", narrowed)
        cover = Cover.of(spec, branch, self.period, str(self)) if self.is_covering else None
        object.__setattr__(self, "cover", cover if self.period is not None else None)
        object.__setattr__(self, "linked_spec", spec if self.cover is None else self.cover.coarsened_spec(spec))
        past = self.node.exists_beside_filter
        reads = Range.of(spec, self.node.filter, branch, f"'{self.node.id}'", self.cover, reads_past_literals=past)
        object.__setattr__(self, "reads", reads)
        if self.is_nearest and (self.checks_range or self.is_covering):
            other, waits = ("range-checked", "range_check") if self.checks_range else ("covering", "covering")
            remedy = f"nearest reads one partition, but {waits} concerns all: choose one"
            raise DeclarationError(str(self), f"is both nearest and {other}", remedy)

    def _unknown(self) -> Exception:
        spec = self.node.spec
        for dimension, constraint in zip(spec, self.constraints, strict=False):
            declared = self.node.filter.literals(spec, dimension.name)
            if declared is not None and isinstance(constraint, Exactly):
                known = {dimension.comparable(value) for value in declared}
                if dimension.comparable(constraint.value) not in known:
                    rendered = [dimension.render(value) for value in declared]
                    return UnknownPartition(self.node.id, dimension.name, dimension.render(constraint.value), rendered)
        return DeclarationError(str(self), "no partition passes both this and the declared filter")

    def _view(self) -> View:
        return self

    def subscripted(self, spelling: object) -> View:
        """Returns the view with one more dimension constrained."""
        spec = self.node.spec
        position = len(self.constraints)
        if position >= len(spec):
            raise DeclarationError(
                str(self), f"is subscripted with {spelling!r} but '{self.node.id}' has only {list(spec.names)}"
            )
        dimension = spec.dimensions[position]
        constraint = read_constraint(dimension, spelling, str(self))
        return replace(self, constraints=(*self.constraints, constraint))

    def with_flags(self, **flags: bool | DatetimeGranularity) -> View:
        """Returns the view with flags set."""
        return replace(self, **flags)  # type: ignore[arg-type]

    @property
    def needs_event(self) -> bool:
        """Whether trigger groups need an event of this view."""
        return not (self.is_ref or self.is_nearest)

    @property
    def is_complete(self) -> bool:
        """Whether every dimension is subscripted."""
        return len(self.constraints) == len(self.node.spec)

    @property
    def is_material(self) -> bool:
        """Whether every dimension is subscripted with a literal."""
        return self.is_complete and all(isinstance(constraint, Exactly) for constraint in self.constraints)

    def windows(self) -> tuple[Window | None, ...]:
        """Returns the range on each dimension or None; the filter's range applies if the view has one."""
        return self.reads.windows

    def partitions(self, tip: Partition) -> tuple[Partition, ...]:
        """Returns the partitions that are read for a tip, tip first.

        Partitions outside the declared filter are not included. Those before a dimension's `min` are: they never exist,
        so a checked range that contains one is never complete.
        """
        return self.reads.partitions(tip)

    def tip_reading(self, first: Partition) -> Partition:
        """Returns the tip for which `first` is the first partition that is read.

        Raises:
            InvalidValue: The date does not exist.
        """
        return self.reads.tip_reading(first)

    @property
    def is_range(self) -> bool:
        """Whether anything other than the tip alone is read."""
        return self.is_covering or any(window is not None and not window.is_tip for window in self.windows())

    def linked(self, tip: Partition) -> Partition:
        """Returns the values by which links compare a tip."""
        return tip if self.cover is None else self.cover.coarsened(tip)

    def anchored(self, partition: Partition) -> Partition:
        """Returns the tip of an event's partition: the first of its period for a covering view, else itself."""
        return partition if self.cover is None else self.cover.anchored(partition)

    def is_same_tip(self, one: Partition, other: Partition) -> bool:
        """Returns whether two partitions are the same tip of this view."""
        spec = self.node.spec
        return spec.comparable(self.anchored(one)) == spec.comparable(self.anchored(other))

    def admits(self, partition: Partition) -> bool:
        """Returns whether an event of this partition satisfies the view."""
        return self.narrowed.admits(self.node.spec, partition)

    def tip(self, verb: str) -> Partition:
        """Returns the single partition that the view names.

        Raises:
            NotConcrete: A dimension is open or has a range.
        """
        spec = self.node.spec
        for position, dimension in enumerate(spec):
            constraint = self.constraints[position] if position < len(self.constraints) else None
            if not isinstance(constraint, Exactly):
                raise NotConcrete(str(self), verb, f"'{dimension.name}'")
        branch = self.narrowed.branches[0]
        return tuple(constraint.value for constraint in branch)  # type: ignore[union-attr]

    def __str__(self) -> str:
        spec = self.node.spec
        parts = []
        for dimension, constraint in zip(spec, self.constraints, strict=False):
            is_literal = isinstance(constraint, Exactly)
            parts.append(f"[{dimension.render(constraint.value) if is_literal else constraint}]")  # type: ignore[union-attr]
        covers = f".covering({'' if self.period is None else repr(str(self.period))})"
        flags = [(self.is_ref, ".ref"), (self.is_covering, covers)]
        flags += [(self.checks_range, ".range_check(True)"), (self.is_nearest, ".nearest()")]
        return self.node.id + "".join(parts) + "".join(text for on, text in flags if on)

    def __repr__(self) -> str:
        return f"<View {self} of {self.node.application}>"


def check_own(signal: Signal, application: str, subject: str, remedy: str = "") -> None:
    """Checks that a node belongs to an application; another application may have a node with the same id.

    Args:
        signal: The node.
        application: The application's name.
        subject: Names the node in the message.
        remedy: What to do. The default is to call the other application, or to declare the node in this one.

    Raises:
        DeclarationError: The node belongs to another application.
    """
    if signal.application != application:
        raise DeclarationError(
            subject,
            f"is a node of '{signal.application}', not of '{application}'",
            remedy or f"Call it on that application, or declare the node in '{application}', too",
        )


def as_view(signal: object) -> View:
    """Returns the view of a node or view.

    Raises:
        DeclarationError: The value is neither a node nor a view.
    """
    if isinstance(signal, View):
        return signal
    if isinstance(signal, Signal):
        return View(signal)
    raise DeclarationError(
        f"{signal!r}",
        f"is a {type(signal).__name__}, not a node or a view of one",
        "Use what add_timer, create_data, … return",
    )
