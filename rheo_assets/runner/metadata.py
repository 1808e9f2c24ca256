"""Turns the return value of user code into metadata entries in JSON."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

TYPES = ("markdown", "url", "path", "png", "json")
MAX_ENTRY = 2 * 1024 * 1024

_PNG = b"\x89PNG\r\n\x1a\n"


def metadata_entries(node: str, returned: Mapping[Any, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns the entries that can be recorded, and one warning for each entry that cannot.

    A scalar stays a scalar. `{"type": "markdown" | "url" | "path" | "png" | "json", "value": ...}` keeps its type; the
    bytes of a `png` become base64 text. Any other dict or list becomes a `json` entry.

    Args:
        node: The user's node id, for the warnings.
        returned: What the callable returned.

    >>> metadata_entries("report", {"flights": 842, "late": [1, 2]})
    ({'flights': 842, 'late': {'type': 'json', 'value': [1, 2]}}, ())
    """
    entries: dict[str, Any] = {}
    warnings: list[str] = []
    for key, value in returned.items():
        try:
            entries[str(key)] = _entry(value)
        except (TypeError, ValueError, RecursionError) as error:
            warnings.append(f"node '{node}': skips the metadata entry '{key}': {error}")
    return entries, tuple(warnings)


def _entry(value: object) -> Any:
    entry = _read(value)
    size = len(json.dumps(entry))
    if size > MAX_ENTRY:
        raise ValueError(f"it has {size:,} bytes, and the limit is {MAX_ENTRY:,}; write it into the output instead")
    return entry


def _read(value: object) -> Any:
    if isinstance(value, Mapping) and set(value) == {"type", "value"} and value["type"] in TYPES:
        return {"type": value["type"], "value": _typed(value["type"], value["value"])}
    plain = _plain(value)
    return {"type": "json", "value": plain} if isinstance(plain, dict | list) else plain


def _typed(kind: str, value: object) -> Any:
    if kind == "png":
        return _png(value)
    if kind == "json":
        return _plain(value)
    return str(value)


def _png(value: object) -> str:
    if isinstance(value, str):
        try:
            content = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("a png is bytes or base64 text, and this text is not base64") from None
    elif isinstance(value, bytes | bytearray | memoryview):
        content = bytes(value)
    else:
        raise TypeError(f"a png is bytes or base64 text, not a {type(value).__name__}")
    if not content.startswith(_PNG):
        raise ValueError('the bytes are not a PNG image (matplotlib: figure.savefig(buffer, format="png"))')
    return base64.b64encode(content).decode()


def _plain(value: object) -> Any:
    """Returns the value as JSON; a value that JSON cannot hold becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError('bytes need a type: {"type": "png", "value": bytes}')
    return _scalar(value)


def _scalar(value: object) -> str | int | float | bool | None:
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):  # JSON has no NaN
        return float(value)
    return str(value)
