"""Plain values: hints, args, options and metadata as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any

from rheo_assets.errors import DeclarationError


def plain(value: object, where: str, key: str) -> Any:
    """Returns the value as JSON.

    Text, numbers, booleans and None are unchanged. Enum members become their value, dates and paths become text, tuples
    and sets become lists. Nothing is dropped.

    Args:
        value: The user's value.
        where: The node, for messages.
        key: The key of the value, for messages.

    Raises:
        DeclarationError: The value has another type; the message names the node and the key.

    >>> from rheo_assets.model.compute.vocabulary import GlueVersion
    >>> plain({"GlueVersion": GlueVersion.VERSION_4_0, "days": (1, 2)}, "node 'n'", "hints")
    {'GlueVersion': '4.0', 'days': [1, 2]}
    """
    if isinstance(value, Enum):
        return plain(value.value, where, key)
    if _is_plain(value):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    return _plain_collection(value, where, key)


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return _is_unicode(value)
    return value is None or isinstance(value, int)


def _plain_collection(value: object, where: str, key: str) -> Any:
    if isinstance(value, Mapping):
        return {_name(name, where, key): plain(item, where, f"{key}[{name!r}]") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where, f"{key}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((plain(item, where, key) for item in value), key=json.dumps)
    raise DeclarationError(
        where,
        f"{key} is {value!r}, a {type(value).__name__}, which cannot be recorded",
        "Use text, numbers, booleans, dates, and lists or dicts of them",
    )


def _name(name: object, where: str, key: str) -> str:
    text = name.value if isinstance(name, Enum) else name
    if isinstance(text, str) and _is_unicode(text):
        return str(text)
    raise DeclarationError(where, f"{key} has the key {name!r}, which cannot be recorded", "Use strings as keys")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
