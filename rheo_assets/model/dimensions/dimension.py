"""One dimension: a named, typed coordinate, and how its values are read, rendered, stepped and compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from rheo_assets.errors import BeforeMin, DeclarationError, FormatFailed, InvalidValue
from rheo_assets.model.dimensions import formats
from rheo_assets.model.dimensions.granularity import DatetimeGranularity, in_utc
from rheo_assets.model.dimensions.segments import fault_in

Value = str | int | datetime
Partition = tuple[Value, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class DimensionType(StrEnum):
    """The three kinds of coordinate."""

    STRING = "STRING"
    LONG = "LONG"
    DATETIME = "DATETIME"


_LARGEST = 2**63 - 1
_DIGITS = 19  # of the largest 64-bit number
_READERS = (
    DimensionType.STRING,
    DimensionType.DATETIME,
    DimensionType.LONG,
)  # of two types, the later one can read the other


@dataclass(frozen=True, slots=True)
class Dimension:
    """One coordinate: its name, its type, and how its values are read, rendered and stepped.

    Attributes:
        name: A Python identifier.
        type: STRING, LONG or DATETIME; it takes precedence over the form of a value.
        format: DATETIME: a strftime pattern; with `/` in it, a value is several path segments.
        transform: STRING: a function applied to every value that is read (`str.upper`).
        granularity: DATETIME: the length of one step.
        min: DATETIME: the earliest value.
        digits: LONG: the width to which a value is padded with zeros.
        insensitive: STRING: whether values that differ only in case are one value.
        spellings: The spelling of insensitive values, by their casefolded text; other values are spelled casefolded.
            None until a signal sets it from its filter: values then keep their spelling.
        is_granularity_implied: DATETIME: whether the granularity follows from the format and was not declared.

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
    spellings: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    is_granularity_implied: bool = field(default=False, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise DeclarationError(
                f"dimension {self.name!r}", "is not a Python identifier", "Use letters, digits and '_'"
            )
        if self.type is DimensionType.DATETIME:
            self._settle_datetime()
        elif (self.granularity, self.min, self.format) != (None, None, None):
            raise DeclarationError(
                f"dimension '{self.name}'", f"is {self.type} and takes no datetime format, granularity or min"
            )
        is_count = isinstance(self.digits, int) and not isinstance(self.digits, bool) and 1 <= self.digits <= _DIGITS
        if self.digits is not None and (self.type is not DimensionType.LONG or not is_count):
            raise DeclarationError(
                f"dimension '{self.name}'",
                f"`digits` is {self.digits!r} on a {self.type}",
                f"It is a positive number up to {_DIGITS}, and for a LONG only",
            )
        if not isinstance(self.insensitive, bool):
            raise DeclarationError(
                f"dimension '{self.name}'", f"`insensitive` is {self.insensitive!r}", "Give True or False"
            )
        if self.insensitive and self.type is not DimensionType.STRING:
            raise DeclarationError(f"dimension '{self.name}'", "`insensitive` is for STRING only")

    def _settle_datetime(self) -> None:
        form, granularity = formats.settled(self.name, self.format, self.granularity)
        object.__setattr__(self, "is_granularity_implied", self.granularity is None)
        object.__setattr__(self, "granularity", granularity)
        object.__setattr__(self, "format", form)
        if self.min is not None:
            minimum, earliest = self.min, self.min
            object.__setattr__(self, "min", None)
            try:
                earliest = self.read(minimum)  # type: ignore[assignment]
            finally:
                object.__setattr__(self, "min", earliest)

    def read(self, value: object) -> Value:
        """Returns the value that a user, a link or a path means, in canonical form and spelling.

        Raises:
            InvalidValue: It cannot be read as this dimension's type, or is before `min`.
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
            moment = in_utc(value)
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day)
        elif isinstance(value, str):
            moment = formats.read(self.format or "", value) or formats.read_short(self.granularity, value)
        if moment is None:
            raise InvalidValue(
                self.name, value, f"a datetime, a date, text like {self.format!r} or ISO text such as '2021-09-20'"
            )
        moment = self.granularity.truncate(moment)
        if self.min is not None and moment < self.min:
            raise BeforeMin(self.name, self.render(moment), f"nothing before its min {self.render(self.min)}")
        return moment

    def _read_long(self, value: object) -> int:
        number: int | None = None
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,200}", value):
            number = int(value)
        if number is None or abs(number) > _LARGEST:
            raise InvalidValue(self.name, value, "a whole number of 64 bits, or its text")
        return number

    def _read_text(self, value: object) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InvalidValue(self.name, value, "text")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise InvalidValue(self.name, value, "text, or a whole number of 64 bits")
        text = str(value)
        if self.transform is not None:
            text = self._transformed(self.transform, text)
        text = self.spelled(text)
        if fault := fault_in(text):
            raise InvalidValue(self.name, value, f"text that is one path segment, but {text[:80]!r} {fault}")
        return text

    def spelled(self, text: str) -> str:
        """Returns the canonical spelling of an insensitive value; in any other dimension, the text itself."""
        if self.spellings is None:
            return text
        folded = text.casefold()
        if folded in self.spellings:
            return self.spellings[folded]
        return folded if self.transform is None else self._transformed(self.transform, folded)

    def spelled_as(self, declared: Iterable[str] | None) -> Dimension:
        """Returns the dimension with the first spelling of each declared value; None removes all spellings."""
        if not self.insensitive:
            return self
        spellings = None if declared is None else {text.casefold(): text for text in reversed([*declared])}
        return replace(self, spellings=spellings)

    def _transformed(self, transform: Callable[[str], str], text: str) -> str:
        try:
            transformed = transform(text)
        except (Exception, SystemExit) as error:  # it must not stop the event loop
            accepted = f"text that its format function takes, which raised {type(error).__name__}: {error}"
            raise FormatFailed(self.name, text, accepted) from error
        if not isinstance(transformed, str):
            raise FormatFailed(self.name, text, f"text, but its format function returned {transformed!r}")
        return transformed

    def render(self, value: Value) -> str:
        """Returns the value as written in paths, keys and tags."""
        if self.type is DimensionType.DATETIME:
            assert self.format is not None
            assert isinstance(value, datetime)
            return formats.shown(self.format, value)
        if self.type is DimensionType.LONG and self.digits:
            return f"{value:0{self.digits}d}"
        return str(value)

    @property
    def segments(self) -> int:
        """The number of path segments of a rendered value: 3 with the format `%Y/%m/%d`."""
        return formats.segments(self.format) if self.format is not None else 1

    @property
    def shape(self) -> str:
        """A regular expression for rendered values, as strict as paths need it."""
        if self.format is not None:
            return formats.shape(self.format)
        return r"[+-]?[0-9]+" if self.type is DimensionType.LONG else "[^/]+?"

    def spelled_remedy(self, text: str, value: Value) -> str:
        """Returns what to declare so that a value is rendered like the text that was read."""
        if self.type is DimensionType.LONG:
            return f"Declare 'digits': {len(text)}" if text.isdigit() else "Name the folders by the number alone"
        assert isinstance(value, datetime)
        form = formats.showing(value, text)
        return f"Declare 'format': {form!r}" if form else "Declare its 'format', and a 'granularity' that fits"

    @property
    def folds(self) -> bool:
        """Whether several texts can be one value, such as `SE` and `se`."""
        return self.transform is not None or self.insensitive

    def comparable(self, value: Value) -> Value:
        """Returns the form by which values of this dimension are compared."""
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
        """Returns the value with this number.

        Raises:
            InvalidValue: The date does not exist.
        """
        if self.granularity is None:
            return ordinal
        try:
            return self.granularity.moment(ordinal)
        except (ValueError, OverflowError):
            raise InvalidValue(self.name, ordinal, "dates between the years 1 and 9999") from None

    def shift(self, value: Value, steps: int) -> Value:
        """Returns the value that is this many granules later (earlier if negative)."""
        return self.at(self.ordinal(value) + steps) if steps else value

    def convert(self, value: Value, source: Dimension) -> Value:
        """Converts a value of another dimension to this dimension, for EQUALS.

        A finer DATETIME is truncated. A coarser one becomes its first value here: a month becomes its first Monday.

        Raises:
            InvalidValue: The value cannot be converted.
        """
        if self.granularity is not None and source.granularity is not None:
            converted = self.read(value)
            if compared_equal(converted, self, value, source):
                return converted
            return self.shift(converted, 1)  # the week in which the month starts belongs to the previous month
        if self.type is source.type:
            return self.read(value) if self.type is not DimensionType.LONG else value
        return self.read(source.render(value))


def compared_equal(value: Value, dimension: Dimension, other: Value, other_dimension: Dimension) -> bool:
    """Returns whether two values agree under EQUALS, in either order.

    DATETIMEs agree at the coarser granularity, texts as one dimension would read the other's value. A text agrees with
    the value that it means: `"007"` with the LONG 7.
    """
    if dimension.granularity is not None and other_dimension.granularity is not None:
        coarser = min(dimension.granularity, other_dimension.granularity, key=lambda g: g.fineness)
        return coarser.truncate(value) == coarser.truncate(other)  # type: ignore[arg-type]
    if dimension.type is not other_dimension.type:
        if _READERS.index(dimension.type) < _READERS.index(other_dimension.type):
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
