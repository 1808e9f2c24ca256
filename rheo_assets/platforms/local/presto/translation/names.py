"""The tables that a query reads."""

from __future__ import annotations

from rheo_assets.platforms.local.presto.syntax import queries, tree

PATH = "$path"


def tables_of(node: tree.Node) -> set[str]:
    """Returns the names of the tables that the query reads, in lower case, without its own `WITH` names."""
    nodes = list(walk(node))
    own = {each.name for each in nodes if isinstance(each, queries.CommonTable)}
    return {each.parts[-1] for each in nodes if isinstance(each, queries.Table)} - own


def reads_path(node: tree.Node) -> bool:
    """Returns whether the query reads the hidden column `"$path"`."""
    return any(isinstance(each, (tree.Name, tree.Field)) and each.name == PATH for each in walk(node))


def walk(node: tree.Node) -> list[tree.Node]:
    """Returns the nodes of a query, those of the queries inside it included."""
    return list(node.walk())
