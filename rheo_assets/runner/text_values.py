"""SQL, valid in every engine, that finds the type of a text column's values and checks a declared type.

The patterns contain no backslash, which means something else in each dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rheo_assets.model.column_types import INTEGERS, UNKNOWN, decimal_size

BIG: Final = "decimal(38,0)"
KINDS: Final = ("boolean", "int", "bigint", BIG, "double", "date", "timestamp")
LARGEST_EXACT: Final = 2**53  # every integer up to here is exactly a double
_WHOLE: Final = "[+-]?[0-9]+"
_PLAIN: Final = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)"
_NUMBER: Final = f"({_PLAIN}([eE][+-]?[0-9]+)?|[+-]?Infinity|NaN)"
_DATE: Final = "[0-9]{4}-[0-9][0-9]-[0-9][0-9]"
_TIME: Final = _DATE + "[ T][0-9][0-9]:[0-9][0-9](:[0-9][0-9]([.][0-9]{1,6}0*)?)?"


@dataclass(frozen=True, slots=True)
class Dialect:
    """An engine's SQL for the tests of a value.

    Attributes:
        matches: Returns the SQL that tests whether a whole text matches a pattern.
        cast: Returns the SQL that converts the value to a kind, or to null if it cannot.
    """

    matches: Callable[[str, str], str]
    cast: Callable[[str, str], str]


def tests_of(column: str, dialect: Dialect) -> list[str]:
    """Returns, for each of `KINDS`, the SQL that tests whether a text has that kind."""
    whole = dialect.matches(column, _WHOLE)
    exact = f"abs({dialect.cast(column, 'double')}) <= {LARGEST_EXACT}"  # a double would round the others
    return [
        f"lower({column}) IN ('true', 'false')",
        *(f"{whole} AND {dialect.cast(column, kind)} IS NOT NULL" for kind in ("int", "bigint", BIG)),
        f"{dialect.matches(column, _NUMBER)} AND ({exact} OR NOT {whole})",
        f"{dialect.matches(column, _DATE)} AND {dialect.cast(column, 'date')} IS NOT NULL",
        f"{dialect.matches(column, _TIME)} AND {dialect.cast(column, 'timestamp')} IS NOT NULL",
    ]


def mask_of(column: str, dialect: Dialect) -> str:
    """Returns the SQL for the kinds that all texts of a column have, as bits; null if it has no values."""
    bits = (f"(CASE WHEN {test} THEN {1 << n} ELSE 0 END)" for n, test in enumerate(tests_of(column, dialect)))
    return f"bit_and(CASE WHEN {column} IS NULL THEN NULL ELSE {' + '.join(bits)} END)"


def kind_of_mask(mask: int | None) -> str:
    """Returns the kind that all values have: text if they are not numbers or times, `UNKNOWN` if there are none."""
    if mask is None:
        return UNKNOWN
    return next((kind for n, kind in enumerate(KINDS) if mask >> n & 1), "string")


def both_masks(one: int | None, other: int | None) -> int | None:
    """Returns the mask of the values of two files."""
    return one if other is None else other if one is None else one & other


def fits(column: str, kind: str, dialect: Dialect) -> str:
    """Returns the SQL that tests whether a non-null text is a value of a declared scalar kind."""
    if kind == "string":
        return "true"
    if kind == "boolean":
        return f"lower({column}) IN ('true', 'false')"
    if kind in INTEGERS:
        return f"{dialect.matches(column, _WHOLE)} AND {dialect.cast(column, kind)} IS NOT NULL"
    if kind in {"float", "double"}:
        return dialect.matches(column, _NUMBER)
    if kind in {"date", "timestamp"}:
        pattern = _DATE if kind == "date" else f"({_DATE}|{_TIME})"
        return f"{dialect.matches(column, pattern)} AND {dialect.cast(column, kind)} IS NOT NULL"
    precision, scale = decimal_size(kind)
    size = f"[+-]?0*[0-9]{{0,{precision - scale}}}([.][0-9]{{0,{scale}}}0*)?"
    return f"{dialect.matches(column, _PLAIN)} AND {dialect.matches(column, size)}"
