"""Objects of S3 as local files: downloaded when user code first needs them, uploaded at the end."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any


class Mirror:
    """A local copy of a part of S3: `s3://bucket/key` is `<root>/s3/bucket/key`.

    Args:
        session: A boto3 session, which user code gets as `params["AWS_BOTO_SESSION"]`.
        root: The folder of the copy.
        client: An S3 client. The default is the session's.
    """

    def __init__(self, session: Any, root: Path, client: Any = None) -> None:
        self.session = session
        self.root = root
        self._client = client
        self._fetched: set[str] = set()
        self._lock = Lock()

    def client(self) -> Any:
        """Returns the S3 client."""
        if self._client is None:
            self._client = self.session.client("s3")
        return self._client

    def path(self, uri: str) -> Path:
        """Returns the local path of an object or a prefix, whether or not it has been fetched.

        Raises:
            ValueError: The URI does not have the form `s3://bucket/key`, or leads outside the root.
        """
        parts = uri.removeprefix("s3://").rstrip("/").split("/")
        if not uri.startswith("s3://") or any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"{uri!r} is not a path in the mirror: expected s3://bucket/key without '..'")
        return self.root.joinpath("s3", *parts)

    def fetch(self, uri: str) -> Path:
        """Fetches everything below a prefix, once, and returns its folder, which exists even if it is empty."""
        folder = self.path(uri)
        with self._lock:
            if uri not in self._fetched:
                folder.mkdir(parents=True, exist_ok=True)
                bucket, prefix = _split(uri)
                for key in self._keys(bucket, f"{prefix}/"):
                    file = self.path(f"s3://{bucket}/{key}")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    self.client().download_file(bucket, key, str(file))
                self._fetched.add(uri)
        return folder

    def fetch_object(self, uri: str) -> Path:
        """Fetches one object and returns its file."""
        file = self.path(uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.client().download_file(*_split(uri), str(file))
        return file

    def push(self, uri: str) -> int:
        """Uploads every file of the prefix's folder, except hidden ones, and returns their number."""
        folder = self.path(uri)
        bucket, prefix = _split(uri)
        files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
        for file in files:
            self.client().upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")
        return len(files)

    def in_uris(self, text: str) -> str:
        """Returns a text with this machine's paths replaced by URIs."""
        return text.replace(f"{self.root}/s3/", "s3://")

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").rstrip("/").partition("/")
    return bucket, key
