"""The types of columns, in one spelling for all engines: Hive's, as in the Glue Data Catalog.

A kind is a plain value: the name of a scalar type, `[element]`, `{field: kind}`, or `(key, value)` of a map.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Kind = Any
UNKNOWN: Final = "void"  # the kind of a column without values
_SCALARS: Final = {
    **{name: name for name in ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double")},
    **{name: name for name in ("string", "binary", "date", "timestamp")},
    "integer": "int", "long": "bigint", "real": "float", "varbinary": "binary", "varchar": "string", "char": "string",
}  # fmt: skip
_ATHENA: Final = {
    "int": "integer", "float": "real", "string": "varchar", "binary": "varbinary", "timestamp_ntz": "timestamp",
    UNKNOWN: "unknown",
}  # fmt: skip
INTEGERS: Final = ("tinyint", "smallint", "int", "bigint")
_DIGITS: Final = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_TIMES: Final = ("date", "timestamp_ntz", "timestamp")
_TOKEN: Final = re.compile(r"\s*([A-Za-z_][\w$]*|\"[^\"]+\"|`[^`]+`|\d+|[<>(),:])")
_OPEN: Final = {"<": ">", "(": ")"}
_WIDEST: Final = 38


def kind_of(text: str) -> Kind:
    """Returns the kind of a type written as in Hive or Athena: `decimal(10,2)`, `array(varchar)`.

    >>> kind_of("row(a integer, b array(varchar(3)))")
    {'a': 'int', 'b': ['string']}

    Raises:
        ValueError: The type does not exist.
    """
    return _Reader(text).all()


class _Reader:
    """Parses a type from its tokens."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        place, text = 0, text.strip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"{text[place]!r} is not part of a type")
            self._tokens.append(match[1])
            place = match.end()

    def all(self) -> Kind:
        kind = self._kind()
        if self._tokens:
            raise ValueError(f"{self._tokens[0]!r} follows a whole type")
        return kind

    def _next(self, *expected: str) -> str:
        found = self._tokens.pop(0) if self._tokens else ""
        if not found or (expected and found not in expected):
            raise ValueError(f"{' or '.join(map(repr, expected)) or 'a type'} is missing")
        return found

    def _kind(self) -> Kind:
        name = self._next().lower()
        if name in {"array", "map", "struct", "row"}:
            return self._nested(name)
        if name in {"decimal", "numeric"}:
            precision, scale, *_ = *(self._size() or (10,)), 0
            if not 1 <= precision <= _WIDEST or scale > precision:
                raise ValueError(f"a decimal has up to {_WIDEST} digits, and its scale is at most its precision")
            return f"decimal({precision},{scale})"
        if name not in _SCALARS:
            raise ValueError(f"{name!r} is not a type")
        if name in {"varchar", "char", "timestamp"}:
            self._size()
        return _SCALARS[name]

    def _size(self) -> tuple[int, ...]:
        if not self._tokens or self._tokens[0] != "(":
            return ()
        self._next("(")
        sizes = [self._number()]
        while self._next(",", ")") == ",":
            sizes.append(self._number())
        return tuple(sizes)

    def _number(self) -> int:
        found = self._next()
        if not found.isdigit():
            raise ValueError(f"{found!r} is not a number of digits")
        return int(found)

    def _nested(self, name: str) -> Kind:
        close = _OPEN[self._next("<", "(")]
        if name == "array":
            element = self._kind()
            self._next(close)
            return [element]
        if name == "map":
            key = self._kind()
            self._next(",")
            value = self._kind()
            self._next(close)
            return (key, value)
        fields: dict[str, Kind] = {}
        while True:
            field = self._next().strip('"`').lower()
            if self._tokens and self._tokens[0] == ":":
                self._next(":")
            fields[field] = self._kind()
            if self._next(",", close) == close:
                return fields


def spelled(kind: Kind) -> str:
    """Returns a kind as Hive writes it: `struct<a:int,b:array<string>>`."""
    if isinstance(kind, list):
        return f"array<{spelled(kind[0])}>"
    if isinstance(kind, tuple):
        return f"map<{spelled(kind[0])},{spelled(kind[1])}>"
    if isinstance(kind, Mapping):
        return f"struct<{','.join(f'{name}:{spelled(field)}' for name, field in kind.items())}>"
    return str(kind)


def athena_spelled(kind: Kind) -> str:
    """Returns a kind as Athena writes it: `row(a integer, b array(varchar))`."""
    if isinstance(kind, list):
        return f"array({athena_spelled(kind[0])})"
    if isinstance(kind, tuple):
        return f"map({athena_spelled(kind[0])}, {athena_spelled(kind[1])})"
    if isinstance(kind, Mapping):
        return f"row({', '.join(f'{name} {athena_spelled(field)}' for name, field in kind.items())})"
    return _ATHENA.get(kind, str(kind))


def decimal_size(kind: str) -> tuple[int, int]:
    """Returns the precision and scale of a decimal, or of the decimal that can hold an integer type."""
    if kind in _DIGITS:
        return _DIGITS[kind], 0
    precision, _, scale = kind.removeprefix("decimal(").removesuffix(")").partition(",")
    return int(precision), int(scale)


def wider(one: Kind, other: Kind) -> Kind | None:  # one rule per line
    """Returns the kind that can hold the values of both without change; None if there is none.

    An integer and a fraction become a double: the cast then raises for integers that a double would round.
    """
    if other in (one, UNKNOWN):
        return one
    if one == UNKNOWN:
        return other
    if isinstance(one, list) and isinstance(other, list):
        return _all([one[0]], [other[0]], list)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _all(one, other, tuple)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _wider_struct(one, other)
    if isinstance(one, str) and isinstance(other, str):
        return _wider_scalar(one, other)
    return None


def _all(ones: Any, others: Any, make: Callable[[Any], Kind]) -> Kind | None:
    kinds = [wider(one, other) for one, other in zip(ones, others, strict=True)]
    return None if None in kinds else make(kinds)


def _wider_struct(one: Mapping[str, Kind], other: Mapping[str, Kind]) -> Kind | None:
    fields, spelling = dict(one), {name.lower(): name for name in one}
    for name, kind in other.items():
        known = spelling.setdefault(name.lower(), name)
        both = wider(fields.get(known, UNKNOWN), kind)
        if both is None:
            return None
        fields[known] = both
    return fields


def _wider_scalar(one: str, other: str) -> str | None:
    pair = {one, other}
    if pair <= {*INTEGERS}:
        return max(one, other, key=INTEGERS.index)
    if pair <= {*INTEGERS, "float", "double"}:
        return "float" if pair <= {"tinyint", "smallint", "float"} else "double"
    if pair <= {*_TIMES}:
        return max(one, other, key=_TIMES.index)
    if all(kind.startswith("decimal") or kind in INTEGERS for kind in pair):
        return _wider_decimal(decimal_size(one), decimal_size(other))
    return None


def _wider_decimal(one: tuple[int, int], other: tuple[int, int]) -> str | None:
    scale = max(one[1], other[1])
    precision = max(one[0] - one[1], other[0] - other[1]) + scale
    return f"decimal({precision},{scale})" if precision <= _WIDEST else None


def may_round(have: Kind, want: Kind) -> bool:
    """Returns whether a cast could round an integer: beyond 2^53, a double cannot hold every integer."""
    return bool(have == "bigint" and want == "double")
