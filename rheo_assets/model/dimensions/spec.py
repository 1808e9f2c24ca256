"""The dimensions of one signal, in order, and how they are read from the user's declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from rheo_assets.errors import DeclarationError, InvalidValue
from rheo_assets.model.dimensions.dimension import Dimension, DimensionType, Partition
from rheo_assets.model.dimensions.granularity import DatetimeGranularity

_ATTRIBUTES = frozenset({"type", "format", "granularity", "min", "digits", "insensitive"})


@dataclass(frozen=True, slots=True)
class DimensionSpec:
    """The ordered dimensions of a signal.

    >>> spec = DimensionSpec.of({"region": {"type": "STRING", "day": {"type": "DATETIME"}}})
    >>> spec.names
    ('region', 'day')
    >>> spec.render(spec.read(("NA", "2021-09-20T05:00")))
    ('NA', '2021-09-20')
    """

    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        names = self.names
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise DeclarationError(f"dimension spec {list(names)}", f"names {sorted(twice)} twice")

    @classmethod
    def of(cls, declared: DimensionSpec | Mapping[str, Any] | None) -> DimensionSpec:
        """Reads the API's tree: each level names one dimension, its attributes and the next level."""
        if declared is None:
            return cls()
        if isinstance(declared, DimensionSpec):
            return declared
        return cls(tuple(_levels(declared)))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimension names in order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names and kinds of the dimensions, as text: `('region STRING', 'day DAY')`."""
        return tuple(f"{dimension.name} {dimension.granularity or dimension.type}" for dimension in self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return self.dimensions[self.index(name)]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def index(self, name: str) -> int:
        """Returns a dimension's position; raises `KeyError`."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None

    @property
    def as_declared(self) -> DimensionSpec:
        """The same spec without the spellings that a signal set for insensitive values."""
        if not any(dimension.insensitive for dimension in self.dimensions):
            return self
        return DimensionSpec(tuple(dimension.spelled_as(None) for dimension in self.dimensions))

    def read(self, values: Sequence[object]) -> Partition:
        """Returns a partition from one value per dimension."""
        if not isinstance(values, list | tuple) or len(values) != len(self.dimensions):
            wanted = f"a list of {len(self.dimensions)} values, one per dimension"
            raise InvalidValue(", ".join(self.names), values, wanted)
        return tuple(dimension.read(value) for dimension, value in zip(self.dimensions, values, strict=True))

    def render(self, partition: Partition) -> tuple[str, ...]:
        """Returns the partition's values as text."""
        return tuple(dimension.render(value) for dimension, value in zip(self.dimensions, partition, strict=True))

    def can_exist(self, partition: Partition) -> bool:
        """Returns whether no value is before its dimension's `min`."""
        return all(
            d.min is None or value >= d.min  # type: ignore[operator]
            for d, value in zip(self.dimensions, partition, strict=True)
        )

    def comparable(self, partition: Partition) -> Partition:
        """Returns the form by which partitions are compared."""
        return tuple(d.comparable(value) for d, value in zip(self.dimensions, partition, strict=True))


def _levels(tree: Mapping[str, Any]) -> Iterator[Dimension]:
    level: Mapping[str, Any] | None = tree
    names: set[str] = set()
    while level:
        if len(level) != 1:
            raise DeclarationError(
                f"dimension spec {sorted(map(str, level))}",
                f"has {len(level)} dimensions on one level",
                "Nest each further dimension inside the previous one",
            )
        ((name, attributes),) = level.items()
        if name in names:
            raise DeclarationError(f"dimension spec {sorted(names)}", f"names {name!r} twice")
        names.add(name)
        if not isinstance(attributes, Mapping):
            raise DeclarationError(
                f"dimension '{name}'", f"is declared as {attributes!r}", "Write {'type': DimensionType.STRING}"
            )
        deeper = {key: value for key, value in attributes.items() if isinstance(value, Mapping)}
        own = {key: value for key, value in attributes.items() if key not in deeper}
        yield _dimension(name, own)
        level = deeper


def _dimension(name: object, attributes: Mapping[str, Any]) -> Dimension:
    if not isinstance(name, str):
        raise DeclarationError(
            f"dimension {name!r}", "is not a name", 'Write {"day": {"type": DimensionType.DATETIME}}'
        )
    unknown = set(attributes) - _ATTRIBUTES
    if unknown:
        raise DeclarationError(
            f"dimension '{name}'",
            f"has unknown attributes {sorted(map(str, unknown))}",
            f"Known: {sorted(_ATTRIBUTES)}",
        )
    if "type" not in attributes:
        raise DeclarationError(f"dimension '{name}'", "has no type", f"Give one of {[str(t) for t in DimensionType]}")
    kind = _member(DimensionType, attributes["type"], name, "type")
    granularity = attributes.get("granularity")
    form = attributes.get("format")
    if callable(form) and kind is not DimensionType.STRING:
        raise DeclarationError(
            f"dimension '{name}'", f"a function as format is for STRING only, but the type is {kind}"
        )
    if kind is DimensionType.STRING and form is not None and not callable(form):
        raise DeclarationError(
            f"dimension '{name}'", f"format {form!r} is for DATETIME", "A STRING's is a function such as str.upper"
        )
    return Dimension(
        name,
        kind,
        format=None if callable(form) else form,
        transform=form if callable(form) else None,
        granularity=None if granularity is None else _member(DatetimeGranularity, granularity, name, "granularity"),
        min=attributes.get("min"),
        digits=attributes.get("digits"),
        insensitive=attributes.get("insensitive") or False,
    )


_E = TypeVar("_E", bound=StrEnum)


def _member(kind: type[_E], value: object, name: str, attribute: str) -> _E:
    try:
        return kind(str(getattr(value, "value", value)).upper())
    except ValueError:
        choices = [str(member) for member in kind]
        raise DeclarationError(f"dimension '{name}'", f"{attribute} is {value!r}", f"Give one of {choices}") from None
