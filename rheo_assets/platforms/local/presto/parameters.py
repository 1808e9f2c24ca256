"""The `{name}` parameters of a query: the output's dimension values and the target's own arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rheo_assets.platforms.local.presto.refusals import Place, Refusal, listing, near_misses

# A piece of SQL text: a string, a quoted identifier, a comment, or a stretch of anything else.
_PIECE = re.compile(
    r"""(?P<string>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<other>[^'"/-]+|.)""",
    re.DOTALL,
)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PARAMETER = re.compile(rf"\{{({_NAME})\}}")
_PARAMETER_OR_BRACES = re.compile(rf"\{{\{{|\}}\}}|\{{({_NAME})\}}")
_BARE = re.compile(rf"{_NAME}|[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its parameters filled in, which still knows where its text came from.

    Attributes:
        text: The SQL to parse.
        source: The SQL as the user wrote it.
        shifts: For every replaced parameter: its end in `text`, its end in `source`.
    """

    text: str
    source: str
    shifts: tuple[tuple[int, int], ...] = ()

    def place(self, offset: int) -> Place:
        """Returns where the character of `text` stands in the user's SQL."""
        origin = offset
        for end, source_end in self.shifts:
            if end > offset:
                break
            origin = source_end + offset - end
        before = self.source[: max(origin, 0)]
        return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def fill(source: str, values: Mapping[str, Any]) -> Query:
    r"""Returns the query with every `{name}` replaced by its value, quoted for the place it stands in.

    A brace group that is not an identifier (`\d{4}`, JSON) is left alone. In a string that contains `{{`, the doubled
    braces stand for single ones. Comments are left alone.

    Raises:
        Refusal: A parameter is unknown, or its value is no number or identifier where one must stand.
    """
    text: list[str] = []
    shifts: list[tuple[int, int]] = []
    length = 0
    for piece in _PIECE.finditer(source):
        kind, content = piece.lastgroup or "other", piece.group()
        pattern = _PARAMETER_OR_BRACES if "{{" in content else _PARAMETER
        end = 0
        for hit in pattern.finditer(content) if kind != "comment" else ():
            new = _rendered(hit.group(1), kind, values) if hit.group(1) else hit.group()[0]
            text += (content[end : hit.start()], new)
            length += hit.start() - end + len(new)
            end = hit.end()
            shifts.append((length, piece.start() + end))
        text.append(content[end:])
        length += len(content) - end
    return Query("".join(text), source, tuple(shifts))


def _rendered(name: str, kind: str, values: Mapping[str, Any]) -> str:
    if name not in values:
        raise Refusal(
            f"the query has no value for {{{name}}} (known: {listing(values)}).{near_misses(name, values)} "
            f"Write {{{{{name}}}}} for the braces themselves"
        )
    value = values[name]
    if kind == "string" and value is not None:
        return str(value).replace("'", "''")
    if kind == "quoted" and value is not None:
        return str(value).replace('"', '""')
    if value is None and kind == "other":
        return "NULL"
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    if value is None or not _BARE.fullmatch(str(value)):
        raise Refusal(
            f"the value {values[name]!r} of {{{name}}} is no number or identifier: write '{{{name}}}' to use it as text"
        )
    return str(value)
