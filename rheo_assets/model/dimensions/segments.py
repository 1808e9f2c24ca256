"""Path segments: what a rendered value is made of."""

from __future__ import annotations

import re
from typing import Final

from rheo_assets.model.uris import fault_of

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def fault_in(segment: str) -> str:
    """Returns why a text is no path segment of a value, as in `has a character that cannot be printed`; or nothing."""
    return "has a character that cannot be printed" if _UNPRINTABLE.search(segment) else fault_of(segment)
