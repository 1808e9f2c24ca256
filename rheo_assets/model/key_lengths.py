"""Checks the length of partition keys at declaration, because S3 rejects them only when data is written."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import Layout
from rheo_assets.model.dimensions import Dimension, DimensionSpec, DimensionType
from rheo_assets.model.filters import Constraint, Exactly, Filter
from rheo_assets.model.uris import LONGEST_KEY

WHILE_WRITTEN: Final = 128
"""Bytes added to a partition's key: the temporary folder of an execution, and an engine's file name."""

_SOME_DAY: Final = datetime(2024, 12, 31)


def check_key_lengths(where: str, layout: Layout, spec: DimensionSpec, among: Filter, added: int) -> None:
    """Checks that the keys of all declared partitions fit; undeclared values count as one character.

    Args:
        where: Names the node in the message.
        layout: The folders of the partitions.
        spec: The dimensions.
        among: The declared values.
        added: The bytes that are added to a partition's key.

    Raises:
        DeclarationError: S3 would reject a key; the message names the longest partition.
    """
    partitions = [tuple(map(_longest, spec, branch)) for branch in among.branches]
    keys = (layout.folder(texts).removeprefix("s3://").partition("/")[2] for texts in partitions)
    key = max(keys, key=_size, default="")
    if _size(key) + added > LONGEST_KEY:
        raise DeclarationError(
            where,
            f"its partition {key[:80]}… has a key of {_size(key)} bytes without its files' names; S3 allows "
            f"{LONGEST_KEY} bytes in all",
            "Shorten the folder, the names or the values",
        )


def _longest(dimension: Dimension, constraint: Constraint) -> str:
    if isinstance(constraint, Exactly):
        return dimension.render(constraint.value)
    return dimension.render(_SOME_DAY) if dimension.type is DimensionType.DATETIME else "_"


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
