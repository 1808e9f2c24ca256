"""The words in which the cases of the signal model are written: datasets, timers, nodes, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rheo_assets import Application, DimensionType, NOOPCompute, S3Dataset, SignalIntegrityProtocol
from rheo_assets.model.nodes import DataNode, ExternalData, Timer

STRING = {"type": DimensionType.STRING}
LONG = {"type": DimensionType.LONG}
DAY = {"type": DimensionType.DATETIME, "format": "%Y-%m-%d"}
SUCCESS = SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})
SETTLE_SECONDS = 120

_COMMON = {"region": STRING, "org": STRING, "day": DAY, "other": DAY, "order_day": DAY, "hour": LONG}


def spec(*names: str, **levels: dict[str, Any]) -> dict[str, Any]:
    """Returns the API's tree: common dimensions by name, others as `name={...}`, in the order they are given."""
    tree: dict[str, Any] = {}
    for name, level in reversed([*((name, _COMMON[name]) for name in names), *levels.items()]):
        tree = {name: {**level, **tree}}
    return tree


def S3(app: Application, name: str, *names: str, only: Any = None, **levels: dict[str, Any]) -> ExternalData:
    """Declares an external dataset: one path segment a dimension, announced by `_SUCCESS`."""
    segments = ["{}"] * (len(names) + len(levels))
    dataset = S3Dataset("111222333444", "outside", name, *segments)
    return app.marshal_external_data(dataset, name, spec(*names, **levels), only, SUCCESS)


def timer(app: Application, name: str = "t", dim: str = "day") -> Timer:
    """Declares a daily timer."""
    return app.add_timer(name, "rate(1 day)", dim)


def node(app: Application, name: str, inputs: Any = None, **declaration: Any) -> DataNode:
    """Declares a data node that computes nothing, unless `compute_targets` says otherwise."""
    declaration.setdefault("compute_targets", [NOOPCompute])
    return app.create_data(name, inputs, **declaration)


def file(app: Application, view: Any, data: bytes = b"data") -> Path:
    """Writes a partition's data and, last, its completion file; returns the folder."""
    (path,) = app.materialize(view)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-00000").write_bytes(data)
    (folder / "_SUCCESS").write_bytes(b"")
    return folder


def event(app: Application, view: Any, **said: Any) -> None:
    """One new event of a partition, and whatever it leads to."""
    app.process(view, **said)
    app.settle(SETTLE_SECONDS)


def cycle(app: Application) -> None:
    """A turn of the event loop, and whatever it leads to."""
    app.tick()
    app.settle(SETTLE_SECONDS)


def ran(app: Application, node: Any) -> list[str]:
    """Returns the output partitions of a node's executions, oldest first: `["NA/2020-03-18"]`."""
    return ["/".join(execution.partition) for execution in app.history(node)]


def read(app: Application, node: Any, alias: str) -> list[str]:
    """Returns what the last execution of a node read as an input, tip first."""
    return ["/".join(partition) for partition in app.history(node)[-1].inputs[alias]]


def pending(app: Application, node: Any) -> int:
    """Returns the number of a node's waiting groups."""
    return len(app.pending(node))
