"""The statements of a query: which kinds there are, and what each reads and leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.syntax.cursor import Cursor
from rheo_assets.platforms.local.presto.syntax.selects import query as read_query
from rheo_assets.platforms.local.presto.syntax.tokens import Token, tokens_of

_KINDS = "SELECT, WITH, VALUES, CREATE TABLE … AS, CREATE VIEW … AS, INSERT INTO … SELECT, UNLOAD and DROP TABLE"
_QUERY_STARTS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        kind: `select`, `table`, `view`, `insert`, `unload` or `drop`.
        number: Its place in the script, from 1.
        tree: The query it runs; None for `drop`.
        name: The table or view it makes, fills or drops.
        columns: The columns that an `insert` names.
        location: Where an `unload` writes.
        properties: The `WITH (…)` of a CTAS or an `unload`, names in lower case.
        lenient: `IF EXISTS`, `IF NOT EXISTS`, `OR REPLACE`.
        text: Of `table` and `unload`: the text of the query, on the lines where it stands.
    """

    kind: str
    number: int
    tree: Any = None
    name: str = ""
    columns: tuple[str, ...] = ()
    location: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    lenient: bool = False
    text: str = ""


@lru_cache(maxsize=64)  # a node's query is the same for most of its partitions
def parse(query: Query) -> tuple[Statement, ...]:
    """Returns the statements of a query; other tasks may have the same ones, so that none may be changed.

    Raises:
        Refusal: A statement cannot be read, or is of a kind that a node may not run.
    """
    groups: list[list[Token]] = [[]]
    for token in tokens_of(query):
        if token.text == ";" and token.kind == "symbol":
            groups.append([])
        else:
            groups[-1].append(token)
    found = [group for group in groups if group]
    if not found:
        raise Refusal("the query is empty: write a SELECT")
    return tuple(_Reader(query, group, number).statement() for number, group in enumerate(found, 1))


class _Reader:
    """Reads one statement: its head word by word, its query with the grammar of Trino."""

    def __init__(self, query: Query, tokens: Sequence[Any], number: int) -> None:
        self.query = query
        self.tokens = list(tokens)
        self.number = number
        self.position = 0

    def statement(self) -> Statement:
        word = self._word()
        if word in _QUERY_STARTS:
            return Statement("select", self.number, self._tree())
        reader = {
            "CREATE": self._create,
            "INSERT": self._insert,
            "UNLOAD": self._unload,
            "DROP": self._drop,
        }.get(word)
        if reader is None:
            raise Refusal(
                f"statement {self.number} begins with {self.tokens[0].text!r} at {self._place()}, "
                f"which a node may not run: "
                f"write {_KINDS}"
            )
        self.position += 1
        return reader()

    def _create(self) -> Statement:
        lenient = self._take("OR", "REPLACE")
        kind = self._one_of("TABLE", "VIEW").lower()
        lenient = self._take("IF", "NOT", "EXISTS") or lenient
        name = self._name()
        properties = self._properties() if self._take("WITH") else {}
        self._expect("AS")
        text = self._text(self.position, len(self.tokens))
        return Statement(kind, self.number, self._tree(), name, properties=properties, lenient=lenient, text=text)

    def _insert(self) -> Statement:
        self._expect("INTO")
        name = self._name()
        columns: tuple[str, ...] = ()
        if self._word() == "(" and self._word(1) not in _QUERY_STARTS:
            columns = self._names()
        return Statement("insert", self.number, self._tree(), name, columns)

    def _unload(self) -> Statement:
        if self._word() != "(":
            raise self._wrong("UNLOAD (SELECT …) TO 's3://…' WITH (format = 'PARQUET')")
        end = self._closing()
        tree, text = self._tree(self.position + 1, end), self._text(self.position + 1, end)
        self.position = end + 1
        self._expect("TO")
        location = str(self._value())
        properties = self._properties() if self._take("WITH") else {}
        self._finish()
        return Statement("unload", self.number, tree, location=location, properties=properties, text=text)

    def _drop(self) -> Statement:
        self._one_of("TABLE", "VIEW")
        lenient = self._take("IF", "EXISTS")
        name = self._name()
        self._finish()
        return Statement("drop", self.number, name=name, lenient=lenient)

    # Words.

    def _word(self, ahead: int = 0) -> str:
        index = self.position + ahead
        if index >= len(self.tokens):
            return ""
        token = self.tokens[index]
        return "" if token.kind in {"string", "quoted"} else token.text.upper()

    def _take(self, *words: str) -> bool:
        if all(self._word(ahead) == word for ahead, word in enumerate(words)):
            self.position += len(words)
            return True
        return False

    def _one_of(self, *words: str) -> str:
        word = self._word()
        if word not in words:
            raise self._wrong(" or ".join(words))
        self.position += 1
        return word

    def _expect(self, word: str) -> None:
        self._one_of(word)

    def _finish(self) -> None:
        if self.position < len(self.tokens):
            raise self._wrong("the end of the statement")

    def _name(self) -> str:
        if self.position >= len(self.tokens) or self.tokens[self.position].kind not in {"word", "quoted"}:
            raise self._wrong("a name")
        name = str(self.tokens[self.position].text)
        self.position += 1
        if self._word() == ".":
            raise Refusal(f"{name!r} at {self._place(-1)} names a database: here a table has a plain name")
        return name

    def _names(self) -> tuple[str, ...]:
        self._expect("(")
        names = [self._name()]
        while self._take(","):
            names.append(self._name())
        self._expect(")")
        return tuple(names)

    def _properties(self) -> dict[str, Any]:
        self._expect("(")
        found: dict[str, Any] = {}
        while True:
            name = self._name().lower()
            self._expect("=")
            found[name] = self._value()
            if not self._take(","):
                break
        self._expect(")")
        return found

    def _value(self) -> Any:
        if self._take("ARRAY"):
            self._expect("[")
            items = [self._value()]
            while self._take(","):
                items.append(self._value())
            self._expect("]")
            return tuple(items)
        if self.position >= len(self.tokens):
            raise self._wrong("a value")
        token = self.tokens[self.position]
        self.position += 1
        return str(token.text)

    # Queries.

    def _closing(self) -> int:
        depth = 0
        for index in range(self.position, len(self.tokens)):
            word = self.tokens[index].word
            depth += (word == "(") - (word == ")")
            if depth == 0:
                return index
        raise self._wrong("a closing )")

    def _text(self, start: int, end: int) -> str:
        if start >= end:
            return ""
        first, last = self.tokens[start].start, self.tokens[end - 1].end
        return "\n" * self.query.text.count("\n", 0, first) + self.query.text[first:last]

    def _tree(self, start: int | None = None, end: int | None = None) -> Any:
        tokens = self.tokens[self.position if start is None else start : end]
        for token, following in pairwise(tokens):
            if token.word == following.word == ":" and token.end == following.start:
                raise Refusal(f"'::' at {self.query.place(token.start)} is not Athena's SQL: write CAST(x AS type)")
        if not tokens:
            raise self._wrong("a SELECT")
        cursor = Cursor(self.query, tokens)
        tree = read_query(cursor)
        if cursor.token.kind != "end":
            cursor.fail("the end of the statement")
        return tree

    def _place(self, ahead: int = 0) -> str:
        index = min(self.position + ahead, len(self.tokens) - 1)
        return str(self.query.place(self.tokens[index].start))

    def _wrong(self, wanted: str) -> Refusal:
        found = repr(self.tokens[self.position].text) if self.position < len(self.tokens) else "the end"
        return Refusal(f"the SQL has a syntax error at {self._place()}: {wanted} is expected, {found} was found")
