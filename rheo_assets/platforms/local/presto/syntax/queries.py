"""The queries and relations of Trino's SQL."""

from __future__ import annotations

from dataclasses import dataclass

from rheo_assets.platforms.local.presto.syntax.tree import Node, SortItem, Window


@dataclass(frozen=True)
class CommonTable(Node):
    """`name (columns) AS (query)` of a `WITH`."""

    name: str
    columns: tuple[str, ...]
    query: Query


@dataclass(frozen=True)
class Query(Node):
    """A query with its `WITH`, `ORDER BY`, `OFFSET` and `LIMIT`.

    Attributes:
        tables: The `WITH` queries.
        body: A Select, SetOperation, Values, TableRows or another Query.
        order: The `ORDER BY`.
        offset: How many rows to leave out.
        limit: How many to give; None for all.
        ties: Whether rows equal to the last one are given too.
    """

    tables: tuple[CommonTable, ...]
    body: Node
    order: tuple[SortItem, ...] = ()
    offset: Node | None = None
    limit: Node | None = None
    ties: bool = False


@dataclass(frozen=True)
class Column(Node):
    """One expression of a SELECT list, with its alias."""

    value: Node
    alias: str


@dataclass(frozen=True)
class AllColumns(Node):
    """`*`, `t.*`, or the fields of a row: `(row).* AS (a, b)`."""

    base: Node | None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupElement(Node):
    """One element of a `GROUP BY`: `simple`, `sets`, `rollup` or `cube`."""

    kind: str
    sets: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Select(Node):
    """One `SELECT`."""

    distinct: bool
    columns: tuple[Node, ...]
    source: Node | None
    where: Node | None = None
    groups: tuple[GroupElement, ...] | None = None
    distinct_groups: bool = False
    having: Node | None = None
    windows: tuple[tuple[str, Window], ...] = ()


@dataclass(frozen=True)
class SetOperation(Node):
    """`UNION`, `INTERSECT` or `EXCEPT`."""

    kind: str
    all: bool
    left: Node
    right: Node


@dataclass(frozen=True)
class Values(Node):
    """`VALUES (a, b), …`."""

    rows: tuple[Node, ...]


@dataclass(frozen=True)
class TableRows(Node):
    """`TABLE name`."""

    table: Table


@dataclass(frozen=True)
class Table(Node):
    """A table by its name, with the database if one is written."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Aliased(Node):
    """A relation with an alias, and with names for its columns."""

    relation: Node
    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Derived(Node):
    """A query in FROM; a lateral one sees the relations before it."""

    query: Query
    lateral: bool = False


@dataclass(frozen=True)
class Unnest(Node):
    """`UNNEST(a, b) WITH ORDINALITY`."""

    items: tuple[Node, ...]
    ordinality: bool


@dataclass(frozen=True)
class Join(Node):
    """Two relations: `cross`, `inner`, `left`, `right` or `full`."""

    kind: str
    left: Node
    right: Node
    on: Node | None = None
    using: tuple[str, ...] = ()
