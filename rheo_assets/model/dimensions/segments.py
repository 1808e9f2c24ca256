"""The path segments of rendered values."""

from __future__ import annotations

import re
from typing import Final

from rheo_assets.model.uris import fault_of

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def fault_in(segment: str) -> str:
    """Returns why a text is not a path segment, such as `has a character that cannot be printed`; empty if it is."""
    return "has a character that cannot be printed" if _UNPRINTABLE.search(segment) else fault_of(segment)
