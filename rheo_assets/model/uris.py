"""The URIs of objects: `s3://bucket/key`, parsed the same way by every storage.

A URI that local folders cannot hold is rejected on S3, too, so that a declaration means the same on both.
"""

from __future__ import annotations

import os
import re
from typing import Final

from rheo_assets.errors import InvalidUri, brief

LONGEST_NAME: Final = 255  # bytes, on every common file system
LONGEST_KEY: Final = 1024  # bytes, on S3

# One match accepts a normal URI; any other is checked part by part for the message.
_PLAIN = re.compile(r"s3[an]?://((?:(?!\.{1,2}(?:/|\Z))[^/\\%\0]+)(?:/(?!\.{1,2}(?:/|\Z))[^/\\%\0]+)*)/?")
_SCHEME = re.compile(r"s3[an]?://")
_ENCODED = re.compile(r"%(?:25)*(?:2e|2f|5c|00)", re.IGNORECASE)


def object_path(uri: str) -> str:
    """Returns the bucket and the key of a URI, without a trailing slash.

    >>> object_path("s3a://lake/orders/NA/")
    'lake/orders/NA'

    Raises:
        InvalidUri: The URI has another scheme, or a part leads elsewhere; the message names the part.
    """
    match = _PLAIN.fullmatch(uri)
    if match is None or len(uri) > LONGEST_NAME // 4:
        return "/".join(_segments(uri))
    return match[1]


def bucket_and_key(uri: str, *, needs_key: bool = False) -> tuple[str, str]:
    """Returns the bucket, and the key without a trailing slash; the key is empty if the URI names a bucket.

    Args:
        uri: The URI.
        needs_key: Whether a key is required.

    Raises:
        InvalidUri: As in `object_path`, or the required key is missing.
    """
    bucket, _, key = object_path(uri).partition("/")
    if needs_key and not key:
        raise InvalidUri(f"{uri!r} names a bucket, not an object: add a key, as in {uri.rstrip('/') + '/key'!r}")
    return bucket, key


def _segments(uri: str) -> list[str]:
    """Splits the URI into bucket and key parts, each checked."""
    scheme = _SCHEME.match(uri)
    if scheme is None:
        raise InvalidUri(f"{uri!r} is not an object's URI: write s3://bucket/key")
    parts = uri[scheme.end() :].split("/")
    if len(parts) > 1 and parts[-1] == "":
        parts.pop()
    for part in parts:
        fault = fault_of(part)
        if fault:
            raise InvalidUri(f"{brief(repr(uri))} cannot be stored: {brief(repr(part))} {fault}")
    size = len(os.fsencode("/".join(parts[1:])))
    if size > LONGEST_KEY:
        raise InvalidUri(f"{brief(repr(uri))} cannot be stored: its key has {size} bytes; S3 allows {LONGEST_KEY}")
    return parts


def fault_of(part: str) -> str:
    """Returns why a text is not a single path name, as in `'..' would lead to another folder`; empty if it is."""
    if part == "":
        return "is an empty part of the path; write one '/' between two names"
    if part in {".", ".."}:
        return "would lead to another folder"
    for character, name in (("/", "a '/'"), ("\\", "a backslash"), ("\0", "a NUL character")):
        if character in part:
            return f"contains {name}"
    if _ENCODED.search(part):
        return "contains a percent-encoded '.', '/', '\\' or NUL, which would lead to another folder once decoded"
    try:
        size = len(os.fsencode(part))
    except UnicodeEncodeError:
        return "contains a character that no file name can hold"
    return f"is {size} bytes long; the limit is {LONGEST_NAME}" if size > LONGEST_NAME else ""
