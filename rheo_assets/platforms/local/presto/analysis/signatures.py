"""The signatures of functions: which overload a call means, and the type that it gives.

A table has one overload on each line: `name(types) -> type = DuckDB's SQL`, with `{0}` for the first argument. A single
capital letter stands for any type, `timestamp` for one of any precision, `decimal` for any decimal. `...` repeats the
last argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.tokens import tokens_of
from rheo_assets.platforms.local.presto.syntax.tree import TypeName
from rheo_assets.platforms.local.presto.syntax.type_names import type_name
from rheo_assets.platforms.local.presto.types import kinds
from rheo_assets.platforms.local.presto.types.coercion import can_coerce, common
from rheo_assets.platforms.local.presto.types.kinds import UNKNOWN, Type

_OPEN = frozenset({"timestamp", "time", kinds.ZONED, "decimal", "varchar", "char"})


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload of a function."""

    name: str
    params: tuple[TypeName, ...]
    result: TypeName
    sql: str
    repeats: bool = False

    def match(self, given: Sequence[Type]) -> tuple[tuple[Type, ...], Type, int] | None:
        """Returns the types to bring the arguments to, the result's, and how far they are; or None."""
        params = self.params
        if self.repeats:
            params = (*params, *(params[-1:] * (len(given) - len(params))))
        if len(params) != len(given):
            return None
        bound: dict[str, Type] = {}
        if not all(_bind(param, kind, bound) for param, kind in zip(params, given, strict=True)):
            return None
        wanted = tuple(_resolved(param, bound, kind) for param, kind in zip(params, given, strict=True))
        if not all(can_coerce(kind, to) for kind, to in zip(given, wanted, strict=True)):
            return None
        pairs = zip(given, wanted, strict=True)
        distance = sum(kind.name != to.name and kind != UNKNOWN for kind, to in pairs)
        return wanted, _result(self.result, bound, wanted), distance


def _bind(param: TypeName, given: Type, bound: dict[str, Type]) -> bool:
    if len(param.name) == 1:
        both = common(bound.get(param.name, UNKNOWN), given)
        if both is None:
            return False
        bound[param.name] = both
        return True
    if param.name in {"array", "map"} and param.args:
        if given == UNKNOWN:
            return all(_bind(inner, UNKNOWN, bound) for inner in param.args)
        return given.name == param.name and all(
            _bind(inner, kind, bound) for inner, kind in zip(param.args, given.args, strict=True)
        )
    return True


def _resolved(param: TypeName, bound: dict[str, Type], given: Type) -> Type:
    if len(param.name) == 1:
        return bound.get(param.name, UNKNOWN)
    if param.name in {"array", "map"}:
        return Type(param.name, tuple(_resolved(inner, bound, UNKNOWN) for inner in param.args))
    if param.name in _OPEN and not param.args:
        return _open(param.name, given)
    return kinds.of_name(param) if param.name != "unknown" else UNKNOWN


def _open(name: str, given: Type) -> Type:
    if given.name == name:
        return given
    if name == "varchar":
        return Type(name)
    if name == "decimal":
        return Type(name, (kinds.DIGITS.get(given.name, 38), 0))
    if name == "char":
        return Type(name, (1,))
    return Type(name, (given.args[0] if given.args and given.name in {"timestamp", kinds.ZONED} else 3,))


def _result(result: TypeName, bound: dict[str, Type], wanted: Sequence[Type]) -> Type:
    if result.name == "row":
        return Type("row", tuple((name, _result(kind, bound, wanted)) for name, kind in result.args))
    if len(result.name) == 1:
        return bound.get(result.name, UNKNOWN)
    if result.name in {"array", "map"}:
        return Type(result.name, tuple(_result(inner, bound, wanted) for inner in result.args))
    if result.name in _OPEN and not result.args:
        return next((kind for kind in wanted if kind.name == result.name), _open(result.name, UNKNOWN))
    return kinds.of_name(result) if result.name != "unknown" else UNKNOWN


@lru_cache(maxsize=4096)
def _type(text: str) -> TypeName:
    cursor = Cursor(Query(text, text), tokens_of(Query(text, text)))
    return type_name(cursor)


def table(text: str) -> dict[str, list[Signature]]:
    """Returns the overloads of each function of a table."""
    found: dict[str, list[Signature]] = {}
    for line in text.strip().splitlines():
        if not line.strip():
            continue
        head, _, sql = line.strip().partition(" = ")
        left, _, result = head.partition(" -> ")
        names, _, inside = left.partition("(")
        params, repeats = _params(inside.rstrip()[:-1])
        for name in names.split("|"):
            found.setdefault(name, []).append(Signature(name, params, _type(result), sql, repeats))
    return found


def _params(text: str) -> tuple[tuple[TypeName, ...], bool]:
    repeats = text.endswith("...")
    return tuple(_type(part) for part in _split(text.removesuffix("..."))), repeats


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return [*parts, current.strip()] if text.strip() else []


def chosen(overloads: Iterable[Signature], given: Sequence[Type]) -> tuple[Signature, tuple[Type, ...], Type] | None:
    """Returns the overload that fits best, with the types of its arguments and its result; or None."""
    best, least = None, 1000
    for signature in overloads:
        hit = signature.match(given)
        if hit is not None and hit[2] < least:
            best, least = (signature, hit[0], hit[1]), hit[2]
    return best
