"""Links between dimensions as JSON: `{"to": …, "function": …, "from": …}`.

A side is a literal, dimensions of the output (`{"output": …}`), of one input (`{"input": alias, "dimensions": …}`) or
of every alias of a node (`{"node": id, "dimensions": …}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from rheo_assets.errors import DeclarationError
from rheo_assets.model.compute.plain import plain
from rheo_assets.model.recording.functions import Load, Store, dump_function, load_function
from rheo_assets.model.signals import View
from rheo_assets.model.subscripts import DimensionsOf


def dump_link(link: Any, node_id: str, views: Mapping[str, View], store: Store) -> dict[str, Any]:
    """Returns one declared link of a node."""
    to, function, source = link
    forwards = isinstance(to, str)
    return {
        "to": {"output": to} if forwards else _dump_dimensions(to, views),
        "function": dump_function(function, node_id, store),
        "from": _dump_source(source, forwards, f"node '{node_id}'", views),
    }


def _dump_source(source: object, forwards: bool, where: str, views: Mapping[str, View]) -> dict[str, Any]:
    if isinstance(source, DimensionsOf):
        return _dump_dimensions(source, views)
    if not forwards:
        assert isinstance(source, str | tuple | list)
        return {"output": [source] if isinstance(source, str) else [str(name) for name in source]}
    if isinstance(source, datetime):
        return {"literal": source.isoformat(), "type": "datetime"}
    if isinstance(source, date):
        return {"literal": source.isoformat(), "type": "date"}
    if isinstance(source, str | int | float | None):
        return {"literal": plain(source, where, "output_dim_links")}
    raise DeclarationError(
        where, f"output_dim_links has the literal {source!r}, which cannot be recorded", "Use text, a number or a date"
    )


def _dump_dimensions(side: DimensionsOf, views: Mapping[str, View]) -> dict[str, Any]:
    names = list(side.names)
    if isinstance(side.signal, View):
        for alias, view in views.items():
            if view == side.signal:
                return {"input": alias, "dimensions": names}
    return {"node": side.node.id, "dimensions": names}


def load_link(fields: Mapping[str, Any], node_id: str, views: Mapping[str, View], load: Load) -> tuple[Any, Any, Any]:
    """Returns the link of `dump_link` on the loaded views of its node."""
    where = (
        f"node '{node_id}': link {_named(fields['to'])} <- {fields['function']['callable']} <- {_named(fields['from'])}"
    )
    return (
        _load_side(fields["to"], views),
        load_function(fields["function"], load, where),
        _load_side(fields["from"], views),
    )


def _load_side(side: Mapping[str, Any], views: Mapping[str, View]) -> Any:
    if "output" in side:
        names = side["output"]
        return names if isinstance(names, str) else tuple(names)
    if "literal" in side:
        return _load_literal(side)
    if "input" in side:
        return DimensionsOf(views[side["input"]], tuple(side["dimensions"]))
    node = next(view.node for view in views.values() if view.node.id == side["node"])
    return node(*side["dimensions"])


def _load_literal(side: Mapping[str, Any]) -> Any:
    if side.get("type") == "datetime":
        return datetime.fromisoformat(side["literal"])
    return date.fromisoformat(side["literal"]) if side.get("type") == "date" else side["literal"]


def _named(side: Mapping[str, Any]) -> str:
    if "literal" in side:
        return repr(side["literal"])
    if "output" in side:
        names = side["output"]
        return f"output({names if isinstance(names, str) else ', '.join(names)})"
    return f"{side.get('input') or side['node']}({', '.join(side['dimensions'])})"
