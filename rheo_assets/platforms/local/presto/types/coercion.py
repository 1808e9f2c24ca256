"""What Trino converts by itself, and the type that two types have in common."""

from __future__ import annotations

from collections.abc import Iterable

from rheo_assets.platforms.local.presto.types.kinds import (
    DIGITS,
    INTEGERS,
    MOST_DIGITS,
    TEXTS,
    UNKNOWN,
    ZONED,
    Type,
    decimal,
)

_TIMES = ("date", "timestamp", ZONED)


def common(first: Type, second: Type) -> Type | None:
    """Returns the type to which Trino brings values of two types, or None."""
    if second in (first, UNKNOWN):
        return first
    if first == UNKNOWN:
        return second
    names = {first.name, second.name}
    if len(names) == 1:
        return _same_name(first, second)
    if names <= set(TEXTS):
        varchar, char = (first, second) if first.name == "varchar" else (second, first)
        return Type("varchar", (max(varchar.args[0], char.args[0]),)) if varchar.args else varchar
    if names <= set(_TIMES):
        name = max(names, key=_TIMES.index)
        return Type(name, (max(kind.args[0] for kind in (first, second) if kind.args),))
    return _common_number(first, second)


def _same_name(first: Type, second: Type) -> Type | None:
    name = first.name
    if name == "decimal":
        whole = max(kind.args[0] - kind.args[1] for kind in (first, second))
        scale = max(first.args[1], second.args[1])
        return decimal(min(MOST_DIGITS, whole + scale), scale)
    if name in TEXTS:
        return Type(name, (max(first.args[0], second.args[0]),)) if first.args and second.args else Type(name)
    if name in {"time", "timestamp", ZONED}:
        return Type(name, (max(first.args[0], second.args[0]),))
    if name in {"array", "map"}:
        inner = [common(a, b) for a, b in zip(first.args, second.args, strict=True)]
        return None if None in inner else Type(name, tuple(inner))
    if name == "row" and len(first.args) == len(second.args):
        kinds = [common(a, b) for (_, a), (_, b) in zip(first.args, second.args, strict=True)]
        names = [a if a == b else None for (a, _), (b, _) in zip(first.args, second.args, strict=True)]
        return None if None in kinds else Type(name, tuple(zip(names, kinds, strict=True)))
    return None


def _common_number(first: Type, second: Type) -> Type | None:
    ranks = (*INTEGERS, "decimal", "real", "double")
    if first.name not in ranks or second.name not in ranks:
        return None
    low, high = sorted((first, second), key=lambda kind: ranks.index(kind.name))
    if high.name == "decimal":
        return common(decimal(DIGITS[low.name]), high)
    return high


def common_of(kinds: Iterable[Type]) -> Type | None:
    """Returns the type to which Trino brings values of all the types, or None."""
    found: Type | None = UNKNOWN
    for kind in kinds:
        if found is None:
            return None
        found = common(found, kind)
    return found


def can_coerce(given: Type, to: Type) -> bool:
    """Returns whether Trino converts a value of a type to another by itself."""
    if given in (to, UNKNOWN):
        return True
    if to.name == "varchar" and given.name in TEXTS:
        return not to.args or (bool(given.args) and given.args[0] <= to.args[0])
    return common(given, to) == to or (given.name == to.name == "row" and common(given, to) is not None)
