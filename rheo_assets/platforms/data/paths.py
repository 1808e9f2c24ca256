"""The paths of a view, without computing anything."""

from __future__ import annotations

from collections.abc import Sequence

from rheo_assets.errors import Contradiction, DeclarationError, NotConcrete
from rheo_assets.model.dimensions import Dimension
from rheo_assets.model.filters import Anything, Constraint, Exactly
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.model.signals import View
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.platforms.data.partition_folder import partition_folder
from rheo_assets.platforms.data.readiness import Readiness


def paths_of(storage: Storage, view: View, values: Sequence[object] | None = None) -> list[str]:
    """Returns the URIs of a view, tip first, whether or not they exist; for a nearest view, the one ready URI.

    `.ref` and `.range_check` control when a node runs, so they change nothing here.

    Args:
        storage: Searched for folders that are spelled differently from their values.
        view: A view with every dimension subscripted. Open ones (`'*'`, ranges) take `values`, or appear as written.
        values: The tip: one value per dimension, in spec order.

    Raises:
        NotConcrete: A dimension is not subscripted.
        DeclarationError: The signal has no data, or values are given for a concrete view.
        Contradiction: The values do not fit the view.
        NoData: Nothing in the range of a nearest view is ready.
    """
    signal = view.node
    if not isinstance(signal, DataNode | ExternalData):
        raise DeclarationError(f"paths({view})", f"'{signal.id}' has no data and no paths")
    spec = signal.spec
    if not view.is_complete:
        raise NotConcrete(str(view), "paths", f"'{spec.dimensions[len(view.constraints)].name}'")
    is_material = all(isinstance(constraint, Exactly) for constraint in view.constraints)
    if values is not None:
        if is_material and len(spec):
            raise DeclarationError(
                f"paths({view}, {list(values)!r})", "the view is already concrete", "Leave the values out"
            )
        tip = spec.read(values)
        if not view.admits(tip):
            raise Contradiction(f"paths: {signal.describe(tip)} is not in {view}")
    elif is_material:
        tip = view.tip("paths")
    else:
        pairs = zip(spec, view.constraints, strict=True)
        return [signal.layout.folder(tuple(_spelled(dimension, constraint) for dimension, constraint in pairs))]
    return [partition_folder(storage, signal, partition) for partition in Readiness(storage).partitions(view, tip)]


def _spelled(dimension: Dimension, constraint: Constraint) -> str:
    if isinstance(constraint, Exactly):
        return dimension.render(constraint.value)
    if isinstance(constraint, Anything):
        return "/".join([str(constraint)] * dimension.segments)  # a pattern's `*` stands for one path segment
    return str(constraint)
