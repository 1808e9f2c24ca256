"""The expressions of Trino's SQL. Two nodes are equal if they say the same, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheo_assets.platforms.local.presto.syntax.queries import Query


@dataclass(frozen=True, kw_only=True)
class Node:
    """A piece of the text: from the offset `at` to the offset `end`."""

    at: int = field(default=0, compare=False, repr=False)
    end: int = field(default=0, compare=False, repr=False)

    def children(self) -> Iterator[Node]:
        """Yields the nodes directly inside this one, those in tuples included."""
        for each in fields(self):
            yield from _nodes(getattr(self, each.name))

    def walk(self) -> Iterator[Node]:
        """Yields this node and all inside it, outer ones first."""
        yield self
        for child in self.children():
            yield from child.walk()


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


@dataclass(frozen=True)
class Null(Node):
    """`NULL`."""


@dataclass(frozen=True)
class Constant(Node):
    """A literal of a kind: `boolean`, `string`, `integer`, `decimal`, `double` or `binary`."""

    kind: str
    text: str


@dataclass(frozen=True)
class TypeName(Node):
    """A type as it is written: `decimal(10, 2)`, `row(a bigint)`.

    Attributes:
        name: Its name in lower case, `timestamp with time zone` included.
        args: Numbers, types, or for a row pairs of a field's name (or None) and its type.
    """

    name: str
    args: tuple[Any, ...] = ()

    def children(self) -> Iterator[Node]:
        """Yields nothing: a type has no expressions."""
        return iter(())


@dataclass(frozen=True)
class TypedConstant(Node):
    """`DATE '2024-01-01'`, `DECIMAL '1.5'`: a text that is read as a type."""

    type: TypeName
    text: str


@dataclass(frozen=True)
class Interval(Node):
    """`INTERVAL '1-2' YEAR TO MONTH`."""

    text: str
    negative: bool
    start: str
    stop: str


@dataclass(frozen=True)
class Name(Node):
    """A column by its plain name, in lower case."""

    name: str


@dataclass(frozen=True)
class Field(Node):
    """`base.name`: a column of a table, or a field of a row."""

    base: Node
    name: str


@dataclass(frozen=True)
class Unary(Node):
    """`-x` or `+x`."""

    op: str
    value: Node


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic and `||`."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison(Node):
    """`=`, `<>`, `<`, `<=`, `>`, `>=`, `IS DISTINCT FROM` and `IS NOT DISTINCT FROM`."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logical(Node):
    """`AND` or `OR`."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Not(Node):
    """`NOT x`."""

    value: Node


@dataclass(frozen=True)
class IsNull(Node):
    """`x IS NULL`."""

    value: Node


@dataclass(frozen=True)
class Between(Node):
    """`x BETWEEN a AND b`."""

    value: Node
    low: Node
    high: Node


@dataclass(frozen=True)
class InList(Node):
    """`x IN (a, b)`."""

    value: Node
    items: tuple[Node, ...]


@dataclass(frozen=True)
class InQuery(Node):
    """`x IN (SELECT …)`."""

    value: Node
    query: Query


@dataclass(frozen=True)
class Like(Node):
    """`x LIKE p ESCAPE e`."""

    value: Node
    pattern: Node
    escape: Node | None


@dataclass(frozen=True)
class Exists(Node):
    """`EXISTS (SELECT …)`."""

    query: Query


@dataclass(frozen=True)
class Quantified(Node):
    """`x > ALL (SELECT …)`."""

    op: str
    value: Node
    quantifier: str
    query: Query


@dataclass(frozen=True)
class Scalar(Node):
    """A query as a value."""

    query: Query


@dataclass(frozen=True)
class Case(Node):
    """`CASE … END`, with its operand if it has one."""

    operand: Node | None
    whens: tuple[tuple[Node, Node], ...]
    default: Node | None


@dataclass(frozen=True)
class Cast(Node):
    """`CAST(x AS t)` or `TRY_CAST(x AS t)`."""

    value: Node
    type: TypeName
    safe: bool


@dataclass(frozen=True)
class Extract(Node):
    """`EXTRACT(field FROM x)`."""

    field: str
    value: Node


@dataclass(frozen=True)
class Row(Node):
    """`ROW(a, b)` or `(a, b)`."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Array(Node):
    """`ARRAY[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Subscript(Node):
    """`base[index]`."""

    base: Node
    index: Node


@dataclass(frozen=True)
class Lambda(Node):
    """`(x, y) -> body`."""

    names: tuple[str, ...]
    body: Node


@dataclass(frozen=True)
class AtTimeZone(Node):
    """`x AT TIME ZONE zone`."""

    value: Node
    zone: Node


@dataclass(frozen=True)
class SortItem(Node):
    """One expression of an `ORDER BY`."""

    value: Node
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class Window(Node):
    """What stands in `OVER (…)`.

    Attributes:
        base: The name of the window that it extends.
        partition: The expressions of `PARTITION BY`.
        order: Those of `ORDER BY`.
        frame: The frame's mode, start and end; a bound is a word and, for `PRECEDING` and `FOLLOWING`, its distance.
    """

    base: str
    partition: tuple[Node, ...]
    order: tuple[SortItem, ...]
    frame: tuple[str, tuple[str, Node | None], tuple[str, Node | None]] | None


@dataclass(frozen=True)
class Call(Node):
    """A function call with everything that may stand around it.

    Attributes:
        name: The function, in lower case.
        args: Its arguments.
        star: Whether it is called as `f(*)`.
        distinct: Whether its arguments are `DISTINCT`.
        order: The `ORDER BY` of an aggregate, or of `WITHIN GROUP`.
        where: The condition of `FILTER`.
        nulls: `IGNORE`, `RESPECT` or nothing.
        over: The window; a text for a named one.
        clauses: What SQL/JSON's functions and LISTAGG say in words of their own.
    """

    name: str
    args: tuple[Node, ...] = ()
    star: bool = False
    distinct: bool = False
    order: tuple[SortItem, ...] = ()
    where: Node | None = None
    nulls: str = ""
    over: Window | str | None = None
    clauses: tuple[tuple[str, Any], ...] = ()
