"""Dimensions: the named, typed coordinates of a signal, and the values on them.

A value is `str`, `int` or a naive `datetime` in UTC, already truncated to its dimension's granularity. A partition is a
tuple of values in spec order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from rheo_assets.errors import DeclarationError, InvalidValue

Value = str | int | datetime
Partition = tuple[Value, ...]


class DimensionType(StrEnum):
    """The three kinds of coordinate."""

    STRING = "STRING"
    LONG = "LONG"
    DATETIME = "DATETIME"


class DatetimeGranularity(StrEnum):
    """The length of one step of a DATETIME dimension; a WEEK starts on Monday."""

    YEAR = "YEAR"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"
    HOUR = "HOUR"
    MINUTE = "MINUTE"
    SECOND = "SECOND"

    @property
    def fineness(self) -> int:
        """Returns 0 for YEAR up to 6 for SECOND."""
        return _FINENESS[self]

    def truncate(self, moment: datetime) -> datetime:
        """Returns the start of the granule that holds the moment."""
        return _TRUNCATE[self](moment)

    def ordinal(self, moment: datetime) -> int:
        """Returns the number of the granule, so that neighbours differ by one."""
        return _ORDINAL[self](moment)

    def moment(self, ordinal: int) -> datetime:
        """Returns the start of the granule of that number."""
        return _MOMENT[self](ordinal)


_FINENESS = {granularity: index for index, granularity in enumerate(DatetimeGranularity)}
_MIDNIGHT = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(**_MIDNIGHT)  # type: ignore[arg-type]


def _day_number(moment: datetime) -> int:
    return moment.toordinal() - 1  # 0001-01-01 is day 0, and a Monday


_TRUNCATE: dict[DatetimeGranularity, Callable[[datetime], datetime]] = {
    DatetimeGranularity.YEAR: lambda m: _midnight(m).replace(month=1, day=1),
    DatetimeGranularity.MONTH: lambda m: _midnight(m).replace(day=1),
    DatetimeGranularity.WEEK: lambda m: _midnight(m) - timedelta(days=m.weekday()),
    DatetimeGranularity.DAY: _midnight,
    DatetimeGranularity.HOUR: lambda m: m.replace(minute=0, second=0, microsecond=0),
    DatetimeGranularity.MINUTE: lambda m: m.replace(second=0, microsecond=0),
    DatetimeGranularity.SECOND: lambda m: m.replace(microsecond=0),
}
_ORDINAL: dict[DatetimeGranularity, Callable[[datetime], int]] = {
    DatetimeGranularity.YEAR: lambda m: m.year,
    DatetimeGranularity.MONTH: lambda m: m.year * 12 + m.month - 1,
    DatetimeGranularity.WEEK: lambda m: _day_number(m) // 7,
    DatetimeGranularity.DAY: _day_number,
    DatetimeGranularity.HOUR: lambda m: _day_number(m) * 24 + m.hour,
    DatetimeGranularity.MINUTE: lambda m: (_day_number(m) * 24 + m.hour) * 60 + m.minute,
    DatetimeGranularity.SECOND: lambda m: ((_day_number(m) * 24 + m.hour) * 60 + m.minute) * 60 + m.second,
}
_FIRST = datetime(1, 1, 1)
_SAMPLE = datetime(2021, 11, 22, 13, 14, 15)
_MOMENT: dict[DatetimeGranularity, Callable[[int], datetime]] = {
    DatetimeGranularity.YEAR: lambda n: datetime(n, 1, 1),
    DatetimeGranularity.MONTH: lambda n: datetime(n // 12, n % 12 + 1, 1),
    DatetimeGranularity.WEEK: lambda n: _FIRST + timedelta(days=7 * n),
    DatetimeGranularity.DAY: lambda n: _FIRST + timedelta(days=n),
    DatetimeGranularity.HOUR: lambda n: _FIRST + timedelta(hours=n),
    DatetimeGranularity.MINUTE: lambda n: _FIRST + timedelta(minutes=n),
    DatetimeGranularity.SECOND: lambda n: _FIRST + timedelta(seconds=n),
}
_DEFAULT_FORMAT = {
    DatetimeGranularity.HOUR: "%Y-%m-%d %H",
    DatetimeGranularity.MINUTE: "%Y-%m-%d %H:%M",
    DatetimeGranularity.SECOND: "%Y-%m-%d %H:%M:%S",
}
_FORMAT_FIELDS: tuple[tuple[DatetimeGranularity, frozenset[str]], ...] = (
    (DatetimeGranularity.SECOND, frozenset("STXcfs")),
    (DatetimeGranularity.MINUTE, frozenset("MR")),
    (DatetimeGranularity.HOUR, frozenset("HI")),
    (DatetimeGranularity.DAY, frozenset("djDFxaAuw")),
    (DatetimeGranularity.WEEK, frozenset("UWV")),
    (DatetimeGranularity.MONTH, frozenset("mbB")),
    (DatetimeGranularity.YEAR, frozenset("YyG")),
)
_FORBIDDEN_TEXT = re.compile(r"[/\\\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%(?:25)*(?:2e|2f|5c|00)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ATTRIBUTES = frozenset({"type", "format", "granularity", "min", "digits", "insensitive"})


def _finest_field(pattern: str) -> DatetimeGranularity | None:
    fields = set(re.findall(r"%[-#]?([A-Za-z])", pattern.replace("%%", "")))
    return next((granularity for granularity, letters in _FORMAT_FIELDS if fields & letters), None)


def utc_naive(moment: datetime) -> datetime:
    """Returns the moment as a naive datetime in UTC; a naive one already means UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _in_utc(moment: datetime) -> datetime | None:
    try:
        return utc_naive(moment)
    except OverflowError:  # a time zone away from the years 1 to 9999
        return None


@dataclass(frozen=True, slots=True)
class Dimension:
    """One coordinate: its name, its type, and how its values are read, rendered and stepped.

    Attributes:
        name: A Python identifier.
        type: STRING, LONG or DATETIME; it wins over what a value looks like.
        format: DATETIME: a strftime pattern.
        transform: STRING: a function applied to every value that enters (`str.upper`).
        granularity: DATETIME: the length of one step.
        min: DATETIME: the earliest value there is.
        digits: LONG: the width to which the rendering is padded with zeros.
        insensitive: STRING: whether values are compared without case.

    Raises:
        DeclarationError: The attributes contradict each other.
    """

    name: str
    type: DimensionType
    format: str | None = None
    transform: Callable[[str], str] | None = None
    granularity: DatetimeGranularity | None = None
    min: datetime | None = None
    digits: int | None = None
    insensitive: bool = False

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise DeclarationError(
                f"dimension {self.name!r}", "is not a Python identifier", "Use letters, digits and '_'"
            )
        if self.type is DimensionType.DATETIME:
            self._settle_datetime()
        elif self.granularity or self.min or (self.format and self.type is DimensionType.LONG):
            raise DeclarationError(
                f"dimension '{self.name}'", f"is {self.type} and takes no datetime format, granularity or min"
            )
        if self.digits is not None and (
            self.type is not DimensionType.LONG or not isinstance(self.digits, int) or self.digits < 1
        ):
            raise DeclarationError(
                f"dimension '{self.name}'",
                f"`digits` is {self.digits!r} on a {self.type}",
                "It is a positive number, and for a LONG only",
            )
        if self.insensitive and self.type is not DimensionType.STRING:
            raise DeclarationError(f"dimension '{self.name}'", "`insensitive` is for STRING only")

    def _settle_datetime(self) -> None:
        finest = _finest_field(self.format) if self.format else None
        if self.format and finest is None:
            raise DeclarationError(
                f"dimension '{self.name}'", f"format {self.format!r} has no date field", "Write e.g. '%Y-%m-%d'"
            )
        granularity = self.granularity or finest or DatetimeGranularity.DAY
        if finest and finest.fineness < granularity.fineness:
            raise DeclarationError(
                f"dimension '{self.name}'",
                f"format {self.format!r} shows no more than the {finest} but the granularity is {granularity}",
                f"Use a format such as {_DEFAULT_FORMAT.get(granularity, '%Y-%m-%d')!r}, or granularity {finest}",
            )
        object.__setattr__(self, "granularity", granularity)
        object.__setattr__(self, "format", self.format or _DEFAULT_FORMAT.get(granularity, "%Y-%m-%d"))
        if _FORBIDDEN_TEXT.search(self.render(_SAMPLE)):
            raise DeclarationError(
                f"dimension '{self.name}'",
                f"format {self.format!r} makes {self.render(_SAMPLE)!r}, which is no single path segment",
                "Use '-' between the fields, or one dimension a segment",
            )
        if self.min is not None:
            minimum, earliest = self.min, self.min
            object.__setattr__(self, "min", None)
            try:
                earliest = self.read(minimum)  # type: ignore[assignment]
            finally:
                object.__setattr__(self, "min", earliest)

    def read(self, value: object) -> Value:
        """Returns the value that a user, a link or a path means, in its one canonical form.

        Raises:
            InvalidValue: It cannot be read as this dimension's type, or lies before `min`.
        """
        if self.type is DimensionType.DATETIME:
            return self._read_datetime(value)
        if self.type is DimensionType.LONG:
            return self._read_long(value)
        return self._read_text(value)

    def _read_datetime(self, value: object) -> datetime:
        assert self.granularity is not None
        moment: datetime | None = None
        if isinstance(value, datetime):
            moment = _in_utc(value)
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day)
        elif isinstance(value, str):
            moment = self._parse_datetime(value)
        if moment is None:
            raise InvalidValue(
                self.name, value, f"a datetime, a date, text like {self.format!r} or ISO text such as '2021-09-20'"
            )
        moment = self.granularity.truncate(moment)
        if self.min is not None and moment < self.min:
            raise InvalidValue(self.name, self.render(moment), f"nothing before its min {self.render(self.min)}")
        return moment

    def _parse_datetime(self, text: str) -> datetime | None:
        assert self.format is not None
        try:
            return _in_utc(datetime.strptime(text, self.format))  # noqa: DTZ007  # naive means UTC
        except ValueError:
            pass
        try:
            return _in_utc(datetime.fromisoformat(text))
        except ValueError:
            return None

    def _read_long(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
            return int(value)
        raise InvalidValue(self.name, value, "a whole number or its text")

    def _read_text(self, value: object) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InvalidValue(self.name, value, "text")
        text = str(value)
        if self.transform is not None:
            text = self._transformed(self.transform, text)
        if not text or text in {".", ".."} or _FORBIDDEN_TEXT.search(text) or _ESCAPE.search(text):
            raise InvalidValue(self.name, value, "text that is one path segment: not empty, no '/', no '..'")
        return text

    def _transformed(self, transform: Callable[[str], str], text: str) -> str:
        try:
            transformed = transform(text)
        except Exception as error:
            accepted = f"text that its format function takes, which raised {type(error).__name__}: {error}"
            raise InvalidValue(self.name, text, accepted) from error
        if not isinstance(transformed, str):
            raise InvalidValue(self.name, text, f"text, but its format function returned {transformed!r}")
        return transformed

    def render(self, value: Value) -> str:
        """Returns the value as it stands in paths, keys and tags."""
        if self.type is DimensionType.DATETIME:
            assert self.format is not None
            assert isinstance(value, datetime)
            # strftime leaves %Y of years before 1000 unpadded, which strptime does not read
            form = self.format if value.year >= 1000 else self.format.replace("%Y", f"{value.year:04d}")
            return value.strftime(form)
        if self.type is DimensionType.LONG and self.digits:
            return f"{value:0{self.digits}d}"
        return str(value)

    def comparable(self, value: Value) -> Value:
        """Returns what two values of this dimension are compared by."""
        return value.casefold() if self.insensitive and isinstance(value, str) else value

    @property
    def has_order(self) -> bool:
        """Whether values have neighbours, so that ranges make sense."""
        return self.type is not DimensionType.STRING

    def ordinal(self, value: Value) -> int:
        """Returns the number of a LONG or DATETIME value; neighbours differ by one."""
        if self.granularity is not None:
            return self.granularity.ordinal(value)  # type: ignore[arg-type]
        assert isinstance(value, int)
        return value

    def at(self, ordinal: int) -> Value:
        """Returns the value of that number.

        Raises:
            InvalidValue: There is no such date.
        """
        if self.granularity is None:
            return ordinal
        try:
            return self.granularity.moment(ordinal)
        except (ValueError, OverflowError):
            raise InvalidValue(self.name, ordinal, "dates between the years 1 and 9999") from None

    def shift(self, value: Value, steps: int) -> Value:
        """Returns the value that many granules later (earlier when negative)."""
        return self.at(self.ordinal(value) + steps) if steps else value

    def convert(self, value: Value, source: Dimension) -> Value:
        """Returns another dimension's value as one of this dimension, for EQUALS.

        A finer DATETIME is truncated; a coarser one becomes its first value here, as a month its first Monday.

        Raises:
            InvalidValue: It means nothing here.
        """
        if self.granularity is not None and source.granularity is not None:
            converted = self.read(value)
            if compared_equal(converted, self, value, source):
                return converted
            return self.shift(converted, 1)  # the week in which the month begins belongs to the month before
        if self.type is source.type:
            return self.read(value) if self.type is not DimensionType.LONG else value
        return self.read(source.render(value))


def compared_equal(value: Value, dimension: Dimension, other: Value, other_dimension: Dimension) -> bool:
    """Returns whether two values agree under EQUALS, in either order.

    DATETIMEs agree at the coarser granularity, texts as one of the two dimensions would read the other's. A text agrees
    with what it says: `"007"` with the LONG 7.
    """
    if dimension.granularity is not None and other_dimension.granularity is not None:
        coarser = min(dimension.granularity, other_dimension.granularity, key=lambda g: g.fineness)
        return coarser.truncate(value) == coarser.truncate(other)  # type: ignore[arg-type]
    if dimension.type is not other_dimension.type:
        if dimension.type is DimensionType.STRING:
            value, dimension, other, other_dimension = other, other_dimension, value, dimension
        try:
            return value == dimension.convert(other, other_dimension)
        except InvalidValue:
            return False
    return _texts_agree(value, dimension, other, other_dimension)


def _texts_agree(value: Value, dimension: Dimension, other: Value, other_dimension: Dimension) -> bool:
    def same(one: Value, two: Value) -> bool:
        folds = dimension.insensitive or other_dimension.insensitive
        return str(one).casefold() == str(two).casefold() if folds else one == two

    if same(value, other) or dimension.transform is other_dimension.transform:
        return same(value, other)
    try:
        return same(dimension.read(other), value) or same(other_dimension.read(value), other)
    except InvalidValue:
        return False


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
        """Reads the tree of the API: each level names one dimension, its attributes and the next level."""
        if declared is None:
            return cls()
        if isinstance(declared, DimensionSpec):
            return declared
        return cls(tuple(_levels(declared)))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimension names in order."""
        return tuple(dimension.name for dimension in self.dimensions)

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

    def read(self, values: Sequence[object]) -> Partition:
        """Returns a partition from one value a dimension."""
        if len(values) != len(self.dimensions):
            raise InvalidValue(",".join(self.names), tuple(values), f"{len(self.dimensions)} values")
        return tuple(dimension.read(value) for dimension, value in zip(self.dimensions, values, strict=True))

    def render(self, partition: Partition) -> tuple[str, ...]:
        """Returns the partition's values as text."""
        return tuple(dimension.render(value) for dimension, value in zip(self.dimensions, partition, strict=True))

    def can_exist(self, partition: Partition) -> bool:
        """Returns whether no value lies before its dimension's `min`."""
        return all(
            d.min is None or value >= d.min  # type: ignore[operator]
            for d, value in zip(self.dimensions, partition, strict=True)
        )

    def comparable(self, partition: Partition) -> Partition:
        """Returns what two partitions are compared by."""
        return tuple(d.comparable(value) for d, value in zip(self.dimensions, partition, strict=True))


def _levels(tree: Mapping[str, Any]) -> Iterator[Dimension]:
    level: Mapping[str, Any] | None = tree
    while level:
        if len(level) != 1:
            raise DeclarationError(
                f"dimension spec {sorted(level)}",
                f"has {len(level)} dimensions on one level",
                "Nest each further dimension inside the one before it",
            )
        ((name, attributes),) = level.items()
        if not isinstance(attributes, Mapping):
            raise DeclarationError(
                f"dimension '{name}'", f"is declared as {attributes!r}", "Write {'type': DimensionType.STRING}"
            )
        deeper = {key: value for key, value in attributes.items() if isinstance(value, Mapping)}
        own = {key: value for key, value in attributes.items() if key not in deeper}
        yield _dimension(str(name), own)
        level = deeper


def _dimension(name: str, attributes: Mapping[str, Any]) -> Dimension:
    unknown = set(attributes) - _ATTRIBUTES
    if unknown:
        raise DeclarationError(
            f"dimension '{name}'", f"has unknown attributes {sorted(unknown)}", f"Known: {sorted(_ATTRIBUTES)}"
        )
    if "type" not in attributes:
        raise DeclarationError(f"dimension '{name}'", "has no type", f"One of {[str(t) for t in DimensionType]}")
    kind = _member(DimensionType, attributes["type"], name, "type")
    granularity = attributes.get("granularity")
    form = attributes.get("format")
    if callable(form) and kind is not DimensionType.STRING:
        raise DeclarationError(f"dimension '{name}'", f"a function as format is for STRING only, this is {kind}")
    if isinstance(form, str) and kind is DimensionType.STRING:
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
        insensitive=bool(attributes.get("insensitive", False)),
    )


_E = TypeVar("_E", bound=StrEnum)


def _member(kind: type[_E], value: object, name: str, attribute: str) -> _E:
    try:
        return kind(str(getattr(value, "value", value)).upper())
    except ValueError:
        choices = [str(member) for member in kind]
        raise DeclarationError(f"dimension '{name}'", f"{attribute} is {value!r}", f"One of {choices}") from None
