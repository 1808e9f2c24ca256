"""Replaces what lies below a prefix of S3: written aside, copied into place, the completion object last.

S3 has no rename. The next content lies below `s3://<bucket>/.writing/<writer>/<key>/`, which is the same place for the
same prefix and execution: a remote job that outlives its driver goes on writing there, and another driver that takes
the execution over publishes what it wrote. So nothing is removed from there until it is published; what an execution
that failed has left is removed by a lifecycle rule of the bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final

from rheo_assets.model.uris import object_path
from rheo_assets.platforms.aws.objects import S3Objects

STAGING: Final = ".writing"

_AT_ONCE: Final = 16


class S3Replacement:
    """The next content of one prefix; see `Replacement`.

    Args:
        objects: Lists, writes, copies and deletes.
        bucket: The bucket.
        key: The prefix that is replaced, without a trailing slash.
        writer: The identity of the execution that writes.

    Attributes:
        uri: Where the next content is written.

    Raises:
        ValueError: The writer cannot stand in a key.
    """

    def __init__(self, objects: S3Objects, bucket: str, key: str, writer: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._key = key
        self.uri = f"s3://{object_path(f's3://{bucket}/{STAGING}/{writer}/{key}')}"

    def __enter__(self) -> S3Replacement:
        """Begins, or goes on where a driver that died has left off: what its job wrote stays."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves what was not published, as its job may still run and be found again."""

    def publish(self, name: str, content: bytes) -> None:
        """Puts what was written in the place of the old content, and then the object that says it is whole."""
        staged = self._below(self.uri.partition(f"s3://{self._bucket}/")[2])
        completion = f"s3://{self._bucket}/{self._key}/{name}"
        self._objects.delete(completion)  # from here on until the end the partition counts as incomplete
        old = self._below(self._key)
        self._copy(staged)
        gone = (f"{self._key}/{path}" for path in old if path not in staged)
        self._objects.delete_keys(self._bucket, gone)
        self._objects.write(completion, content)
        self._objects.delete(self.uri)

    def _below(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """Returns what lies below a prefix by the path from there; folder markers are not among it."""
        found = self._objects.objects(self._bucket, f"{prefix}/")
        return {each["Key"][len(prefix) + 1 :]: each for each in found if not each["Key"].endswith(("/", "_$folder$"))}

    def _copy(self, staged: Mapping[str, Mapping[str, Any]]) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-s3") as pool:
            for _ in pool.map(self._copy_one, staged.items()):  # raises what a copy raised
                pass

    def _copy_one(self, item: tuple[str, Mapping[str, Any]]) -> None:
        path, found = item
        self._objects.copy(self._bucket, found["Key"], int(found["Size"]), f"{self._key}/{path}")
