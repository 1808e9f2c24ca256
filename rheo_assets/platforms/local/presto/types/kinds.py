"""A type of Trino."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.platforms.local.presto.refusals import Refusal, not_available
from rheo_assets.platforms.local.presto.syntax.tree import TypeName

ZONED: Final = "timestamp with time zone"
DAY_INTERVAL: Final = "interval day to second"
YEAR_INTERVAL: Final = "interval year to month"
INTEGERS: Final = ("tinyint", "smallint", "integer", "bigint")
DIGITS: Final = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
FLOATS: Final = ("real", "double")
TEXTS: Final = ("varchar", "char")
MOST_DIGITS: Final = 38
_MOST_PRECISION: Final = 6
_PLAIN: Final = frozenset(
    {"boolean", *INTEGERS, *FLOATS, "varbinary", "date", "json", "uuid", "unknown", DAY_INTERVAL, YEAR_INTERVAL}
)
_ALIASES: Final = {"int": "integer"}
_NOT_HERE: Final = frozenset(
    """time with time zone|ipaddress|hyperloglog|p4hyperloglog|qdigest|tdigest|setdigest|jsonpath|color|geometry
    |sphericalgeography|bingtile|number""".replace("\n", "")
    .replace(" |", "|")
    .split("|")
)


@dataclass(frozen=True, slots=True)
class Type:
    """A type.

    Attributes:
        name: Its base name: `varchar`, `timestamp with time zone`, `row`.
        args: Lengths, precisions, types, or for a row pairs of a field's name (or None) and its type.
    """

    name: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Returns Trino's spelling of the type."""
        if self.name == "row":
            return f"row({', '.join(f'{name} {kind}' if name else str(kind) for name, kind in self.args)})"
        if self.name == ZONED:
            return f"timestamp({self.args[0]}) with time zone"
        if not self.args:
            return self.name
        separator = "," if self.name == "decimal" else ", "
        return f"{self.name}({separator.join(map(str, self.args))})"

    @property
    def fields(self) -> tuple[tuple[str, Type], ...]:
        """The fields of a row under the names that DuckDB knows them by."""
        names: list[str] = []
        for index, (name, _) in enumerate(self.args):
            key = name or f"field{index}"
            names.append(key if key not in names else f"{key}_{index}")
        return tuple(zip(names, (kind for _, kind in self.args), strict=True))


UNKNOWN: Final = Type("unknown")
BOOLEAN: Final = Type("boolean")
INTEGER: Final = Type("integer")
BIGINT: Final = Type("bigint")
DOUBLE: Final = Type("double")
VARCHAR: Final = Type("varchar")
JSON: Final = Type("json")
DATE: Final = Type("date")


def of_name(written: TypeName) -> Type:
    """Returns the type that is written.

    Raises:
        Refusal: There is none of this name, or it cannot be read here.
    """
    name = _ALIASES.get(written.name, written.name)
    args = written.args
    if name in _PLAIN and not args and name != "unknown":
        return Type(name)
    if name in {"array", "map"} and len(args) == (1 if name == "array" else 2):
        return Type(name, tuple(of_name(arg) for arg in args))
    if name == "row":
        return Type(name, tuple((field, of_name(kind)) for field, kind in args))
    if name in {"decimal", "dec", "numeric"}:
        return decimal(*(args or (MOST_DIGITS, 0)))
    if name == "varchar":
        return Type(name, args)
    if name == "char":
        return Type(name, args or (1,))
    if name in {"time", "timestamp", ZONED}:
        return Type(name, (_precision(name, args[0] if args else 3),))
    if name in _NOT_HERE or name in {"time with time zone"}:
        raise not_available(f"the type {name}", "CAST it to varchar where Athena computes it")
    remedy = ": write varchar" if name in {"string", "text"} else ""
    remedy = remedy or " (known: varchar, integer, bigint, double, decimal(p,s), date, …)"
    raise Refusal(f"the type {name} is not a type of Athena's queries{remedy}")


def decimal(precision: int, scale: int = 0) -> Type:
    """Returns a decimal type."""
    if not 1 <= precision <= MOST_DIGITS or not 0 <= scale <= precision:
        raise Refusal(f"decimal({precision},{scale}) is no type: precision is 1 to 38, and scale no more than it")
    return Type("decimal", (precision, scale))


def array(of: Type) -> Type:
    """Returns an array type."""
    return Type("array", (of,))


def _precision(name: str, precision: int) -> int:
    if precision > 12:
        raise Refusal(f"{name}({precision}) is no type: the precision is 0 to 12")
    if precision > _MOST_PRECISION:
        raise not_available(f"{name}({precision})", "the local Athena keeps microseconds: write a precision up to 6")
    return precision
