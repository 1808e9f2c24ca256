"""Dimensions, filters and views as JSON.

A spec is a list with one entry per dimension, not the API's tree: a tree cannot contain a dimension with the name of an
attribute of the one above it. Literals are stored as they are after reading (ISO text for datetimes), so that no
`format` function is applied to them twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionSpec, DimensionType, Value
from rheo_assets.model.filters import ANY, Anything, Branch, Constraint, Exactly, Filter, Window
from rheo_assets.model.recording.functions import Load, Store, dump_function, load_function
from rheo_assets.model.signals import Signal, View

_FLAGS = {"ref": "is_ref", "range_check": "checks_range", "nearest": "is_nearest"}
_MIDNIGHT = "T00:00:00"


def dump_spec(spec: DimensionSpec, node_id: str, store: Store) -> list[dict[str, Any]]:
    """Returns the dimensions in order, each with its attributes."""
    return [_dump_dimension(dimension, node_id, store) for dimension in spec]


def _dump_dimension(dimension: Dimension, node_id: str, store: Store) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": dimension.name, "type": str(dimension.type)}
    if dimension.transform is not None:
        fields["format"] = dump_function(dimension.transform, node_id, store)
    elif dimension.format is not None:
        fields["format"] = dimension.format
    if dimension.granularity is not None:
        fields["granularity"] = str(dimension.granularity)
    if dimension.min is not None:
        fields["min"] = dump_value(dimension.min)
    if dimension.digits is not None:
        fields["digits"] = dimension.digits
    if dimension.insensitive:
        fields["insensitive"] = True
    return fields


def load_spec(recorded: Sequence[Mapping[str, Any]], node_id: str, load: Load) -> DimensionSpec:
    """Returns the spec of `dump_spec`."""
    return DimensionSpec(tuple(_load_dimension(fields, node_id, load) for fields in recorded))


def _load_dimension(fields: Mapping[str, Any], node_id: str, load: Load) -> Dimension:
    form = fields.get("format")
    is_function = isinstance(form, Mapping)
    where = f"node '{node_id}': format of dimension '{fields['name']}'"
    granularity = fields.get("granularity")
    return Dimension(
        fields["name"],
        DimensionType(fields["type"]),
        format=None if is_function else form,
        transform=load_function(form, load, where) if isinstance(form, Mapping) else None,
        granularity=None if granularity is None else DatetimeGranularity(granularity),
        min=datetime.fromisoformat(fields["min"]) if "min" in fields else None,
        digits=fields.get("digits"),
        insensitive=fields.get("insensitive", False),
    )


def dump_value(value: Value) -> str | int:
    """Returns a value as JSON: ISO text for a datetime, without the time if it is midnight."""
    return value.isoformat().removesuffix(_MIDNIGHT) if isinstance(value, datetime) else value


def load_value(dimension: Dimension, recorded: object) -> Value:
    """Returns the value of `dump_value`."""
    if dimension.type is DimensionType.DATETIME and isinstance(recorded, str):
        return dimension.read(datetime.fromisoformat(recorded))
    if dimension.type is DimensionType.LONG and isinstance(recorded, int):
        return recorded
    if dimension.type is DimensionType.STRING and isinstance(recorded, str):
        return recorded
    raise ValueError(f"{recorded!r} is not a value of dimension '{dimension.name}', which is {dimension.type}")


def _dump_constraint(constraint: Constraint) -> Any:
    if isinstance(constraint, Anything):
        return "*"
    if isinstance(constraint, Window):
        return {"shift": constraint.shift, "length": constraint.length, "step": constraint.step}
    value = dump_value(constraint.value)
    return {"literal": value} if value == "*" else value


def _load_constraint(dimension: Dimension, recorded: Any) -> Constraint:
    if recorded == "*":
        return ANY
    if isinstance(recorded, Mapping):
        if "literal" in recorded:
            return Exactly(load_value(dimension, recorded["literal"]))
        return Window(recorded["shift"], recorded["length"], recorded["step"])
    return Exactly(load_value(dimension, recorded))


def dump_filter(declared: Filter) -> list[list[Any]]:
    """Returns the branches, each a list with one constraint per dimension."""
    return [[_dump_constraint(constraint) for constraint in branch] for branch in declared.branches]


def load_filter(spec: DimensionSpec, recorded: Sequence[Sequence[Any]]) -> Filter:
    """Returns the filter of `dump_filter`."""
    branches: list[Branch] = []
    for branch in recorded:
        pairs = zip(spec, branch, strict=True)
        branches.append(tuple(_load_constraint(dimension, constraint) for dimension, constraint in pairs))
    return Filter(tuple(branches))


def dump_view(view: View) -> dict[str, Any]:
    """Returns the node's id, the constraints of its first dimensions, and the flags that are set."""
    flags: dict[str, Any] = {name: True for name, attribute in _FLAGS.items() if getattr(view, attribute)}
    if view.is_covering:
        flags["covering"] = str(view.period) if view.period is not None else None
    return {"node": view.node.id, "view": [_dump_constraint(constraint) for constraint in view.constraints], **flags}


def load_view(node: Signal, recorded: Mapping[str, Any]) -> View:
    """Returns the view of `dump_view` on its node."""
    pairs = zip(node.spec, recorded["view"], strict=False)
    constraints = tuple(_load_constraint(dimension, constraint) for dimension, constraint in pairs)
    view = View(node, constraints, **{attribute: recorded.get(name, False) for name, attribute in _FLAGS.items()})
    return view.covering(recorded["covering"]) if "covering" in recorded else view
