"""How long the keys of partitions become: checked when they are declared, since S3 refuses them only when it writes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import Layout
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType
from rheo_assets.model.filters import Constraint, Exactly, Filter
from rheo_assets.model.uris import LONGEST_KEY

WHILE_WRITTEN: Final = 128
"""Bytes that a key gets besides its partition's: the place where an execution writes, and an engine's file name."""

_SOME_DAY: Final = datetime(2024, 12, 31)


def check_key_lengths(where: str, layout: Layout, spec: DimensionSpec, among: Filter, added: int) -> None:
    """Checks that the keys of all declared partitions fit; values that nobody has declared count as one character.

    Args:
        where: Who declares them, for the message.
        layout: Where the partitions lie.
        spec: The dimensions.
        among: The declared values.
        added: How many bytes a key has besides its partition's.

    Raises:
        DeclarationError: S3 would refuse a key; names the longest partition.
    """
    partitions = [tuple(map(_longest, spec, branch)) for branch in among.branches]
    keys = (layout.folder(texts).removeprefix("s3://").partition("/")[2] for texts in partitions)
    key = max(keys, key=_size, default="")
    if _size(key) + added > LONGEST_KEY:
        raise DeclarationError(
            where,
            f"its partition {key[:80]}… has a key of {_size(key)} bytes, and its files' names come on top; S3 takes "
            f"{LONGEST_KEY} bytes in all",
            "Shorten the folder, the names or the values",
        )


def _longest(dimension: Dimension, constraint: Constraint) -> str:
    if isinstance(constraint, Exactly):
        return dimension.render(constraint.value)
    return dimension.render(_SOME_DAY) if dimension.type is DimensionType.DATETIME else "_"


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
