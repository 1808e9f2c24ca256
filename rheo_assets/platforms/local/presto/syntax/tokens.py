"""The tokens of Trino's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.refusals import Refusal

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<binary>[xX]'(?:[^']|'')*')
    |(?P<unicode>[uU]&'(?:[^']|'')*')
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<double>(?:\d[\d_]*\.?\d*|\.\d+)[eE][+-]?\d+)
    |(?P<decimal>\d[\d_]*\.[\d_]*|\.\d[\d_]*)
    |(?P<integer>0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*)
    |(?P<word>[^\W\d][\w@]*)
    |(?P<symbol>->|=>|<>|!=|<=|>=|\|\||[-+*/%=<>.,;:()\[\]{}?|$^&~!@])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: `word`, `quoted`, `string`, `binary`, `unicode`, `integer`, `decimal`, `double`, `symbol` or `end`.
        text: What it says, without its quotes.
        start: The offset of its first character.
        end: The offset after its last.
    """

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword or symbol in upper case; empty for a string or a quoted name."""
        return self.text.upper() if self.kind in {"word", "symbol"} else ""


def tokens_of(query: Query) -> list[Token]:
    """Returns the tokens of a text, without spaces and comments.

    Raises:
        Refusal: A string does not end, or a character is none of SQL's.
    """
    text, position, found = query.text, 0, []
    while position < len(text):
        hit = _TOKEN.match(text, position)
        if hit is None:
            raise _unknown(query, position)
        kind = hit.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, _content(kind, hit.group()), hit.start(), hit.end()))
        position = hit.end()
    return found


def _content(kind: str, text: str) -> str:
    if kind == "quoted":
        return text[1:-1].replace('""', '"')
    if kind == "string":
        return text[1:-1].replace("''", "'")
    if kind == "binary":
        return text[2:-1]
    if kind == "unicode":
        return text[3:-1].replace("''", "'")
    return text


def _unknown(query: Query, position: int) -> Refusal:
    found = {"'": "string", '"': "quoted name", "/": "comment"}.get(query.text[position])
    if found:
        return Refusal(f"the SQL cannot be read: a {found} that starts at {query.place(position)} does not end")
    return Refusal(
        f"the SQL cannot be read: the character {query.text[position]!r} at {query.place(position)} is not one of SQL's"
    )
