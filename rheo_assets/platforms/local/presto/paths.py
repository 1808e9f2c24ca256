"""Where `s3://bucket/key` lies on this machine, and back."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from rheo_assets.platforms.local.presto.refusals import Refusal

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Store:
    """The object store of one root: `s3://bucket/key` is `<root>/s3/bucket/key`.

    Attributes:
        root: The root.
        base: The folder of the buckets, without symbolic links.
    """

    root: Path
    base: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", self.root.resolve() / "s3")

    def local(self, uri: str) -> Path:
        """Returns the path of an URI.

        Raises:
            Refusal: The URI is not of S3 or would leave the store.
        """
        if not uri.startswith(SCHEME):
            raise Refusal(f"the location {uri!r} is not of the form s3://bucket/key")
        parts = [part for part in uri[len(SCHEME) :].split("/") if part]
        if not parts or any(unquote(part) in {".", ".."} or "\0" in part or "\\" in part for part in parts):
            raise Refusal(f"the location {uri!r} names no place in the object store")
        if any("/" in unquote(part) and ".." in unquote(part) for part in parts):
            raise Refusal(f"the location {uri!r} would leave the object store")
        path = self.base.joinpath(*parts)
        if not f"{os.path.realpath(path)}/".startswith(f"{self.base}/"):
            raise Refusal(f"the location {uri!r} would leave the object store")
        return path

    def uri(self, path: str | Path) -> str:
        """Returns the URI of a path below the base."""
        return SCHEME + str(path)[len(str(self.base)) :].lstrip("/")

    def in_uris(self, text: str) -> str:
        """Returns a message with this machine's paths replaced by URIs."""
        return text.replace(f"{self.base}/", SCHEME)
