"""The document of a recorded declaration: JSON text with a version and a fingerprint."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from rheo_assets.errors import StateError

VERSION: Final = 1
_REMEDY: Final = "Activate the application again from its source"


def header(application: str) -> dict[str, Any]:
    """Returns the fields that identify a document and its writer."""
    return {
        "version": VERSION,
        "application": application,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "library": _library(),
    }


def encode(fields: Mapping[str, Any]) -> bytes:
    """Returns the document as indented JSON text."""
    return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def decode(content: bytes, uri: str) -> dict[str, Any]:
    """Returns the fields of a document.

    Args:
        content: The bytes of the document.
        uri: The URI of the document, for messages.

    Raises:
        StateError: It is truncated or damaged, or has a version that this library cannot read.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StateError(f"the recorded declaration {uri} is not JSON ({error}). {_REMEDY}") from error
    if not isinstance(fields, dict):
        raise StateError(f"the recorded declaration {uri} holds a {type(fields).__name__}, not an object. {_REMEDY}")
    check_version(fields, f"the recorded declaration {uri}")
    return fields


def check_version(fields: Mapping[str, Any], subject: str) -> None:
    """Checks that this library reads the document.

    Raises:
        StateError: It has another version; the message names both.
    """
    version = fields.get("version")
    if version != VERSION or isinstance(version, bool):
        raise StateError(
            f"{subject} has version {version!r} (written by rheo-assets {fields.get('library', '?')}); this is "
            f"rheo-assets {_library()}, which reads version {VERSION}. {_REMEDY} with this version, or use that one"
        )


def unreadable(application: object, node_id: object, problem: object) -> StateError:
    """Returns the error for an unreadable record of a node."""
    return StateError(
        f"application '{application}': the record of node '{node_id}' cannot be read: {problem}. {_REMEDY}"
    )


def fingerprint(fields: Mapping[str, Any]) -> str:
    """Returns a hash that changes with the declaration.

    The writer of the document and the order of its keys do not matter.

    >>> one = {"version": 1, "application": "a", "python": "3.11", "nodes": [{"id": "x", "kind": "timer"}]}
    >>> fingerprint(one) == fingerprint({**one, "python": "3.12", "nodes": [{"kind": "timer", "id": "x"}]})
    True
    """
    declared = {name: fields.get(name) for name in ("version", "application", "nodes")}
    return hashlib.sha256(json.dumps(declared, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _library() -> str:
    try:
        return metadata.version("rheo-assets")
    except metadata.PackageNotFoundError:
        return "unknown"
