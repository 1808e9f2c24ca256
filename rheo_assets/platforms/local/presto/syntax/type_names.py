"""Types as they are written in a query."""

from __future__ import annotations

from typing import Any

from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.tree import TypeName


def type_name(cursor: Cursor) -> TypeName:
    """Reads a type."""
    start = cursor.token.start
    found = _base(cursor)
    while cursor.take("ARRAY"):
        found = TypeName("array", (found,))
    return cursor.spanned(found, start)


def _base(cursor: Cursor) -> TypeName:
    if cursor.sees("ROW", "("):
        return _row(cursor)
    if cursor.take("INTERVAL"):
        start = cursor.next().word.lower()
        cursor.expect("TO")
        return TypeName(f"interval {start} to {cursor.next().word.lower()}")
    if cursor.sees_any("TIME", "TIMESTAMP"):
        return _time(cursor)
    if cursor.take("DOUBLE", "PRECISION"):
        return TypeName("double")
    if cursor.sees_any("ARRAY", "MAP") and cursor.ahead().word == "<":
        name = cursor.next().word.lower()
        return TypeName(name, _inside(cursor, "<", ">"))
    if cursor.token.kind not in {"word", "quoted"}:
        cursor.fail("a type")
    name = cursor.next().text.lower()
    return TypeName(name, _inside(cursor, "(", ")") if cursor.sees("(") else ())


def _time(cursor: Cursor) -> TypeName:
    name = cursor.next().word.lower()
    args = _inside(cursor, "(", ")") if cursor.sees("(") else ()
    if cursor.take("WITH", "TIME", "ZONE"):
        name += " with time zone"
    else:
        cursor.take("WITHOUT", "TIME", "ZONE")
    return TypeName(name, args)


def _inside(cursor: Cursor, opening: str, closing: str) -> tuple[Any, ...]:
    cursor.expect(opening)
    found = [_argument(cursor)]
    while cursor.take(","):
        found.append(_argument(cursor))
    cursor.expect(closing)
    return tuple(found)


def _argument(cursor: Cursor) -> Any:
    if cursor.token.kind == "integer":
        return int(cursor.next().text)
    return type_name(cursor)


def _row(cursor: Cursor) -> TypeName:
    cursor.expect("ROW", "(")
    found = [_row_field(cursor)]
    while cursor.take(","):
        found.append(_row_field(cursor))
    cursor.expect(")")
    return TypeName("row", tuple(found))


def _row_field(cursor: Cursor) -> tuple[str | None, TypeName]:
    """Reads `type` or `name type`: which of them it is shows at the token after."""
    position = cursor.position
    name = cursor.next()
    if (
        name.kind in {"word", "quoted"}
        and cursor.token.kind in {"word", "quoted"}
        and not _is_phrase(name.word, cursor)
    ):
        return name.text.lower(), type_name(cursor)
    cursor.position = position
    return None, type_name(cursor)


def _is_phrase(word: str, cursor: Cursor) -> bool:
    following = cursor.token.word
    return (
        (word == "DOUBLE" and following == "PRECISION")
        or (word in {"TIME", "TIMESTAMP"} and following in {"WITH", "WITHOUT"})
        or (word == "INTERVAL" and following in {"YEAR", "DAY"} and cursor.ahead().word == "TO")
        or (following == "ARRAY" and cursor.ahead().word not in {"(", "<"})
    )
