"""Filters of signals: one constraint per dimension, combined into branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rheo_assets.errors import DeclarationError, InvalidValue
from rheo_assets.model.dimensions import Dimension, DimensionSpec, Partition, Value

_RELATIVE: Final = "_"
_LONGEST: Final = 1_000_000  # partitions of one range: eleven days of seconds


@dataclass(frozen=True, slots=True)
class Anything:
    """`'*'`: any value; the event, a link or the output supplies it."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Exactly:
    """A literal: only this value."""

    value: Value


@dataclass(frozen=True, slots=True)
class Window:
    """A range relative to the tip: `length` values from `tip + shift`, walking by `step` (-1 or 1).

    >>> list(Window(shift=-1, length=3, step=-1).offsets())
    [-1, -2, -3]

    Attributes:
        is_open: Whether it was written without an end, as `[-7:]`: one value, and often not what was meant.
    """

    shift: int = 0
    length: int = 1
    step: int = -1
    is_open: bool = field(default=False, compare=False, repr=False)

    def offsets(self) -> range:
        """Returns the distances from the tip in reading order."""
        return range(self.shift, self.shift + self.step * self.length, self.step)

    @property
    def is_tip(self) -> bool:
        """Whether only the tip itself is read."""
        return self.shift == 0 and self.length == 1

    def __str__(self) -> str:
        anchor = f"{_RELATIVE}{self.shift:+d}" if self.shift else _RELATIVE
        return f"{anchor}:{self.step * self.length}"


Constraint = Anything | Exactly | Window
ANY: Final = Anything()
Branch = tuple[Constraint, ...]


def read_constraint(dimension: Dimension, spelling: object, where: str) -> Constraint:
    """Returns the constraint that a subscript or filter key means.

    Raises:
        DeclarationError: It is not a constraint; the message shows the right form.
        InvalidValue: The dimension cannot hold the literal.
    """
    if isinstance(spelling, Constraint):
        return spelling
    if isinstance(spelling, slice):
        return _window(dimension, spelling, where)
    if isinstance(spelling, list | tuple | set):
        raise DeclarationError(
            where,
            f"dimension '{dimension.name}' is subscripted with {spelling!r}",
            "Subscript once per dimension, as in node['NA']['2021-09-20']; use a dict of inputs for several values",
        )
    if spelling == "*":
        return ANY
    if isinstance(spelling, str) and spelling.startswith(f"{_RELATIVE}:"):
        try:
            count = int(spelling[2:])
        except ValueError:
            raise DeclarationError(where, f"{spelling!r} is not a relative filter", "Write e.g. '_:-30'") from None
        return _window(dimension, slice(None, count), where)
    try:
        return Exactly(dimension.read(spelling))
    except InvalidValue as error:
        raise error.at(where) from None


def _window(dimension: Dimension, spelling: slice, where: str) -> Window:
    subject = f"{where}: range on dimension '{dimension.name}'"
    if not dimension.has_order:
        raise DeclarationError(subject, "a STRING has no order", "Name the value, or use '*'")
    if spelling.step is not None:
        raise DeclarationError(
            subject, "a range cannot have a step", "Write [:-7] for the last 7, [-1:-7] to start one back"
        )
    for end in (spelling.start, spelling.stop):
        if end is not None and (not isinstance(end, int) or isinstance(end, bool)):
            raise DeclarationError(
                subject, f"{end!r} is not a number of steps", "Ranges are relative to the tip: write [:-7], not dates"
            )
    if spelling.stop == 0:
        raise DeclarationError(subject, "[:0] is empty", "Write [:-1] or [:] for the tip only")
    stop = -1 if spelling.stop is None else spelling.stop
    if abs(stop) > _LONGEST:
        raise DeclarationError(subject, f"{stop:,} are too many to read at once", f"Read at most {_LONGEST:,}")
    step = -1 if stop < 0 or abs(stop) == 1 else 1
    return Window(spelling.start or 0, abs(stop), step, is_open=spelling.stop is None)


def spelled(dimension: Dimension, constraint: Constraint) -> Constraint:
    """Returns the constraint with its literal in the dimension's canonical spelling."""
    if dimension.spellings is None or not isinstance(constraint, Exactly):
        return constraint
    return Exactly(dimension.spelled(str(constraint.value)))


def meet(dimension: Dimension, declared: Constraint, wanted: Constraint, where: str) -> Constraint | None:
    """Returns the constraint that passes what both pass; None if nothing does.

    Raises:
        DeclarationError: Two ranges run in opposite directions.
    """
    if isinstance(declared, Anything):
        return wanted
    if isinstance(wanted, Anything):
        return declared
    if isinstance(declared, Exactly) and isinstance(wanted, Exactly):
        same = dimension.comparable(declared.value) == dimension.comparable(wanted.value)
        return declared if same else None
    if isinstance(declared, Window) and isinstance(wanted, Window):
        return _meet_windows(dimension, declared, wanted, where)
    return declared if isinstance(declared, Exactly) else wanted


def _meet_windows(dimension: Dimension, declared: Window, wanted: Window, where: str) -> Window | None:
    if declared.length > 1 and wanted.length > 1 and declared.step != wanted.step:
        raise DeclarationError(
            f"{where}: range on dimension '{dimension.name}'",
            f"{wanted} runs in the opposite direction of the declared filter {declared}",
            "Write the range in the direction of the filter",
        )
    allowed = declared.offsets()
    kept = [offset for offset in wanted.offsets() if offset in allowed]
    return Window(kept[0], len(kept), wanted.step) if kept else None


def _meet_branches(spec: DimensionSpec, declared: Branch, wanted: Branch, where: str) -> Branch | None:
    """Returns the branch that passes what both pass. Ranges are compared last: they matter only if the rest meets."""
    triples = list(zip(spec, declared, wanted, strict=True))
    met: dict[int, Constraint] = {}
    for position in sorted(range(len(triples)), key=lambda n: isinstance(wanted[n], Window)):
        dimension, own, more = triples[position]
        constraint = meet(dimension, own, more, where)
        if constraint is None:
            return None
        met[position] = constraint
    return tuple(met[position] for position in range(len(triples)))


@dataclass(frozen=True, slots=True)
class Filter:
    """The branches of a signal: a partition passes if every dimension passes in any one branch."""

    branches: tuple[Branch, ...]

    @classmethod
    def open(cls, spec: DimensionSpec) -> Filter:
        """Returns the filter that everything passes."""
        return cls(((ANY,) * len(spec),))

    @classmethod
    def of(cls, spec: DimensionSpec, declared: Mapping[Any, Any] | None, where: str) -> Filter:
        """Reads the API's tree: `{"NA": {"*": {}}, "EU": {"*": {}}}`; levels below a branch are open."""
        if not declared:
            return cls.open(spec)
        return cls(tuple(dict.fromkeys(_branches(spec.dimensions, declared, where))))

    def narrowed(self, spec: DimensionSpec, wanted: Branch, where: str) -> Filter | None:
        """Returns this filter with the constraints of one more branch; None if nothing passes both."""
        if all(isinstance(constraint, Anything) for constraint in wanted):
            return self
        kept = [met for branch in self.branches if (met := _meet_branches(spec, branch, wanted, where)) is not None]
        return Filter(tuple(dict.fromkeys(kept))) if kept else None

    def admits(self, spec: DimensionSpec, partition: Partition) -> bool:
        """Returns whether a tip passes."""
        return any(
            all(
                not isinstance(constraint, Exactly)
                or dimension.comparable(constraint.value) == dimension.comparable(value)
                for dimension, constraint, value in zip(spec, branch, partition, strict=True)
            )
            for branch in self.branches
        )

    def settled(self, spec: DimensionSpec) -> tuple[DimensionSpec, Filter]:
        """Returns the signal's spec and this filter with one spelling per insensitive value: the first one."""
        if not any(dimension.insensitive for dimension in spec):
            return spec, self
        written = ([c.value for c in column if isinstance(c, Exactly)] for column in zip(*self.branches, strict=True))
        named = tuple(dimension.spelled_as(map(str, values)) for dimension, values in zip(spec, written, strict=True))
        branches = (tuple(map(spelled, named, branch)) for branch in self.branches)
        return DimensionSpec(named), Filter(tuple(dict.fromkeys(branches)))

    def literals(self, spec: DimensionSpec, name: str) -> tuple[Value, ...] | None:
        """Returns the values declared for a dimension, in order; None if any value passes."""
        index = spec.index(name)
        values: dict[Value, None] = {}
        for branch in self.branches:
            constraint = branch[index]
            if not isinstance(constraint, Exactly):
                return None
            values[constraint.value] = None
        return tuple(values)


def _branches(dimensions: tuple[Dimension, ...], tree: Mapping[Any, Any], where: str) -> Iterator[Branch]:
    if not dimensions:
        if tree:
            raise DeclarationError(where, f"the filter names {list(tree)} below the last dimension")
        yield ()
        return
    if not tree:
        yield (ANY,) * len(dimensions)
        return
    first, rest = dimensions[0], dimensions[1:]
    for spelling, deeper in tree.items():
        if deeper is not None and not isinstance(deeper, Mapping):
            raise DeclarationError(where, f"the filter has {deeper!r} under {spelling!r}", "Nest dicts; end with {}")
        try:
            constraint = read_constraint(first, spelling, where)
        except InvalidValue as error:
            raise DeclarationError(where, error.sentence) from None
        for tail in _branches(rest, deeper or {}, where):
            yield (constraint, *tail)
