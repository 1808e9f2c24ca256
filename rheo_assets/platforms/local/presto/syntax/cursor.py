"""The tokens of one statement, read from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypeVar

from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available
from rheo_assets.platforms.local.presto.syntax.tokens import Token
from rheo_assets.platforms.local.presto.syntax.tree import Node

_N = TypeVar("_N", bound=Node)
_RESERVED = frozenset(
    [
        "ALTER",
        "AND",
        "AS",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CONSTRAINT",
        "CREATE",
        "CROSS",
        "CUBE",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "CURRENT_USER",
        "DEALLOCATE",
        "DELETE",
        "DESCRIBE",
        "DISTINCT",
        "DROP",
        "ELSE",
        "END",
        "ESCAPE",
        "EXCEPT",
        "EXECUTE",
        "EXISTS",
        "EXTRACT",
        "FALSE",
        "FOR",
        "FROM",
        "FULL",
        "GROUP",
        "GROUPING",
        "HAVING",
        "IN",
        "INNER",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "JOIN",
        "LEFT",
        "LIKE",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "NATURAL",
        "NORMALIZE",
        "NOT",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "PREPARE",
        "RECURSIVE",
        "RIGHT",
        "ROLLUP",
        "SELECT",
        "SKIP",
        "TABLE",
        "THEN",
        "TRIM",
        "TRUE",
        "UESCAPE",
        "UNION",
        "UNNEST",
        "USING",
        "VALUES",
        "WHEN",
        "WHERE",
        "WITH",
        "JSON_ARRAY",
        "JSON_EXISTS",
        "JSON_OBJECT",
        "JSON_QUERY",
        "JSON_VALUE",
        "LISTAGG",
    ]
)


class Cursor:
    """The tokens of a statement and a position in them."""

    def __init__(self, query: Query, tokens: Sequence[Token]) -> None:
        self.query = query
        after = tokens[-1].end if tokens else 0
        self.tokens = [*tokens, Token("end", "", after, after)]
        self.position = 0

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.position]

    def ahead(self, count: int = 1) -> Token:
        """Returns a later token."""
        return self.tokens[min(self.position + count, len(self.tokens) - 1)]

    def sees(self, *words: str) -> bool:
        """Returns whether the next tokens are these words."""
        return all(self.ahead(index).word == word for index, word in enumerate(words))

    def sees_any(self, *words: str) -> bool:
        """Returns whether the next token is one of these words."""
        return self.token.word in words

    def take(self, *words: str) -> bool:
        """Reads the words if they are next."""
        if not self.sees(*words):
            return False
        self.position += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Reads the words.

        Raises:
            Refusal: Others are there.
        """
        for word in words:
            if not self.take(word):
                self.fail(word)

    def next(self) -> Token:
        """Reads a token."""
        token = self.token
        if token.kind != "end":
            self.position += 1
        return token

    def is_name(self, count: int = 0) -> bool:
        """Returns whether a later token may be a name."""
        token = self.ahead(count)
        return token.kind == "quoted" or (token.kind == "word" and token.word not in _RESERVED)

    def name(self) -> str:
        """Reads a name, and returns it in lower case: Athena does not tell capitals apart."""
        if not self.is_name():
            self.fail("a name")
        return self.next().text.lower()

    def names(self) -> tuple[str, ...]:
        """Reads names in parentheses."""
        self.expect("(")
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        self.expect(")")
        return tuple(found)

    def string(self) -> str:
        """Reads a string."""
        if self.token.kind != "string":
            self.fail("a 'string'")
        return self.next().text

    def spanned(self, node: _N, start: int) -> _N:
        """Returns the node, which knows that it reaches from the offset to here."""
        object.__setattr__(node, "at", start)
        object.__setattr__(node, "end", self.tokens[self.position - 1].end if self.position else start)
        return node

    def fail(self, wanted: str) -> NoReturn:
        """Raises a syntax error at the next token."""
        token = self.token
        where = self.query.place(token.start)
        found = "the end" if token.kind == "end" else repr(self.query.text[token.start : token.end])
        raise Refusal(f"the SQL has a syntax error at {where}: {wanted} is expected, {found} was found")

    def refuse(self, what: str, remedy: str = "") -> NoReturn:
        """Refuses what Athena may have and this engine has not, at the next token."""
        raise not_available(f"{self.query.place(self.token.start)}: {what}", remedy)
